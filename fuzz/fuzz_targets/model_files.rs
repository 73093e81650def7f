//! Any text as a model file; see `src/model_files.rs`.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    match bellwether_fuzz::model_files::run(data) {
        true => Corpus::Keep,
        false => Corpus::Reject,
    }
});
