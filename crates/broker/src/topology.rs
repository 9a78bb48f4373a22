//! What Signpost needs in RabbitMQ: exchanges, queues, bindings and their arguments, as data.
//!
//! Pure. [`crate::declare`] makes it so, and nothing else in the workspace may name an exchange or
//! a queue but through the constants here. Arguments of a queue can never change once it stands
//! (RabbitMQ answers 406), so the test below holds every one of them to the letter; what may
//! change, such as limits on length, belongs into a policy.
//!
//! **Adding a queue:** add it in [`Topology::new`], after the targets that it dead-letters to, run
//! the tests, and write the new arguments into the test by hand.

use std::fmt;

use signpost_domain::{Tier, Tiers};

/// The topic exchange that publishers use, and the quorum queue behind it.
pub const EVENTS: &str = "signpost.events";
/// The direct exchange for attempts that are due, the quorum queue behind it, and the routing key
/// that binds the two.
pub const DELIVERIES: &str = "signpost.deliveries";
/// The fanout exchange for what cannot be read or routed, and the quorum queue behind it.
pub const REJECTED: &str = "signpost.rejected";

/// How often a queue may hand a message out again before RabbitMQ dead-letters it: practically
/// never. Brokers from 4.0 on give up after 20 by default, and `-1` drops at once on 3.10
/// (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>).
const DELIVERY_LIMIT: i32 = 1_000_000;

/// The queue of a delay tier, such as `signpost.retry.10s`. One publishes to it through the
/// default exchange, with this name as the routing key.
pub fn retry_queue(tier: Tier) -> String {
    format!("signpost.retry.{}", tier.name())
}

/// All that Signpost needs, in the order in which it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Exchanges, alternates before those that name them.
    pub exchanges: Vec<Exchange>,
    /// Queues, dead-letter targets before the tiers that lead to them.
    pub queues: Vec<Queue>,
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// `topic`, `direct` or `fanout`.
    pub kind: ExchangeKind,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeKind {
    /// By pattern.
    Topic,
    /// By the exact routing key.
    Direct,
    /// To every queue.
    Fanout,
}

/// A durable quorum queue with its binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
    /// The exchange and the routing key it is bound by; tiers are reached by their name alone.
    pub binding: Option<(&'static str, &'static str)>,
}

/// The value of an argument. Numbers are 32-bit, a type that every client and broker knows;
/// RabbitMQ compares numbers by value, not by width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A number.
    Number(i32),
}

impl Topology {
    /// The topology with these tier lengths: `Tiers::default()` but for tests.
    pub fn new(tiers: Tiers) -> Self {
        let exchanges = vec![
            exchange(REJECTED, ExchangeKind::Fanout, None),
            exchange(DELIVERIES, ExchangeKind::Direct, Some(REJECTED)),
            exchange(EVENTS, ExchangeKind::Topic, Some(REJECTED)),
        ];
        let mut queues = vec![
            consumed_queue(REJECTED, (REJECTED, ""), None),
            consumed_queue(DELIVERIES, (DELIVERIES, DELIVERIES), Some(REJECTED)),
        ];
        queues.extend(Tier::all().map(|tier| tier_queue(tiers, tier)));
        // Last, so that no event is taken before the rest stands.
        queues.push(consumed_queue(EVENTS, (EVENTS, "#"), Some(REJECTED)));
        Self { exchanges, queues }
    }
}

fn exchange(name: &str, kind: ExchangeKind, alternate: Option<&str>) -> Exchange {
    let arguments = alternate.map(|name| ("alternate-exchange", text(name)));
    Exchange {
        name: name.to_owned(),
        kind,
        arguments: arguments.into_iter().collect(),
    }
}

