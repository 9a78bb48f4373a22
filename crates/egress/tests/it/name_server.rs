//! A name server on UDP that answers by a script. It writes its messages byte by byte (RFC 1035,
//! section 4), so that it can also write what no library would.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These addresses (those of the asked kind) with this TTL.
    Addresses(Vec<IpAddr>, u32),
    /// The name is another name's alias.
    Alias(String),
    /// A response code: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    Code(u8),
    /// Nothing.
    Silence,
    /// "Ask again over TCP", where nobody listens.
    Truncated,
    /// The right answer with the wrong id, from the right server.
    WrongId(Vec<IpAddr>),
    /// Bytes that are no message.
    Garbage,
}

pub(crate) fn addresses(texts: &[&str]) -> Reply {
    let ips = texts.iter().map(|text| text.parse().unwrap()).collect();
    Reply::Addresses(ips, 0)
}

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl NameServer {
    /// The script gets the name asked for, without its final dot; empty for the root.
    pub(crate) async fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let question = Question::read(&buffer[..length]);
                let reply = script(&question.name);
                if let Some(bytes) = question.reply(&reply) {
                    socket.send_to(&bytes, peer).await.unwrap();
                }
            }
        });
        Self { address, task }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Question {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// Name, kind and class as they came.
    raw: Vec<u8>,
}

const A: u16 = 1;
const AAAA: u16 = 28;

impl Question {
    fn read(message: &[u8]) -> Self {
        let (mut labels, mut at) = (Vec::new(), 12);
        while message[at] != 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(String::from_utf8(message[at + 1..end].to_vec()).unwrap());
            at = end;
        }
        Self {
            id: [message[0], message[1]],
            name: labels.join("."),
            kind: u16::from_be_bytes([message[at + 1], message[at + 2]]),
            raw: message[12..at + 5].to_vec(),
        }
    }

    fn reply(&self, reply: &Reply) -> Option<Vec<u8>> {
        let mut records = Vec::new();
        let (mut flags, mut id) = ([0x81, 0x80], self.id);
        match reply {
            Reply::Addresses(ips, ttl) => records = self.records(ips, *ttl),
            Reply::Alias(name) => records.push(record(5, 0, &encode(name))),
            Reply::Code(code) => flags[1] |= code,
            Reply::Silence => return None,
            Reply::Truncated => flags[0] |= 0x02,
            Reply::WrongId(ips) => {
                records = self.records(ips, 0);
                id = [!id[0], !id[1]];
            }
            Reply::Garbage => return Some(vec![0xff; 40]),
        }
        let count = u16::try_from(records.len()).unwrap().to_be_bytes();
        let mut bytes = [id, flags, [0, 1], count, [0, 0], [0, 0]].concat();
        bytes.extend(&self.raw);
        bytes.extend(records.concat());
        Some(bytes)
    }

    fn records(&self, ips: &[IpAddr], ttl: u32) -> Vec<Vec<u8>> {
        let wanted = ips.iter().filter_map(|ip| match (self.kind, ip) {
            (A, IpAddr::V4(ip)) => Some(record(A, ttl, &ip.octets())),
            (AAAA, IpAddr::V6(ip)) => Some(record(AAAA, ttl, &ip.octets())),
            _ => None,
        });
        wanted.collect()
    }
}

/// A record for the name in the question.
fn record(kind: u16, ttl: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xc0, 12];
    bytes.extend(kind.to_be_bytes());
    bytes.extend(1_u16.to_be_bytes());
    bytes.extend(ttl.to_be_bytes());
    bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes
}

fn encode(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
