//! Changes an endpoint.

use axum::{Json, extract::State};
use secrecy::ExposeSecret;
use serde_json::Value;
use signpost_domain::{EndpointId, TenantId};
use signpost_store::{Endpoint, EndpointUpdate, SecretScope};
use signpost_wire::Scope;

use super::{
    create::{check_tenant_secret, read_profile},
    model::{EndpointBody, EndpointChanges},
    settings::{Settings, check_custom_headers},
};
use crate::{
    api::{
        profiles::load::LoadedProfile,
        secrets::model::{generate, scope_of},
    },
    app::{App, Parts},
    door::Tenant,
    error::{ApiError, ApiResult, ErrorCode},
    http::{Fields, Id, JsonBody},
};

/// Changes an endpoint
///
/// What is not named stays as it is; `null` takes a setting back to its default. A paused endpoint
/// that becomes `active` gets what was held, oldest first.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}/endpoints/{id}", tag = "Endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The endpoint's id", example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    request_body = Option<EndpointChanges>,
    responses((status = 200, description = "The endpoint as it is now", body = EndpointBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EndpointId>,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<Json<EndpointBody>> {
    let before = app.store.find_endpoint(&tenant, &id).await?;
    let before = before.ok_or_else(ApiError::not_found)?;
    for name in ["name", "url", "events", "status"] {
        if fields.names(name) && !fields.has(name) {
            fields.problem(name, "this cannot be null");
        }
    }
    if fields.names("secret") {
        fields.problem("secret", "a secret is changed with POST …/secret/rotate");
        drop(fields.any("secret"));
    }
    let settings = Settings::read(&mut fields, &app.egress);
    check_against_profile(&app, &tenant, &mut fields, &settings, &before).await?;
    fields.finish()?;
    let read_at = before.updated_at;
    let Some(settings) = settings.onto(Some(before.settings)) else {
        return Err(ApiError::internal_text(
            "a change of an endpoint lacks something",
        ));
    };
    let now = app.clock.now();
    match app
        .store
        .update_endpoint(&tenant, &id, &settings, read_at, now)
        .await?
    {
        EndpointUpdate::Updated(endpoint) => Ok(Json(EndpointBody::from(*endpoint))),
        EndpointUpdate::Outdated => Err(ApiError::new(
            ErrorCode::Conflict,
            "Somebody else has just changed this endpoint. Look at it and try again.",
        )
        .retry_after(1)),
        EndpointUpdate::Missing => Err(ApiError::not_found()),
    }
}

/// Checks what depends on the profile, the new one or the one that stays.
async fn check_against_profile(
    app: &Parts,
    tenant: &TenantId,
    fields: &mut Fields,
    settings: &Settings,
    before: &Endpoint,
) -> ApiResult<()> {
    let (new, old) = (
        settings.profile.as_deref(),
        before.settings.profile.as_str(),
    );
    let is_changed = new.is_some_and(|new| new != old);
    if !is_changed && settings.headers.is_none() {
        return Ok(());
    }
    let Some(profile) = read_profile(app, fields, Some(new.unwrap_or(old))).await? else {
        return Ok(());
    };
    match (&settings.headers, &before.settings.headers) {
        (Some(headers), _) | (None, Value::Object(headers)) => {
            check_custom_headers(fields, headers, &profile.wire);
        }
        (None, _) => {}
    }
    if is_changed {
        check_secret_fits(app, tenant, fields, &before.id, &profile).await?;
    }
    Ok(())
}

/// The secrets that the endpoint has must fit its new profile; one that it lacks is made.
async fn check_secret_fits(
    app: &Parts,
    tenant: &TenantId,
    fields: &mut Fields,
    id: &EndpointId,
    profile: &LoadedProfile,
) -> ApiResult<()> {
    match scope_of(&profile.wire) {
        None => Ok(()),
        Some(Scope::Tenant) => check_tenant_secret(app, tenant, fields, profile).await,
        Some(Scope::Endpoint) => {
            let (scope, now) = (SecretScope::Endpoint(id), app.clock.now());
            let live = app.store.live_secrets(tenant, scope, now).await?;
            if live.is_empty() {
                let (secret, overlap) = (generate(Some(&profile.wire)), std::time::Duration::ZERO);
                app.store
                    .rotate_secret(tenant, scope, &secret, overlap, now)
                    .await?;
            }
            for secret in &live {
                if let Err(error) = profile.wire.signing_key(secret.secret.expose_secret()) {
                    let detail = format!(
                        "the endpoint's secret does not fit this profile ({error}); create an \
                         endpoint with this profile instead"
                    );
                    fields.problem("profile", detail);
                    break;
                }
            }
            Ok(())
        }
    }
}
