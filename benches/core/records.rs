//! Records to and from bytes.

use std::hint::black_box;

use bellwether::{
    scoring::{IdHash, InfluenceCell, ProfileId, Record, RememberedEvent, Touch},
    store::codec,
};
use criterion::Criterion;

use crate::subjects::{context, model, record_after_40_events, signals};

/// 40 events, 10 counts, 3 touches.
fn typical_record() -> Record {
    let model = model(&signals(50, |number| number % 10));
    let mut record = record_after_40_events(&model, 2);
    for number in 0..3 {
        record.touches.push(Touch {
            event: IdHash::of_event(&format!("touch-{number}")),
            time: context(number).at,
            author_id: ProfileId::new(&format!("author-{number}")).unwrap(),
            topics: vec!["coverage".into()],
            stage: "awareness".into(),
            credit: 2.0,
            origin: None,
        });
    }
    record
}

/// 256 events, 256 credits, 30 cells of influence.
fn hot_record() -> Record {
    let mut record = typical_record();
    let hash = |number: usize| IdHash::of_event(&number.to_string());
    record.memory.remembered = (0..256)
        .map(|number| RememberedEvent::new(context(number).at, hash(number), "visit"))
        .collect();
    let events = record.memory.remembered.iter();
    record.effects.remembered = events.map(RememberedEvent::pair).collect();
    record.influence_time = context(256).at;
    record.influence = (0..30)
        .map(|number| InfluenceCell {
            topic: format!("topic-{:02}", number / 3).into(),
            stage: ["awareness", "consideration", "customer"][number % 3].into(),
            credit: 3.5,
            touches: 40,
            advance_millionths: 1_500_000,
        })
        .collect();
    record
}

pub fn print_record_size() {
    let record = typical_record();
    let ids = Record {
        memory: record.memory.clone(),
        first_seen_time: record.first_seen_time,
        last_event_time: record.last_event_time,
        ..Record::default()
    };
    let counts: usize = record.counts.iter().map(|group| group.counts.len()).sum();
    let bytes = codec::encode(&record).len();
    println!(
        "a typical record ({} events, {counts} counts, {} touches) takes {bytes} bytes, {} beside the remembered ids",
        record.event_count,
        record.touches.len(),
        bytes - codec::encode(&ids).len(),
    );
}

pub fn encode_records(criterion: &mut Criterion) {
    for (name, record) in [("typical", typical_record()), ("hot", hot_record())] {
        let bytes = codec::encode(&record);
        criterion.bench_function(&format!("decode/{name}"), |bencher| {
            // With the drop: what is kept would be written to memory that nobody has used yet.
            bencher.iter(|| codec::decode(black_box(&bytes)).unwrap());
        });
        criterion.bench_function(&format!("encode/{name}"), |bencher| {
            bencher.iter(|| codec::encode(black_box(&record)));
        });
    }
}
