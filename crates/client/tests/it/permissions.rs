//! A publisher that may do nothing but write its own tenant's events.

use signpost_client::{Publish, Publisher};
use signpost_testkit::{vhost, wait_until};

use crate::world::{PATIENCE, Signpost};

#[tokio::test]
async fn a_confined_publisher_reaches_its_own_tenant_only() {
    let vhost = vhost().await.unwrap();
    let mut signpost = Signpost::start(vhost.url()).await;
    let (user, name) = (vhost.name(), vhost.name());
    let exchange = "signpost.events";
    for command in [
        &["add_user", user, "pw"][..],
        &[
            "set_permissions",
            "-p",
            name,
            user,
            "^$",
            r"^signpost\.events$",
            "^$",
        ],
        &[
            "set_topic_permissions",
            "-p",
            name,
            user,
            exchange,
            r"^acme\.",
            "^$",
        ],
    ] {
        vhost.control().rabbitmqctl(command).await.unwrap();
    }
    let host = vhost.url().rsplit('@').next().unwrap();
    let publisher = Publisher::connect(&format!("amqp://{user}:pw@{host}")).unwrap();

    publisher.publish("acme", "own", 1).await.unwrap();
    assert_eq!(signpost.next().await.event_type.as_str(), "own");
    publisher.publish("other", "foreign", 2).await.unwrap_err();
    // The broker has closed a channel for that; the publisher opens another.
    wait_until("it publishes again", PATIENCE, async || {
        publisher.publish("acme", "own.again", 3).await
    })
    .await;
    assert_eq!(signpost.next().await.event_type.as_str(), "own.again");
    vhost
        .control()
        .rabbitmqctl(&["delete_user", user])
        .await
        .unwrap();
}
