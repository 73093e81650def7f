//! What events do beside their own profile, and how all of it is taken back, held and released:
//! the mathematics that hold for every set of events.

use std::collections::BTreeMap;

use bellwether::scoring::{
    Effect, Event, Model, Name, Outcome, ProfileId, Record, RecordEdit, Selection, Timestamp,
};
use proptest::prelude::*;

use crate::{
    DAY, context, model,
    order_free::{LATEST, ORDER_FREE, any_event_within, shuffle},
};

/// What beside it asks for the order of events.
pub const ORDERED: &str = r#"
[[signals]]
name = "up_to"
on = "purchase"
value = 'event.attributes.amount'
limit = 40
points = { fast = 1, ever = 1 }
[[signals]]
name = "up_to_each"
on = "visit"
per = 'event.tags'
limit = 2
points = { slow = 1 }
[[signals]]
name = "now_and_then"
on = ["visit", "complaint"]
cooldown = "2d"
points = { slow = 1, ever = 1 }
[[signals]]
name = "began"
on = "reply"
once = true
points = { ever = 3 }
"#;

pub const QUARANTINE: &str = r#"
[[quarantine]]
name = "robots"
when = 'event.attributes.amount < 20'
"#;

#[derive(Clone, Debug)]
pub struct Sent {
    pub time: Timestamp,
    pub event: Event,
    pub is_retracted: bool,
}

/// An event of one of three people, two of whom are of one account.
fn any_sent(people: u8, hours: i64) -> impl Strategy<Value = Sent> {
    let is_retracted = prop::bool::weighted(0.4);
    (any_event_within(1_000, hours), 0..people, is_retracted).prop_map(
        |((time, event), person, is_retracted)| {
            let event = Event {
                profile_id: ProfileId::new(["ann", "bob", "cid"][usize::from(person)]).unwrap(),
                subjects: [
                    ("account", ["acme", "acme", "home"][usize::from(person)]),
                    ("brand", "nike"),
                ]
                .into_iter()
                .filter_map(|(kind, id)| ProfileId::of_subject(kind, id))
                .collect(),
                author_id: ProfileId::new("dan"),
                ..event
            };
            Sent {
                time,
                event,
                is_retracted,
            }
        },
    )
}

fn events(people: u8) -> impl Strategy<Value = Vec<Sent>> {
    events_within(60 * 24, people)
}

/// Fewer than the touches that a record remembers.
pub fn events_within(hours: i64, people: u8) -> impl Strategy<Value = Vec<Sent>> {
    prop::collection::vec(any_sent(people, hours), 1..30).prop_map(|mut events| {
        let mut known = std::collections::BTreeSet::new();
        events.retain(|sent| {
            let event = &sent.event;
            known.insert((event.profile_id.clone(), sent.time, event.id))
        });
        events
    })
}

/// The records of everybody, whose effects follow at once, twice.
#[derive(Default)]
pub struct World {
    pub records: BTreeMap<ProfileId, Record>,
}

