//! PostgreSQL: reachable, of a version that works, migrated, with a right clock, and secrets that
//! the master keys open.

use std::sync::Arc;

use signpost_domain::Clock;
use signpost_store::ServerInfo;

use super::api::compare_clocks;
use super::check::Check;
use crate::config::Environment;
use crate::database::{describe, master_keys, open};

/// The oldest major version that is tested.
const OLDEST: u32 = 13;

pub(super) async fn look(
    url: Option<String>,
    env: &Environment,
    clock: &Arc<dyn Clock>,
) -> Vec<Check> {
    let Some(url) = url else {
        let why = "no URL: set SIGNPOST_DATABASE_URL or give --database";
        return vec![Check::skipped("database", why)];
    };
    let keys = match master_keys(env) {
        Ok(keys) => keys,
        Err(error) => {
            let to_do = "correct SIGNPOST_MASTER_KEYS: kid:base64 of 32 bytes, several with commas";
            return vec![Check::bad("master keys", error.to_string(), to_do)];
        }
    };
    let has_keys = keys.is_some();
    let store = match open(url, keys) {
        Ok(store) => store,
        Err(error) => {
            let to_do = "write SIGNPOST_DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/DATABASE";
            return vec![Check::bad("database", error.to_string(), to_do)];
        }
    };
    let info = match store.server_info().await {
        Ok(info) => info,
        Err(error) => {
            let to_do = "start PostgreSQL, or correct SIGNPOST_DATABASE_URL";
            return vec![Check::bad("database", describe(&error).to_string(), to_do)];
        }
    };
    let mut checks = vec![judge_version(&info), judge_migrations(&info)];
    checks.push(compare_clocks("database clock", info.now, clock.now()));
    if !has_keys {
        let why =
            "SIGNPOST_MASTER_KEYS is not set here: whether they open the secrets was not tried";
        checks.push(Check::skipped("master keys", why));
    } else if info.migrated_to > 0 {
        checks.push(match store.check_master_keys().await {
            Ok(()) => Check::ok("master keys", "they open the stored secrets"),
            Err(error) => Check::bad(
                "master keys",
                describe(&error).to_string(),
                "put the missing key back into SIGNPOST_MASTER_KEYS; without it those secrets are lost",
            ),
        });
    }
    store.close().await;
    checks
}

fn judge_version(info: &ServerInfo) -> Check {
    let major = info
        .version
        .split(['.', ' '])
        .next()
        .and_then(|text| text.parse::<u32>().ok());
    let found = format!("PostgreSQL {}", info.version);
    match major {
        Some(major) if major >= OLDEST => Check::ok("database", found),
        _ => Check::bad("database", found, "update PostgreSQL to 13 or newer"),
    }
}

fn judge_migrations(info: &ServerInfo) -> Check {
    let what = "database schema";
    let found = format!(
        "at migration {}, this program knows {}",
        info.migrated_to, info.known_to
    );
    match info.migrated_to.cmp(&info.known_to) {
        std::cmp::Ordering::Equal => Check::ok(what, found),
        std::cmp::Ordering::Greater => Check::warn(
            what,
            found,
            "this `signpost` is older than the services: update it",
        ),
        std::cmp::Ordering::Less => Check::bad(
            what,
            found,
            "start signpost-ingest of this version: it migrates when it starts",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn info(version: &str, migrated_to: i64) -> ServerInfo {
        let now = chrono::DateTime::UNIX_EPOCH;
        ServerInfo {
            version: version.to_owned(),
            now,
            migrated_to,
            known_to: 4,
        }
    }

    #[test]
    fn versions_and_migrations_are_judged() {
        assert_eq!(
            judge_version(&info("15.7 (Debian 15.7-0+deb12u1)", 4)).state,
            State::Ok
        );
        assert_eq!(judge_version(&info("9.6.24", 4)).state, State::Bad);
        for (migrated_to, state) in [(4, State::Ok), (0, State::Bad), (5, State::Warn)] {
            assert_eq!(judge_migrations(&info("15", migrated_to)).state, state);
        }
    }
}
