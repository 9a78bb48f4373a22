//! RabbitMQ for Signpost: topology, publishing with confirms, consuming with grouped acks,
//! recovery, and the messages themselves.
//!
//! The only crate that uses lapin and deadpool-lapin, and no type of theirs is part of its
//! interface. Everything is behind [`Broker`], which both services start with and which works
//! while RabbitMQ is down, too. What it must never do: publish without a confirm, publish anything
//! again by itself, or copy a header of the broker.

mod backoff;
mod broker;
mod config;
mod consumer;
mod declare;
mod guard;
mod link;
pub mod message;
mod metrics;
mod publisher;
mod queues;
mod rejected;
pub mod topology;

pub use broker::Broker;
pub use config::{BrokerConfig, BrokerUrl, BrokerUrlError, PublisherConfig, TopologyMode};
pub use consumer::{Ack, Consumer, ConsumerConfig, ConsumerStatus, ConsumerView, Incoming};
pub use declare::TopologyError;
pub use message::{
    DeliveryMessage, EventMessage, Headers, IncomingEvent, ProbeMessage, Properties, Publish,
    RejectReason, RejectedMessage, Rejection,
};
pub use metrics::BrokerMetrics;
pub use publisher::{PublishError, Publisher};
pub use queues::{QueueDepth, QueueError};
pub use rejected::{RejectedError, RejectedQueue};
