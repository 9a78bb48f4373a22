//! What came of a run, as JSON and as text that fits a terminal.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use serde::Serialize;

use crate::{
    check::{Finding, check, count_twice},
    ledger::{Came, Ledgers, Outcome},
    millis,
    schedule::Fault,
};

/// Violations of one promise that are named in the text; JSON has all of them.
const NAMED: usize = 5;
/// An answer should come within this time.
const SOON: Duration = Duration::from_secs(2);

/// What came of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    seed: u64,
    seconds: u64,
    events_per_second: u32,
    endpoints: usize,
    schedule: Vec<Fault>,
    events: EventCounts,
    deliveries: usize,
    attempts: usize,
    requests: usize,
    twice: usize,
    twice_percent: f64,
    answers: AnswerCounts,
    quiet_after_ms: Option<u64>,
    findings: Vec<Finding>,
    /// Where the logs are, if they were kept.
    pub(crate) kept: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct EventCounts {
    attempted: usize,
    accepted: usize,
    unknown: usize,
    sent_again: usize,
}

#[derive(Debug, Serialize)]
struct AnswerCounts {
    accepted: usize,
    refused_for_now: usize,
    broken: usize,
    later_than_2s: usize,
    longest_ms: u64,
}

/// What the run was told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    pub(crate) events_per_second: u32,
    pub(crate) schedule: Vec<Fault>,
}

impl Report {
    /// Checks the ledgers.
    pub(crate) fn new(told: Told, ledgers: &Ledgers) -> Self {
        let count = |outcome| {
            let events = ledgers.events.iter();
            events.filter(|event| event.outcome == outcome).count()
        };
        let answers = |is: fn(&Came) -> bool| {
            let answers = ledgers.answers.iter();
            answers.filter(|answer| is(&answer.came)).count()
        };
        let twice = count_twice(ledgers);
        Self {
            seed: told.seed,
            seconds: told.length.as_secs(),
            events_per_second: told.events_per_second,
            endpoints: ledgers.endpoints.len(),
            schedule: told.schedule,
            events: EventCounts {
                attempted: ledgers.events.len(),
                accepted: count(Outcome::Accepted),
                unknown: count(Outcome::Unknown),
                sent_again: ledgers
                    .events
                    .iter()
                    .filter(|event| event.tries > 1)
                    .count(),
            },
            deliveries: ledgers.deliveries.len(),
            attempts: ledgers.attempts.len(),
            requests: ledgers.hits.len(),
            twice,
            twice_percent: percent(twice, ledgers.deliveries.len()),
            answers: AnswerCounts {
                accepted: answers(|came| matches!(came, Came::Accepted { .. })),
                refused_for_now: answers(|came| matches!(came, Came::Status { .. })),
                broken: answers(|came| matches!(came, Came::Broken(_))),
                later_than_2s: ledgers
                    .answers
                    .iter()
                    .filter(|answer| answer.took > SOON)
                    .count(),
                longest_ms: ledgers
                    .answers
                    .iter()
                    .map(|answer| millis::whole(answer.took))
                    .max()
                    .unwrap_or(0),
            },
            quiet_after_ms: ledgers.end.quiet_after.map(millis::whole),
            findings: check(ledgers),
            kept: None,
        }
    }

    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.violations.is_empty())
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never, with what a report holds.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match self.write(&mut text) {
            Ok(()) => text,
            // A string takes everything.
            Err(error) => error.to_string(),
        }
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self {
            events, answers, ..
        } = self;
        writeln!(
            text,
            "seed {}, {} s, {} events/s, {} endpoints, {} faults\n",
            self.seed,
            self.seconds,
            self.events_per_second,
            self.endpoints,
            self.schedule.len()
        )?;
        let mut line = |name: &str, value: String| writeln!(text, "{name:<12}{value}");
        line(
            "events",
            format!(
                "{} published, {} accepted, {} unknown, {} sent again",
                events.attempted, events.accepted, events.unknown, events.sent_again
            ),
        )?;
        line(
            "answers",
            format!(
                "{} accepted, {} \"later\", {} broken; {} after more than 2 s, the longest {} ms",
                answers.accepted,
                answers.refused_for_now,
                answers.broken,
                answers.later_than_2s,
                answers.longest_ms
            ),
        )?;
        line(
            "deliveries",
            format!(
                "{}, {} attempts, {} requests",
                self.deliveries, self.attempts, self.requests
            ),
        )?;
        line(
            "twice",
            format!("{} ({:.3} %)", self.twice, self.twice_percent),
        )?;
        let quiet = self
            .quiet_after_ms
            .map_or("never".to_owned(), |after| format!("after {after} ms"));
        line("quiet", quiet)?;
        writeln!(text)?;
        for finding in &self.findings {
            let verdict = match finding.violations.len() {
                0 => "kept".to_owned(),
                count => format!("BROKEN, {count} times"),
            };
            writeln!(
                text,
                "{:<5}{:<32}{verdict}",
                finding.invariant, finding.promise
            )?;
            for violation in finding.violations.iter().take(NAMED) {
                writeln!(text, "       {}: {}", violation.id, violation.what)?;
            }
        }
        if let Some(kept) = &self.kept {
            writeln!(
                text,
                "\nlogs, schedule and every violation: {}",
                kept.display()
            )?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::schedule;

    fn report(ledgers: &Ledgers) -> Report {
        let length = Duration::from_secs(60);
        let told = Told {
            seed: 7,
            length,
            events_per_second: 10,
            schedule: schedule(7, length, Duration::from_secs(3)),
        };
        Report::new(told, ledgers)
    }

    #[test]
    fn names_what_is_broken_and_fits_a_terminal() {
        let ledgers = Ledgers {
            bad_ends: vec!["dispatcher-1 stopped with exit status: 1".to_owned(); 9],
            ..Ledgers::default()
        };
        let report = report(&ledgers);
        assert!(!report.is_good());
        let text = report.text();
        assert!(
            text.contains("P4   no process ends badly           BROKEN, 9 times"),
            "{text}"
        );
        assert!(
            text.contains("I1   nothing accepted is lost        kept"),
            "{text}"
        );
        assert_eq!(text.matches("exit status: 1").count(), NAMED);
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }

    #[test]
    fn json_holds_the_schedule_and_all_violations() {
        let json: serde_json::Value =
            serde_json::from_str(&report(&Ledgers::default()).json().unwrap()).unwrap();
        assert_eq!(json["schedule"].as_array().unwrap().len(), 19);
        assert!(json["schedule"][0]["at_ms"].is_u64());
        assert_eq!(json["findings"][7]["invariant"], "I8");
        assert_eq!(
            json["findings"][7]["violations"].as_array().unwrap().len(),
            1
        );
    }
}
