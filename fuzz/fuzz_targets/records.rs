//! Any bytes as a stored record; see `src/records.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bellwether_fuzz::records::run(data));
