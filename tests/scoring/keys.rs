//! Signals that are counted by key.

use bellwether::{
    scoring::{AttributeValue, Event, EventOutcome, Record, SignalCount, Timestamp},
    store::codec,
};
use proptest::prelude::*;

use crate::{DAY, at, event, model, points, replay};

const BY_TAG: &str = r#"
[scores.interest]
half_life = "7d"
[scores.total]
[[signals]]
name = "read"
on = "view"
per = 'event.tags'
keys = 3
points = { interest = 2, total = 1 }
[[signals]]
name = "joined"
on = "join"
per = 'event.attributes.group'
limit = 2
points = { total = 1 }
"#;

fn viewed(id: &str, tags: &[&str]) -> Event {
    let tags = tags.iter().map(|tag| (*tag).into());
    Event {
        tags: tags.collect(),
        ..event(id, "view")
    }
}

fn joined(id: &str, group: AttributeValue) -> Event {
    let mut event = event(id, "join");
    event.attributes.insert("group".to_owned(), group);
    event
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.to_owned())
}

/// The keys of the counts that do not fade, with their values.
fn keys(record: &Record) -> Vec<(&str, f64)> {
    let group = record.counts.iter().find(|group| group.half_life.is_none());
    let counts = group.iter().flat_map(|group| &group.counts);
    counts.flat_map(SignalCount::parts).collect()
}

#[test]
fn each_key_has_a_count_of_its_own_and_the_signal_their_sum() {
    let model = model(BY_TAG);
    let events = [
        (at(0), viewed("1", &["price", "roaming", "price"])),
        (at(0), viewed("2", &["price"])),
        (at(0), viewed("3", &[])),
    ];
    let (record, outcomes) = replay(&model, &events);
    assert_eq!(keys(&record), [("price", 2.0), ("roaming", 1.0)]);
    assert_eq!(points(&model, &record, at(0), "total"), 3.0);
    assert_eq!(points(&model, &record, at(7 * DAY), "interest"), 3.0);
    let none = |outcome: &EventOutcome| matches!(outcome, EventOutcome::Applied { matched_signals, .. } if matched_signals.is_empty());
    assert!(none(&outcomes[2]), "without a key there is no match");
}

#[test]
fn the_smallest_of_the_other_keys_goes_to_the_rest_and_the_sum_stays() {
    let model = model(BY_TAG);
    let events: Vec<_> = ["b", "b", "c", "a", "a", "d", "e", "e"]
        .iter()
        .enumerate()
        .map(|(id, tag)| (at(0), viewed(&id.to_string(), &[tag])))
        .collect();
    let (record, _) = replay(&model, &events);
    // c makes room for d, and d for e, which grows beyond both.
    assert_eq!(
        keys(&record),
        [("", 2.0), ("a", 2.0), ("b", 2.0), ("e", 2.0)]
    );
    assert_eq!(points(&model, &record, at(0), "total"), 8.0);
}

#[test]
fn a_key_that_comes_late_and_grows_is_among_the_greatest() {
    let model = model(BY_TAG);
    let often = |tag: &'static str, times: usize| std::iter::repeat_n(tag, times);
    let tags = often("a", 3).chain(often("b", 3)).chain(often("c", 3));
    let events: Vec<_> = tags
        .chain(often("new", 30))
        .enumerate()
        .map(|(id, tag)| (at(0), viewed(&id.to_string(), &[tag])))
        .collect();
    let (record, _) = replay(&model, &events);
    let expected = [("", 3.0), ("a", 3.0), ("b", 3.0), ("new", 30.0)];
    assert_eq!(keys(&record), expected);
}

#[test]
fn a_limit_holds_for_each_key() {
    let model = model(BY_TAG);
    let events: Vec<_> = ["a", "a", "a", "b"]
        .iter()
        .enumerate()
        .map(|(id, group)| (at(0), joined(&id.to_string(), text(group))))
        .collect();
    let (record, _) = replay(&model, &events);
    assert_eq!(keys(&record), [("a", 2.0), ("b", 1.0)]);
}

