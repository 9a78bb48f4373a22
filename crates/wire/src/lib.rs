//! Wire profiles: what a webhook request looks like, how it is signed, and how a receiver checks
//! it.
//!
//! A [`Profile`] is data, not code: a JSON document with a body template, header templates and a
//! signature scheme. The same document signs a request and verifies one, so a receiver, a test
//! and the sender agree by construction. Ten profiles are built in ([`builtin`]); the default is
//! [Standard Webhooks](https://www.standardwebhooks.com).
//!
//! The dispatcher renders bodies and headers with this crate, the API checks profiles and secrets
//! with it, and the command line verifies with it. This crate does no I/O, reads no clock and
//! draws no random numbers: times and random bytes come in as parameters. It never parses `data`.
//!
//! # Sending
//!
//! ```
//! use chrono::DateTime;
//! use signpost_wire::{AttemptParts, EventParts, find_builtin};
//!
//! let profile = find_builtin("standard-webhooks").expect("it is built in");
//! let key = profile.signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//!
//! let now = DateTime::from_timestamp(1_614_265_330, 0).expect("in range");
//! let event = EventParts { id: "evt_1", event_type: "invoice.paid", tenant: "acme", occurred_at: now };
//! let body = profile.render_body(&event, br#"{"total": 1.0}"#);
//! assert_eq!(
//!     &body[..],
//!     br#"{"type":"invoice.paid","timestamp":"2021-02-25T15:02:10.000000Z","data":{"total": 1.0}}"#,
//! );
//!
//! let attempt = AttemptParts { delivery_id: "dlv_1", number: 1, at: now };
//! let headers = profile.render_headers(&event, &attempt, &body, &[key])?;
//! assert!(headers.contains(&("webhook-id", "evt_1".to_owned())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Receiving
//!
//! ```
//! # use chrono::DateTime;
//! # use signpost_wire::{DEFAULT_TOLERANCE, find_builtin};
//! let profile = find_builtin("github").expect("it is built in");
//! let key = profile.verifying_key("It's a Secret to Everybody")?;
//! let headers = [(
//!     "X-Hub-Signature-256",
//!     "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
//! )];
//! let now = DateTime::from_timestamp(1_614_265_330, 0).expect("in range");
//! profile.verify(&headers, b"Hello, World!", &[key], now, Some(DEFAULT_TOLERANCE))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which time is meant
//!
//! There are two times, and mixing them up is the usual mistake:
//!
//! | place | `{timestamp}` | `{attempt_timestamp}` |
//! |---|---|---|
//! | `body` | when the event occurred, in the profile's `timestamp` format | not allowed: the body is the same on each attempt |
//! | `headers` | when the event occurred, in the profile's `timestamp` format | when this attempt is made, unix seconds |
//! | `signature.content`, `signature.value` | **when this attempt is made**, unix seconds | not allowed: `{timestamp}` says it |
//!
//! So Standard Webhooks' `webhook-timestamp` is `{attempt_timestamp}`, and its signed content
//! `{id}.{timestamp}.{body}` holds that same number: a retry carries a fresh time and a fresh
//! signature, and a receiver can refuse old requests.
//!
//! # A profile of one's own
//!
//! | part | what it is | left out |
//! |---|---|---|
//! | `body` | JSON template: strings that are exactly `{type}`, `{id}`, `{tenant}`, `{timestamp}` or `{data}` are replaced; `"{data}"` alone sends the data alone. A tenant id of digits alone becomes a number | required |
//! | `timestamp` | `"rfc3339"`, `{"rfc3339": n}` with n fraction digits, or `"unix"` (a number in a body) | `"rfc3339"` |
//! | `headers` | name → template with `{type}`, `{type_path}` (`orders/create`), `{id}`, `{tenant}`, `{timestamp}`, `{attempt}`, `{attempt_timestamp}`, `{delivery_id}` | none |
//! | `content_type` | the `Content-Type` | `application/json` |
//! | `signature.header` | the header's name | required |
//! | `signature.algorithm` | `hmac-sha256`, `hmac-sha512`, `ed25519` | `hmac-sha256` |
//! | `signature.content` | what is signed: `{body}`, and `{id}`, `{timestamp}`, `{type}`, `{tenant}`, `{delivery_id}`, `{attempt}` where a header carries exactly that | `{body}` |
//! | `signature.encoding` | `hex` or `base64` | `hex` |
//! | `signature.value` | the header's template: `{signature}` once, `{timestamp}` at most once | `{signature}` |
//! | `signature.separator` | room for several keys in a rotation: the value is cut at it, and the piece with `{signature}` is repeated for each key (`t=…,v1=…,v1=…`) | only the first key signs |
//! | `signature.key` | `utf8` (the text is the key) or `base64-after-prefix` (`whsec_`, `whsk_`) | `utf8`; for Ed25519 the other |
//! | `signature.scope` | `endpoint` or `tenant`: whose secret signs | `endpoint` |
//! | `signature.required` | `false`: without a secret the request goes out unsigned | `true` |
//! | `success`, `retry`, `timeout` | carried for the code that delivers, not read here | `["200-299"]`, ten retries, `15s` |
//! | `description` | a sentence for people | none |
//!
//! ```
//! use signpost_wire::Profile;
//!
//! let profile = Profile::parse(r#"{
//!     "body": {"event": "{type}", "at": "{timestamp}", "payload": "{data}"},
//!     "timestamp": {"rfc3339": 3},
//!     "headers": {"webhook-id": "{id}", "webhook-timestamp": "{attempt_timestamp}"},
//!     "signature": {
//!         "header": "webhook-signature",
//!         "algorithm": "ed25519",
//!         "content": "{id}.{timestamp}.{body}",
//!         "encoding": "base64",
//!         "value": "v1a,{signature}",
//!         "separator": " ",
//!         "key": "base64-after-prefix"
//!     },
//!     "success": ["200-299"],
//!     "retry": {"delays": ["10s", "100s"]},
//!     "timeout": "10s"
//! }"#)?;
//! let secret = profile.generate_secret(&[7; 32]); // pass 32 random bytes
//! let public = profile.signing_key(&secret)?.public_key();
//! assert!(public.is_some_and(|key| key.starts_with("whpk_")));
//!
//! // Every problem is reported at once.
//! let error = Profile::parse(r#"{"body": "{dat}", "signature": {"algorithm": "md5"}}"#);
//! assert_eq!(error.unwrap_err().problems().len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builtin;
mod header;
mod key;
mod profile;
mod request;
mod signature;
mod template;
mod timestamp;
mod verify;

pub use builtin::{Builtin, DEFAULT_PROFILE, builtin, find_builtin};
pub use key::{SecretError, SigningKey, VerifyingKey};
pub use profile::{Profile, ProfileError, ProfileProblem};
pub use request::{AttemptParts, BuildError, EventParts, USER_AGENT};
pub use signature::{Algorithm, Encoding, KeyForm, Scope, Signature};
pub use verify::{DEFAULT_TOLERANCE, Verified, VerifyError};
