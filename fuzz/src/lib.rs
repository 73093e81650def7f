//! The targets: each takes any bytes, and fails where something does not hold of them. The fuzzer
//! runs them, and `tests/fuzzed/` on a few inputs with every other test.

pub mod events;
pub mod model_files;
pub mod page_tokens;
pub mod records;

mod person;
