//! What the core costs: counting an event, each kind of condition, reading a model,
//! folding, records to and from bytes, and the search for topics. Prints the encoded size
//! of a typical record first.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{fmt::Write as _, hint::black_box, time::Duration};

use bellwether::{
    scoring::{
        AttributeValue, Attributes, Context, Event, EventOutcome, IdHash, InfluenceCell, Model,
        Outcome, ProfileId, Record, RecordEdit, RememberedEvent, Timestamp, Touch, TypeMark, apply,
    },
    store::codec,
};
use criterion::{BatchSize, Criterion};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECOND: i64 = 1_000_000_000;
/// The first event of every record: 2026-01-01.
const START: i64 = 1_767_225_600 * SECOND;
const FORUM: &str = include_str!("../models/forum.toml");

/// 280 characters without a keyword of the forum's topics, as most texts are.
const QUIET_TEXT: &str = "I have been reading about this for some weeks now and I still wonder \
    whether anybody here has tried it at home, with the usual parts that one finds in a nice \
    shop, and how long it took until the first result could be seen. Mine did nothing at all \
    for days and then it worked again";
/// 280 characters with two of them.
const TOPICAL_TEXT: &str = "I have been reading about entanglement for some weeks now and I still \
    wonder whether anybody here has tried it at home, with all the usual parts that one finds in a \
    tutorial, and how long it took until the first result could be seen. Mine did nothing for \
    days, and then it worked.";

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

fn context(event: usize) -> Context<'static> {
    Context::at(
        Timestamp::from_nanos(START + event as i64 * 7_200 * SECOND).unwrap(),
        256,
    )
}

fn event(number: usize, event_type: &str) -> Event {
    let text = |text: &str| AttributeValue::String(text.to_owned());
    Event {
        id: IdHash::of_event(&format!("event-{number}")),
        profile_id: ProfileId::new("person-4711").unwrap(),
        event_type: event_type.to_owned(),
        time: None,
        channel: "web".to_owned(),
        attributes: Attributes::from([
            ("amount".to_owned(), AttributeValue::Number(250.0)),
            ("group".to_owned(), text("product-beta")),
            ("plan".to_owned(), text("business")),
            ("seats".to_owned(), AttributeValue::Number(12.0)),
        ]),
        text: String::new(),
        tags: (0..8).map(|number| format!("tag-{number}")).collect(),
        sentiment: None,
        author_id: None,
        content_id: String::new(),
        account_id: None,
    }
}

/// A record after 40 events, of the types `0..types` in turn.
fn record_after_40_events(model: &Model, types: usize) -> Record {
    let stated = Attributes::from([(
        "industry".to_owned(),
        AttributeValue::String("retail".to_owned()),
    )]);
    let mut record = Record {
        attributes: stated,
        ..Record::default()
    };
    for number in 0..40 {
        let event = event(number, &format!("type_{}", number % types));
        record = apply(model, record, &event, &context(number)).1.record;
    }
    record
}

/// A model with three scores, of which one never fades, stages and a segment.
fn model(signals: &str) -> Model {
    let source = format!(
        r#"
[scores.interest]
half_life = "7d"
[scores.loyalty]
half_life = "90d"
[scores.fit]
base = 1
{signals}
[[attributes]]
name = "works_in_retail"
when = 'profile.attributes.industry == "retail"'
points = {{ fit = 20 }}
[[stages]]
name = "awareness"
[[stages]]
name = "consideration"
min = {{ interest = 20 }}
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[segments]]
name = "buyers"
when = '!has(profile.attributes.crm_id)'
rank_by = ["interest", "fit"]
min = 20
"#
    );
    Model::parse(&source).unwrap()
}

/// Signals named in no particular order; each on the type that `type_of` says.
fn signals(count: usize, type_of: impl Fn(usize) -> usize) -> String {
    let mut source = String::new();
    for number in 0..count {
        let event_type = type_of(number);
        let score = if number % 4 == 0 {
            "loyalty"
        } else {
            "interest"
        };
        write!(
            source,
            "[[signals]]\nname = \"signal_{number}\"\non = \"type_{event_type}\"\npoints = {{ {score} = 3 }}\n"
        )
        .unwrap();
    }
    source
}

const CONDITIONS: [(&str, &str); 13] = [
    ("equality", "event.attributes.plan == \"business\""),
    ("comparison", "event.attributes.amount >= 100"),
    (
        "in list",
        "event.attributes.group in [\"alpha\", \"beta\", \"product-beta\"]",
    ),
    ("seen", "seen(\"type_0\") && !seen(\"purchase\")"),
    ("scores", "scores.interest < 1000000"),
    ("has", "has(event.attributes.seats)"),
    (
        "arithmetic",
        "event.attributes.amount / event.attributes.seats > 2",
    ),
    ("get", "get(event.attributes, \"plan\", \"\") != \"free\""),
    (
        "domain",
        "domain(\"ann@example.org\") != domain(event.attributes.group)",
    ),
    (
        "rate",
        "rate(\"conditional_0\", \"3d\") <= 3 * rate(\"conditional_0\", \"60d\") + 1000",
    ),
    (
        "choice",
        "stage == \"customer\" ? event.attributes.amount > 10 : event.attributes.amount > 100",
    ),
    (
        "exists",
        "[\"pro\", \"business\"].exists(plan, plan == event.attributes.plan)",
    ),
    (
        "filter",
        "size(event.tags.filter(tag, tag != \"tag-3\")) == 7",
    ),
];

