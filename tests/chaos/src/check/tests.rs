//! Each promise, broken in a made-up ledger: the check that does not see it is worth nothing.

use std::time::Duration;

use super::check;
use crate::{
    ledger::{
        Answer, AttemptRow, Came, DeliveryRow, Disturbance, End, Hit, Ledgers, Outcome, Published,
        Subscription,
    },
    schedule::Target,
};

const SECOND: i64 = 1_000_000;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn hit(event: &str, seconds: u64, answer: Option<u16>) -> Hit {
    Hit {
        at: at(seconds),
        endpoint: Some(0),
        path: "/acme/0".to_owned(),
        event: event.to_owned(),
        tenant: "acme".to_owned(),
        body: 1,
        signature_problem: None,
        answer,
    }
}

fn attempt(delivery: &str, number: u32, seconds: i64, status: Option<u16>) -> AttemptRow {
    let succeeded = status == Some(200);
    AttemptRow {
        tenant: "acme".to_owned(),
        delivery_id: delivery.to_owned(),
        number,
        outcome: if succeeded { "succeeded" } else { "http_error" }.to_owned(),
        is_late: false,
        requested_at: seconds * SECOND,
        duration_ms: 10,
        status_code: status,
        next_attempt_at: (!succeeded).then(|| seconds * SECOND + 1_010_000),
    }
}

fn delivery(id: &str, event: &str, attempts: u32, ended: i64) -> DeliveryRow {
    DeliveryRow {
        tenant: "acme".to_owned(),
        id: id.to_owned(),
        event_id: event.to_owned(),
        endpoint_id: "ep_acme".to_owned(),
        status: "succeeded".to_owned(),
        attempt_count: attempts,
        finished_at: Some(ended * SECOND + 10_000),
    }
}

fn endpoint(tenant: &str) -> Subscription {
    Subscription {
        tenant: tenant.to_owned(),
        id: format!("ep_{tenant}"),
        path: format!("/{tenant}/0"),
        patterns: &["*"],
        delays: vec![at(1); 4],
    }
}

fn published(id: &str) -> Published {
    Published {
        id: id.to_owned(),
        tenant: "acme".to_owned(),
        outcome: Outcome::Accepted,
        tries: 1,
        wanted: vec![(0, 1)],
    }
}

fn answer(took: u64, came: Came) -> Answer {
    Answer {
        ingest: 0,
        at: at(10),
        took: at(took),
        came,
    }
}

fn disturbance(target: Target, from: u64, to: u64) -> Disturbance {
    Disturbance {
        target,
        cuts_work: true,
        in_flight: 1,
        from: at(from),
        to: at(to),
    }
}

/// Two events: one taken at once, one at the second try.
fn good() -> Ledgers {
    Ledgers {
        endpoints: vec![endpoint("acme"), endpoint("bolt")],
        events: vec![published("one"), published("two")],
        answers: vec![answer(0, Came::Accepted { same_id: true })],
        hits: vec![
            hit("one", 10, Some(200)),
            hit("two", 10, Some(500)),
            hit("two", 12, Some(200)),
        ],
        deliveries: vec![delivery("d1", "one", 1, 10), delivery("d2", "two", 2, 12)],
        attempts: vec![
            attempt("d1", 1, 10, Some(200)),
            attempt("d2", 1, 10, Some(500)),
            attempt("d2", 2, 12, Some(200)),
        ],
        end: End {
            quiet_after: Some(at(3)),
            events: 2,
            ..End::default()
        },
        ..Ledgers::default()
    }
}

/// Every violation: its invariant, and what is said of it.
fn broken(change: impl FnOnce(&mut Ledgers)) -> Vec<(&'static str, String)> {
    let mut ledgers = good();
    change(&mut ledgers);
    let mut found = Vec::new();
    for finding in check(&ledgers) {
        for violation in finding.violations {
            found.push((
                finding.invariant,
                format!("{} {}", violation.id, violation.what),
            ));
        }
    }
    found
}

#[track_caller]
fn expect(invariant: &str, text: &str, change: impl FnOnce(&mut Ledgers)) {
    let found = broken(change);
    let is_found = found
        .iter()
        .any(|(name, what)| *name == invariant && what.contains(text));
    assert!(is_found, "{invariant} {text:?} is not in {found:?}");
}

#[test]
fn a_good_run_breaks_nothing() {
    assert_eq!(broken(|_| {}), []);
}

