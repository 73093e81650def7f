//! What is left of events and retractions that came as far as their effects and no further, or whose
//! effects come when all is over: nothing, once each has been sent again.

use bellwether::scoring::{
    AttributeValue, Effect, Event, IdHash, Model, Outcome, ProfileId, Selection,
};
use proptest::prelude::*;

use crate::{
    at, context,
    effects::{QUARANTINE, Sent, World, assert_same_worlds, events_within, steps},
    event, model,
    order_free::{LATEST, ORDER_FREE},
};

/// How far a writer comes.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// To the end.
    Succeeds,
    /// To its effects, not to the record.
    Fails,
    /// Its effects come after everything else.
    ComesLate,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop::sample::select(vec![Fate::Succeeds, Fate::Fails, Fate::ComesLate])
}

fn evaluate(world: &World, model: &Model, sent: &Sent, is_retraction: bool) -> Outcome {
    let context = context(sent.time);
    world.evaluate(model, &sent.event.profile_id, &mut |edit| {
        if is_retraction {
            edit.retract(&sent.event, &context);
        } else {
            edit.apply(&sent.event, &context);
        }
    })
}

fn release(world: &World, model: &Model, person: &ProfileId) -> Outcome {
    world.evaluate(model, person, &mut |edit| {
        edit.release(&Selection::default(), usize::MAX);
    })
}

fn take(world: &mut World, model: &Model, effects: Vec<Effect>) {
    for effect in effects {
        let outcome = world.evaluate(model, effect.subject_id(), &mut |edit| {
            edit.apply_effect(&effect);
        });
        world
            .records
            .insert(effect.subject_id().clone(), outcome.record);
    }
}

fn settle(world: &mut World, model: &Model, person: &ProfileId, outcome: Outcome) {
    world.records.insert(person.clone(), outcome.record);
    take(world, model, outcome.effects);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_retracted_has_never_been_whoever_fails_or_comes_late(
        // What is much older than the latest event is lost in the rounding of what is shared.
        events in events_within(10, 3),
        seed: u64,
        fates in prop::collection::vec(fate(), 100),
        is_held: bool,
    ) {
        let plain = model(ORDER_FREE);
        let quarantine = if is_held { QUARANTINE } else { "" };
        let model = model(&format!("{ORDER_FREE}{quarantine}"));
        let mut world = World::default();
        let mut late: Vec<Effect> = Vec::new();
        for (step, (sent, is_retraction)) in steps(&events, seed).into_iter().enumerate() {
            let outcome = match step % 7 {
                6 => release(&world, &model, &sent.event.profile_id),
                _ => evaluate(&world, &model, sent, is_retraction),
            };
            match fates[step] {
                Fate::ComesLate => late.extend(outcome.effects),
                Fate::Fails => take(&mut world, &model, outcome.effects),
                Fate::Succeeds => settle(&mut world, &model, &sent.event.profile_id, outcome),
            }
        }

        // A retraction does not wait for the event.
        for sent in &events {
            let outcome = evaluate(&world, &model, sent, sent.is_retracted);
            settle(&mut world, &model, &sent.event.profile_id, outcome);
        }
        for person in ["ann", "bob", "cid"] {
            let person = ProfileId::new(person).unwrap();
            let outcome = release(&world, &model, &person);
            settle(&mut world, &model, &person, outcome);
        }
        take(&mut world, &model, late);

        let mut expected = World::default();
        for sent in events.iter().filter(|sent| !sent.is_retracted) {
            expected.apply(&plain, sent);
        }
        assert_same_worlds(&world, &expected);
    }
}

/// An event of somebody of the account, who answers dan.
fn reply(person: &str) -> Sent {
    let time = at(0);
    let event = Event {
        profile_id: ProfileId::new(person).unwrap(),
        subjects: Vec::from_iter(ProfileId::of_subject("account", "acme")),
        author_id: ProfileId::new("dan"),
        time: Some(time),
        tags: vec!["price".into()],
        ..event("1", "reply")
    };
    Sent {
        time,
        event,
        is_retracted: true,
    }
}

/// How many events count for the account, and how many touches for the author.
fn counted(world: &World) -> (u64, u64) {
    let record = |id: ProfileId| world.records.get(&id).cloned().unwrap_or_default();
    let touches = record(ProfileId::new("dan").unwrap()).influence;
    let account = record(ProfileId::of_subject("account", "acme").unwrap());
    let touches = touches.iter().map(|cell| cell.touches).sum();
    (account.event_count, touches)
}

#[test]
fn what_was_given_before_the_event_failed_is_taken_by_its_retraction() {
    let model = model(ORDER_FREE);
    let mut world = World::default();
    world.apply(&model, &reply("bob"));
    let begun = evaluate(&world, &model, &reply("ann"), false);
    take(&mut world, &model, begun.effects);
    assert_eq!(counted(&world), (2, 2));
    for _ in 0..2 {
        world.retract(&model, &reply("ann"));
        assert_eq!(counted(&world), (1, 1));
    }
}

#[test]
fn what_was_never_given_is_not_taken_and_never_given() {
    let model = model(ORDER_FREE);
    let mut world = World::default();
    world.apply(&model, &reply("bob"));
    let begun = evaluate(&world, &model, &reply("ann"), false);
    world.retract(&model, &reply("ann"));
    assert_eq!(counted(&world), (1, 1));
    take(&mut world, &model, begun.effects);
    assert_eq!(counted(&world), (1, 1));
}

#[test]
fn a_smaller_latest_value_that_was_given_is_taken_back_by_its_difference() {
    let model = model(&format!("{ORDER_FREE}{LATEST}"));
    let bought = |id: &str, amount: f64| {
        let time = at(id.len() as i64);
        let amount = AttributeValue::Number(amount);
        let event = Event {
            event_type: "purchase".to_owned(),
            id: IdHash::of_event(id),
            attributes: [("amount".to_owned(), amount)].into(),
            time: Some(time),
            ..reply("ann").event
        };
        Sent {
            time,
            event,
            is_retracted: true,
        }
    };
    let latest = |world: &World| {
        let acme = &world.records[&ProfileId::of_subject("account", "acme").unwrap()];
        acme.signal_count(None, "last_amount").unwrap().value
    };
    let mut world = World::default();
    world.apply(&model, &bought("a", 10.0));
    let begun = evaluate(&world, &model, &bought("bb", 7.0), false);
    take(&mut world, &model, begun.effects);
    assert_eq!(latest(&world), 7.0);
    world.retract(&model, &bought("bb", 7.0));
    assert_eq!(latest(&world), 10.0);
}