fn consumed_queue(
    name: &str,
    binding: (&'static str, &'static str),
    dead_letters_to: Option<&str>,
) -> Queue {
    let mut arguments = vec![("x-queue-type", text("quorum"))];
    if let Some(exchange) = dead_letters_to {
        arguments.extend(dead_lettering(exchange));
    }
    arguments.push(("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)));
    Queue {
        name: name.to_owned(),
        arguments,
        binding: Some(binding),
    }
}

/// A message waits in a tier for its whole length and then goes to the deliveries. No `x-expires`:
/// a queue that expires throws its messages away.
fn tier_queue(tiers: Tiers, tier: Tier) -> Queue {
    let millis = i32::try_from(tiers.ttl(tier).as_millis()).unwrap_or(i32::MAX);
    let mut arguments = vec![
        ("x-queue-type", text("quorum")),
        ("x-message-ttl", Argument::Number(millis)),
    ];
    arguments.extend(dead_lettering(DELIVERIES));
    // The message came in by the tier's name; it leaves by the key that the target is bound by.
    arguments.push(("x-dead-letter-routing-key", text(DELIVERIES)));
    Queue {
        name: retry_queue(tier),
        arguments,
        binding: None,
    }
}

/// At-least-once dead-lettering. It needs `reject-publish`, and without that falls back silently
/// to losing messages (<https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>).
fn dead_lettering(exchange: &str) -> [(&'static str, Argument); 3] {
    [
        ("x-dead-letter-exchange", text(exchange)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]
}

fn text(value: &str) -> Argument {
    Argument::Text(value.to_owned())
}

impl ExchangeKind {
    /// AMQP's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Direct => "direct",
            Self::Fanout => "fanout",
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "durable {} exchange", self.kind.as_str())?;
        write_arguments(f, &self.arguments)
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("durable queue")?;
        write_arguments(f, &self.arguments)
    }
}

fn write_arguments(
    f: &mut fmt::Formatter<'_>,
    arguments: &[(&'static str, Argument)],
) -> fmt::Result {
    for (index, (name, value)) in arguments.iter().enumerate() {
        f.write_str(if index == 0 { " with " } else { ", " })?;
        write!(f, "{name}={value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Every argument that stands on somebody's broker. A change here breaks every installation.
    const PRODUCTION: &str = "\
exchange signpost.rejected: durable fanout exchange
exchange signpost.deliveries: durable direct exchange with alternate-exchange=signpost.rejected
exchange signpost.events: durable topic exchange with alternate-exchange=signpost.rejected
queue signpost.rejected <- signpost.rejected []: durable queue with x-queue-type=quorum, x-delivery-limit=1000000
queue signpost.deliveries <- signpost.deliveries [signpost.deliveries]: durable queue with x-queue-type=quorum, x-dead-letter-exchange=signpost.rejected, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-delivery-limit=1000000
queue signpost.retry.1s: durable queue with x-queue-type=quorum, x-message-ttl=1000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.2s: durable queue with x-queue-type=quorum, x-message-ttl=2000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.4s: durable queue with x-queue-type=quorum, x-message-ttl=4000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.10s: durable queue with x-queue-type=quorum, x-message-ttl=10000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.30s: durable queue with x-queue-type=quorum, x-message-ttl=30000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.1m: durable queue with x-queue-type=quorum, x-message-ttl=60000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.100s: durable queue with x-queue-type=quorum, x-message-ttl=100000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.5m: durable queue with x-queue-type=quorum, x-message-ttl=300000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.30m: durable queue with x-queue-type=quorum, x-message-ttl=1800000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.2h: durable queue with x-queue-type=quorum, x-message-ttl=7200000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.6h: durable queue with x-queue-type=quorum, x-message-ttl=21600000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.retry.1d: durable queue with x-queue-type=quorum, x-message-ttl=86400000, x-dead-letter-exchange=signpost.deliveries, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-dead-letter-routing-key=signpost.deliveries
queue signpost.events <- signpost.events [#]: durable queue with x-queue-type=quorum, x-dead-letter-exchange=signpost.rejected, x-dead-letter-strategy=at-least-once, x-overflow=reject-publish, x-delivery-limit=1000000
";

    #[test]
    fn every_argument_is_what_stands_on_installed_brokers() {
        let topology = Topology::new(Tiers::default());
        let mut text = String::new();
        for exchange in &topology.exchanges {
            writeln!(text, "exchange {}: {exchange}", exchange.name).unwrap();
        }
        for queue in &topology.queues {
            write!(text, "queue {}", queue.name).unwrap();
            if let Some((exchange, key)) = queue.binding {
                write!(text, " <- {exchange} [{key}]").unwrap();
            }
            writeln!(text, ": {queue}").unwrap();
        }
        assert_eq!(text, PRODUCTION);
    }

    #[test]
    fn a_dead_letter_target_stands_before_the_queues_that_lead_to_it() {
        let topology = Topology::new(Tiers::default());
        let mut standing = Vec::new();
        for queue in &topology.queues {
            for (name, value) in &queue.arguments {
                if *name == "x-dead-letter-exchange" {
                    assert!(standing.contains(&value.to_string()), "{}", queue.name);
                    assert_ne!(value.to_string(), queue.name, "a queue leads to itself");
                }
            }
            standing.push(queue.name.clone());
        }
    }

    #[test]
    fn scaled_tiers_change_the_waiting_time_alone() {
        let (real, scaled) = (
            Topology::new(Tiers::default()),
            Topology::new(Tiers::scaled(0.01)),
        );
        let ttl = |topology: &Topology, name: &str| {
            let queue = topology.queues.iter().find(|queue| queue.name == name);
            queue.unwrap().arguments[1].clone()
        };
        assert_eq!(
            ttl(&scaled, "signpost.retry.10s"),
            ("x-message-ttl", Argument::Number(100))
        );
        assert_eq!(real.exchanges, scaled.exchanges);
        assert_eq!(real.queues[0..2], scaled.queues[0..2]);
    }
}