#[test]
fn a_lost_event_is_found() {
    expect("I1", "two has no delivery to /acme/0", |all| {
        all.deliveries.retain(|row| row.event_id != "two");
    });
    expect("I1", "d1 was never taken", |all| {
        all.hits.retain(|hit| hit.event != "one");
    });
    expect("I1", "d1 to /acme/0 is failed", |all| {
        all.deliveries[0].status = "failed".to_owned();
    });
    expect("I1", "one has 2 deliveries", |all| {
        all.deliveries.push(delivery("d3", "one", 1, 10));
    });
    expect("I1", "was refused: no", |all| {
        all.events[0].outcome = Outcome::Refused("no".to_owned());
    });
}

#[test]
fn an_event_of_unknown_outcome_may_be_there_or_not() {
    let unknown = |all: &mut Ledgers| {
        let mut event = published("three");
        event.outcome = Outcome::Unknown;
        all.events.push(event);
    };
    assert_eq!(broken(unknown), []);
}

#[test]
fn what_nobody_asked_for_is_found() {
    expect("I2", "nobody published this", |all| {
        all.hits.push(hit("x", 11, Some(200)));
    });
    expect("I2", "the body is not", |all| all.hits[0].body = 2);
    expect("I2", "no signature", |all| {
        all.hits[0].signature_problem = Some("no signature".to_owned());
    });
    expect("I2", "does not want it", |all| all.events[0].wanted.clear());
    expect("I2", "its endpoint is unknown", |all| {
        all.deliveries[0].endpoint_id = "ep_x".to_owned();
    });
    expect("I2", "d1 nobody asked for", |all| {
        all.deliveries[0].event_id = "x".to_owned();
    });
}

#[test]
fn what_is_taken_twice_without_a_kill_is_found() {
    let again = |all: &mut Ledgers| all.hits.push(hit("one", 13, Some(200)));
    expect(
        "I3",
        "one was taken at /acme/0 at 10.000 s, and again",
        again,
    );
    let killed = broken(|all| {
        again(all);
        all.disturbances
            .push(disturbance(Target::Dispatcher(0), 10, 11));
    });
    assert_eq!(killed, []);
    expect("I3", "again", |all| {
        again(all);
        all.disturbances
            .push(disturbance(Target::Dispatcher(0), 20, 21));
    });
    expect("I3", "again", |all| {
        again(all);
        all.disturbances
            .push(disturbance(Target::Ingest(0), 10, 11));
    });
}

#[test]
fn an_answer_that_nobody_heard_is_followed_by_another_request() {
    let found = broken(|all| {
        // The first answer to "two" was 200 and came after the timeout.
        all.hits[1].answer = Some(200);
        all.attempts[1].status_code = None;
        all.attempts[1].outcome = "timeout".to_owned();
    });
    assert_eq!(found, []);
}

#[test]
fn more_duplicates_than_were_in_flight_are_found() {
    expect(
        "I3",
        "3 of 2 were taken twice; at most 1 were in flight",
        |all| {
            for _ in 0..3 {
                all.hits.push(hit("one", 11, Some(200)));
            }
            // Answered after the process was gone: in its window, but not in flight at it.
            all.hits.remove(0);
            all.hits.push(hit("one", 12, Some(200)));
            all.disturbances
                .push(disturbance(Target::Dispatcher(0), 10, 11));
            all.hits.retain(|hit| hit.event == "one");
            for hit in &mut all.hits {
                hit.at += Duration::from_millis(1);
            }
        },
    );
}

#[test]
fn a_database_that_is_away_keeps_answers_unrecorded() {
    let found = broken(|all| {
        all.hits.push(hit("one", 25, Some(200)));
        all.disturbances.push(disturbance(Target::Postgres, 9, 18));
        all.disturbances
            .push(disturbance(Target::Dispatcher(0), 20, 21));
    });
    assert_eq!(found, []);
}

#[test]
fn a_request_without_an_answer_was_under_way_until_its_timeout() {
    let with_hanging = |seconds| {
        broken(|all| {
            all.hits.push(hit("one", seconds, None));
            all.disturbances
                .push(disturbance(Target::Dispatcher(0), 20, 21));
        })
    };
    assert_eq!(with_hanging(17), []);
    assert_eq!(with_hanging(15).len(), 1);
}

#[test]
fn a_record_with_gaps_is_found() {
    expect("I4", "d2 counts 2 attempts and has [2]", |all| {
        drop(all.attempts.remove(1));
    });
    expect("I4", "d2 counts 3", |all| {
        all.deliveries[1].attempt_count = 3;
    });
    expect("I4", "d1 2 requests came, 1 attempts", |all| {
        all.hits.push(hit("one", 13, None));
    });
    expect(
        "I4",
        "d1 2 attempts were answered, but 1 requests came",
        |all| {
            all.attempts.push(attempt("d1", 2, 13, Some(500)));
        },
    );
    expect("I4", "dx has attempts, and is not there", |all| {
        all.attempts.push(attempt("dx", 1, 10, None));
    });
}

