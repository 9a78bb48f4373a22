//! The gate's promises, without a clock.

use super::*;

fn gates(max_in_flight: usize, endpoint_in_flight: usize) -> Gates {
    Gates::new(GateConfig {
        max_in_flight,
        endpoint_in_flight,
        breaker: BreakerConfig::default(),
    })
}

fn endpoint(n: u8) -> EndpointId {
    EndpointId::generate(chrono::DateTime::UNIX_EPOCH, [n; 10])
}

fn start(gates: &Gates, endpoint: &EndpointId, now: Instant) -> Place {
    match gates.admit(endpoint, None, now) {
        Verdict::Start(place) => place,
        other => panic!("should start: {other:?}"),
    }
}

#[test]
fn a_busy_fast_endpoint_waits_and_a_busy_slow_one_is_deferred() {
    let (gates, now) = (gates(100, 2), Instant::now());
    let id = endpoint(1);
    let places = [start(&gates, &id, now), start(&gates, &id, now)];
    assert!(
        matches!(gates.admit(&id, None, now), Verdict::Wait(_)),
        "nothing is known yet"
    );
    for place in places {
        place.finish(Health::Good, None, now + Duration::from_secs(9));
    }
    let _places = [start(&gates, &id, now), start(&gates, &id, now)];
    assert!(matches!(gates.admit(&id, None, now), Verdict::Defer(_)));
}

#[test]
fn slow_endpoints_cannot_take_all_places() {
    let (gates, now) = (gates(4, 4), Instant::now());
    let slow = endpoint(1);
    for _ in 0..8 {
        start(&gates, &slow, now).finish(Health::Good, None, now + Duration::from_secs(9));
    }
    let _held = [start(&gates, &slow, now), start(&gates, &slow, now)];
    assert!(
        matches!(gates.admit(&slow, None, now), Verdict::Defer(_)),
        "half of all is the most"
    );
    start(&gates, &endpoint(2), now).finish(Health::Good, None, now);
}

#[test]
fn an_open_breaker_defers_and_a_neighbour_passes() {
    let (gates, now) = (gates(100, 16), Instant::now());
    let (bad, good) = (endpoint(1), endpoint(2));
    for _ in 0..5 {
        start(&gates, &bad, now).finish(Health::Bad, None, now);
    }
    match gates.admit(&bad, None, now) {
        Verdict::Defer(wait) => assert!(wait >= Duration::from_secs(30)),
        other => panic!("should be deferred: {other:?}"),
    }
    start(&gates, &good, now).finish(Health::Good, None, now);
    let probe = start(&gates, &bad, now + Duration::from_secs(31));
    assert!(matches!(
        gates.admit(&bad, None, now + Duration::from_secs(31)),
        Verdict::Defer(_)
    ));
    drop(probe);
    drop(start(&gates, &bad, now + Duration::from_secs(31)));
}

#[test]
fn a_receiver_that_asks_for_a_pause_gets_it() {
    let (gates, now) = (gates(100, 16), Instant::now());
    let id = endpoint(1);
    start(&gates, &id, now).finish(Health::Good, Some(Duration::from_secs(20)), now);
    match gates.admit(&id, None, now) {
        Verdict::Defer(wait) => assert_eq!(wait, Duration::from_secs(20)),
        other => panic!("should be deferred: {other:?}"),
    }
    drop(start(&gates, &id, now + Duration::from_secs(20)));
}

#[test]
fn a_rate_limit_spreads_what_is_over_it() {
    let (gates, now) = (gates(100, 16), Instant::now());
    let id = endpoint(1);
    let mut waits = Vec::new();
    for _ in 0..6 {
        match gates.admit(&id, Some(2), now) {
            Verdict::Start(place) => place.finish(Health::Good, None, now),
            Verdict::Defer(wait) => waits.push(wait.as_millis()),
            Verdict::Wait(_) => panic!("a place is free"),
        }
    }
    assert_eq!(waits, [1000, 1500, 2000, 2500]);
}

#[tokio::test]
async fn who_waits_gets_the_place_that_becomes_free() {
    let (gates, now) = (gates(100, 1), Instant::now());
    let id = endpoint(1);
    let place = start(&gates, &id, now);
    let Verdict::Wait(waiting) = gates.admit(&id, None, now) else {
        panic!("should wait")
    };
    place.finish(Health::Good, None, now);
    assert!(gates.wait(waiting).await.is_some());
    assert_eq!(gates.in_flight(), 0);
}

#[test]
fn idle_gates_are_forgotten() {
    let (gates, now) = (gates(100, 1), Instant::now());
    for n in 0..=SWEEP_ABOVE {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&n.to_be_bytes());
        let id = EndpointId::generate(chrono::DateTime::UNIX_EPOCH, random);
        start(&gates, &id, now).finish(Health::Good, None, now);
        if n == SWEEP_ABOVE - 1 {
            // All of them have been quiet for a while by then.
            let later = now + Duration::from_secs(120);
            start(&gates, &endpoint(9), later).finish(Health::Good, None, later);
        }
    }
    assert!(gates.by_endpoint.lock().unwrap().len() < 10);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_leaves_the_line_and_takes_no_place() {
    let now = tokio::time::Instant::now().into_std();
    let gates = gates(100, 1);
    let id = endpoint(1);
    let held = start(&gates, &id, now);
    let Verdict::Wait(waiting) = gates.admit(&id, None, now) else {
        panic!("nothing is known of the receiver yet");
    };
    assert!(
        gates.wait(waiting).await.is_none(),
        "the place did not come"
    );
    held.finish(Health::Good, None, now);
    start(&gates, &id, now).finish(Health::Good, None, now);
}
