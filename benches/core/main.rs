//! What the core costs: counting an event, each kind of condition, reading a model,
//! folding, records to and from bytes, and the search for topics. Prints the encoded size
//! of a typical record first.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod events;
mod models;
mod ratios;
mod records;
mod subjects;

use std::time::Duration;

use criterion::Criterion;

use self::{
    events::{count_events, evaluate_conditions, fold, take_all_steps},
    models::{find_topics, read_models},
    ratios::print_ratios,
    records::{encode_records, print_record_size},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    print_record_size();
    // With `--test` every case runs once, to see that it works.
    let is_test = std::env::args().any(|argument| argument == "--test");
    print_ratios(if is_test { 1 } else { 500 });
    count_events(&mut criterion);
    evaluate_conditions(&mut criterion);
    take_all_steps(&mut criterion);
    read_models(&mut criterion);
    fold(&mut criterion);
    encode_records(&mut criterion);
    find_topics(&mut criterion);
    criterion.final_summary();
}
