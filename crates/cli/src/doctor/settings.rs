//! Settings of the services that can be judged from here: what may be reached, how many files may
//! be open.

use super::check::Check;
use crate::config::Environment;

/// Sockets of attempts, of the API and of the database: fewer open files than this is too few.
const FEWEST_FILES: u64 = 4096;

pub(super) fn look(env: &Environment) -> Vec<Check> {
    let mut checks = vec![egress(env)];
    checks.extend(open_files());
    checks
}

/// What the services may reach, by the variables of this environment.
fn egress(env: &Environment) -> Check {
    let what = "egress settings";
    let allow = env.get("SIGNPOST_EGRESS_ALLOW");
    let https_only = env.get("SIGNPOST_EGRESS_HTTPS_ONLY") != Some("false");
    let ports = env
        .get("SIGNPOST_EGRESS_PORTS")
        .unwrap_or("all but the blocked ones");
    let found = format!(
        "{}; private addresses: {}; ports: {ports}",
        if https_only {
            "https only"
        } else {
            "http and https"
        },
        allow.unwrap_or("none"),
    );
    match (https_only, allow) {
        (true, None) => Check::ok(what, found),
        (false, _) => Check::warn(
            what,
            found,
            "for trying things out only: in production leave SIGNPOST_EGRESS_HTTPS_ONLY at true",
        ),
        (true, Some(_)) => Check::warn(
            what,
            found,
            "SIGNPOST_EGRESS_ALLOW lets customers' URLs reach these private addresses; leave it \
             unset unless that is wanted",
        ),
    }
}

/// How many files a process of this user may open.
fn open_files() -> Option<Check> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let limit = line.split_ascii_whitespace().next()?;
    let what = "open files";
    let found = format!("{limit} allowed");
    match limit.parse::<u64>() {
        Ok(limit) if limit < FEWEST_FILES => {
            let to_do = "raise the limit (ulimit -n 65536, or LimitNOFILE= of the unit)";
            Some(Check::warn(what, found, to_do))
        }
        _ => Some(Check::ok(what, found)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn open_doors_are_pointed_out() {
        assert_eq!(egress(&Environment::default()).state, State::Ok);
        let demo = Environment::of([
            ("SIGNPOST_EGRESS_ALLOW", "127.0.0.0/8"),
            ("SIGNPOST_EGRESS_HTTPS_ONLY", "false"),
        ]);
        let check = egress(&demo);
        assert_eq!(check.state, State::Warn);
        assert!(check.found.contains("127.0.0.0/8"), "{}", check.found);
    }
}
