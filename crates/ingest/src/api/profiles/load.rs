//! Finds a profile by its name, built in or stored, and prepares it.

use signpost_domain::{DeliveryPolicy, Problem};
use signpost_wire::{Profile, ProfileProblem, find_builtin};

use crate::{
    app::Parts,
    error::{ApiError, ApiResult},
};

/// A profile, ready to render, sign and judge.
#[derive(Debug, Clone)]
pub struct LoadedProfile {
    /// Its name.
    pub name: String,
    /// Its version; 0 for a built-in one.
    pub version: i32,
    /// What requests look like.
    pub wire: Profile,
    /// How answers are judged.
    pub policy: DeliveryPolicy,
}

/// The profile as it is now; `None` if there is none of this name.
///
/// # Errors
/// The database cannot be reached.
pub async fn newest(app: &Parts, name: &str) -> ApiResult<Option<LoadedProfile>> {
    if let Some(wire) = find_builtin(name) {
        return prepare(name, 0, wire).map(Some);
    }
    match app.store.find_profile(name).await? {
        Some(stored) => read(stored).map(Some),
        None => Ok(None),
    }
}

/// The very version that a delivery was made with.
///
/// # Errors
/// The database cannot be reached.
pub async fn at_version(app: &Parts, name: &str, version: i32) -> ApiResult<Option<LoadedProfile>> {
    if version == 0 {
        let wire = find_builtin(name);
        return wire.map(|wire| prepare(name, 0, wire)).transpose();
    }
    match app.store.find_profile_version(name, version).await? {
        Some(stored) => read(stored).map(Some),
        None => Ok(None),
    }
}

fn read(stored: signpost_store::StoredProfile) -> ApiResult<LoadedProfile> {
    let wire =
        Profile::from_document(stored.document).map_err(|error| ApiError::internal(&error))?;
    prepare(&stored.name, stored.version, wire)
}

fn prepare(name: &str, version: i32, wire: Profile) -> ApiResult<LoadedProfile> {
    let policy = DeliveryPolicy::parse(wire.success(), wire.retry(), wire.timeout());
    // Checked when it was stored.
    let policy = policy.map_err(|_problems| {
        ApiError::internal_text(format!("the policy of profile {name} cannot be read"))
    })?;
    Ok(LoadedProfile {
        name: name.to_owned(),
        version,
        wire,
        policy,
    })
}

/// Problems of a profile document in the words of the API.
pub fn to_problem(problem: ProfileProblem) -> Problem {
    Problem::new(problem.pointer, problem.detail)
}