#[test]
fn a_key_is_a_text_or_a_number_of_1_to_128_bytes() {
    let model = model(BY_TAG);
    let list = AttributeValue::List(vec![text("x"), AttributeValue::Number(2.5), text("")]);
    let groups = [
        AttributeValue::Number(7.0),
        list,
        text(""),
        text(&"x".repeat(128)),
        text(&"x".repeat(129)),
        AttributeValue::Bool(true),
        AttributeValue::List(vec![text("y"), AttributeValue::Null]),
    ];
    let events: Vec<_> = groups
        .into_iter()
        .enumerate()
        .map(|(id, group)| (at(0), joined(&id.to_string(), group)))
        .collect();
    let (record, _) = replay(&model, &events);
    let longest = "x".repeat(128);
    let expected = ["2.5", "7", "x", longest.as_str()];
    assert_eq!(keys(&record), expected.map(|key| (key, 1.0)));
}

#[test]
fn at_most_64_keys_of_a_list_count() {
    let model = model(&BY_TAG.replace("limit = 2", "keys = 64"));
    let names = (0..70).map(|number| text(&format!("{number:02}")));
    let (record, _) = replay(
        &model,
        &[(at(0), joined("1", AttributeValue::List(names.collect())))],
    );
    assert_eq!(keys(&record).len(), 64);
    assert_eq!(points(&model, &record, at(0), "total"), 64.0);
}

#[test]
fn a_signal_that_turns_to_keys_keeps_what_it_counted_as_the_rest() {
    let plain = model(&BY_TAG.replace("per = 'event.tags'\nkeys = 3\n", ""));
    let by_tag = model(BY_TAG);
    let (record, _) = replay(&plain, &[(at(0), viewed("1", &["a"]))]);
    let mut edit = bellwether::scoring::RecordEdit::new(
        &by_tag,
        bellwether::scoring::ProfileId::new("ann").unwrap(),
        record,
    );
    edit.apply(&viewed("2", &["a"]), &crate::context(at(0)));
    let record = edit.finish().record;
    assert_eq!(keys(&record), [("", 1.0), ("a", 1.0)]);
    assert_eq!(points(&plain, &record, at(0), "total"), 2.0);
}

fn views() -> impl Strategy<Value = Vec<(Timestamp, Event)>> {
    let tags = prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "e"]), 0..4);
    let view = (0..60 * DAY, tags).prop_map(|(time, tags)| {
        let mut view = viewed(&time.to_string(), &tags);
        view.time = Some(at(time));
        (at(time), view)
    });
    prop::collection::vec(view, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn with_room_for_every_key_no_order_matters(events in views(), cut in any::<prop::sample::Index>()) {
        let model = model(&BY_TAG.replace("keys = 3", "keys = 5"));
        let (plain, _) = replay(&model, &events);
        let mut other = events.clone();
        other.rotate_left(cut.index(events.len()));
        other.extend(events);
        let (record, _) = replay(&model, &other);
        prop_assert_eq!(plain.counts.len(), record.counts.len());
        for (a, b) in plain.counts.iter().zip(&record.counts) {
            prop_assert_eq!((a.half_life, a.counts.len()), (b.half_life, b.counts.len()));
            for (a, b) in a.counts.iter().zip(&b.counts) {
                prop_assert_eq!((&a.signal, a.keys.len()), (&b.signal, b.keys.len()));
                for ((key, a), (other, b)) in a.parts().zip(b.parts()) {
                    prop_assert_eq!(key, other);
                    prop_assert!((a - b).abs() <= 1e-9 * a, "{} {}", a, b);
                }
            }
        }
        prop_assert_eq!(codec::decode(&codec::encode(&record)), Ok(record));
    }

    #[test]
    fn without_room_for_every_key_the_sum_is_the_same_in_every_order(events in views(), later in 0..30_i64) {
        let model = model(BY_TAG);
        let (plain, _) = replay(&model, &events);
        let mut other = events;
        other.reverse();
        let (record, _) = replay(&model, &other);
        let instant = plain.last_event_time.saturating_add_nanos(later * DAY);
        for score in ["interest", "total"] {
            let (a, b) = (points(&model, &plain, instant, score), points(&model, &record, instant, score));
            prop_assert!((a - b).abs() <= 1e-9 * a.max(b), "{} is not {}", a, b);
        }
        prop_assert!(keys(&record).iter().filter(|(key, _)| !key.is_empty()).count() <= 3);
    }
}
