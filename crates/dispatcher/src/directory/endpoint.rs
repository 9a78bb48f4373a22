//! An endpoint as the dispatcher sees it: everything an attempt needs, prepared once.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};
use signpost_domain::{DeliveryPolicy, EndpointId, EndpointStatus, Filter, RetryPolicy};
use signpost_egress::{Target, TargetError};
use signpost_wire::{Profile, SecretError, SigningKey};
use zeroize::Zeroizing;

/// A profile at one version, ready to render, sign and judge.
#[derive(Debug)]
pub struct LoadedProfile {
    /// Its name.
    pub name: String,
    /// Its version; 0 for built-in profiles, which change only with the program.
    pub version: u32,
    /// How requests look.
    pub wire: Profile,
    /// How answers are judged, when they are retried, how long an attempt may take.
    pub policy: Arc<DeliveryPolicy>,
}

/// A secret that signs now, and until when.
#[derive(Debug, Clone)]
pub(super) struct LiveSecret {
    /// The secret. Its `Debug` text must never be shown; see [`Secrets`].
    text: Zeroizing<String>,
    /// When it stops being valid; `None` for the current one.
    expires_at: Option<DateTime<Utc>>,
}

/// The secrets of an endpoint or a tenant, the longest valid first.
#[derive(Clone, Default)]
pub struct Secrets(Vec<LiveSecret>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// Takes secrets with the times at which they expire.
    pub fn new(
        secrets: impl IntoIterator<Item = (Zeroizing<String>, Option<DateTime<Utc>>)>,
    ) -> Self {
        let mut live: Vec<_> = secrets
            .into_iter()
            .map(|(text, expires_at)| LiveSecret { text, expires_at })
            .collect();
        live.sort_by_key(|secret| {
            std::cmp::Reverse(secret.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC))
        });
        // Collecting may have kept the place of larger rows.
        live.shrink_to_fit();
        Self(live)
    }

    /// The keys that sign with a profile at this time, made anew: that takes less time than
    /// anything else about an attempt, and keys are twice as large as secrets.
    ///
    /// # Errors
    /// When one of them is no key for the profile.
    pub fn keys(
        &self,
        profile: &Profile,
        now: DateTime<Utc>,
    ) -> Result<Vec<SigningKey>, SecretError> {
        if profile.signature().is_none() {
            return Ok(Vec::new());
        }
        self.0
            .iter()
            .take_while(|secret| secret.expires_at.is_none_or(|at| at > now))
            .map(|secret| profile.signing_key(&secret.text))
            .collect()
    }
}

/// An endpoint, as it is now.
#[derive(Debug)]
pub struct EndpointEntry {
    /// Its id.
    pub id: EndpointId,
    /// Whether it gets deliveries.
    pub status: EndpointStatus,
    /// Where requests go, or why they cannot (the rules may have changed since registration).
    pub target: Result<Target, TargetError>,
    /// Its profile. A delivery keeps the one it was made with.
    pub profile: Arc<LoadedProfile>,
    /// The endpoint's own secrets.
    pub secrets: Secrets,
    /// What its settings say instead of the profile.
    pub overrides: Overrides,
    /// Its profile's policy with the overrides; shared where there are none.
    pub policy: Arc<DeliveryPolicy>,
    /// Its own headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Conditions on the event's data.
    pub filter: Option<Filter>,
    /// Requests per second.
    pub rate_limit: Option<u32>,
}

/// What an endpoint sets itself: these go before the profile's.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Its own retry schedule.
    pub retry: Option<Box<RetryPolicy>>,
    /// Its own timeout.
    pub timeout: Option<Duration>,
}

impl Overrides {
    /// The policy of a delivery that was made with `profile`.
    pub fn apply(&self, profile: &LoadedProfile) -> Arc<DeliveryPolicy> {
        let mut policy = Arc::clone(&profile.policy);
        if let Some(retry) = &self.retry {
            Arc::make_mut(&mut policy).retry = RetryPolicy::clone(retry);
        }
        if let Some(timeout) = self.timeout {
            Arc::make_mut(&mut policy).timeout = timeout;
        }
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_secret_signs_no_more_and_the_current_one_is_first() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        let secrets = Secrets::new([
            (
                Zeroizing::new("first-secret-0123456789".to_owned()),
                at(100),
            ),
            (Zeroizing::new("third-secret-0123456789".to_owned()), None),
            (
                Zeroizing::new("second-secret-0123456789".to_owned()),
                at(200),
            ),
        ]);
        let profile = signpost_wire::find_builtin("stripe").unwrap();
        let valid = |seconds| {
            let now = at(seconds).unwrap();
            secrets.keys(&profile, now).unwrap().len()
        };
        assert_eq!(
            [valid(99), valid(100), valid(199), valid(200)],
            [3, 2, 2, 1]
        );
        assert_eq!(format!("{secrets:?}"), "3 secrets");
    }
}