impl World {
    /// What a change would come to.
    pub fn evaluate(
        &self,
        model: &Model,
        id: &ProfileId,
        change: &mut dyn FnMut(&mut RecordEdit<'_>),
    ) -> Outcome {
        let stored = self.records.get(id).cloned();
        let mut edit = RecordEdit::begin(model, id.clone(), stored);
        change(&mut edit);
        edit.finish()
    }

    pub fn change(
        &mut self,
        model: &Model,
        id: &ProfileId,
        change: &mut dyn FnMut(&mut RecordEdit<'_>),
    ) {
        let outcome = self.evaluate(model, id, change);
        self.records.insert(id.clone(), outcome.record);
        for effect in outcome.effects {
            self.change(model, effect.subject_id(), &mut |edit| {
                assert!(edit.apply_effect(&effect));
                assert!(!edit.apply_effect(&effect));
            });
        }
    }

    pub fn apply(&mut self, model: &Model, sent: &Sent) {
        self.change(model, &sent.event.profile_id, &mut |edit| {
            edit.apply(&sent.event, &context(sent.time));
        });
    }

    pub fn retract(&mut self, model: &Model, sent: &Sent) {
        self.change(model, &sent.event.profile_id, &mut |edit| {
            edit.retract(&sent.event, &context(sent.time));
        });
    }
}

type Counts = BTreeMap<(String, String, String), f64>;

/// Every count of a record at an instant, and its interests.
fn counts_at(record: &Record, at: Timestamp) -> Counts {
    let mut counts = Counts::new();
    for group in &record.counts {
        let faded = group.half_life.map_or(1.0, |half_life| {
            half_life.decay_factor(record.last_event_time, at)
        });
        for count in &group.counts {
            for (key, value) in count.parts() {
                let name = (
                    format!("{:?}", group.half_life),
                    count.signal.to_string(),
                    key.to_owned(),
                );
                counts.insert(name, value * faded);
            }
        }
    }
    let month = 30.0 * DAY as f64;
    let age = (at.nanos() - record.last_event_time.nanos()) as f64;
    for interest in &record.interests {
        let name = (
            String::new(),
            "interest".to_owned(),
            interest.name.to_string(),
        );
        counts.insert(name, interest.value * (-age / month).exp2());
    }
    counts
}

fn assert_same_counts(found: &Counts, expected: &Counts) {
    for name in found.keys().chain(expected.keys()) {
        let value = |counts: &Counts| counts.get(name).copied().unwrap_or(0.0);
        let (found, expected) = (value(found), value(expected));
        let near = (found - expected).abs() <= 1e-9 * expected.max(1.0);
        assert!(near, "{name:?} is {found}, expected {expected}");
    }
}

/// What must be the same of everybody, with and without the events that came to nothing.
pub fn assert_same_worlds(found: &World, expected: &World) {
    let nobody = Record::default();
    for id in found.records.keys().chain(expected.records.keys()) {
        let record = |world: &World| world.records.get(id).unwrap_or(&nobody).clone();
        let (found, expected) = (record(found), record(expected));
        let later = found.last_event_time.max(expected.last_event_time);
        for at in [later, later.saturating_add_nanos(17 * DAY)] {
            assert_same_counts(&counts_at(&found, at), &counts_at(&expected, at));
        }
        assert_eq!(found.event_count, expected.event_count, "{id}");
        assert_eq!(found.seen_types, expected.seen_types, "{id}");
        let touches = |record: &Record| -> Vec<_> {
            let touches = record.touches.iter();
            touches.map(|touch| (touch.time, touch.event)).collect()
        };
        let sorted = |mut touches: Vec<_>| {
            touches.sort();
            touches
        };
        assert_eq!(sorted(touches(&found)), sorted(touches(&expected)), "{id}");
        let later = found.influence_time.max(expected.influence_time);
        let cells = |record: &Record| -> BTreeMap<Name, (u64, f64)> {
            let age = (later.nanos() - record.influence_time.nanos()) as f64 / (7 * DAY) as f64;
            let cells = record.influence.iter();
            let cells = cells.map(|cell| {
                let credit = cell.credit * (-age).exp2();
                (cell.topic.clone(), (cell.touches, credit))
            });
            cells.collect()
        };
        let (found, expected) = (cells(&found), cells(&expected));
        assert!(
            found.keys().eq(expected.keys()),
            "{found:?}, expected {expected:?}"
        );
        for (found, expected) in found.values().zip(expected.values()) {
            assert_eq!(found.0, expected.0, "{id}");
            assert!(
                (found.1 - expected.1).abs() < 1e-9,
                "{found:?}, expected {expected:?}"
            );
        }
    }
}

/// Every event and retraction once, and some twice, in an order of its own.
pub fn steps(events: &[Sent], seed: u64) -> Vec<(&Sent, bool)> {
    let mut steps: Vec<(&Sent, bool)> = Vec::new();
    for (position, sent) in events.iter().enumerate() {
        steps.push((sent, false));
        if sent.is_retracted {
            steps.push((sent, true));
        }
        if position % 5 == 0 {
            steps.push((sent, sent.is_retracted));
        }
    }
    shuffle(&mut steps, seed);
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_is_retracted_has_never_been_in_any_interleaving(events in events(3), seed: u64) {
        let model = model(ORDER_FREE);
        let mut world = World::default();
        for (sent, is_retraction) in steps(&events, seed) {
            if is_retraction {
                world.retract(&model, sent);
            } else {
                world.apply(&model, sent);
            }
        }
        let mut expected = World::default();
        for sent in events.iter().filter(|sent| !sent.is_retracted) {
            expected.apply(&model, sent);
        }
        assert_same_worlds(&world, &expected);
    }

    #[test]
    fn what_is_released_has_never_been_held(events in events(3), seed: u64) {
        let plain = model(ORDER_FREE);
        let model = model(&format!("{ORDER_FREE}{QUARANTINE}"));
        let mut world = World::default();
        let mut expected = World::default();
        for sent in &events {
            expected.apply(&plain, sent);
        }
        for (sent, _) in steps(&events, seed) {
            world.apply(&model, sent);
        }
        for id in ["ann", "bob", "cid"] {
            world.change(&model, &ProfileId::new(id).unwrap(), &mut |edit| {
                edit.release(&Selection::default(), usize::MAX);
                assert_eq!(edit.release(&Selection::default(), usize::MAX), 0);
            });
        }
        assert_same_worlds(&world, &expected);
    }

    #[test]
    fn what_is_held_and_retracted_has_never_been(events in events(3), seed: u64) {
        let model = model(&format!("{ORDER_FREE}{LATEST}{ORDERED}{QUARANTINE}"));
        let mut world = World::default();
        for (sent, is_retraction) in steps(&events, seed) {
            if is_retraction {
                world.retract(&model, sent);
            } else {
                world.apply(&model, sent);
            }
        }
        for record in world.records.values() {
            for held in &record.quarantine {
                let is_left = events.iter().any(|sent| {
                    !sent.is_retracted && (sent.event.id, sent.time) == (held.id, held.time)
                });
                prop_assert!(is_left);
            }
        }
    }

    #[test]
    fn an_account_counts_what_its_people_count(
        events in events(3), seed: u64, is_held: bool, later in 0..90_i64,
    ) {
        let quarantine = if is_held { QUARANTINE } else { "" };
        let model = model(&format!("{ORDER_FREE}{LATEST}{ORDERED}{quarantine}"));
        let mut world = World::default();
        for (step, (sent, is_retraction)) in steps(&events, seed).into_iter().enumerate() {
            if is_retraction {
                world.retract(&model, sent);
            } else {
                world.apply(&model, sent);
            }
            if step % 7 == 6 {
                world.change(&model, &sent.event.profile_id, &mut |edit| {
                    edit.release(&Selection::default(), 2);
                });
            }
            for (account, people) in [("acme", &["ann", "bob"][..]), ("home", &["cid"])] {
                let account = ProfileId::of_subject("account", account).unwrap();
                let Some(account) = world.records.get(&account) else { continue };
                let people: Vec<&Record> = people
                    .iter()
                    .filter_map(|id| world.records.get(&ProfileId::new(id).unwrap()))
                    .collect();
                let instants = people.iter().map(|record| record.last_event_time);
                let last = instants.max().unwrap();
                let last = last.max(account.last_event_time);
                for instant in [last, last.saturating_add_nanos(later * DAY)] {
                    let mut sum = Counts::new();
                    for record in &people {
                        for (name, value) in counts_at(record, instant) {
                            *sum.entry(name).or_default() += value;
                        }
                    }
                    assert_same_counts(&counts_at(account, instant), &sum);
                }
                let count: u64 = people.iter().map(|record| record.event_count).sum();
                prop_assert_eq!(account.event_count, count);
            }
        }
    }

    #[test]
    fn shares_add_up_in_every_order(events in events(2), seed: u64) {
        let model = model(&format!("{ORDER_FREE}{LATEST}{ORDERED}"));
        let mut deltas: Vec<Effect> = Vec::new();
        let mut records: BTreeMap<ProfileId, Record> = BTreeMap::new();
        for (sent, is_retraction) in steps(&events, seed) {
            let id = &sent.event.profile_id;
            let record = records.remove(id).unwrap_or_default();
            let mut edit = RecordEdit::new(&model, id.clone(), record);
            if !is_retraction {
                edit.apply(&sent.event, &context(sent.time));
            }
            let outcome = edit.finish();
            records.insert(id.clone(), outcome.record);
            let effects = outcome.effects.into_iter();
            deltas.extend(effects.filter(|effect| matches!(effect, Effect::SubjectDelta(_))));
        }
        let acme = ProfileId::of_subject("account", "acme").unwrap();
        let total = |deltas: &mut dyn Iterator<Item = &Effect>| {
            let mut edit = RecordEdit::new_profile(&model, acme.clone());
            for delta in deltas {
                edit.apply_effect(delta);
            }
            edit.finish().record
        };
        let forward = total(&mut deltas.iter());
        let backward = total(&mut deltas.iter().rev());
        let last = forward.last_event_time;
        prop_assert_eq!(last, backward.last_event_time);
        prop_assert_eq!(forward.first_seen_time, backward.first_seen_time);
        prop_assert_eq!(&forward.seen_types, &backward.seen_types);
        // A smaller latest value may come before the greater one that it has replaced.
        let without_latest = |record: &Record| {
            let mut counts = counts_at(record, last);
            counts.retain(|(_, signal, _), _| signal != "last_amount");
            counts
        };
        assert_same_counts(&without_latest(&backward), &without_latest(&forward));
    }
}
