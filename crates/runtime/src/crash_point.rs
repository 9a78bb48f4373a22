//! Named places where a test can make the process die, to see that nothing is lost there.
//!
//! Only debug builds have them; in release builds these are empty functions. The variable
//! `FAILPOINTS` says where and when, as the crate `fail` reads it: `after-post=20*off->return` lets
//! twenty pass and dies at the next, and `fan-out-of=return(a.b)` dies there of `a.b` alone.

/// Ends the process without any clearing up, if a test wants it to end here.
#[inline]
#[cfg(not(debug_assertions))]
pub const fn crash_point(_name: &'static str) {}

/// Ends the process without any clearing up, if a test wants it to end here of this thing.
#[inline]
#[cfg(not(debug_assertions))]
pub const fn crash_point_at(_name: &'static str, _thing: &str) {}

/// Ends the process without any clearing up, if a test wants it to end here.
#[cfg(debug_assertions)]
pub fn crash_point(name: &'static str) {
    read_orders();
    fail::fail_point!(name, |_| std::process::abort());
}

/// Ends the process without any clearing up, if a test wants it to end here of this thing.
#[cfg(debug_assertions)]
pub fn crash_point_at(name: &'static str, thing: &str) {
    read_orders();
    fail::fail_point!(name, |deadly: Option<String>| {
        if deadly.is_some_and(|deadly| deadly == thing) {
            std::process::abort();
        }
    });
}

#[cfg(debug_assertions)]
#[expect(
    clippy::disallowed_methods,
    reason = "no configuration: an order of the end to end tests, which debug builds alone obey"
)]
fn read_orders() {
    static FROM_ENVIRONMENT: std::sync::Once = std::sync::Once::new();
    FROM_ENVIRONMENT.call_once(|| {
        let orders = std::env::var("FAILPOINTS").unwrap_or_default();
        for (point, order) in orders.split(';').filter_map(|text| text.split_once('=')) {
            if let Err(error) = fail::cfg(point, order) {
                tracing::error!(point, order, error, "FAILPOINTS cannot be read");
            }
        }
    });
}
