//! A publisher that sends any bytes, which no client library does: for messages that RabbitMQ
//! takes and that break other clients. Only what is needed of AMQP 0-9-1.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A message with parts that need not be text.
#[derive(Default)]
pub(crate) struct RawMessage {
    pub(crate) routing_key: Vec<u8>,
    pub(crate) message_id: Vec<u8>,
    /// The content of the table of headers.
    pub(crate) headers: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    [
        &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        bytes,
    ]
    .concat()
}

/// A header that holds an array that holds an array…
pub(crate) fn nested_header(depth: usize) -> Vec<u8> {
    let mut value = vec![b't', 1];
    for _ in 0..depth {
        value = [&[b'A'][..], &long(&value)].concat();
    }
    [short(b"deep"), value].concat()
}

/// Publishes to `signpost.events` of this URL (`amqp://USER:PASSWORD@HOST:PORT/VHOST`).
pub(crate) async fn publish(url: &str, messages: &[RawMessage]) {
    let (credentials, place) = url.trim_start_matches("amqp://").split_once('@').unwrap();
    let (address, vhost) = place.split_once('/').unwrap();
    let (user, password) = credentials.split_once(':').unwrap();
    let mut raw = Raw(TcpStream::connect(address).await.unwrap());
    raw.0.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
    raw.expect(10, 10).await;
    let login = format!("\0{user}\0{password}");
    let start_ok = [
        long(&[]),
        short(b"PLAIN"),
        long(login.as_bytes()),
        short(b"en_US"),
    ];
    raw.method(0, 10, 11, &start_ok.concat()).await;
    raw.expect(10, 30).await;
    raw.method(0, 10, 31, &[0, 9, 0, 2, 0, 0, 0, 0]).await; // 9 channels, frames of 128 KiB
    raw.method(
        0,
        10,
        40,
        &[short(vhost.as_bytes()), short(b""), vec![0]].concat(),
    )
    .await;
    raw.expect(10, 41).await;
    raw.method(1, 20, 10, &short(b"")).await;
    raw.expect(20, 11).await;
    raw.method(1, 85, 10, &[0]).await; // confirms
    raw.expect(85, 11).await;
    for message in messages {
        raw.publish(message).await;
        raw.expect(60, 80).await;
    }
    raw.method(
        1,
        20,
        40,
        &[vec![0, 200], short(b"OK"), vec![0; 4]].concat(),
    )
    .await;
    raw.expect(20, 41).await;
}

struct Raw(TcpStream);

impl Raw {
    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let [high, low] = channel.to_be_bytes();
        let frame = [&[kind, high, low][..], &long(payload), &[0xce]].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    async fn method(&mut self, channel: u16, class: u8, method: u8, arguments: &[u8]) {
        let payload = [&[0, class, 0, method], arguments].concat();
        self.frame(1, channel, &payload).await;
    }

    async fn expect(&mut self, class: u16, method: u16) {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).await.unwrap();
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; size as usize + 1];
        self.0.read_exact(&mut payload).await.unwrap();
        let [class_high, class_low] = class.to_be_bytes();
        let [method_high, method_low] = method.to_be_bytes();
        let expected = [class_high, class_low, method_high, method_low];
        assert_eq!(
            payload[..4],
            expected,
            "{}",
            String::from_utf8_lossy(&payload)
        );
    }

    async fn publish(&mut self, message: &RawMessage) {
        let arguments = [
            vec![0, 0],
            short(b"signpost.events"),
            short(&message.routing_key),
            vec![1], // mandatory
        ];
        self.method(1, 60, 40, &arguments.concat()).await;
        let flags: u16 = 1 << 13 | 1 << 12 | 1 << 7;
        let header = [
            vec![0, 60, 0, 0],
            u64::try_from(message.body.len())
                .unwrap()
                .to_be_bytes()
                .to_vec(),
            flags.to_be_bytes().to_vec(),
            long(&message.headers),
            vec![2], // persistent
            short(&message.message_id),
        ];
        self.frame(2, 1, &header.concat()).await;
        if !message.body.is_empty() {
            self.frame(3, 1, &message.body).await;
        }
    }
}
