//! Why a message was rejected: a closed set, also the label `reason` of
//! `signpost_events_rejected_total`.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// Why a message went to `signpost.rejected`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RejectReason {
            $($(#[$doc])* $name,)+
        }

        impl RejectReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word in the header `signpost-reason`, the API and the metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The reason that `word` names.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// The routing key is not `TENANT.EVENT_TYPE`.
    BadRoutingKey = "bad_routing_key",
    /// The routing key's first word is not a tenant id.
    BadTenant = "bad_tenant",
    /// There is no such tenant.
    UnknownTenant = "unknown_tenant",
    /// The rest of the routing key is not an event type.
    IllegalType = "illegal_type",
    /// The body is larger than allowed.
    TooLarge = "too_large",
    /// The body is not JSON.
    BadJson = "bad_json",
    /// The JSON is nested too deep.
    TooDeep = "too_deep",
    /// The message id is not an event id.
    BadMessageId = "bad_message_id",
    /// The time is not one.
    BadTimestamp = "bad_timestamp",
    /// Not one of the CloudEvents, although it says so.
    BadCloudEvent = "bad_cloudevent",
    /// Headers or other properties could not be read.
    BadHeaders = "bad_headers",
    /// The data does not match the event type's JSON Schema.
    SchemaRefused = "schema_refused",
    /// The id was used before, with other content.
    IdReused = "id_reused",
    /// A delivery message that this version cannot read.
    BadDelivery = "bad_delivery",
    /// It was in work several times when a worker died.
    CrashedWorker = "crashed_worker",
    /// A handler failed on it in a way that trying again does not help.
    Failed = "failed",
    /// No queue takes its routing key; the broker put it here.
    Unroutable = "unroutable",
    /// The broker put it here: rejected or handed out too often.
    DeadLettered = "dead_lettered",
}

impl std::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a message cannot be worked on: a word for machines and a text for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    /// The word.
    pub reason: RejectReason,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl Rejection {
    /// A rejection for this reason.
    pub fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_its_reason() {
        for reason in RejectReason::ALL {
            assert_eq!(RejectReason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(RejectReason::parse("other"), None);
    }
}
