//! The customers' server: answers by a rule that every retry policy survives, verifies every
//! signature with the secret of the path's endpoint, and notes what came.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use signpost_domain::{Clock as _, SystemClock};
use signpost_testkit::{Received, Receiver, Reply};
use signpost_wire::{Profile, VerifyingKey};
use tokio::time::Instant;

use crate::{
    event::read_webhook,
    ledger::{Hit, hash},
    seeded::Seeded,
};

/// How the receiver checks what comes to one path.
pub(crate) struct Door {
    pub(crate) path: String,
    pub(crate) profile: Profile,
    pub(crate) key: VerifyingKey,
}

/// What came so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hits(Arc<Mutex<Vec<Hit>>>);

impl Hits {
    fn lock(&self) -> MutexGuard<'_, Vec<Hit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// All of them; none are left.
    pub(crate) fn take(&self) -> Vec<Hit> {
        std::mem::take(&mut self.lock())
    }
}

/// Lets the receiver answer by the rule of `seed`. Times are from `began`.
pub(crate) fn serve(receiver: &Receiver, doors: Vec<Door>, seed: u64, began: Instant) -> Hits {
    let hits = Hits::default();
    let own = hits.clone();
    let positions: HashMap<_, _> = (0..)
        .zip(&doors)
        .map(|(index, door)| (door.path.clone(), index))
        .collect();
    let mut earlier: HashMap<(String, String), u32> = HashMap::new();
    receiver.answer_with(move |request| {
        let endpoint = positions.get(&request.path).copied();
        let (event, tenant) = read_webhook(&request.body).unwrap_or_default();
        let before = earlier
            .entry((request.path.clone(), event.to_owned()))
            .or_insert(0);
        let answering = rule(seed, &request.path, event, *before);
        *before += 1;
        let problem = match endpoint {
            Some(index) => verify(&doors[index], request).err(),
            None => Some("nobody has this path".to_owned()),
        };
        own.lock().push(Hit {
            at: Instant::from_std(request.received_at).saturating_duration_since(began),
            endpoint,
            path: request.path.clone(),
            event: event.to_owned(),
            tenant: tenant.to_owned(),
            body: hash(&request.body),
            signature_problem: problem,
            answer: answering.status(),
        });
        answering.reply()
    });
    hits
}

fn verify(door: &Door, request: &Received) -> Result<(), String> {
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .collect();
    let keys = std::slice::from_ref(&door.key);
    // Signed within the last minute by the wall clock; a frozen process may be late by its pause.
    let tolerance = Some(Duration::from_secs(60));
    door.profile
        .verify(&headers, &request.body, keys, SystemClock.now(), tolerance)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    Status(u16),
    /// 503, asking for a second of rest.
    LaterPlease,
    /// 200 after a while.
    Slow(Duration),
    /// Reads the request and closes the connection.
    HangUp,
    /// Never answers.
    Silence,
}

impl Answering {
    fn status(self) -> Option<u16> {
        match self {
            Self::Status(code) => Some(code),
            Self::LaterPlease => Some(503),
            Self::Slow(_) => Some(200),
            Self::HangUp | Self::Silence => None,
        }
    }

    fn reply(self) -> Reply {
        match self {
            Self::Status(code) => Reply::status(code),
            Self::LaterPlease => Reply::status(503).header("retry-after", "1"),
            Self::Slow(time) => Reply::status(200).after(time),
            Self::HangUp => Reply::close(),
            Self::Silence => Reply::hang(),
        }
    }
}

/// How a request is answered after `before` earlier ones for the same delivery. Most get 200 at
/// once; a few must come again once or twice.
fn rule(seed: u64, path: &str, event: &str, before: u32) -> Answering {
    let mut seeded = Seeded::of(seed, &format!("{path} {event}"));
    let kind = seeded.below(1000);
    let failures = u32::from(seeded.below(3) == 0) + 1;
    let slow = Duration::from_millis(seeded.between(50, 700));
    let answering = match kind {
        0..880 => return Answering::Status(200),
        880..910 => return Answering::Slow(slow),
        910..945 => Answering::Status(500),
        945..974 => Answering::Status(503),
        974..976 => Answering::LaterPlease,
        976..997 => Answering::HangUp,
        _ => Answering::Silence,
    };
    if before < failures {
        answering
    } else {
        Answering::Status(200)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_is_taken_at_the_third_try_at_the_latest() {
        let mut failed = 0;
        for number in 0..2_000 {
            let event = format!("s7-{number}");
            let first = rule(7, "/acme/0", &event, 0);
            assert_eq!(first, rule(7, "/acme/0", &event, 0));
            failed += usize::from(first.status() != Some(200));
            assert_eq!(rule(7, "/acme/0", &event, 2).status(), Some(200));
        }
        assert!(
            (120..240).contains(&failed),
            "{failed} of 2000 first attempts fail"
        );
    }
}
