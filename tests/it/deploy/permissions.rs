//! The users of `deploy/rabbitmq/definitions.json` may do what they need, and nothing else; tried
//! on a real broker.

use std::{fs, time::Duration};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions},
};
use signpost_broker::{Broker, BrokerConfig, BrokerUrl, TopologyMode};
use signpost_runtime::Lifecycle;
use signpost_testkit::{Vhost, scratch_dir, vhost};
use tokio::time::timeout;

use super::read;

const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "secret";
const USERS: [&str; 4] = [
    "signpost-topology",
    "signpost-ingest",
    "signpost-dispatcher",
    "shop",
];

/// A vhost with the definitions imported. Users are the broker's, not the vhost's, so their names
/// get the vhost's name added.
async fn imported() -> Vhost {
    let vhost = vhost().await.unwrap();
    let mut definitions = read("deploy/rabbitmq/definitions.json")
        .replace(
            r#""vhost": "/""#,
            &format!(r#""vhost": "{}""#, vhost.name()),
        )
        .replace(
            r#"{"name": "/"}"#,
            &format!(r#"{{"name": "{}"}}"#, vhost.name()),
        );
    for user in USERS {
        let own = format!("\"{}\"", user_of(&vhost, user));
        definitions = definitions.replace(&format!("\"{user}\""), &own);
    }
    let file = scratch_dir("definitions").unwrap().join("definitions.json");
    fs::write(&file, definitions).unwrap();
    let control = vhost.control();
    control
        .rabbitmqctl(&["import_definitions", &file.to_string_lossy()])
        .await
        .unwrap();
    for user in USERS {
        let user = user_of(&vhost, user);
        let change = format!(
            "rabbit_auth_backend_internal:change_password(<<\"{user}\">>, <<\"{PASSWORD}\">>, <<\"test\">>)."
        );
        control.eval(&change).await.unwrap();
    }
    vhost
}

fn user_of(vhost: &Vhost, user: &str) -> String {
    format!("{user}-{}", vhost.name())
}

fn url_of(vhost: &Vhost, user: &str) -> String {
    let (_, place) = vhost.url().split_once('@').unwrap();
    format!("amqp://{}:{PASSWORD}@{place}", user_of(vhost, user))
}

async fn channel(vhost: &Vhost, user: &str) -> (Connection, Channel) {
    let url = url_of(vhost, user);
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    (connection, channel)
}

/// Whether a user may publish there; on a channel of its own, as a refusal closes it.
async fn may_publish(vhost: &Vhost, user: &str, exchange: &str, key: &str) -> bool {
    let (connection, channel) = channel(vhost, user).await;
    let options = BasicPublishOptions::default();
    let sent = channel
        .basic_publish(
            exchange.into(),
            key.into(),
            options,
            b"{}",
            BasicProperties::default(),
        )
        .await;
    let confirmed = match sent {
        Ok(confirm) => timeout(PATIENCE, confirm).await.unwrap(),
        Err(error) => Err(error),
    };
    let is_allowed = match confirmed {
        Ok(confirmation) => {
            assert!(
                matches!(confirmation, Confirmation::Ack(_)),
                "{confirmation:?}"
            );
            true
        }
        Err(error) => {
            assert!(is_refusal(&error), "{error}");
            false
        }
    };
    drop(connection);
    is_allowed
}

async fn may_get(vhost: &Vhost, user: &str, queue: &str) -> bool {
    let (_connection, channel) = channel(vhost, user).await;
    match channel
        .basic_get(queue.into(), BasicGetOptions::default())
        .await
    {
        Ok(_) => true,
        Err(error) => {
            assert!(is_refusal(&error), "{error}");
            false
        }
    }
}

fn is_refusal(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.to_string().contains("ACCESS_REFUSED"),
        _ => error.to_string().contains("ACCESS_REFUSED"),
    }
}

#[tokio::test]
async fn the_services_find_the_topology_complete_and_may_use_it() {
    let vhost = imported().await;
    for user in ["signpost-ingest", "signpost-dispatcher"] {
        let url = BrokerUrl::parse(&url_of(&vhost, user)).unwrap();
        let mut config = BrokerConfig::new(url, user);
        config.topology = TopologyMode::Check;
        let lifecycle = Lifecycle::new();
        let broker = Broker::connect(&config, &lifecycle, None);
        timeout(PATIENCE, broker.wait_for_topology())
            .await
            .unwrap()
            .unwrap();
    }
    assert!(may_publish(&vhost, "signpost-ingest", "signpost.events", "acme.a").await);
    assert!(may_get(&vhost, "signpost-ingest", "signpost.rejected").await);

    let dispatcher = "signpost-dispatcher";
    for queue in ["signpost.events", "signpost.deliveries"] {
        assert!(may_get(&vhost, dispatcher, queue).await, "{queue}");
    }
    for (exchange, key) in [
        ("signpost.deliveries", "signpost.deliveries"),
        ("", "signpost.retry.1s"),
        ("signpost.rejected", ""),
        ("signpost.events", "acme.a"),
    ] {
        assert!(
            may_publish(&vhost, dispatcher, exchange, key).await,
            "{exchange} {key}"
        );
    }
}

#[tokio::test]
async fn nobody_may_do_more() {
    let vhost = imported().await;
    assert!(!may_publish(&vhost, "signpost-ingest", "signpost.deliveries", "").await);
    assert!(!may_publish(&vhost, "signpost-ingest", "", "signpost.retry.1s").await);

    assert!(may_publish(&vhost, "shop", "signpost.events", "acme.order.created").await);
    for (exchange, key) in [
        ("signpost.events", "other.order.created"),
        ("signpost.deliveries", "signpost.deliveries"),
        ("signpost.rejected", ""),
        ("", "signpost.events"),
    ] {
        assert!(
            !may_publish(&vhost, "shop", exchange, key).await,
            "{exchange} {key}"
        );
    }
    assert!(!may_get(&vhost, "shop", "signpost.events").await);
}
