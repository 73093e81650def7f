//! Events as they come over the wire or from a file; see `src/events.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bellwether_fuzz::events::run(data));
