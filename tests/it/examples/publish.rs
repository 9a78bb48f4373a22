//! Publishing: what arrives in the queue `signpost.events`, and that a program fails when nothing
//! takes its event.

use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    message::BasicGetMessage,
    options::{BasicGetOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};
use signpost_testkit::{Receiver, Reply, Vhost, vhost, wait_until};

use super::{Room, is_installed};

/// The exchange, and the queue behind it.
const EVENTS: &str = "signpost.events";
/// Told apart from its own re-encoding by every language.
const DATA: &str = r#"{ "title":"Größe\/😀 \u00e9", "id": 12345678901234567890, "price":1.0 }"#;

/// A broker with the exchange, and a look into what was published.
struct Broker {
    vhost: Vhost,
    channel: Channel,
    _connection: Connection,
}

impl Broker {
    async fn start() -> Self {
        let vhost = vhost().await.unwrap();
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(vhost.url(), properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let (exchange, arguments) = (EVENTS.into(), FieldTable::default());
        channel
            .exchange_declare(exchange, ExchangeKind::Topic, options, arguments)
            .await
            .unwrap();
        Self {
            vhost,
            channel,
            _connection: connection,
        }
    }

    async fn bind_queue(&self) {
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let options = QueueDeclareOptions::durable();
        let declared = self
            .channel
            .queue_declare(EVENTS.into(), options, arguments);
        declared.await.unwrap();
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let bound =
            self.channel
                .queue_bind(EVENTS.into(), EVENTS.into(), "#".into(), options, arguments);
        bound.await.unwrap();
    }

    async fn take(&self) -> BasicGetMessage {
        wait_until(
            "the event is in the queue",
            Duration::from_secs(5),
            async || {
                let options = BasicGetOptions { no_ack: true };
                let found = self
                    .channel
                    .basic_get(EVENTS.into(), options)
                    .await
                    .unwrap();
                found.ok_or("nothing")
            },
        )
        .await
    }
}

/// Runs `program` as its usage line says: first where nothing takes the event, then where the
/// queue stands.
async fn publishes(room: &Room, program: &[&str]) {
    let broker = Broker::start().await;
    let words = [program, &["acme", "post.created", DATA]].concat();
    let run = async || {
        let mut command = room.command(&words);
        room.run(command.env("SIGNPOST_AMQP_URL", broker.vhost.url()))
            .await
    };
    let lost = run().await;
    assert!(
        lost.is_err(),
        "{program:?} does not notice that its event is lost: {lost:?}"
    );

    broker.bind_queue().await;
    let id = run()
        .await
        .unwrap_or_else(|said| panic!("{program:?} failed: {said}"));
    let message = broker.take().await;
    assert_eq!(message.delivery.exchange.as_str(), EVENTS);
    assert_eq!(message.delivery.routing_key.as_str(), "acme.post.created");
    assert_eq!(std::str::from_utf8(&message.delivery.data), Ok(DATA));
    // The queue adds a header of its own, `x-delivery-count`.
    let properties = message
        .delivery
        .properties
        .clone()
        .with_headers(FieldTable::default());
    let expected = BasicProperties::default()
        .with_headers(FieldTable::default())
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(id.trim_end().into());
    assert_eq!(properties, expected);
    signpost_domain::EventId::parse(id.trim_end()).unwrap();
}

#[tokio::test]
async fn python_publishes_an_event() {
    let room = Room::enter("python").await;
    let pip = [
        "venv/bin/pip",
        "install",
        "--quiet",
        "--requirement",
        "requirements.txt",
    ];
    let venv = ["python3", "-m", "venv", "--clear", "venv"];
    room.install("requirements.txt", &[&venv, &pip]).await;
    publishes(&room, &["venv/bin/python", "publish.py"]).await;
}

#[tokio::test]
async fn node_publishes_an_event() {
    let room = Room::enter("node").await;
    let npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    room.install("package-lock.json", &[&npm]).await;
    publishes(&room, &["node", "publish.js"]).await;
}

#[tokio::test]
async fn go_publishes_an_event() {
    if !is_installed("go") {
        return;
    }
    let room = Room::enter("go").await;
    // Built once: `go run` would link it for each run.
    let build = room
        .run(&mut room.command(&["go", "build", "-o", "publish", "."]))
        .await;
    build.unwrap();
    publishes(&room, &["./publish"]).await;
}

#[tokio::test]
async fn java_publishes_an_event() {
    if !is_installed("java") || !is_installed("mvn") {
        return;
    }
    let room = Room::enter("java").await;
    let copy = "dependency:copy-dependencies";
    let mvn = ["mvn", "-q", "-B", copy, "-DoutputDirectory=lib"];
    room.install("pom.xml", &[&mvn]).await;
    publishes(&room, &["java", "-cp", "lib/*", "Publish.java"]).await;
}

#[tokio::test]
async fn php_publishes_an_event_over_http() {
    if !is_installed("php") {
        return;
    }
    let room = Room::enter("php").await;
    let api = Receiver::start().await.unwrap();
    api.replies([Reply::status(503), Reply::status(202)]);
    let server = api.url();
    let run = async || {
        let mut command = room.command(&[
            "php",
            "publish.php",
            "acme",
            "post.created",
            r#"{"a":[1,{}]}"#,
        ]);
        command
            .env("SIGNPOST_SERVER", server.trim_end_matches('/'))
            .env("SIGNPOST_KEY", "test-key");
        room.run(&mut command).await
    };
    let refused = run().await.unwrap_err();
    assert!(refused.contains("503"), "{refused}");
    let id = run().await.unwrap();
    let requests = api.wait_for(2, Duration::from_secs(5)).await;
    let request = &requests[1];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/tenants/acme/events")
    );
    assert_eq!(request.header("authorization"), Some("Bearer test-key"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body: Value = request.json().unwrap();
    let expected = json!({"id": id.trim_end(), "type": "post.created", "data": {"a": [1, {}]}});
    assert_eq!(body, expected);
}
