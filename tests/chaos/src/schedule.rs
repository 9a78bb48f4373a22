//! Which fault happens when: a pure function of seed and duration, so that a run can be repeated.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use crate::{millis, seeded::Seeded};

/// How many ingests there are.
pub(crate) const INGESTS: usize = 2;
/// How many dispatchers there are.
pub(crate) const DISPATCHERS: usize = 3;

/// What a fault is done to. Two faults of one target never overlap; those of different targets do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One of the ingests, from 0.
    Ingest(usize),
    /// One of the dispatchers, from 0.
    Dispatcher(usize),
    /// The broker.
    Rabbit,
    /// The database.
    Postgres,
    /// The customers' server.
    Receiver,
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingest(number) => write!(formatter, "ingest {}", number + 1),
            Self::Dispatcher(number) => write!(formatter, "dispatcher {}", number + 1),
            Self::Rabbit => formatter.write_str("RabbitMQ"),
            Self::Postgres => formatter.write_str("PostgreSQL"),
            Self::Receiver => formatter.write_str("receiver"),
        }
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// `kill -9`, and started again after this long.
    Kill(#[serde(serialize_with = "millis::serialize")] Duration),
    /// Asked to stop, and started again.
    Restart,
    /// `SIGSTOP`, and `SIGCONT` after this long.
    Freeze(#[serde(serialize_with = "millis::serialize")] Duration),
    /// All AMQP connections are closed by the broker.
    CloseConnections,
    /// The broker takes no publishes for this long: its memory alarm is raised.
    MemoryAlarm(#[serde(serialize_with = "millis::serialize")] Duration),
    /// All database sessions are ended.
    EndSessions,
    /// The table of deliveries is locked for this long.
    LockDeliveries(#[serde(serialize_with = "millis::serialize")] Duration),
    /// Stops listening and cuts its connections for this long.
    Down(#[serde(serialize_with = "millis::serialize")] Duration),
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// When it begins, from the start of the load.
    #[serde(rename = "at_ms", serialize_with = "millis::serialize")]
    pub at: Duration,
    /// What it is done to.
    pub target: Target,
    /// What is done.
    pub act: Act,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target;
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        match self.act {
            Act::Kill(down) => write!(formatter, "{target}: killed, back after {}", seconds(down)),
            Act::Restart => write!(formatter, "{target}: asked to stop, started again"),
            Act::Freeze(time) => write!(formatter, "{target}: frozen for {}", seconds(time)),
            Act::CloseConnections => write!(formatter, "{target}: all connections closed"),
            Act::MemoryAlarm(time) => {
                write!(formatter, "{target}: memory alarm for {}", seconds(time))
            }
            Act::EndSessions => write!(formatter, "{target}: all sessions ended"),
            Act::LockDeliveries(time) => {
                write!(
                    formatter,
                    "{target}: deliveries locked for {}",
                    seconds(time)
                )
            }
            Act::Down(time) => write!(formatter, "{target}: down for {}", seconds(time)),
        }
    }
}

/// About how long the target is busy with it, its recovery included.
fn nominal(target: Target, act: Act) -> Duration {
    let recovery = match (target, act) {
        (Target::Rabbit, Act::Kill(_) | Act::Restart) => 12_000,
        (Target::Postgres, Act::Kill(_) | Act::Restart) => 5_000,
        _ => 3_000,
    };
    let lasts = match act {
        Act::Kill(time)
        | Act::Freeze(time)
        | Act::MemoryAlarm(time)
        | Act::LockDeliveries(time)
        | Act::Down(time) => time,
        Act::Restart | Act::CloseConnections | Act::EndSessions => Duration::ZERO,
    };
    lasts + Duration::from_millis(recovery)
}

/// Every kind of fault, once, in an order and with lengths by the seed.
fn deck(seeded: &mut Seeded) -> Vec<(Target, Act)> {
    let ingest = Target::Ingest(seeded.index(INGESTS));
    let other_ingest = Target::Ingest(seeded.index(INGESTS));
    let dispatchers: Vec<_> = (0..4)
        .map(|_| Target::Dispatcher(seeded.index(DISPATCHERS)))
        .collect();
    let mut time = |from, to| Duration::from_millis(seeded.between(from, to));
    let mut deck = vec![
        (ingest, Act::Kill(time(0, 2_000))),
        (other_ingest, Act::Restart),
        (ingest, Act::Freeze(time(1_000, 8_000))),
        (dispatchers[0], Act::Kill(time(0, 3_000))),
        (dispatchers[1], Act::Kill(time(0, 1_000))),
        (dispatchers[2], Act::Restart),
        (dispatchers[3], Act::Freeze(time(1_000, 8_000))),
        (Target::Rabbit, Act::Restart),
        (Target::Rabbit, Act::Kill(time(0, 1_000))),
        (Target::Rabbit, Act::CloseConnections),
        (Target::Rabbit, Act::MemoryAlarm(Duration::from_secs(2))),
        (Target::Postgres, Act::Restart),
        (Target::Postgres, Act::Kill(time(0, 1_000))),
        (Target::Postgres, Act::EndSessions),
        (
            Target::Postgres,
            Act::LockDeliveries(Duration::from_secs(3)),
        ),
        (Target::Receiver, Act::Down(Duration::from_secs(2))),
    ];
    seeded.shuffle(&mut deck);
    deck
}

/// The faults of a run: one each `every`, each kind before any comes again.
pub fn schedule(seed: u64, length: Duration, every: Duration) -> Vec<Fault> {
    let mut seeded = Seeded::of(seed, "schedule");
    let mut waiting = deck(&mut seeded);
    let mut busy_until = BTreeMap::new();
    let mut faults = Vec::new();
    let mut at = every;
    while !every.is_zero() && at + every <= length {
        let is_free = |target: &Target| busy_until.get(target).is_none_or(|until| *until <= at);
        let mut next = waiting.iter().position(|(target, _)| is_free(target));
        if next.is_none() {
            let looked_at = waiting.len();
            waiting.extend(deck(&mut seeded));
            next = (looked_at..waiting.len()).find(|&index| is_free(&waiting[index].0));
        }
        if let Some(index) = next {
            let (target, act) = waiting.remove(index);
            busy_until.insert(target, at + nominal(target, act));
            faults.push(Fault { at, target, act });
        }
        at += every;
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const THREE: Duration = Duration::from_secs(3);

    #[test]
    fn a_seed_has_one_schedule_and_another_seed_another() {
        assert_eq!(schedule(7, MINUTE, THREE), schedule(7, MINUTE, THREE));
        assert_ne!(schedule(7, MINUTE, THREE), schedule(8, MINUTE, THREE));
    }

    #[test]
    fn a_longer_run_begins_as_the_shorter_one() {
        let (short, long) = (schedule(7, MINUTE, THREE), schedule(7, 10 * MINUTE, THREE));
        assert_eq!(short, long[..short.len()]);
        assert!(long.len() >= 190, "{}", long.len());
    }

    #[test]
    fn a_minute_has_every_kind_of_fault() {
        for seed in 0..50 {
            let faults = schedule(seed, MINUTE, THREE);
            let kinds: HashSet<_> = faults
                .iter()
                .map(|fault| {
                    let target = match fault.target {
                        Target::Ingest(_) => Target::Ingest(0),
                        Target::Dispatcher(_) => Target::Dispatcher(0),
                        other => other,
                    };
                    (target, std::mem::discriminant(&fault.act))
                })
                .collect();
            assert!(
                kinds.len() >= 13,
                "seed {seed}: {} of 15 kinds",
                kinds.len()
            );
        }
    }

    #[test]
    fn two_faults_of_one_target_never_overlap_and_the_last_ends_before_the_load() {
        for seed in 0..50 {
            let faults = schedule(seed, 5 * MINUTE, Duration::from_secs(1));
            for (index, fault) in faults.iter().enumerate() {
                let end = fault.at + nominal(fault.target, fault.act);
                let next = faults[index + 1..]
                    .iter()
                    .find(|next| next.target == fault.target);
                assert!(
                    next.is_none_or(|next| next.at >= end),
                    "seed {seed}: {fault}"
                );
                assert!(fault.at < 5 * MINUTE);
            }
        }
    }

    #[test]
    fn without_faults_there_are_none() {
        assert!(schedule(7, MINUTE, Duration::ZERO).is_empty());
        assert!(schedule(7, THREE, MINUTE).is_empty());
    }
}
