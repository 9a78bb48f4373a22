//! What lists share: how many, and from when to when.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use signpost_domain::{Clock, parse_duration};

use crate::error::{CliError, Result};

/// How many items of a list.
#[derive(Debug, Clone, Args)]
pub struct Paging {
    /// At most this many items
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "all")]
    pub limit: usize,
    /// Every item, however many pages that takes
    #[arg(long)]
    pub all: bool,
}

impl Paging {
    /// The most items that are wanted.
    pub fn most(&self) -> usize {
        if self.all {
            usize::MAX
        } else {
            self.limit.max(1)
        }
    }
}

/// From when to when.
#[derive(Debug, Clone, Default, Args)]
pub struct Window {
    /// Not older than this: a time (2026-01-31T12:00:00Z) or how long ago (30m, 2h, 7d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Older than this: a time or how long ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

impl Window {
    /// Both ends as RFC 3339 times.
    pub fn resolve(&self, clock: &Arc<dyn Clock>) -> Result<(Option<String>, Option<String>)> {
        let read = |text: &Option<String>| {
            text.as_deref()
                .map(|text| moment(text, clock.now()))
                .transpose()
        };
        Ok((read(&self.since)?, read(&self.until)?))
    }
}

/// A time, or a duration before `now`, as an RFC 3339 time in UTC.
pub(super) fn moment(text: &str, now: DateTime<Utc>) -> Result<String> {
    let time = match (DateTime::parse_from_rfc3339(text), parse_duration(text)) {
        (Ok(time), _) => time.to_utc(),
        (Err(_), Ok(ago)) => now - ago,
        (Err(_), Err(_)) => {
            return Err(CliError::Usage(format!(
                "{text:?} is neither a time such as 2026-01-31T12:00:00Z nor a duration such as 2h"
            )));
        }
    };
    Ok(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let now = DateTime::parse_from_rfc3339("2026-01-31T12:00:00Z")
            .unwrap()
            .to_utc();
        assert_eq!(moment("2h", now).unwrap(), "2026-01-31T10:00:00Z");
        assert_eq!(
            moment("2026-01-01T01:00:00+01:00", now).unwrap(),
            "2026-01-01T00:00:00Z"
        );
        assert!(matches!(moment("yesterday", now), Err(CliError::Usage(_))));
    }
}
