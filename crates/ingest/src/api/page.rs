//! Pages of a list, as they look outside.

use axum::Json;
use serde::Serialize;
use signpost_store::{Page, PageRequest};
use utoipa::ToSchema;

use crate::http::Query;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageBody<T: ToSchema> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Give this as `cursor` for the next page; null after the last one.
    #[schema(required, example = json!(null))]
    pub next_cursor: Option<String>,
}

/// Reads `limit` and `cursor`.
pub fn read_page(query: &mut Query) -> PageRequest {
    PageRequest {
        limit: u32::try_from(query.limit()).unwrap_or(1),
        cursor: query.text("cursor"),
    }
}

/// The answer for a page of rows.
pub fn page_body<R, T: ToSchema>(page: Page<R>, body: impl FnMut(R) -> T) -> Json<PageBody<T>> {
    Json(PageBody {
        items: page.items.into_iter().map(body).collect(),
        next_cursor: page.next_cursor,
    })
}
