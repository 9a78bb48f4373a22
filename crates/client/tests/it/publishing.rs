//! What arrives, and that the fake does the same.

use chrono::DateTime;
use serde_json::json;
use signpost_client::{Event, FakePublisher, Publish, PublishError, Publisher};
use signpost_testkit::vhost;

use crate::world::{Signpost, wait_until_ready};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What holds for every publisher.
async fn keeps_its_promises(publisher: &impl Publish) -> Vec<Event> {
    let id = publisher.publish("acme", "post.created", json!({"id": 123}));
    let id = id.await.unwrap();
    let event = Event::from_json("acme", "post.updated", r#"{ "price":1.0, "a":"Größe" }"#)
        .unwrap()
        .with_id("post-123-updated")
        .unwrap()
        .with_occurred_at(DateTime::from_timestamp_millis(1_772_600_767_125).unwrap())
        .with_traceparent(TRACE)
        .unwrap();
    publisher.send(&event).await.unwrap();
    publisher.send(&event).await.unwrap();
    let refused = publisher.publish("acme", "no good", ()).await;
    assert!(matches!(refused, Err(PublishError::Event(_))));
    let first = Event::new("acme", "post.created", json!({"id": 123})).unwrap();
    vec![first.with_id(id.as_str()).unwrap(), event.clone(), event]
}

#[tokio::test]
async fn events_arrive_as_they_were_made() {
    let vhost = vhost().await.unwrap();
    let mut signpost = Signpost::start(vhost.url()).await;
    let publisher = Publisher::connect(vhost.url()).unwrap();
    let sent = keeps_its_promises(&publisher).await;
    for event in &sent {
        let arrived = signpost.next().await;
        assert_eq!(arrived.id.as_ref(), Some(event.id()));
        assert_eq!(&arrived.tenant, event.tenant());
        assert_eq!(&arrived.event_type, event.event_type());
        assert_eq!(arrived.data, event.data());
        assert!(arrived.occurred_at.is_some());
        if event.id().as_str() == "post-123-updated" {
            assert_eq!(arrived.occurred_at, Some(event.occurred_at()));
            assert_eq!(arrived.traceparent.as_deref(), Some(TRACE));
        }
    }
    publisher.close().await;
    assert_eq!(signpost.waiting().await, 0);
}

#[tokio::test]
async fn the_fake_keeps_the_same_promises() {
    let fake = FakePublisher::new();
    let sent = keeps_its_promises(&fake).await;
    let published = fake.published();
    assert_eq!(published.len(), sent.len());
    for (published, sent) in published.iter().zip(&sent) {
        assert_eq!(published.id(), sent.id());
        assert_eq!(published.data(), sent.data());
    }
}

#[tokio::test]
async fn many_tasks_share_one_publisher() {
    let vhost = vhost().await.unwrap();
    let mut signpost = Signpost::start(vhost.url()).await;
    let publisher = Publisher::connect(vhost.url()).unwrap();
    wait_until_ready(&publisher).await;
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let publisher = publisher.clone();
            tokio::spawn(async move { publisher.publish("acme", "counted", number).await })
        })
        .collect();
    let mut sent = Vec::new();
    for task in tasks {
        sent.push(task.await.unwrap().unwrap());
    }
    let mut arrived = Vec::new();
    while arrived.len() < sent.len() {
        arrived.push(signpost.next().await.id.unwrap());
    }
    sent.sort();
    arrived.sort();
    assert_eq!(arrived, sent);
}

#[tokio::test]
async fn a_publisher_that_is_closed_publishes_nothing() {
    let vhost = vhost().await.unwrap();
    let signpost = Signpost::start(vhost.url()).await;
    let publisher = Publisher::connect(vhost.url()).unwrap();
    wait_until_ready(&publisher).await;
    publisher.clone().close().await;
    let refused = publisher.publish("acme", "late", ()).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    assert!(publisher.check().is_err());
    assert_eq!(signpost.waiting().await, 0);
}
