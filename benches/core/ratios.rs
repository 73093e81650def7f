//! Two cases beside each other.

use std::hint::black_box;

use bellwether::scoring::Record;

use crate::subjects::{
    CONDITIONS, by_key, conditional_signals, context, count, event, five_of, model, other_types,
    record_after_40_events, signals,
};

/// What an event costs in one case for each unit of another, measured in turns, so that whatever
/// else the machine does falls on both.
pub fn print_ratios(turns: usize) {
    let plain = || model(&signals(50, |number| number % 10));
    let five = conditional_signals(&CONDITIONS[..5]);
    let conditional = model(&(signals(50, |number| number % 10) + &five));
    let cases = [
        (
            "5 of 50 signals match, with 5 plain conditions against none",
            conditional,
            plain(),
        ),
        ("the same with 5 loops", five_of("exists"), plain()),
        (
            "the same with 5 that make a list",
            five_of("filter"),
            plain(),
        ),
        (
            "200 signals of other types against none",
            other_types(200),
            other_types(0),
        ),
        (
            "a signal by 8 keys against one not by key",
            by_key(true),
            by_key(false),
        ),
    ];
    for (name, one, other) in cases {
        let records = [
            record_after_40_events(&one, 2),
            record_after_40_events(&other, 2),
        ];
        let event = event(40, "type_0");
        let mut best = [f64::INFINITY; 2];
        for _ in 0..turns {
            for (position, model) in [&one, &other].into_iter().enumerate() {
                let clones: Vec<Record> = vec![records[position].clone(); 200];
                let start = std::time::Instant::now();
                let counted = clones
                    .into_iter()
                    .map(|record| count(model, record, &event, &context(40)));
                let counted: Vec<_> = counted.collect();
                let each = start.elapsed().as_secs_f64() / 200.0;
                drop(black_box(counted));
                best[position] = best[position].min(each);
            }
        }
        let [one, other] = best.map(|seconds| seconds * 1e6);
        println!(
            "{name}: {:.2} times ({one:.2} and {other:.2} µs)",
            one / other
        );
    }
}
