//! Makes a key.

use std::time::Duration;

use axum::{Json, extract::State};
use chrono::TimeDelta;
use http::StatusCode;
use secrecy::ExposeSecret;
use signpost_domain::{KeyId, parse_duration};
use signpost_store::ApiKey;

use super::model::{KeyBody, KeySettings, NewKey};
use crate::{
    app::App,
    auth::{Role, key},
    door::{Scope, Tenant},
    error::{ApiError, ApiResult},
    http::{Fields, JsonBody},
};

/// A portal key without `expires_in` is valid for this long.
const PORTAL_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Shortest life of a key.
const MIN_LIFE: Duration = Duration::from_secs(1);

/// Makes a key
///
/// The key is shown in this answer and never again.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/keys", tag = "Keys",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    request_body = KeySettings,
    responses((status = 201, description = "The key", body = NewKey))
)]
pub async fn handler(
    State(app): State<App>,
    scope: Scope,
    Tenant(tenant): Tenant,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<(StatusCode, Json<NewKey>)> {
    let role = read_role(&mut fields);
    let expires_in = read_life(&mut fields);
    fields.finish()?;
    let Some(role) = role else {
        return Err(ApiError::internal_text(
            "a key without a role passed its checks",
        ));
    };
    if role == Role::Admin && scope.caller.role != Role::Admin {
        return Err(scope.caller.forbidden());
    }
    let now = app.clock.now();
    let life = expires_in.or((role == Role::Portal).then_some(PORTAL_LIFE));
    let id = KeyId::generate(now, rand::random());
    let text = key::make(&id, &rand::random());
    let stored = ApiKey {
        id,
        role,
        tenant: (role != Role::Admin).then_some(tenant),
        created_at: now,
        // A duration is at most ten years, so this neither fails nor overflows.
        expires_at: life
            .and_then(|life| TimeDelta::from_std(life).ok())
            .map(|life| now + life),
        last_used_at: None,
    };
    if !app
        .store
        .insert_key(&stored, &key::hash(text.expose_secret()))
        .await?
    {
        return Err(ApiError::not_found());
    }
    let answer = NewKey {
        key: text.expose_secret().to_owned(),
        about: KeyBody::from(stored),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

fn read_role(fields: &mut Fields) -> Option<Role> {
    let role = fields.parsed("role", |text| {
        Role::parse(text).ok_or("write `admin`, `manager`, `publisher` or `portal`")
    });
    fields.require("role", role.is_some());
    role
}

fn read_life(fields: &mut Fields) -> Option<Duration> {
    let life = fields.parsed("expires_in", parse_duration)?;
    if life < MIN_LIFE {
        fields.problem("expires_in", "a key is valid for a second at least");
    }
    Some(life)
}