/// One signal on `type_0` for each condition.
fn conditional_signals(conditions: &[(&str, &str)]) -> String {
    let mut source = String::new();
    for (number, (_, condition)) in conditions.iter().enumerate() {
        write!(
            source,
            "[[signals]]\nname = \"conditional_{number}\"\non = \"type_0\"\nwhen = '{condition}'\npoints = {{ interest = 1 }}\n"
        )
        .unwrap();
    }
    source
}

/// Counts an event, which must match a signal: whatever was not counted would be quick.
fn count(model: &Model, record: Record, event: &Event, context: &Context<'_>) -> Outcome {
    let (outcome, counted) = apply(model, record, event, context);
    match outcome {
        EventOutcome::Applied {
            matched_signals, ..
        } if !matched_signals.is_empty() => counted,
        other => panic!("the event was not counted: {other:?}"),
    }
}

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

fn count_events(criterion: &mut Criterion) {
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

/// 10 signals on the type that is counted, and more on other types.
fn other_types(count: usize) -> Model {
    let own = signals(10, |_| 0);
    let others = signals(count, |number| number + 1).replace("signal_", "other_");
    model(&(own + &others))
}

/// 50 signals on 10 types, and five with a condition of a kind.
fn five_of(kind: &str) -> Model {
    let of_kind = CONDITIONS.into_iter().find(|(name, _)| *name == kind);
    model(&(signals(50, |number| number % 10) + &conditional_signals(&[of_kind.unwrap(); 5])))
}

/// A signal that is counted by the 8 tags of an event, or not by key.
fn by_key(keyed: bool) -> Model {
    let per = if keyed { "per = 'event.tags'\n" } else { "" };
    model(&format!(
        "[[signals]]\nname = \"read\"\non = \"type_0\"\n{per}points = {{ interest = 1 }}\n"
    ))
}

/// What an event costs in one case for each unit of another, measured in turns, so that whatever
/// else the machine does falls on both.
fn print_ratios(turns: usize) {
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

fn evaluate_conditions(criterion: &mut Criterion) {
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
fn take_all_steps(criterion: &mut Criterion) {
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

fn read_models(criterion: &mut Criterion) {
    criterion.bench_function("compile/forum", |bencher| {
        bencher.iter(|| Model::parse(black_box(FORUM)).unwrap());
    });
    let source = "[scores.interest]\nhalf_life = \"7d\"\n[scores.loyalty]\nhalf_life = \"90d\"\n"
        .to_owned()
        + &signals(200, |number| number % 10);
    criterion.bench_function("compile/200 signals", |bencher| {
        bencher.iter(|| Model::parse(black_box(&source)).unwrap());
    });
}

fn fold(criterion: &mut Criterion) {
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

/// 40 events, 10 counts, 3 touches.
fn typical_record() -> Record {
    let model = model(&signals(50, |number| number % 10));
    let mut record = record_after_40_events(&model, 2);
    for number in 0..3 {
        record.touches.push(Touch {
            event: IdHash::of_event(&format!("touch-{number}")),
            time: context(number).at,
            author_id: ProfileId::new(&format!("author-{number}")).unwrap(),
            topics: vec!["coverage".to_owned()],
            stage: "awareness".to_owned(),
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
        .map(|number| RememberedEvent {
            time: context(number).at,
            id: hash(number),
            type_mark: TypeMark::of("visit"),
        })
        .collect();
    let events = record.memory.remembered.iter();
    record.effects.remembered = events.map(RememberedEvent::pair).collect();
    record.influence_time = context(256).at;
    record.influence = (0..30)
        .map(|number| InfluenceCell {
            topic: format!("topic-{:02}", number / 3),
            stage: ["awareness", "consideration", "customer"][number % 3].to_owned(),
            credit: 3.5,
            touches: 40,
            advance_millionths: 1_500_000,
        })
        .collect();
    record
}

fn print_record_size() {
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

fn encode_records(criterion: &mut Criterion) {
    for (name, record) in [("typical", typical_record()), ("hot", hot_record())] {
        let bytes = codec::encode(&record);
        criterion.bench_function(&format!("decode/{name}"), |bencher| {
            bencher.iter_with_large_drop(|| codec::decode(black_box(&bytes)).unwrap());
        });
        criterion.bench_function(&format!("encode/{name}"), |bencher| {
            bencher.iter(|| codec::encode(black_box(&record)));
        });
    }
}

/// With the topics and keywords of the forum and nothing else that an event could match.
fn find_topics(criterion: &mut Criterion) {
    let topics = FORUM.find("# What the community talks about.").unwrap();
    let influence = FORUM.find("# Who moves others along.").unwrap();
    let source = "[scores.engagement]\nhalf_life = \"4w\"\n".to_owned() + &FORUM[topics..influence];
    let model = Model::parse(&source).unwrap();
    for (case, text, topics) in [
        ("no text", "", 0),
        ("no keyword", QUIET_TEXT, 0),
        ("2 keywords", TOPICAL_TEXT, 2),
    ] {
        let mut event = event(0, "comment");
        event.text = text.to_owned();
        let counted = apply(&model, Record::default(), &event, &context(0)).1;
        assert_eq!(counted.record.interests.len(), topics);
        criterion.bench_function(&format!("topics/{case}"), |bencher| {
            bencher.iter_with_large_drop(|| apply(&model, Record::default(), &event, &context(0)));
        });
    }
}
