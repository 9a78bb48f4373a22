//! Creates an endpoint.

use axum::{Json, extract::State};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use signpost_domain::{EndpointId, TenantId};
use signpost_wire::{DEFAULT_PROFILE, Scope, Signature};

use super::{
    model::{EndpointBody, EndpointSettings, NewEndpoint},
    settings::{Settings, check_custom_headers},
};
use crate::{
    api::{
        profiles::load::{self, LoadedProfile},
        secrets::{
            self,
            model::{generate, public_key, read_secret, scope_of},
        },
    },
    app::{App, Parts},
    door::Tenant,
    error::{ApiError, ApiResult},
    http::{Fields, JsonBody},
};

/// Creates an endpoint
///
/// The answer holds the secret that its requests are signed with.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/endpoints", tag = "Endpoints",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    request_body = EndpointSettings,
    responses((status = 201, description = "The endpoint with its secret", body = NewEndpoint))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<(StatusCode, Json<NewEndpoint>)> {
    let settings = Settings::read(&mut fields, &app.egress);
    settings.require(&mut fields);
    let profile = read_profile(&app, &mut fields, settings.profile.as_deref()).await?;
    let mut secret = None;
    if let Some(profile) = &profile {
        if let Some(headers) = &settings.headers {
            check_custom_headers(&mut fields, headers, &profile.wire);
        }
        secret = choose_secret(&app, &tenant, &mut fields, profile).await?;
    } else {
        // Cannot be judged without a profile, but are known fields.
        drop((fields.any("secret"), fields.any("force")));
    }
    fields.finish()?;
    let (Some(settings), Some(profile)) = (settings.onto(None), profile) else {
        return Err(ApiError::internal_text(
            "an endpoint lacks what its checks require",
        ));
    };
    let now = app.clock.now();
    let id = EndpointId::generate(now, rand::random());
    let stored = app
        .store
        .insert_endpoint(&tenant, &id, &settings, secret.as_ref(), now)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let answer = NewEndpoint {
        endpoint: EndpointBody::from(stored),
        public_key: secret
            .as_ref()
            .and_then(|secret| public_key(&profile.wire, secret)),
        secret: secret.map(|secret| secret.expose_secret().to_owned()),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Finds the profile that the endpoint is to have; one that does not exist is noted.
pub(super) async fn read_profile(
    app: &Parts,
    fields: &mut Fields,
    name: Option<&str>,
) -> ApiResult<Option<LoadedProfile>> {
    let profile = load::newest(app, name.unwrap_or(DEFAULT_PROFILE)).await?;
    if profile.is_none() {
        fields.problem(
            "profile",
            "there is no such profile; GET /v1/profiles lists them",
        );
    }
    Ok(profile)
}

/// The endpoint's own secret: the user's, or a strong one. None where the profile signs with the
/// tenant's, which is made now if it was not there, or not at all.
async fn choose_secret(
    app: &Parts,
    tenant: &TenantId,
    fields: &mut Fields,
    profile: &LoadedProfile,
) -> ApiResult<Option<SecretString>> {
    let has_secret = fields.has("secret");
    let is_declined = fields.names("secret") && !has_secret;
    let given = read_secret(fields, Some(&profile.wire));
    let is_required = profile.wire.signature().is_some_and(Signature::is_required);
    match scope_of(&profile.wire) {
        Some(Scope::Endpoint) => {
            // A secret that is wrong is noted; none is made in its place.
            let wants_one = !has_secret && (is_required || !is_declined);
            Ok(given.or_else(|| wants_one.then(|| generate(Some(&profile.wire)))))
        }
        Some(Scope::Tenant) => {
            if has_secret {
                let detail = "this profile signs with the tenant's own secret; leave this out";
                fields.problem("secret", detail);
            }
            check_tenant_secret(app, tenant, fields, profile).await?;
            Ok(None)
        }
        None => {
            if has_secret {
                fields.problem("secret", "this profile signs nothing; leave this out");
            }
            Ok(None)
        }
    }
}

/// Sees to it that the tenant has a secret which the profile can sign with.
pub(super) async fn check_tenant_secret(
    app: &Parts,
    tenant: &TenantId,
    fields: &mut Fields,
    profile: &LoadedProfile,
) -> ApiResult<()> {
    let live = secrets::tenant_secrets(app, tenant).await?;
    for secret in &live {
        if let Err(error) = profile.wire.signing_key(secret.secret.expose_secret()) {
            fields.problem(
                "profile",
                format!(
                    "the tenant's own secret does not fit this profile ({error}); rotate it first"
                ),
            );
            break;
        }
    }
    Ok(())
}
