//! libFuzzer's entry to the target `event_amqp` of `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    signpost_e2e::fuzz::run("event_amqp", data);
});
