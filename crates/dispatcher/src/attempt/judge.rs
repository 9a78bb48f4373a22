//! Turns what egress brought back into what is recorded: the policy says what is a success.

use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use signpost_domain::{DeliveryPolicy, Outcome};
use signpost_egress::{Answer, Sent, shown_headers};

/// An answer, judged.
#[derive(Debug)]
pub struct Judged {
    /// What it is.
    pub outcome: Outcome,
    /// The receiver's status, where there was one.
    pub status_code: Option<u16>,
    /// The receiver's headers, as the record shows them; `None` unless it answered to the end.
    pub response_headers: Option<Box<RawValue>>,
    /// The first 16 KiB of the receiver's answer.
    pub response_body: Option<Bytes>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// The wait that the receiver asked for.
    pub retry_after: Option<Duration>,
}

impl Judged {
    /// Judges an answer by the policy.
    pub fn from(sent: Sent, policy: &DeliveryPolicy) -> Self {
        match sent.answer {
            Answer::Response(response) => {
                let succeeded = policy.is_success(response.status);
                let error = if !succeeded {
                    Some(format!("the receiver answered {}", response.status))
                } else if response.body_incomplete {
                    Some(
                        "body_incomplete: the connection broke before the answer was complete"
                            .to_owned(),
                    )
                } else {
                    None
                };
                Self {
                    outcome: if succeeded {
                        Outcome::Succeeded
                    } else {
                        Outcome::HttpError
                    },
                    status_code: Some(response.status),
                    response_headers: Some(shown_headers(&response.headers)),
                    response_body: Some(response.body),
                    error,
                    retry_after: response.retry_after,
                }
            }
            Answer::Failure(failure) => Self {
                outcome: failure.outcome(),
                status_code: failure.status,
                response_headers: None,
                response_body: None,
                error: Some(format!("{}: {}", failure.code.as_str(), failure.detail)),
                retry_after: None,
            },
        }
    }
}
