//! Reads a tenant and turns its rows into its directory. What cannot be read (a pattern or filter that an
//! older version let through) is logged and left out: it must not stop the rest.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use signpost_domain::{
    EventType, Filter, Pattern, RetryPolicy, Schema, TenantId, policy::parse_timeout,
};
use signpost_egress::{Rules, Target};
use signpost_store::{DirectoryEndpoint, LiveSecret, StoreError, Validation};
use zeroize::Zeroizing;

use super::{
    Directory, EndpointEntry, LoadedProfile, Overrides, Secrets, TenantDirectory, TypeSchema,
};

/// Endpoints that are read at once: the rows of a large tenant would take several times the memory
/// of what is made of them.
const PAGE: usize = 500;

impl Directory {
    /// Reads a tenant; `None` if there is no such tenant.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub(super) async fn read(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<TenantDirectory>, StoreError> {
        let now = self.clock.now();
        let Some(row) = self.store.load_tenant(tenant, now).await? else {
            return Ok(None);
        };
        let schemas = schemas(row.event_types);
        let mut directory = TenantDirectory::new(row.version, secrets(row.secrets), schemas);
        let mut last = None;
        loop {
            let page = self
                .store
                .load_endpoints(tenant, last.as_ref(), PAGE, now)
                .await?;
            let is_last = page.len() < PAGE;
            last = page.last().map(|row| row.endpoint.id.clone());
            for row in page {
                if let Some((entry, patterns)) = self.prepare(row).await? {
                    directory.add(entry, &patterns);
                }
            }
            if is_last {
                return Ok(Some(directory));
            }
        }
    }

    /// An endpoint and what it wants; `None` when it cannot get anything.
    async fn prepare(
        &self,
        row: DirectoryEndpoint,
    ) -> Result<Option<(EndpointEntry, Vec<Pattern>)>, StoreError> {
        let name = &row.endpoint.settings.profile;
        let Some(profile) = self.profiles.newest(name).await? else {
            tracing::error!(endpoint.id = %row.endpoint.id, profile = name, "an endpoint's profile is missing; the endpoint gets nothing");
            return Ok(None);
        };
        Ok(entry(row, profile, &self.rules))
    }
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
    let entry = EndpointEntry {
        status: settings.status,
        target: Target::parse(&settings.url, rules),
        headers: headers(&settings.headers),
        rate_limit: settings.rate_limit,
        id: id.clone(),
        secrets: secrets(row.secrets),
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
