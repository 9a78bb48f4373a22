//! All paths: the API behind its door, the OpenAPI document, the pages; and answers in the form of
//! RFC 9457 for whatever is none of them.

use std::collections::BTreeMap;

use axum::{
    Router,
    extract::OriginalUri,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use serde_json::Value;

use crate::{
    api,
    app::App,
    door::with_headers,
    error::{ApiError, ErrorCode},
    openapi,
    web::Page,
};

/// The whole service as a router.
pub fn router(app: App) -> Router {
    let table = api::routes();
    let document = openapi::document(&table);
    let mut by_path: BTreeMap<String, MethodRouter<App>> = BTreeMap::new();
    for route in table {
        let at_path = by_path.remove(&route.path).unwrap_or_default();
        by_path.insert(route.path, at_path.merge(route.service));
    }
    let mut router = Router::new();
    for (path, service) in by_path {
        router = router.route(&path, service);
    }
    router
        .merge(pages(&document))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

fn pages(document: &Value) -> Router<App> {
    let (dashboard, docs) = (Page::dashboard(), Page::docs(document));
    let document = Bytes::from(document.to_string());
    Router::new()
        .route("/", get(async move || dashboard.clone()))
        .route("/docs", get(async move || docs.clone()))
        .route("/openapi.json", get(async move || json(document.clone())))
}

fn json(document: Bytes) -> Response {
    let mut response = document.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    with_headers(response)
}

async fn not_found() -> Response {
    with_headers(ApiError::not_found().into_response())
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let detail = format!(
        "{} does not take {method}; the header Allow says what it takes.",
        uri.path()
    );
    with_headers(ApiError::new(ErrorCode::MethodNotAllowed, detail).into_response())
}
