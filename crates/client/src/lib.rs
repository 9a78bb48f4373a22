//! Signpost for other services: publish events, and verify the webhooks that come of them.
//!
//! # Publishing
//!
//! [`Publisher`] speaks AMQP to RabbitMQ, without Signpost's own processes: events are taken while
//! those are down, too. `Ok` means that a quorum queue has the event on disk.
//!
//! ```no_run
//! use serde_json::json;
//! use signpost_client::{Publish, Publisher};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let publisher = Publisher::connect("amqp://shop:secret@rabbit.example/%2f")?;
//! publisher.publish("acme", "post.created", json!({"id": 123})).await?;
//! # Ok(()) }
//! ```
//!
//! After an error the event may be there all the same. Send the *same* [`Event`] again: its id
//! makes sure that it is delivered once.
//!
//! ```no_run
//! # use signpost_client::{Event, Publish, PublishError, Publisher};
//! # async fn story(publisher: Publisher, post: impl serde::Serialize) -> Result<(), PublishError> {
//! let event = Event::new("acme", "post.created", post)?.with_id("post-123-created")?;
//! while let Err(error) = publisher.send(&event).await {
//!     if !error.is_transient() {
//!         return Err(error);
//!     }
//!     tokio::time::sleep(std::time::Duration::from_secs(1)).await;
//! }
//! # Ok(()) }
//! ```
//!
//! A confirmed event can still be one that Signpost cannot take: of an unknown tenant, larger than
//! its limit (256 KiB by default), not as the event type's schema wants it. Such an event goes to
//! the queue `signpost.rejected` with the reason; `signpost rejected list` shows it.
//!
//! The broker's user needs the permission to write to the exchange `signpost.events` only, and
//! topic permissions can confine it to its tenants
//! (<https://www.rabbitmq.com/docs/access-control#topic-authorisation>).
//!
//! # Testing what publishes
//!
//! Code that takes an `impl Publish` can be given a [`FakePublisher`]:
//!
//! ```
//! use serde_json::json;
//! use signpost_client::{FakePublisher, Publish, PublishError};
//!
//! async fn create_post(events: &impl Publish, title: &str) -> Result<(), PublishError> {
//!     events.publish("acme", "post.created", json!({"title": title})).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main]
//! # async fn main() {
//! let events = FakePublisher::new();
//! create_post(&events, "Garden fair").await.unwrap();
//! events.assert_published("post.created", |event| event.json()["title"] == "Garden fair");
//! # }
//! ```
//!
//! # Receiving
//!
//! [`verify`] checks a webhook with the headers and the exact bytes of its body:
//!
//! ```
//! use signpost_client::{find_builtin, verify};
//!
//! let profile = find_builtin("privato").expect("it is built in");
//! let signature = "7f2ffdedc8d8a40fba80cdbfee4b05d5bffc6a5132a0d6be0b98b5f4ab51ffd4";
//! let refused = verify(&profile, [("X-Signature", signature)], b"{}", "another secret");
//! assert!(refused.is_err());
//! ```

mod error;
mod event;
mod fake;
mod publish;
mod publisher;
mod verify;

pub use error::{EventError, PublishError};
pub use event::Event;
pub use fake::FakePublisher;
pub use publish::Publish;
pub use publisher::Publisher;
pub use signpost_broker::{BrokerUrlError, PublishError as BrokerError};
pub use signpost_domain::{EventId, EventType, TenantId};
pub use signpost_wire::{Profile, Verified, find_builtin};
pub use verify::{VerifyError, verify};
