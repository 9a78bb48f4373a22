//! Lists rejected messages.

use axum::{Json, extract::State};
use signpost_store::{PageRequest, StoreError};

use super::model::{RejectedBody, to_api_error};
use crate::{
    api::page::{PageBody, read_page},
    app::App,
    error::ApiResult,
    http::Query,
};

/// How far into the queue a look goes.
const MAX_LOOK: usize = 10_000;

/// Lists messages that could not be read, oldest first
#[utoipa::path(
    get, path = "/v1/rejected", tag = "Operations",
    params(
        ("reason" = Option<String>, Query, description = "Only those with this reason", example = "bad_json"),
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of messages", body = PageBody<RejectedBody>))
)]
pub async fn handler(
    State(app): State<App>,
    mut query: Query,
) -> ApiResult<Json<PageBody<RejectedBody>>> {
    let page = read_page(&mut query);
    let reason = query.text("reason");
    query.finish()?;
    let is_plain = page.cursor.is_none() && reason.is_none();
    let look = if is_plain {
        page.limit as usize + 1
    } else {
        MAX_LOOK
    };
    let messages = app
        .broker
        .rejected()
        .list(look)
        .await
        .map_err(to_api_error)?;
    let all = messages.iter().map(RejectedBody::new);
    let wanted = all.filter(|message| {
        reason
            .as_ref()
            .is_none_or(|reason| *reason == message.reason)
    });
    cut(wanted.collect(), &page).map(Json)
}

/// A page of what was found. The cursor is the id of the last message that was shown.
fn cut(mut found: Vec<RejectedBody>, page: &PageRequest) -> ApiResult<PageBody<RejectedBody>> {
    if let Some(cursor) = &page.cursor {
        let position = found.iter().position(|message| message.id == *cursor);
        // It may have been dealt with since, so its place is not known any more.
        let position = position.ok_or(StoreError::BadCursor)?;
        found.drain(..=position);
    }
    let limit = page.limit as usize;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found
        .last()
        .filter(|_| has_more)
        .map(|last| last.id.clone());
    Ok(PageBody {
        items: found,
        next_cursor,
    })
}
