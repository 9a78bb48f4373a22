//! libFuzzer's entry to the target `headers` of `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    signpost_e2e::fuzz::run("headers", data);
});
