//! What was seen during a run: by the publishers, by the receiver, in the database, and what was
//! done to the system meanwhile. Plain data, so that the checks are pure functions over it.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::schedule::Target;

/// The first half of a body's SHA-256.
pub(crate) type BodyHash = u128;

/// The hash of these bytes.
pub(crate) fn hash(body: &[u8]) -> BodyHash {
    let hash: [u8; 32] = Sha256::digest(body).into();
    hash[..16]
        .iter()
        .fold(0, |hash, byte| hash << 8 | BodyHash::from(*byte))
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Ledgers {
    /// Who subscribed; the other ledgers name them by position.
    pub(crate) endpoints: Vec<Subscription>,
    /// What was published.
    pub(crate) events: Vec<Published>,
    /// How each try to publish over HTTP was answered.
    pub(crate) answers: Vec<Answer>,
    /// What arrived.
    pub(crate) hits: Vec<Hit>,
    /// The database's rows.
    pub(crate) deliveries: Vec<DeliveryRow>,
    /// The database's rows.
    pub(crate) attempts: Vec<AttemptRow>,
    /// When which part did not work as usual.
    pub(crate) disturbances: Vec<Disturbance>,
    /// Processes that ended badly.
    pub(crate) bad_ends: Vec<String>,
    /// What the system looked like when it had been given its time.
    pub(crate) end: End,
}

/// An endpoint of a tenant.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    /// Its tenant.
    pub(crate) tenant: String,
    /// Its id.
    pub(crate) id: String,
    /// Where at the receiver it is.
    pub(crate) path: String,
    /// Which events it wants: types, with `*` in place of the first or the last word.
    pub(crate) patterns: &'static [&'static str],
    /// Its waits between attempts as they are in this run, shortened.
    pub(crate) delays: Vec<Duration>,
}

impl Subscription {
    /// Whether it wants events of this type. Written anew here, in the simplest way: it judges
    /// what the system under test found.
    pub(crate) fn wants(&self, event_type: &str) -> bool {
        self.patterns.iter().any(|pattern| {
            match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
                (Some(start), _) => event_type.starts_with(start),
                (None, Some(end)) => event_type.ends_with(end),
                (None, None) => *pattern == event_type,
            }
        })
    }
}

/// An event and what its publisher knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// Its id.
    pub(crate) id: String,
    /// Its tenant.
    pub(crate) tenant: String,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// How often it was sent.
    pub(crate) tries: u32,
    /// The endpoints that want it, with the hash of the body that each must get.
    pub(crate) wanted: Vec<(usize, BodyHash)>,
}

/// What a publisher knows in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was confirmed.
    Accepted,
    /// It may have arrived or not.
    Unknown,
    /// It was refused for good, which must not happen here.
    Refused(String),
}

/// One answer to a publish over HTTP, or the lack of one.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Which ingest.
    pub(crate) ingest: usize,
    /// When the request began.
    pub(crate) at: Duration,
    /// How long it took.
    pub(crate) took: Duration,
    /// What came.
    pub(crate) came: Came,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    /// 202, with this id.
    Accepted {
        /// Whether the answer names the id that was sent.
        same_id: bool,
    },
    /// Another status.
    Status {
        /// The status.
        code: u16,
        /// Whether it said when to come again.
        has_retry_after: bool,
    },
    /// The connection was refused or broke, or nothing came.
    Broken(String),
}

/// A request that the receiver got.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// When.
    pub(crate) at: Duration,
    /// Whose path it was; `None` for a path that nobody has.
    pub(crate) endpoint: Option<usize>,
    /// The path.
    pub(crate) path: String,
    /// The event's id, read from the body.
    pub(crate) event: String,
    /// The tenant, read from the body.
    pub(crate) tenant: String,
    /// The body's hash.
    pub(crate) body: BodyHash,
    /// What is wrong with its signature by the endpoint's own secret.
    pub(crate) signature_problem: Option<String>,
    /// The status it was answered with, if it was.
    pub(crate) answer: Option<u16>,
}

/// A row of `deliveries`; times in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryRow {
    pub(crate) tenant: String,
    pub(crate) id: String,
    pub(crate) event_id: String,
    pub(crate) endpoint_id: String,
    pub(crate) status: String,
    pub(crate) attempt_count: u32,
    pub(crate) finished_at: Option<i64>,
}

/// A row of `attempts`; times in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRow {
    pub(crate) tenant: String,
    pub(crate) delivery_id: String,
    pub(crate) number: u32,
    pub(crate) outcome: String,
    pub(crate) is_late: bool,
    pub(crate) requested_at: i64,
    pub(crate) duration_ms: i64,
    pub(crate) status_code: Option<u16>,
    pub(crate) next_attempt_at: Option<i64>,
}

impl AttemptRow {
    /// When it had ended, in microseconds.
    pub(crate) fn ended_at(&self) -> i64 {
        self.requested_at + self.duration_ms * 1000
    }
}

/// A time in which a part did not work as usual.
#[derive(Debug, Clone)]
pub(crate) struct Disturbance {
    /// What part.
    pub(crate) target: Target,
    /// Whether requests under way were cut off or held up: a process was killed or frozen, not
    /// asked to stop.
    pub(crate) cuts_work: bool,
    /// Deliveries that were under way there when it began, as the process itself counted them.
    pub(crate) in_flight: u64,
    /// From when.
    pub(crate) from: Duration,
    /// Until when.
    pub(crate) to: Duration,
}

/// The system at the end.
#[derive(Debug, Default, Clone)]
pub(crate) struct End {
    /// How long after the last fault everything was quiet; `None` when it did not become so.
    pub(crate) quiet_after: Option<Duration>,
    /// Queues that are not empty: name, ready, unacked.
    pub(crate) queues: Vec<(String, u64, u64)>,
    /// Messages in `signpost.rejected`.
    pub(crate) rejected: u64,
    /// Events in the database.
    pub(crate) events: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_types_by_their_first_or_last_word() {
        let endpoint = Subscription {
            tenant: String::new(),
            id: String::new(),
            path: String::new(),
            patterns: &["*.created", "order.*", "user.left"],
            delays: Vec::new(),
        };
        for wanted in ["user.created", "order.paid", "user.left"] {
            assert!(endpoint.wants(wanted), "{wanted}");
        }
        assert!(!endpoint.wants("user.renamed"));
    }

    #[test]
    fn a_hash_is_the_first_half_of_the_whole_one() {
        assert_eq!(hash(b""), 0xe3b0_c442_98fc_1c14_9afb_f4c8_996f_b924);
    }
}
