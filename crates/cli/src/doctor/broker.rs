//! RabbitMQ: reachable, of a version that works, with Signpost's topology as it should be.

use signpost_broker::{Broker, BrokerConfig, TopologyMode};
use signpost_runtime::Lifecycle;

use super::check::Check;
use super::greeting;
use crate::amqp::{PATIENCE, parse_url};

/// The oldest version that Signpost works with: quorum queues with at-least-once dead-lettering.
const OLDEST: (u32, u32) = (3, 10);
/// What waits in this queue needs a person.
const REJECTED: &str = "signpost.rejected";

pub(super) async fn look(url: Option<&str>) -> Vec<Check> {
    let Some(url) = url else {
        let why = "no URL: set SIGNPOST_AMQP_URL or give --amqp";
        return vec![Check::skipped("broker", why)];
    };
    let parsed = match parse_url(url) {
        Ok(parsed) => parsed,
        Err(error) => {
            let to_do = "write SIGNPOST_AMQP_URL=amqp://USER:PASSWORD@HOST:5672/%2f";
            return vec![Check::bad("broker", error.to_string(), to_do)];
        }
    };
    let what = format!("broker {parsed}");
    let mut checks = Vec::new();
    match greeting::ask(url, PATIENCE).await {
        Ok(Some(greeting)) => checks.push(judge_version(what, &greeting)),
        Ok(None) => {} // Encrypted: the connection below shows that it answers.
        Err(error) => {
            let to_do = "start RabbitMQ, or correct SIGNPOST_AMQP_URL";
            return vec![Check::bad(what, format!("{error:#}"), to_do)];
        }
    }
    let mut config = BrokerConfig::new(parsed, "signpost-doctor");
    config.topology = TopologyMode::Check;
    let broker = Broker::connect(&config, &Lifecycle::new(), None);
    checks.extend(look_inside(&broker).await);
    broker.close().await;
    checks
}

fn judge_version(what: String, greeting: &greeting::Greeting) -> Check {
    let greeting::Greeting { product, version } = greeting;
    let found = format!("{product} {version}");
    let mut numbers = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if product != "RabbitMQ" {
        return Check::warn(
            what,
            found,
            "Signpost is made for RabbitMQ; others are not tested",
        );
    }
    if version < OLDEST {
        return Check::bad(what, found, "update RabbitMQ to 3.10 or newer");
    }
    Check::ok(what, found)
}

/// Logs in, compares the topology, and counts what waits.
async fn look_inside(broker: &Broker) -> Vec<Check> {
    let topology = "broker topology";
    match tokio::time::timeout(PATIENCE, broker.wait_for_topology()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return vec![Check::bad(topology, error.to_string(), "")],
        Err(_elapsed) => {
            // Without a connection there is a reason; a first publish shows it.
            broker.publisher();
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            let reason = broker.check_publishing().err();
            let found = reason.unwrap_or_else(|| "no answer after the log-in".to_owned());
            let to_do = "check user, password and vhost in SIGNPOST_AMQP_URL, and RabbitMQ's log";
            return vec![Check::bad(topology, found, to_do)];
        }
    }
    let mut checks = vec![Check::ok(
        topology,
        "every exchange and queue is as it should be",
    )];
    checks.push(look_at_alarms(broker).await);
    if let Ok(depths) = broker.depths().await {
        let waiting: u64 = depths.values().map(|depth| u64::from(depth.ready)).sum();
        let rejected = depths.get(REJECTED).map_or(0, |depth| depth.ready);
        let consumers: Vec<_> = ["signpost.events", "signpost.deliveries"]
            .iter()
            .filter(|name| depths.get(**name).is_some_and(|depth| depth.consumers == 0))
            .collect();
        checks.push(Check::ok(
            "broker queues",
            format!("{waiting} messages wait"),
        ));
        for queue in consumers {
            let to_do = "start a signpost-dispatcher: nobody takes what arrives";
            checks.push(Check::bad(format!("queue {queue}"), "no consumer", to_do));
        }
        if rejected > 0 {
            let found = format!("{rejected} messages could not be read");
            let to_do = "`signpost rejected list` shows them with their reasons";
            checks.push(Check::warn("rejected messages", found, to_do));
        }
    }
    checks
}

/// Whether the broker takes messages: with a memory or disk alarm it blocks publishers.
async fn look_at_alarms(broker: &Broker) -> Check {
    broker.publisher();
    let mut reason = String::new();
    for _ in 0..20 {
        match broker.check_publishing() {
            Ok(()) => return Check::ok("broker alarms", "none: it takes messages"),
            Err(why) => reason = why,
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let to_do = "free disk or memory on the broker; `rabbitmqctl status` shows the alarm";
    Check::bad("broker alarms", reason, to_do)
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn versions_are_judged() {
        let state = |product: &str, version: &str| {
            let greeting = greeting::Greeting {
                product: product.into(),
                version: version.into(),
            };
            judge_version("broker".to_owned(), &greeting).state
        };
        assert_eq!(state("RabbitMQ", "3.10.8"), State::Ok);
        assert_eq!(state("RabbitMQ", "4.3.6"), State::Ok);
        assert_eq!(state("RabbitMQ", "3.9.29"), State::Bad);
        assert_eq!(state("LavinMQ", "2.0"), State::Warn);
    }
}
