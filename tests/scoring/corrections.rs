//! Retraction, one rule at a time, and what `quarantine` and `subjects` share with it; `effects`
//! has what holds for all events.

use bellwether::scoring::{
    AttributeValue, Detail, Effect, Event, Model, Outcome, ProfileId, Record, RecordEdit,
    RetractionOutcome, SignalCount, Timestamp, explain, index,
};

use crate::{DAY, SECOND, at, context, event, model};

pub const MODEL: &str = r#"
[scores.heat]
half_life = "7d"
[scores.total]
base = 1
[[signals]]
name = "visited"
on = "visit"
points = { heat = 4, total = 1 }
[[signals]]
name = "clicked"
on = "click"
points = { heat = 1 }
[[signals]]
name = "up_to_three"
on = "quote"
limit = 3
points = { total = 1 }
[[signals]]
name = "now_and_then"
on = "complaint"
cooldown = "1d"
points = { total = 1 }
[[signals]]
name = "began"
on = "question"
once = true
points = { total = 1 }
[[signals]]
name = "minutes"
on = "stay"
value = 'event.attributes.minutes'
keep = "latest"
points = { total = 1 }
[[topics]]
name = "price"
[[stages]]
name = "awareness"
[[stages]]
name = "consideration"
min = { heat = 8 }
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[segments]]
name = "warm"
rank_by = "heat"
[[segments]]
name = "warm_accounts"
of = "account"
rank_by = "heat"
min = 6
[subjects.account]
key = 'profile.attributes.company'
[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
[[quarantine]]
name = "impossible_speed"
on = "click"
when = 'count("clicked", "1m") >= 3 || event.seconds_since_last < 0.5'
[influence]
event_types = { reply = 2 }
half_life = "7d"
attribution_half_life = "7d"
"#;

pub fn ann() -> ProfileId {
    ProfileId::new("ann").unwrap()
}

/// What a record becomes by some changes, all in one write.
pub fn change(model: &Model, record: Record, changes: impl FnOnce(&mut RecordEdit<'_>)) -> Outcome {
    let mut edit = RecordEdit::new(model, ann(), record);
    changes(&mut edit);
    edit.finish()
}

pub fn applied(model: &Model, events: &[(i64, Event)]) -> Record {
    let outcome = change(model, Record::default(), |edit| {
        for (time, event) in events {
            edit.apply(event, &context(at(*time)));
        }
    });
    outcome.record
}

fn retracted(model: &Model, record: Record, (time, event): &(i64, Event)) -> Record {
    let outcome = change(model, record, |edit| {
        let outcome = edit.retract(event, &context(at(*time)));
        assert_eq!(outcome, RetractionOutcome::Retracted);
    });
    outcome.record
}

/// The count of a signal at the last event.
fn count(record: &Record, signal: &str) -> f64 {
    let groups = record.counts.iter();
    let counts = groups.flat_map(|group| &group.counts);
    let own = counts.filter(|count| count.signal == signal);
    own.flat_map(SignalCount::parts)
        .map(|(_, value)| value)
        .fold(0.0, f64::max)
}

fn stayed(id: &str, minutes: f64) -> Event {
    let mut event = event(id, "stay");
    let minutes = AttributeValue::Number(minutes);
    event.attributes.insert("minutes".to_owned(), minutes);
    event
}

pub fn by_robot(id: &str, event_type: &str) -> Event {
    Event {
        channel: "robot".to_owned(),
        ..event(id, event_type)
    }
}

pub fn ranks_of(outcome: &Outcome) -> Vec<&str> {
    let ranks = outcome.ranks.iter();
    ranks.map(|change| change.rank.as_str()).collect()
}

#[test]
fn a_retraction_counts_once_and_keeps_an_event_from_coming_back() {
    let model = model(MODEL);
    let visit = (0, event("1", "visit"));
    let record = applied(&model, std::slice::from_ref(&visit));
    let record = retracted(&model, record, &visit);
    assert_eq!((record.event_count, count(&record, "visited")), (0, 0.0));
    assert!(record.seen_types.is_empty() && record.counts.is_empty());
    assert_eq!(record.last_event_time, at(0));
    let outcome = change(&model, record.clone(), |edit| {
        let again = edit.retract(&visit.1, &context(at(0)));
        assert_eq!(again, RetractionOutcome::Duplicate);
        let sent_again = edit.apply(&visit.1, &context(at(0)));
        assert!(sent_again.is_duplicate());
    });
    assert!(!outcome.changed);
    assert_eq!(outcome.record, record);
}

#[test]
fn who_has_only_retracted_events_stands_in_no_rank() {
    let model = model(MODEL);
    let visit = (0, event("1", "visit"));
    let record = applied(&model, std::slice::from_ref(&visit));
    assert!(!index(&model, &ann(), &record).is_empty());
    let record = retracted(&model, record, &visit);
    assert_eq!(index(&model, &ann(), &record), []);
    let profile = explain(&model, &ann(), &record, at(0), Detail::Points);
    assert_eq!(profile.stage, None);
}

#[test]
fn an_event_that_is_retracted_before_it_comes_never_counts() {
    let model = model(MODEL);
    let visit = event("1", "visit");
    let outcome = change(&model, Record::default(), |edit| {
        let retracted_in_advance = edit.retract(&visit, &context(at(DAY)));
        assert_eq!(retracted_in_advance, RetractionOutcome::RetractedInAdvance);
        let late = edit.apply(&visit, &context(at(DAY)));
        assert!(late.is_duplicate());
    });
    assert_eq!(outcome.record.event_count, 0);
    assert_eq!(outcome.record.last_event_time, Timestamp::EPOCH);
    assert_eq!(outcome.effects, []);
}

#[test]
fn a_retraction_takes_a_place_in_the_memory_and_is_told_when_it_comes_too_late() {
    let model = model(MODEL);
    let mut record = Record::default();
    let few = |time| bellwether::scoring::Context::at(at(time), 4);
    for id in 0..4 {
        let visit = event(&id.to_string(), "visit");
        record = change(&model, record, |edit| {
            edit.apply(&visit, &few(id * SECOND));
        })
        .record;
    }
    let outcome = change(&model, record, |edit| {
        let newest = edit.retract(&event("3", "visit"), &few(3 * SECOND));
        assert_eq!(newest, RetractionOutcome::Retracted);
        let oldest = edit.retract(&event("0", "visit"), &few(0));
        assert_eq!(oldest, RetractionOutcome::TooOld);
    });
    assert_eq!(outcome.record.event_count, 3);
}

#[test]
fn a_count_at_its_limit_loses_the_whole_value_and_ends_at_0() {
    let model = model(MODEL);
    let quotes: Vec<(i64, Event)> = (0..5)
        .map(|id| (id, event(&id.to_string(), "quote")))
        .collect();
    let mut record = applied(&model, &quotes);
    assert_eq!(count(&record, "up_to_three"), 3.0);
    for (quote, left) in quotes.iter().zip([2.0, 1.0, 0.0, 0.0, 0.0]) {
        record = retracted(&model, record, quote);
        assert_eq!(count(&record, "up_to_three"), left);
    }
}

#[test]
fn what_cannot_have_counted_within_a_cooldown_takes_nothing() {
    let model = model(MODEL);
    let events: Vec<(i64, Event)> = [0, DAY / 2, 3 * DAY]
        .map(|time| (time, event(&time.to_string(), "complaint")))
        .into();
    let record = applied(&model, &events);
    assert_eq!(count(&record, "now_and_then"), 2.0);
    // By what is known of the latest match, the first two can have counted; the count was 2.
    let record = retracted(&model, record, &events[2]);
    assert_eq!(count(&record, "now_and_then"), 1.0);
    let near = (3 * DAY + DAY / 2, event("near", "complaint"));
    let record = change(&model, record, |edit| {
        edit.apply(&near.1, &context(at(near.0)));
    })
    .record;
    assert_eq!(count(&record, "now_and_then"), 1.0);
    let record = retracted(&model, record, &near);
    assert_eq!(count(&record, "now_and_then"), 1.0);
}

#[test]
fn a_first_match_that_is_retracted_leaves_its_place_to_another() {
    let model = model(MODEL);
    let events: Vec<(i64, Event)> = [0, DAY]
        .map(|time| (time, event(&time.to_string(), "question")))
        .into();
    let record = applied(&model, &events);
    let record = retracted(&model, record, &events[1]);
    assert_eq!(count(&record, "began"), 1.0);
    let record = retracted(&model, record, &events[0]);
    assert_eq!(count(&record, "began"), 0.0);
    let record = change(&model, record, |edit| {
        edit.apply(&event("third", "question"), &context(at(2 * DAY)));
    })
    .record;
    assert_eq!(count(&record, "began"), 1.0);
}

#[test]
fn only_the_latest_value_is_taken_back_and_none_takes_its_place() {
    let model = model(MODEL);
    let events = [
        (0, stayed("1", 5.0)),
        (DAY, stayed("2", 9.0)),
        (DAY, stayed("3", 7.0)),
    ];
    let record = applied(&model, &events);
    assert_eq!(count(&record, "minutes"), 9.0);
    for other in [&events[0], &events[2]] {
        let record = retracted(&model, record.clone(), other);
        assert_eq!(count(&record, "minutes"), 9.0);
    }
    let record = retracted(&model, record, &events[1]);
    assert_eq!(count(&record, "minutes"), 0.0);
}

fn replied(id: &str) -> Event {
    Event {
        author_id: ProfileId::new("bob"),
        tags: vec!["price".into()],
        ..event(id, "reply")
    }
}

#[test]
fn a_touch_is_taken_back_from_the_author_unless_an_advance_has_used_it() {
    let model = model(MODEL);
    let bob = ProfileId::new("bob").unwrap();
    let reply = (0, replied("1"));
    let outcome = change(&model, Record::default(), |edit| {
        edit.apply(&reply.1, &context(at(0)));
        edit.retract(&reply.1, &context(at(0)));
    });
    let mut author = RecordEdit::new_profile(&model, bob.clone());
    let credits: Vec<&Effect> = outcome.effects.iter().collect();
    assert_eq!(credits.len(), 2);
    credits
        .iter()
        .for_each(|credit| assert!(author.apply_effect(credit)));
    credits
        .iter()
        .for_each(|credit| assert!(!author.apply_effect(credit)));
    let author = author.finish();
    assert!(author.record.influence.is_empty());
    let totals: i64 = author.totals.iter().map(|(_, touches, _)| touches).sum();
    assert_eq!(totals, 0);

    let record = applied(&model, std::slice::from_ref(&reply));
    let outcome = change(&model, record, |edit| {
        edit.apply(&event("2", "purchase"), &context(at(DAY)));
        edit.retract(&reply.1, &context(at(0)));
    });
    let [Effect::Credit(advance)] = outcome.effects.as_slice() else {
        panic!("{:?}", outcome.effects);
    };
    assert_eq!(
        (advance.touches, advance.advance_millionths),
        (0, 1_000_000)
    );
}

#[test]
fn a_touch_that_was_not_there_takes_nothing_from_its_author() {
    let model = model(MODEL);
    let record = applied(&model, &[(0, replied("1"))]);
    let taken = change(&model, record, |edit| {
        edit.retract(&replied("1"), &context(at(0)));
    });
    let mut author = RecordEdit::new_profile(&model, ProfileId::new("bob").unwrap());
    assert!(author.apply_effect(&taken.effects[0]));
    let author = author.finish();
    assert_eq!((author.totals, author.record.influence), (vec![], vec![]));
}
