//! Counts of a tenant's deliveries.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use signpost_domain::DeliveryStatus;
use utoipa::ToSchema;

use crate::{app::App, door::Tenant, error::ApiResult, http::Query};

/// The time that is counted unless said.
const DEFAULT_TIME: TimeDelta = TimeDelta::hours(24);

/// Counts of what was made within a time, by how it stands now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stats)]
pub struct StatsBody {
    /// The beginning of the time.
    pub since: DateTime<Utc>,
    /// Its end.
    pub until: DateTime<Utc>,
    /// Events.
    #[schema(example = 120)]
    pub events: u64,
    /// Events per second, on average.
    #[schema(example = 0.0014)]
    pub events_per_second: f64,
    /// Deliveries, by status.
    pub deliveries: Counts,
    /// Deliveries per second, on average.
    #[schema(example = 0.0028)]
    pub deliveries_per_second: f64,
    /// The share of the ended deliveries that succeeded; null when none has ended.
    #[schema(required, example = 0.998)]
    pub success_rate: Option<f64>,
    /// By endpoint: those with the most deliveries.
    pub by_endpoint: Vec<EndpointCounts>,
    /// By event type: those with the most deliveries.
    pub by_event_type: Vec<EventTypeCounts>,
}

/// Deliveries by status.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct Counts {
    /// An attempt is due.
    pub pending: u64,
    /// The receiver took them.
    pub succeeded: u64,
    /// Retries are used up.
    pub failed: u64,
    /// Their endpoint is paused.
    pub held: u64,
    /// Their endpoint is disabled or deleted.
    pub discarded: u64,
}

/// An endpoint's deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointCounts {
    /// The endpoint.
    #[schema(example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub endpoint_id: String,
    /// Its deliveries by status.
    #[serde(flatten)]
    pub counts: Counts,
    /// The share of the ended ones that succeeded.
    #[schema(required)]
    pub success_rate: Option<f64>,
}

/// An event type's deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventTypeCounts {
    /// The event type.
    #[schema(example = "license.created")]
    pub event_type: String,
    /// Its deliveries by status.
    #[serde(flatten)]
    pub counts: Counts,
    /// The share of the ended ones that succeeded.
    #[schema(required)]
    pub success_rate: Option<f64>,
}

/// Counts deliveries by status, endpoint and event type
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/stats", tag = "Deliveries",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("since" = Option<DateTime<Utc>>, Query, description = "From this time on; by default 24 hours ago"),
        ("until" = Option<DateTime<Utc>>, Query, description = "Before this time; by default now"),
    ),
    responses((status = 200, description = "The counts", body = StatsBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    mut query: Query,
) -> ApiResult<Json<StatsBody>> {
    let (since, until) = (query.time("since"), query.time("until"));
    query.finish()?;
    let until = until.unwrap_or_else(|| app.clock.now());
    let since = since.unwrap_or(until - DEFAULT_TIME);
    let stats = app.store.stats(&tenant, since, until).await?;
    let mut deliveries = Counts::default();
    for (status, count) in stats.by_status {
        deliveries.add(status, count);
    }
    let by_endpoint = group(
        stats
            .by_endpoint
            .into_iter()
            .map(|(id, status, n)| (id.to_string(), status, n)),
    );
    let by_type = group(
        stats
            .by_event_type
            .into_iter()
            .map(|(kind, status, n)| (kind.to_string(), status, n)),
    );
    Ok(Json(StatsBody {
        since,
        until,
        events: stats.events,
        events_per_second: per_second(stats.events, until - since),
        deliveries,
        deliveries_per_second: per_second(deliveries.total(), until - since),
        success_rate: deliveries.success_rate(),
        by_endpoint: by_endpoint
            .into_iter()
            .map(|(endpoint_id, counts)| EndpointCounts {
                endpoint_id,
                counts,
                success_rate: counts.success_rate(),
            })
            .collect(),
        by_event_type: by_type
            .into_iter()
            .map(|(event_type, counts)| EventTypeCounts {
                event_type,
                counts,
                success_rate: counts.success_rate(),
            })
            .collect(),
    }))
}

impl Counts {
    fn add(&mut self, status: DeliveryStatus, count: u64) {
        let place = match status {
            DeliveryStatus::Pending => &mut self.pending,
            DeliveryStatus::Succeeded => &mut self.succeeded,
            DeliveryStatus::Failed => &mut self.failed,
            DeliveryStatus::Held => &mut self.held,
            DeliveryStatus::Discarded => &mut self.discarded,
        };
        *place += count;
    }

    fn total(&self) -> u64 {
        self.pending + self.succeeded + self.failed + self.held + self.discarded
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate for people: 15 digits are enough"
    )]
    fn success_rate(&self) -> Option<f64> {
        let ended = self.succeeded + self.failed;
        (ended > 0).then(|| self.succeeded as f64 / ended as f64)
    }
}

/// One entry per name, the largest first.
fn group(rows: impl Iterator<Item = (String, DeliveryStatus, u64)>) -> Vec<(String, Counts)> {
    let mut groups: BTreeMap<String, Counts> = BTreeMap::new();
    for (name, status, count) in rows {
        groups.entry(name).or_default().add(status, count);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.total()));
    groups
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate for people: 15 digits are enough"
)]
fn per_second(count: u64, time: TimeDelta) -> f64 {
    let millis = time.num_milliseconds().max(1);
    count as f64 * 1000.0 / millis as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_add_up_and_the_largest_comes_first() {
        let rows = [
            ("a", DeliveryStatus::Succeeded, 3),
            ("b", DeliveryStatus::Failed, 5),
            ("a", DeliveryStatus::Failed, 1),
        ];
        let groups = group(
            rows.into_iter()
                .map(|(name, status, n)| (name.to_owned(), status, n)),
        );
        assert_eq!(groups[0].0, "b");
        assert_eq!(groups[1].1.success_rate(), Some(0.75));
        assert_eq!(Counts::default().success_rate(), None);
    }
}
