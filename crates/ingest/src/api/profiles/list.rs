//! Lists profiles.

use axum::{Json, extract::State};
use signpost_store::{Page, PageRequest};
use signpost_wire::builtin;

use super::model::ProfileBody;
use crate::{
    api::page::{PageBody, page_body, read_page},
    app::App,
    error::ApiResult,
    http::Query,
};

/// Lists the profiles: the built-in ones, then the stored ones
#[utoipa::path(
    get, path = "/v1/profiles", tag = "Profiles",
    params(
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of profiles", body = PageBody<ProfileBody>))
)]
pub async fn handler(
    State(app): State<App>,
    mut query: Query,
) -> ApiResult<Json<PageBody<ProfileBody>>> {
    let page = read_page(&mut query);
    query.finish()?;
    let stored = app.store.load_profiles().await?.profiles;
    let all = builtin()
        .iter()
        .map(ProfileBody::from)
        .chain(stored.into_iter().map(ProfileBody::from));
    Ok(page_body(cut(all, &page)?, |profile| profile))
}

/// A page of the whole list: there are few profiles. The cursor is the name of the last one.
fn cut(all: impl Iterator<Item = ProfileBody>, page: &PageRequest) -> ApiResult<Page<ProfileBody>> {
    let mut rest = all.skip_while({
        let mut is_past = page.cursor.is_none();
        move |profile| {
            let skip = !is_past;
            is_past = is_past || Some(&profile.name) == page.cursor.as_ref();
            skip
        }
    });
    let items: Vec<_> = rest.by_ref().take(page.limit as usize).collect();
    if items.is_empty() && page.cursor.is_some() {
        return Err(signpost_store::StoreError::BadCursor.into());
    }
    let more = rest.next().is_some();
    let next_cursor = items.last().filter(|_| more).map(|last| last.name.clone());
    Ok(Page { items, next_cursor })
}
