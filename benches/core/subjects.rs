//! What is measured: events, records and models.

use std::fmt::Write as _;

use bellwether::scoring::{
    AttributeValue, Attributes, Context, Event, EventOutcome, IdHash, Model, Outcome, ProfileId,
    Record, Timestamp, apply,
};

const SECOND: i64 = 1_000_000_000;
/// The first event of every record: 2026-01-01.
const START: i64 = 1_767_225_600 * SECOND;

pub fn context(event: usize) -> Context<'static> {
    Context::at(
        Timestamp::from_nanos(START + event as i64 * 7_200 * SECOND).unwrap(),
        256,
    )
}

pub fn event(number: usize, event_type: &str) -> Event {
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
        tags: (0..8)
            .map(|number| format!("tag-{number}").into())
            .collect(),
        sentiment: None,
        author_id: None,
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: Vec::new(),
    }
}

/// A record after 40 events, of the types `0..types` in turn.
pub fn record_after_40_events(model: &Model, types: usize) -> Record {
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
pub fn model(signals: &str) -> Model {
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
pub fn signals(count: usize, type_of: impl Fn(usize) -> usize) -> String {
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

pub const CONDITIONS: [(&str, &str); 13] = [
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
pub fn conditional_signals(conditions: &[(&str, &str)]) -> String {
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
pub fn count(model: &Model, record: Record, event: &Event, context: &Context<'_>) -> Outcome {
    let (outcome, counted) = apply(model, record, event, context);
    match outcome {
        EventOutcome::Applied {
            matched_signals, ..
        } if !matched_signals.is_empty() => counted,
        other => panic!("the event was not counted: {other:?}"),
    }
}

/// 10 signals on the type that is counted, and more on other types.
pub fn other_types(count: usize) -> Model {
    let own = signals(10, |_| 0);
    let others = signals(count, |number| number + 1).replace("signal_", "other_");
    model(&(own + &others))
}

/// 50 signals on 10 types, and five with a condition of a kind.
pub fn five_of(kind: &str) -> Model {
    let of_kind = CONDITIONS.into_iter().find(|(name, _)| *name == kind);
    model(&(signals(50, |number| number % 10) + &conditional_signals(&[of_kind.unwrap(); 5])))
}

/// A signal that is counted by the 8 tags of an event, or not by key.
pub fn by_key(keyed: bool) -> Model {
    let per = if keyed { "per = 'event.tags'\n" } else { "" };
    model(&format!(
        "[[signals]]\nname = \"read\"\non = \"type_0\"\n{per}points = {{ interest = 1 }}\n"
    ))
}
