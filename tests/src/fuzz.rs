//! What must hold for any bytes whatever, where Signpost reads what others wrote.
//!
//! Each target takes any bytes and panics where a promise is broken: reading never panics, what is
//! accepted is valid, and what is written is read back the same. libFuzzer runs them (`./dev fuzz`,
//! `fuzz/`), and so does `tests/it/fuzz.rs`, over the seeds in `fuzz/corpus` and mutations of them.
//!
//! Parts of one input are separated by a line of its own: see [`split`].

mod events;
mod messages;
mod profiles;
mod rules;

/// A target's body. It says whether the input was accepted: inputs that never are test little.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name, which is also that of its folder of seeds.
pub const TARGETS: [(&str, Target); 12] = [
    ("event_http", events::http),
    ("event_batch", events::batch),
    ("event_amqp", messages::event),
    ("delivery_amqp", messages::delivery),
    ("rejected_amqp", messages::rejected),
    ("profile", profiles::profile),
    ("filter", rules::filter),
    ("pattern", rules::pattern),
    ("schema", rules::schema),
    ("retry", rules::retry),
    ("headers", rules::headers),
    ("url", rules::url),
];

/// Runs one target and says whether the input was accepted.
///
/// # Panics
/// There is no such target, or a promise is broken.
pub fn run(name: &str, data: &[u8]) -> bool {
    let target = TARGETS.iter().find(|(other, _)| *other == name);
    let (_, target) = target.expect("a target of this name");
    target(data)
}

/// The input before and after its first line that is `--` alone. Without one, all of it and nothing.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let line = b"\n--\n";
    match data.windows(line.len()).position(|window| window == line) {
        Some(at) => (&data[..at], &data[at + line.len()..]),
        None => (data, b""),
    }
}
