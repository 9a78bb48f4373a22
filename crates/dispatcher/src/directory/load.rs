//! Turns a tenant's rows into its directory. What cannot be read (a pattern or filter that an
//! older version let through) is logged and left out: it must not stop the rest.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use signpost_domain::{EventType, Filter, Pattern, RetryPolicy, Schema, policy::parse_timeout};
use signpost_egress::{Rules, Target};
use signpost_store::{DirectoryEndpoint, LiveSecret, StoreError, Validation};
use signpost_wire::Scope;
use zeroize::Zeroizing;

use super::{
    EndpointEntry, LoadedProfile, Overrides, Secrets, TenantDirectory, TypeSchema,
    profiles::Profiles,
};

/// Prepares a tenant's endpoints.
///
/// # Errors
/// The database cannot be asked for a custom profile.
pub(super) async fn directory(
    rows: signpost_store::TenantDirectory,
    profiles: &Profiles,
    rules: &Rules,
) -> Result<TenantDirectory, StoreError> {
    let tenant_secrets = secrets(rows.secrets);
    let mut entries = Vec::with_capacity(rows.endpoints.len());
    for row in rows.endpoints {
        let name = &row.endpoint.settings.profile;
        let Some(profile) = profiles.newest(name).await? else {
            tracing::error!(endpoint.id = %row.endpoint.id, profile = name, "an endpoint's profile is missing; the endpoint gets nothing");
            continue;
        };
        if let Some(entry) = entry(row, profile, &tenant_secrets, rules) {
            entries.push(entry);
        }
    }
    let directory = TenantDirectory::new(rows.version, tenant_secrets, entries);
    Ok(directory.with_schemas(schemas(rows.event_types)))
}

fn schemas(event_types: Vec<signpost_store::EventType>) -> HashMap<EventType, TypeSchema> {
    let mut schemas = HashMap::new();
    for settings in event_types.into_iter().map(|stored| stored.settings) {
        let is_strict = match settings.validation {
            Validation::Off => continue,
            Validation::Warn => false,
            Validation::Reject => true,
        };
        let Some(document) = &settings.schema else {
            continue;
        };
        match Schema::compile(document) {
            Ok(schema) => {
                let entry = TypeSchema { schema, is_strict };
                schemas.insert(settings.event_type, entry);
            }
            Err(error) => {
                tracing::error!(event.r#type = %settings.event_type, error, "a stored schema cannot be used");
            }
        }
    }
    schemas
}

fn entry(
    row: DirectoryEndpoint,
    profile: Arc<LoadedProfile>,
    tenant_secrets: &Secrets,
    rules: &Rules,
) -> Option<(EndpointEntry, Vec<Pattern>)> {
    let signpost_store::Endpoint { id, settings, .. } = row.endpoint;
    let unreadable = |part: &str, detail: String| {
        tracing::error!(endpoint.id = %id, part, detail, "an endpoint's settings cannot be read");
    };
    let filter = match settings
        .filter
        .as_ref()
        .map(|filter| Filter::parse(filter, "/filter"))
    {
        Some(Err(problems)) => {
            // Without its filter it would get what it does not want.
            unreadable("filter", format!("{problems:?}"));
            return None;
        }
        Some(Ok(filter)) => Some(filter),
        None => None,
    };
    let patterns = settings
        .events
        .iter()
        .filter_map(|text| match Pattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                unreadable("events", error.to_string());
                None
            }
        });
    let patterns = patterns.collect();
    let retry =
        settings
            .retry
            .as_ref()
            .and_then(|retry| match RetryPolicy::parse(retry, "/retry") {
                Ok(retry) => Some(Box::new(retry)),
                Err(problems) => {
                    unreadable("retry", format!("{problems:?}"));
                    None
                }
            });
    let timeout: Option<Duration> = settings
        .timeout
        .as_deref()
        .and_then(|text| parse_timeout(text, "/timeout").ok());
    let overrides = Overrides { retry, timeout };
    let secrets = secrets(row.secrets);
    let signing = match profile
        .wire
        .signature()
        .map(signpost_wire::Signature::scope)
    {
        Some(Scope::Tenant) => tenant_secrets,
        Some(Scope::Endpoint) | None => &secrets,
    };
    let keys = signing.prepare(&profile.wire);
    let entry = EndpointEntry {
        status: settings.status,
        target: Target::parse(&settings.url, rules),
        headers: headers(&settings.headers),
        rate_limit: settings.rate_limit,
        id: id.clone(),
        secrets,
        keys,
        policy: overrides.apply(&profile),
        overrides,
        profile,
        filter,
    };
    Some((entry, patterns))
}

fn headers(headers: &serde_json::Value) -> Vec<(HeaderName, HeaderValue)> {
    let pairs = headers.as_object().into_iter().flatten();
    let header = |(name, value): (&String, &serde_json::Value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
    };
    pairs.filter_map(header).collect()
}

/// Secrets that do not open (a master key is missing) leave none: an attempt then says so.
fn secrets(rows: signpost_store::Secrets) -> Secrets {
    match rows {
        Ok(rows) => Secrets::new(rows.into_iter().map(
            |LiveSecret {
                 secret, expires_at, ..
             }| {
                (
                    Zeroizing::new(secret.expose_secret().to_owned()),
                    expires_at,
                )
            },
        )),
        Err(error) => {
            tracing::error!(%error, "a secret cannot be decrypted");
            Secrets::default()
        }
    }
}