#[test]
fn an_event_at_another_tenant_is_found() {
    expect("I5", "an event of bolt reached acme's /acme/0", |all| {
        all.hits[0].tenant = "bolt".to_owned();
    });
    expect("I5", "an event of acme reached bolt's", |all| {
        all.hits[0].endpoint = Some(1);
    });
    expect("I5", "a delivery of bolt to an endpoint of acme", |all| {
        all.deliveries[0].tenant = "bolt".to_owned();
    });
}

#[test]
fn a_delivery_with_two_ends_or_none_is_found() {
    expect("I6", "d1 is succeeded after", |all| {
        all.attempts.push(attempt("d1", 2, 10, Some(200)));
    });
    expect("I6", "d1 is failed after", |all| {
        all.deliveries[0].status = "failed".to_owned();
    });
    expect("I6", "d2 had ended before", |all| {
        all.deliveries[1].finished_at = Some(11 * SECOND);
    });
    let with_a_late_one = broken(|all| {
        let mut late = attempt("d1", 2, 10, Some(200));
        late.is_late = true;
        late.next_attempt_at = None;
        all.attempts.push(late);
        all.deliveries[0].attempt_count = 2;
        all.hits.push(hit("one", 10, Some(200)));
        all.disturbances
            .push(disturbance(Target::Dispatcher(0), 10, 11));
    });
    assert_eq!(with_a_late_one, []);
}

#[test]
fn an_attempt_before_its_time_is_found() {
    expect("I7", "d2 attempt 2 came 510 ms too early", |all| {
        all.attempts[2].requested_at = 10 * SECOND + 500_000;
    });
    expect(
        "I7",
        "attempt 2 was made though none was to follow",
        |all| {
            all.attempts[1].next_attempt_at = None;
        },
    );
    expect("I7", "too early", |all| {
        all.attempts[1].next_attempt_at = Some(10 * SECOND);
    });
}

#[test]
fn what_does_not_become_quiet_is_found() {
    expect("I8", "not quiet within 60 s", |all| {
        all.end.quiet_after = None;
    });
    expect(
        "I8",
        "signpost.events 3 messages wait, 1 are unacked",
        |all| {
            all.end.queues.push(("signpost.events".to_owned(), 3, 1));
        },
    );
    expect("I8", "d1 is still pending", |all| {
        all.deliveries[0].status = "pending".to_owned();
        all.deliveries[0].finished_at = None;
    });
}

#[test]
fn an_id_that_is_two_events_or_none_is_found() {
    expect("I9", "3 events are stored", |all| all.end.events = 3);
    expect("I9", "1 events are stored", |all| all.end.events = 1);
    expect("I9", "signpost.rejected holds 1", |all| {
        all.end.rejected = 1;
    });
    expect("I9", "accepted under another id", |all| {
        all.answers
            .push(answer(0, Came::Accepted { same_id: false }));
    });
    expect("I9", "made twice", |all| all.events.push(published("one")));
}

#[test]
fn an_answer_that_is_not_honest_or_late_is_found() {
    let status = |code, has_retry_after| Came::Status {
        code,
        has_retry_after,
    };
    let says = |came: Came, took| move |all: &mut Ledgers| all.answers.push(answer(took, came));
    expect(
        "I11",
        "503 without Retry-After",
        says(status(503, false), 0),
    );
    expect("I11", "was answered 500", says(status(500, true), 0));
    expect("I11", "reset", says(Came::Broken("reset".to_owned()), 0));
    expect("I11", "took 6.0 s", says(status(503, true), 6));
    assert_eq!(broken(says(status(429, true), 1)), []);
    let killed = broken(|all| {
        all.answers
            .push(answer(0, Came::Broken("refused".to_owned())));
        all.disturbances.push(disturbance(Target::Ingest(0), 9, 10));
    });
    assert_eq!(killed, []);
    expect("I11", "refused", |all| {
        all.answers
            .push(answer(0, Came::Broken("refused".to_owned())));
        all.disturbances.push(disturbance(Target::Ingest(1), 9, 10));
    });
}

#[test]
fn a_process_that_ends_badly_is_found() {
    expect("P4", "exit code 1", |all| {
        all.bad_ends.push("exit code 1".to_owned());
    });
}
