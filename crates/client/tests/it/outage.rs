//! The broker is away, comes back, or is not set up.

use signpost_client::{BrokerError, Event, Publish, PublishError, Publisher};
use signpost_testkit::{PrivateRabbit, free_port, scratch_dir, vhost, wait_until};

use crate::world::{PATIENCE, Signpost, wait_until_ready};

#[tokio::test]
async fn an_event_that_failed_in_an_outage_goes_out_after_it() {
    let rabbit = PrivateRabbit::start(scratch_dir("client").unwrap())
        .await
        .unwrap();
    let mut signpost = Signpost::start(&rabbit.url()).await;
    // RabbitMQ 3.10.8, killed right after a quorum queue was declared, gives it a second id and
    // never confirms again. It does not after a proper restart.
    rabbit.restart().await.unwrap();
    let publisher = Publisher::connect(&rabbit.url()).unwrap();
    publisher.publish("acme", "before", 1).await.unwrap();
    assert_eq!(signpost.next().await.event_type.as_str(), "before");

    rabbit.kill().await.unwrap();
    let event = Event::new("acme", "during", 2).unwrap();
    let error = publisher.send(&event).await.unwrap_err();
    assert!(error.is_transient(), "{error}");

    rabbit.start_again().await.unwrap();
    wait_until("the event is published", PATIENCE, async || {
        publisher.send(&event).await
    })
    .await;
    // The kill may have come before the ack of the first event: then that one comes again.
    let mut arrived = signpost.next().await;
    while arrived.event_type.as_str() == "before" {
        arrived = signpost.next().await;
    }
    assert_eq!(arrived.id.as_ref(), Some(event.id()));
}

#[tokio::test]
async fn a_broker_that_is_down_delays_no_start() {
    let url = format!(
        "amqp://guest:hunter2@127.0.0.1:{}/%2f",
        free_port().unwrap()
    );
    let publisher = Publisher::connect(&url).unwrap();
    let error = publisher.publish("acme", "a", 1).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Broker(BrokerError::Unavailable)),
        "{error}"
    );
    let reason = publisher.check().unwrap_err();
    assert!(
        !format!("{reason} {publisher:?}").contains("hunter2"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_broker_without_signposts_exchange_is_told_and_used_once_it_is_there() {
    let vhost = vhost().await.unwrap();
    let publisher = Publisher::connect(vhost.url()).unwrap();
    publisher.publish("acme", "early", 1).await.unwrap_err();
    let told = wait_until("the reason is known", PATIENCE, async || {
        let reason = publisher.check().unwrap_err();
        if reason.contains("signpost.") {
            Ok(reason)
        } else {
            Err(reason)
        }
    });
    assert!(told.await.contains("missing"));

    let mut signpost = Signpost::start(vhost.url()).await;
    wait_until_ready(&publisher).await;
    publisher.publish("acme", "late", 2).await.unwrap();
    assert_eq!(signpost.next().await.event_type.as_str(), "late");
}

#[tokio::test]
async fn a_bad_url_is_refused_without_repeating_it() {
    let error = Publisher::connect("http://me:hunter2@rabbit").unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
