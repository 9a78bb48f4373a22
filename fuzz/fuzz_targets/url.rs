//! libFuzzer's entry to the target `url` of `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    signpost_e2e::fuzz::run("url", data);
});
