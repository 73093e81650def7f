//! A model in which nothing asks for the order of events, and events for it: what must hold for
//! every set of events is tried on them.

use bellwether::scoring::{AttributeValue, Event, Name, Timestamp};
use proptest::prelude::*;

use crate::{DAY, SECOND, at, event};

/// Without stages, because an arrival shares an advance over the touches that came before it.
pub const ORDER_FREE: &str = r#"
[subjects.account]
[subjects.brand]
[scores.fast]
half_life = "1h"
[scores.slow]
half_life = "30d"
[scores.ever]
base = 2
[[signals]]
name = "visited"
on = ["visit", "view", "reply"]
points = { fast = 3, slow = 1, ever = 0.5 }
[[signals]]
name = "spent"
on = "purchase"
when = 'event.attributes.amount > 10 && !("coverage" in event.topics)'
value = 'event.attributes.amount'
points = { slow = 2, ever = 1 }
[[signals]]
name = "complained"
on = "complaint"
points = { slow = -4, ever = -1 }
[[signals]]
name = "did"
on = ["visit", "view", "complaint", "other"]
per = 'event.type'
points = { fast = 1, ever = 0.25 }
[[signals]]
name = "read"
on = "visit"
per = 'event.tags'
keys = 64
points = { slow = 1 }
[[signals]]
name = "looking"
on = "visit"
phrases = ["looking for"]
points = { ever = 3 }
[[topics]]
name = "price"
[[topics]]
name = "coverage"
[influence]
event_types = { reply = 2 }
half_life = "7d"
attribution_half_life = "7d"
"#;

/// The same in every order too, as long as nothing is taken back.
pub const LATEST: &str = r#"
[[signals]]
name = "last_amount"
on = "purchase"
value = 'event.attributes.amount'
keep = "latest"
limit = 40
points = { fast = 0.5, ever = -0.125 }
"#;

/// An event within 60 days, and so many of each that are alike in all but their ids.
pub fn any_event(numbers: u32) -> impl Strategy<Value = (Timestamp, Event)> {
    any_event_within(numbers, 60 * 24)
}

/// The same within so many hours.
pub fn any_event_within(numbers: u32, hours: i64) -> impl Strategy<Value = (Timestamp, Event)> {
    let types = vec!["visit", "view", "purchase", "complaint", "reply", "other"];
    let types = prop::sample::select(types);
    let tags = prop::sample::subsequence(vec!["price", "coverage", "a", "b"], 0..3);
    (
        0..numbers,
        types,
        0..hours * DAY / 24 / SECOND,
        1..50_u32,
        tags,
    )
        .prop_map(|(number, kind, seconds, amount, tags)| {
            let time = at(seconds * SECOND);
            // Whatever has the same id is the same event.
            let id = format!("{number} {kind} {seconds} {amount} {tags:?}");
            let amount = AttributeValue::Number(f64::from(amount));
            let event = Event {
                time: Some(time),
                attributes: [("amount".to_owned(), amount)].into(),
                tags: tags.into_iter().map(Name::new).collect(),
                text: if number % 2 == 0 {
                    "Looking for one.".to_owned()
                } else {
                    String::new()
                },
                ..event(&id, kind)
            };
            (time, event)
        })
}

/// Puts things in an order that follows from a number.
pub fn shuffle<T>(things: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for position in (1..things.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        things.swap(position, (state >> 33) as usize % (position + 1));
    }
}
