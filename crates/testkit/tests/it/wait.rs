//! `wait_until` gives the value, or says what it saw last.

use std::time::Duration;

use signpost_testkit::wait_until;

#[tokio::test(start_paused = true)]
async fn gives_the_value_once_it_is_there() {
    let mut looks = 0;
    let value = wait_until("the third look", Duration::from_secs(1), async || {
        looks += 1;
        if looks == 3 { Ok(looks) } else { Err(looks) }
    })
    .await;
    assert_eq!(value, 3);
}

#[tokio::test(start_paused = true)]
async fn says_what_it_saw_last_when_time_runs_out() {
    let wait = tokio::spawn(wait_until("pigs fly", Duration::from_secs(1), async || {
        Err::<(), _>("pigs on the ground")
    }));
    let panic = wait.await.expect_err("it never comes true").into_panic();
    let message = panic.downcast_ref::<String>().expect("a formatted message");
    assert!(message.contains("until pigs fly"), "{message}");
    assert!(message.contains("pigs on the ground"), "{message}");
}
