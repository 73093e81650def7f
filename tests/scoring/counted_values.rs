//! Values that follow the order of arrival: nobody can find them again in the event, so a retraction
//! takes what the record remembers of them.

use bellwether::scoring::{
    Event, Model, Name, Record, Selection, Timestamp, limits::REMEMBERED_VALUES,
};
use proptest::prelude::*;

use crate::{
    DAY, at, context,
    corrections::{applied, by_robot, change},
    event, model, points,
};

const MODEL: &str = r#"
[scores.ready]
half_life = "10d"
[[signals]]
name = "asked"
on = "ask"
points = { ready = 10 }
[[signals]]
name = "settled"
on = "buy"
value = 'scores.ready'
points = { ready = -1 }
[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
"#;

fn counts(record: &Record) -> Vec<(Name, f64)> {
    let counts = record.counts.iter().flat_map(|group| &group.counts);
    let counts = counts.map(|count| (count.signal.clone(), count.total()));
    counts.collect()
}

fn retracted(model: &Model, record: Record, event: &Event, at: Timestamp) -> Record {
    change(model, record, |edit| {
        edit.retract(event, &context(at));
    })
    .record
}

#[test]
fn what_a_purchase_settled_comes_back_with_its_retraction() {
    let model = model(MODEL);
    let buy = Event {
        time: Some(at(DAY)),
        ..event("buy", "buy")
    };
    let record = applied(
        &model,
        &[
            (0, event("1", "ask")),
            (DAY, buy.clone()),
            (2 * DAY, event("2", "ask")),
        ],
    );
    assert_eq!(points(&model, &record, at(2 * DAY), "ready"), 10.0);
    assert_eq!(record.counted_values.len(), 1);
    let record = retracted(&model, record, &buy, at(DAY));
    let without = applied(
        &model,
        &[(0, event("1", "ask")), (2 * DAY, event("2", "ask"))],
    );
    assert_eq!(counts(&record), counts(&without));
    assert!(record.counted_values.is_empty(), "it is taken back once");
}

#[test]
fn what_is_released_is_taken_back_as_it_counted() {
    let model = model(MODEL);
    let ask = event("1", "ask");
    let buy = Event {
        time: Some(at(0)),
        ..by_robot("buy", "buy")
    };
    let record = applied(&model, &[(0, ask.clone()), (0, buy.clone())]);
    assert!(
        record.counted_values.is_empty(),
        "what is held has not counted"
    );
    let released = change(&model, record, |edit| {
        assert_eq!(edit.release(&Selection::default(), 1), 1);
    });
    assert_eq!(points(&model, &released.record, at(0), "ready"), 0.0);
    let record = retracted(&model, released.record, &buy, at(0));
    assert_eq!(counts(&record), counts(&applied(&model, &[(0, ask)])));
}

#[test]
fn the_latest_values_are_remembered_and_of_the_others_what_they_come_to_now_is_taken() {
    let model = model(MODEL);
    let buy = |number: usize| Event {
        time: Some(at(0)),
        ..event(&format!("buy {number}"), "buy")
    };
    let mut events = vec![(0, event("ask", "ask"))];
    events.extend((0..=REMEMBERED_VALUES).map(|number| (0, buy(number))));
    let record = applied(&model, &events);
    assert_eq!(record.counted_values.len(), REMEMBERED_VALUES);
    // The first one settled all of it. It is forgotten, and nothing is to be settled now.
    let forgotten = retracted(&model, record.clone(), &buy(0), at(0));
    assert_eq!(counts(&forgotten), counts(&record));
    // The others settled nothing, and are known to.
    let more = change(&model, record, |edit| {
        edit.apply(&event("more", "ask"), &context(at(0)));
    });
    let known = retracted(&model, more.record.clone(), &buy(1), at(0));
    assert_eq!(counts(&known), counts(&more.record));
}

proptest! {
    #[test]
    fn a_retraction_takes_exactly_what_was_counted(
        asks in prop::collection::vec(0_i64..30, 0..8),
        day in 0_i64..30,
        position in any::<prop::sample::Index>(),
    ) {
        let model = model(MODEL);
        let asks: Vec<(i64, Event)> = asks
            .iter()
            .enumerate()
            .map(|(number, day)| (day * DAY, event(&number.to_string(), "ask")))
            .collect();
        let buy = Event {
            time: Some(at(day * DAY)),
            ..event("buy", "buy")
        };
        let mut events = asks.clone();
        events.insert(position.index(asks.len() + 1), (day * DAY, buy.clone()));
        let record = applied(&model, &events);
        let record = retracted(&model, record, &buy, at(day * DAY));
        let without = applied(&model, &asks);
        let settled = counts(&record).into_iter().find(|(name, _)| name == "settled");
        prop_assert!(settled.is_none_or(|(_, value)| value < 1e-9));
        let last = record.last_event_time.max(without.last_event_time);
        let (one, other) = (
            points(&model, &record, last, "ready"),
            points(&model, &without, last, "ready"),
        );
        prop_assert!((one - other).abs() < 1e-9, "{} and {}", one, other);
    }
}
