//! What the users of five other webhook senders do with them, done with Signpost, step by step:
//! create, subscribe, dispatch, verify, list deliveries, retry, test, disable.
//!
//! Each receiver here checks requests the way its system's documentation tells it to, with code
//! that shares nothing with the crate that signs.

#![expect(clippy::unwrap_used, reason = "the helpers of tests panic, too")]

mod core_api;
mod cryptlex;
mod hmac;
mod inprivy;
mod license_manager;
mod privato;

use serde_json::{Value, json};

use crate::world::World;

/// What a person in front of one endpoint does.
struct Endpoint<'w> {
    world: &'w World,
    tenant: &'static str,
    id: String,
    /// As the answer to its creation showed it.
    created: Value,
}

impl<'w> Endpoint<'w> {
    async fn create(world: &'w World, tenant: &'static str, settings: Value) -> Self {
        let path = format!("/v1/tenants/{tenant}/endpoints");
        let answer = world.api.post(&path, &settings).await;
        let created = answer.expect(&[201]).json();
        let id = created["id"].as_str().unwrap().to_owned();
        Self {
            world,
            tenant,
            id,
            created,
        }
    }

    fn path(&self, below: &str) -> String {
        format!("/v1/tenants/{}/endpoints/{}{below}", self.tenant, self.id)
    }

    async fn set(&self, changes: Value) {
        let answer = self.world.api.patch(&self.path(""), &changes).await;
        answer.expect(&[200]);
    }

    /// Its signing secret, as a person looks it up later.
    async fn secret(&self) -> String {
        let answer = self.world.api.get(&self.path("/secret")).await;
        let shown = answer.expect(&[200]).json();
        shown["secret"].as_str().unwrap().to_owned()
    }

    async fn test(&self, event: &Value) -> Value {
        let answer = self.world.api.post(&self.path("/test"), event).await;
        answer.expect(&[200]).json()
    }

    /// Its deliveries, newest first, once there are `count` with one of the statuses.
    async fn deliveries(&self, statuses: &[&str], count: usize) -> Vec<Value> {
        let query = format!("&endpoint_id={}", self.id);
        let world = self.world;
        world
            .until_deliveries(self.tenant, &query, statuses, count)
            .await
    }

    /// One delivery with its attempts.
    async fn story(&self, delivery: &Value) -> Value {
        self.world.delivery(self.tenant, delivery).await
    }

    async fn retry(&self, delivery: &Value) {
        let id = delivery["id"].as_str().unwrap();
        let path = format!("/v1/tenants/{}/deliveries/{id}/retry", self.tenant);
        let answer = self.world.api.post(&path, &json!({})).await;
        answer.expect(&[202]);
    }
}

/// One field of each attempt of a delivery.
fn each_attempt(story: &Value, field: &str) -> Vec<Value> {
    let attempts = story["attempts"].as_array().unwrap();
    attempts
        .iter()
        .map(|attempt| attempt[field].clone())
        .collect()
}

/// The planned waits after each attempt, in milliseconds.
fn waits(story: &Value) -> Vec<i64> {
    let time = |value: &Value| {
        let text = value.as_str()?;
        Some(chrono::DateTime::parse_from_rfc3339(text).unwrap())
    };
    let attempts = story["attempts"].as_array().unwrap();
    let wait = |attempt: &Value| {
        let asked = time(&attempt["requested_at"]).unwrap();
        Some((time(&attempt["next_attempt_at"])? - asked).num_milliseconds())
    };
    attempts.iter().filter_map(wait).collect()
}

/// Each wait is the one that the documents name, and at most a second of answering longer.
fn assert_waits(story: &Value, wanted: &[i64]) {
    let found = waits(story);
    let fits = found.len() == wanted.len()
        && found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| (*wanted..wanted + 1_000).contains(found));
    assert!(fits, "waits of {found:?} ms, not {wanted:?}");
}
