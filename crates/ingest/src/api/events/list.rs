//! Lists events.

use axum::{Json, extract::State};
use signpost_domain::EventType;
use signpost_store::EventFilter;

use super::model::EventBody;
use crate::{
    api::page::{PageBody, page_body, read_page},
    app::App,
    door::Tenant,
    error::ApiResult,
    http::Query,
};

/// Lists events without their data, newest first
///
/// A page may hold fewer items than asked for although more follow: go on while `next_cursor` is
/// there.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/events", tag = "Events",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("type" = Option<String>, Query, description = "Of this type", example = "license.created"),
        ("since" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "Made at this time or later"),
        ("until" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "Made before this time"),
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of events", body = PageBody<EventBody>))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    mut query: Query,
) -> ApiResult<Json<PageBody<EventBody>>> {
    let page = read_page(&mut query);
    let filter = EventFilter {
        event_type: query.parsed("type", EventType::parse),
        since: query.time("since"),
        until: query.time("until"),
    };
    query.finish()?;
    let events = app.store.list_events(&tenant, &filter, &page).await?;
    Ok(page_body(events, |event| {
        EventBody::new(&tenant, event, None)
    }))
}
