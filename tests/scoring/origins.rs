//! By what an event is known when it is sent again: with its id and time, by its id alone where it
//! was sent without time, with another id of the same person.

use bellwether::scoring::{
    Effect, Event, EventMemory, EventOutcome, IdHash, Model, ProfileId, Record, RecordEdit,
    RememberedEvent, RetractionOutcome, Timestamp,
};

use crate::{DAY, SECOND, at, context, event, model};

const MODEL: &str = r#"
[scores.heat]
half_life = "7d"
[[signals]]
name = "replied"
on = "reply"
points = { heat = 4 }
[[topics]]
name = "price"
[[stages]]
name = "awareness"
[[stages]]
name = "consideration"
min = { heat = 8 }
[subjects.account]
key = 'profile.attributes.company'
[influence]
event_types = { reply = 2 }
half_life = "7d"
attribution_half_life = "14d"
[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
"#;

fn reply(sender: &str) -> Event {
    Event {
        profile_id: ProfileId::new(sender).unwrap(),
        time: Some(at(0)),
        tags: vec!["price".into()],
        author_id: ProfileId::new("bob"),
        subjects: Vec::from_iter(ProfileId::of_subject("account", "acme")),
        ..event("1", "reply")
    }
}

/// The record of `whose`, after an event that may have been sent with another id of the person.
fn edited<'m>(model: &'m Model, whose: &str, record: Record) -> RecordEdit<'m> {
    RecordEdit::new(model, ProfileId::new(whose).unwrap(), record)
}

fn ids(effects: &[Effect]) -> Vec<IdHash> {
    effects.iter().map(Effect::id).collect()
}

#[test]
fn an_event_has_the_same_effects_with_whichever_id_of_a_person_it_is_sent_again() {
    let model = model(MODEL);
    let mut own = edited(&model, "cookie", Record::default());
    own.apply(&reply("cookie"), &context(at(0)));
    let wanted = ids(own.effects());
    assert_eq!(wanted.len(), 2);

    // The person is known as ann by now.
    let mut edit = edited(&model, "ann", Record::default());
    edit.apply(&reply("cookie"), &context(at(0)));
    assert_eq!(ids(edit.effects()), wanted);
    let record = edit.finish().record;
    for sender in ["cookie", "ann"] {
        let mut again = edited(&model, "ann", record.clone());
        assert!(again.apply(&reply(sender), &context(at(0))).is_duplicate());
        assert_eq!(ids(again.again()), wanted, "sent again by {sender}");

        let mut retraction = edited(&model, "ann", record.clone());
        let outcome = retraction.retract(&reply(sender), &context(at(0)));
        assert_eq!(outcome, RetractionOutcome::Retracted);
        let mut own = edited(&model, "cookie", Record::default());
        own.apply(&reply("cookie"), &context(at(0)));
        own.retract(&reply("cookie"), &context(at(0)));
        let reverted = &own.effects()[wanted.len()..];
        assert_eq!(ids(retraction.effects()), ids(reverted));
    }
}

#[test]
fn what_was_held_is_released_as_the_event_that_was_sent() {
    let model = model(MODEL);
    let robot = |sender| Event {
        channel: "robot".to_owned(),
        ..reply(sender)
    };
    let released = |whose: &str| {
        let mut edit = edited(&model, whose, Record::default());
        edit.apply(&robot("cookie"), &context(at(0)));
        let record = edit.finish().record;
        let mut edit = edited(&model, whose, record);
        assert_eq!(edit.release(&Default::default(), 10), 1);
        ids(edit.effects())
    };
    assert_eq!(released("ann"), released("cookie"));
    assert_eq!(released("ann").len(), 2);
}

#[test]
fn the_credit_of_an_advance_derives_from_the_touch_as_it_was_sent() {
    let model = model(MODEL);
    let advance = |whose: &str| {
        let mut edit = edited(&model, whose, Record::default());
        let arrival = Event {
            id: IdHash::of_event("2"),
            author_id: None,
            subjects: Vec::new(),
            ..reply("cookie")
        };
        edit.apply(&reply("cookie"), &context(at(0)));
        edit.apply(&arrival, &context(at(0)));
        let is_advance = |effect: &&Effect| matches!(effect, Effect::Credit(credit) if credit.advance_millionths > 0);
        let advances: Vec<Effect> = edit.effects().iter().filter(is_advance).cloned().collect();
        ids(&advances)
    };
    assert_eq!(advance("ann"), advance("cookie"));
    assert_eq!(advance("ann").len(), 1);
}

#[test]
fn an_event_that_was_sent_without_time_counts_once() {
    let model = model(MODEL);
    let mut edit = edited(&model, "ann", Record::default());
    let timeless = event("1", "reply");
    let first = edit.apply(&timeless, &context(at(0)));
    assert!(matches!(first, EventOutcome::Applied { .. }));
    let again = edit.apply(&timeless, &context(at(DAY)));
    assert!(again.is_duplicate());
    let with_time = Event {
        time: Some(at(0)),
        ..timeless.clone()
    };
    assert!(edit.apply(&with_time, &context(at(DAY))).is_duplicate());
    assert_eq!(edit.record().event_count, 1);
    // The same id at another time is another event, and the latest one is meant without time.
    let other = Event {
        time: Some(at(DAY)),
        ..timeless.clone()
    };
    let outcome = edit.apply(&other, &context(at(DAY)));
    assert!(matches!(outcome, EventOutcome::Applied { .. }));
    assert!(edit.apply(&timeless, &context(at(2 * DAY))).is_duplicate());
    let outcome = edit.retract(&timeless, &context(at(2 * DAY)));
    assert_eq!(outcome, RetractionOutcome::Retracted);
    assert_eq!(edit.record().event_count, 1);
    let outcome = edit.retract(&other, &context(at(2 * DAY)));
    assert_eq!(outcome, RetractionOutcome::Duplicate);
}

#[test]
fn a_retraction_of_another_type_changes_nothing() {
    let model = model(MODEL);
    for channel in ["", "robot"] {
        let sent = Event {
            channel: channel.to_owned(),
            ..reply("ann")
        };
        let mut edit = edited(&model, "ann", Record::default());
        edit.apply(&sent, &context(at(0)));
        let record = edit.finish().record;
        let mut edit = edited(&model, "ann", record.clone());
        let other = Event {
            event_type: "share".to_owned(),
            ..sent.clone()
        };
        let outcome = edit.retract(&other, &context(at(0)));
        assert_eq!(outcome, RetractionOutcome::OtherType);
        let finished = edit.finish();
        assert!(!finished.changed && finished.effects.is_empty());
        assert_eq!(finished.record, record);
        let mut edit = edited(&model, "ann", record);
        let outcome = edit.retract(&sent, &context(at(0)));
        assert_eq!(outcome, RetractionOutcome::Retracted);
    }
}

#[test]
fn who_sent_an_event_is_forgotten_with_it() {
    let time = |second: i64| Timestamp::from_nanos(second * SECOND).unwrap();
    let mut memory = EventMemory::default();
    for second in 0..5 {
        let event = RememberedEvent::new(time(second), IdHash(7), "visit");
        let cookie = ProfileId::new("cookie").filter(|_| second % 2 == 0);
        memory.remember(event, cookie, Vec::new(), 3);
    }
    let remembered: Vec<_> = memory.origins.keys().copied().collect();
    assert_eq!(remembered, [(time(2), IdHash(7)), (time(4), IdHash(7))]);
}
