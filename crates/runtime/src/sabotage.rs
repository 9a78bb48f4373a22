//! Deliberate faults, to see that the tests would notice them.
//!
//! [`sabotaged`] is asked at the places that keep a promise, with the name of its breach. Only
//! debug builds obey: there the variable `SABOTAGE` says which faults there are, separated by
//! commas. In release builds the answer is the constant `false`, and nothing of it is left.
//! `tests/sabotages.tsv` says which test notices which fault, and `./dev sabotage` shows that it
//! does.

use std::time::Duration;

/// The variable that names the faults.
pub const VARIABLE: &str = "SABOTAGE";

/// Longest wait of a test for something that a fault may prevent: it is to be noticed within a
/// minute.
const SHORT_PATIENCE: Duration = Duration::from_secs(30);

/// Whether this fault is wanted.
#[inline]
#[cfg(not(debug_assertions))]
pub const fn sabotaged(_name: &str) -> bool {
    false
}

/// Whether this fault is wanted.
#[cfg(debug_assertions)]
pub fn sabotaged(name: &str) -> bool {
    names().split(',').any(|wanted| wanted == name)
}

/// The faults that are wanted, separated by commas.
#[cfg(not(debug_assertions))]
pub const fn names() -> &'static str {
    ""
}

/// The faults that are wanted, separated by commas.
#[cfg(debug_assertions)]
#[expect(
    clippy::disallowed_methods,
    reason = "no configuration: an order of the end to end tests, which debug builds alone obey"
)]
pub fn names() -> &'static str {
    static NAMES: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var(VARIABLE).unwrap_or_default());
    &NAMES
}

/// How long a test waits that is usually patient for `usual`.
pub fn patience(usual: Duration) -> Duration {
    if names().is_empty() {
        usual
    } else {
        usual.min(SHORT_PATIENCE)
    }
}
