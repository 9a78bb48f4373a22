//! Stores a custom profile.

use axum::{
    Json,
    extract::{Path, Request, State},
};
use serde_json::Value;
use signpost_domain::{DeliveryPolicy, Problem};
use signpost_wire::{Profile, find_builtin};

use super::{
    load::to_problem,
    model::{ProfileBody, ProfileDocument},
};
use crate::{
    app::App,
    error::{ApiError, ApiResult, ErrorCode},
    http::{body, fields::parse_json},
};

/// Stores a profile, or a new version of it
///
/// Deliveries that were made with an earlier version keep it; new ones take the new one.
/// `GET /v1/profiles/standard-webhooks` shows one to start from.
#[utoipa::path(
    put, path = "/v1/profiles/{name}", tag = "Profiles",
    params(("name" = String, Path, description = "The profile's name", example = "our-own",
        pattern = "^[a-z0-9][a-z0-9-]{0,63}$")),
    request_body = ProfileDocument,
    responses((status = 200, description = "The profile as it is stored", body = ProfileBody))
)]
pub async fn handler(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> ApiResult<Json<ProfileBody>> {
    refuse_builtin(&name)?;
    let (parts, content) = request.into_parts();
    let content = body::read(&parts.headers, content, body::MANAGEMENT_LIMIT).await?;
    body::require_json(&parts.headers)?;
    let mut problems = Vec::new();
    if !is_name(&name) {
        let rule = "a profile's name has 1 to 64 characters of a-z, 0-9 and `-`";
        problems.push(Problem::new("/name", rule));
    }
    let document = check(parse_json(&content)?, &mut problems);
    let Some(document) = document.filter(|_| problems.is_empty()) else {
        return Err(problems.into());
    };
    let stored = app
        .store
        .put_profile(&name, &document, app.clock.now())
        .await?;
    Ok(Json(stored.into()))
}

/// Checks a document as a whole: what `wire` reads of it, and what `domain` reads.
fn check(document: Value, problems: &mut Vec<Problem>) -> Option<Value> {
    let profile = match Profile::from_document(document) {
        Ok(profile) => profile,
        Err(error) => {
            problems.extend(error.into_problems().into_iter().map(to_problem));
            return None;
        }
    };
    match DeliveryPolicy::parse(profile.success(), profile.retry(), profile.timeout()) {
        Ok(_policy) => Some(profile.document().clone()),
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

/// Refuses to change what comes with Signpost.
pub(super) fn refuse_builtin(name: &str) -> ApiResult<()> {
    if find_builtin(name).is_none() {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::ProfileReadOnly,
        format!("The profile `{name}` comes with Signpost. Store your own under another name."),
    ))
}

/// Whether a text can be the name of a profile.
pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(is_plain)
}
