//! The database, for the few commands that need it directly: `doctor` and `secrets reencrypt`.
//! Through `signpost-store` only.

use std::time::Duration;

use signpost_runtime::error_chain;
use signpost_store::{KeyRing, Store, StoreConfig, StoreError};

use crate::config::Environment;
use crate::error::{CliError, Result};

/// The variable with the master keys.
pub const MASTER_KEYS: &str = "SIGNPOST_MASTER_KEYS";

/// A key ring that opens nothing, for those who only look at the server.
const NO_KEYS: &str = "none:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The database's URL: what was given, or `SIGNPOST_DATABASE_URL` (or its `_FILE` twin).
pub fn url(given: Option<&str>, env: &Environment) -> Result<Option<String>> {
    match given {
        Some(url) => Ok(Some(url.to_owned())),
        None => env.secret("SIGNPOST_DATABASE_URL"),
    }
}

/// The master keys of the environment, if there are any.
///
/// # Errors
/// They are there and cannot be read.
pub fn master_keys(env: &Environment) -> Result<Option<KeyRing>> {
    let text = env.secret(MASTER_KEYS)?;
    text.map(|text| KeyRing::parse(&text).map_err(|error| CliError::Usage(error.to_string())))
        .transpose()
}

/// A store for this database; connects when it is first used.
pub fn open(url: String, keys: Option<KeyRing>) -> Result<Store> {
    let keys = match keys {
        Some(keys) => keys,
        None => KeyRing::parse(NO_KEYS).map_err(|error| CliError::Other(error.into()))?,
    };
    let config = StoreConfig {
        max_connections: 1,
        acquire_timeout: Duration::from_secs(2),
        application_name: "signpost".to_owned(),
        ..StoreConfig::new(url, keys)
    };
    Store::connect(config).map_err(|error| describe(&error))
}

/// An error of the store with its causes, on one line.
pub fn describe(error: &StoreError) -> CliError {
    CliError::Failed(format!("failed to {}", error_chain(error)))
}
