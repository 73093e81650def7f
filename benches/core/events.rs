//! Counting events, each kind of condition, and folding.

use bellwether::scoring::{
    AttributeValue, Event, EventOutcome, Model, ProfileId, Record, RecordEdit, apply,
};
use criterion::{BatchSize, Criterion};

use crate::subjects::{
    CONDITIONS, by_key, conditional_signals, context, count, event, five_of, model, other_types,
    record_after_40_events, signals,
};

fn bench_apply(criterion: &mut Criterion, name: &str, model: &Model, types: usize) {
    let record = record_after_40_events(model, types);
    let event = event(40, "type_0");
    let context = context(40);
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            || record.clone(),
            |record| count(model, record, &event, &context),
            BatchSize::SmallInput,
        );
    });
}

pub fn count_events(criterion: &mut Criterion) {
    for count in [10, 50, 200] {
        let all = signals(count, |_| 0);
        let spread = signals(count, |number| number % 10);
        bench_apply(
            criterion,
            &format!("apply/all match/{count}"),
            &model(&all),
            1,
        );
        bench_apply(
            criterion,
            &format!("apply/of 10 types/{count}"),
            &model(&spread),
            2,
        );
    }
    let five = conditional_signals(&CONDITIONS[..5]);
    let with = |count: usize| signals(count, |number| number % 10) + &five;
    for count in [10, 50, 200] {
        let model = model(&with(count));
        bench_apply(criterion, &format!("apply/5 conditions/{count}"), &model, 2);
    }
    bench_apply(criterion, "apply/5 loops/50", &five_of("exists"), 2);
    bench_apply(
        criterion,
        "apply/5 that make a list/50",
        &five_of("filter"),
        2,
    );
    bench_apply(criterion, "apply/not by key", &by_key(false), 1);
    bench_apply(criterion, "apply/by 8 keys", &by_key(true), 1);
    bench_apply(criterion, "apply/10 match, others/0", &other_types(0), 1);
    bench_apply(
        criterion,
        "apply/10 match, others/200",
        &other_types(200),
        1,
    );
}

pub fn evaluate_conditions(criterion: &mut Criterion) {
    let unconditional = conditional_signals(&[("", "true")]);
    let model_of = |source: &str| model(source);
    bench_apply(
        criterion,
        "condition/none",
        &model_of(&unconditional.replace("when = 'true'\n", "")),
        1,
    );
    for condition in CONDITIONS {
        let model = model_of(&conditional_signals(&[condition]));
        bench_apply(criterion, &format!("condition/{}", condition.0), &model, 1);
    }
}

/// An event whose expressions take all the steps that an event may take, and are cut off.
pub fn take_all_steps(criterion: &mut Criterion) {
    let condition = ("", "event.attributes.amounts.exists(amount, amount == -1)");
    let model = model(&conditional_signals(&[condition; 120]));
    let mut event = event(40, "type_0");
    let amounts = (0..900).map(|amount| AttributeValue::Number(f64::from(amount)));
    let amounts = AttributeValue::List(amounts.collect());
    event.attributes.insert("amounts".to_owned(), amounts);
    let counted = apply(&model, Record::default(), &event, &context(40)).1;
    assert!(!counted.failed_rules.is_empty(), "nothing was cut off");
    criterion.bench_function("apply/all steps that an event may take", |bencher| {
        bencher.iter(|| apply(&model, Record::default(), &event, &context(40)));
    });
}

pub fn fold(criterion: &mut Criterion) {
    let model = model(&signals(50, |number| number % 10));
    let record = record_after_40_events(&model, 2);
    let events: Vec<Event> = (40..104)
        .map(|number| event(number, &format!("type_{}", number % 2)))
        .collect();
    let ann = ProfileId::new("person-4711").unwrap();
    criterion.bench_function("fold/64 events in one write", |bencher| {
        bencher.iter_batched(
            || record.clone(),
            |record| {
                let mut edit = RecordEdit::new(&model, ann.clone(), record);
                for (number, event) in events.iter().enumerate() {
                    let outcome = edit.apply(event, &context(40 + number));
                    assert!(matches!(outcome, EventOutcome::Applied { .. }));
                }
                edit.finish()
            },
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("fold/64 events in 64 writes", |bencher| {
        bencher.iter_batched(
            || record.clone(),
            |mut record| {
                for (number, event) in events.iter().enumerate() {
                    record = count(&model, record, event, &context(40 + number)).record;
                }
                record
            },
            BatchSize::SmallInput,
        );
    });
}
