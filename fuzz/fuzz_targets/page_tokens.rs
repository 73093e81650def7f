//! Any text as a page token; see `src/page_tokens.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bellwether_fuzz::page_tokens::run(data));
