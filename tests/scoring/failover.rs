//! What comes back when events are sent again after a failover that lost writes: to the person, the
//! account or the author, whoever has lost it, and to nobody twice.

use bellwether::scoring::{
    AttributeValue, Effect, Event, Model, Outcome, ProfileId, Record, RecordEdit,
    limits::{REMEMBERED_CAUSED, REMEMBERED_EFFECTS},
};
use proptest::prelude::*;

use crate::{
    SECOND, at, context,
    effects::{ORDERED, QUARANTINE, Sent, World, assert_same_worlds, events_within, steps},
    event, model,
    order_free::{LATEST, ORDER_FREE},
};

/// Everything that asks for the order of events, arrivals at stages too.
fn ordered(quarantine: &str) -> Model {
    let free = ORDER_FREE.replace("[influence]\n", "[influence]\nadvance = 4\n");
    model(&format!(
        "{free}{ORDERED}{LATEST}{quarantine}[[stages]]\nname = \"first\"\n[[stages]]\nname = \"second\"\nmin = {{ slow = 2 }}\n"
    ))
}

fn person(name: &str) -> ProfileId {
    ProfileId::new(name).unwrap()
}

fn account(name: &str) -> ProfileId {
    ProfileId::of_subject("account", name).unwrap()
}

fn brand() -> ProfileId {
    ProfileId::of_subject("brand", "nike").unwrap()
}

fn everybody() -> [ProfileId; 7] {
    let people = ["ann", "bob", "cid", "dan"].map(person);
    let [ann, bob, cid, dan] = people;
    let (acme, home) = (account("acme"), account("home"));
    [ann, bob, cid, dan, acme, home, brand()]
}

/// Sends an event or its retraction, as the service does: effects before the record.
fn send(world: &mut World, model: &Model, sent: &Sent, is_retraction: bool) -> Outcome {
    let context = context(sent.time);
    let outcome = world.evaluate(model, &sent.event.profile_id, &mut |edit| {
        if is_retraction {
            edit.retract(&sent.event, &context);
        } else {
            edit.apply(&sent.event, &context);
        }
    });
    let mut settle = |effect: &Effect, is_again: bool| {
        let taken = world.evaluate(model, effect.subject_id(), &mut |edit| {
            if is_again {
                edit.apply_effect_again(effect);
            } else {
                edit.apply_effect(effect);
            }
        });
        world
            .records
            .insert(effect.subject_id().clone(), taken.record);
    };
    outcome.again.iter().for_each(|effect| settle(effect, true));
    let new = outcome.effects.iter();
    new.for_each(|effect| settle(effect, false));
    let id = sent.event.profile_id.clone();
    world.records.insert(id, outcome.record.clone());
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_failover_loses_is_there_again_once_everything_was_sent_again(
        events in events_within(10, 3),
        seed: u64,
        lost_from in any::<prop::sample::Index>(),
        lost in prop::collection::vec(any::<bool>(), 7),
        is_held: bool,
    ) {
        let model = ordered(if is_held { QUARANTINE } else { "" });
        let steps = steps(&events, seed);
        let lost_from = lost_from.index(steps.len());
        let mut world = World::default();
        let mut before = World::default();
        for (step, (sent, is_retraction)) in steps.iter().enumerate() {
            if step == lost_from {
                before.records.clone_from(&world.records);
            }
            send(&mut world, &model, sent, *is_retraction);
        }
        let mut records = world.records.values();
        prop_assume!(records.all(|record| record.caused.len() < REMEMBERED_CAUSED));
        let expected = World { records: world.records.clone() };

        for (id, is_lost) in everybody().into_iter().zip(lost) {
            if !is_lost {
                continue;
            }
            match before.records.remove(&id) {
                Some(record) => world.records.insert(id, record),
                None => world.records.remove(&id),
            };
        }
        for (sent, is_retraction) in &steps {
            send(&mut world, &model, sent, *is_retraction);
        }
        assert_same_worlds(&world, &expected);

        // Once more it changes nothing at all.
        let settled = world.records.clone();
        for (sent, is_retraction) in &steps {
            let outcome = send(&mut world, &model, sent, *is_retraction);
            prop_assert!(!outcome.changed);
        }
        prop_assert_eq!(&world.records, &settled);
    }
}

/// Somebody of acme does something with what dan has written.
fn sent(id: &str, event_type: &str, second: i64) -> Sent {
    let time = at(second * SECOND);
    let event = Event {
        subjects: vec![account("acme")],
        author_id: Some(person("dan")),
        time: Some(time),
        tags: vec!["price".into()],
        ..event(id, event_type)
    };
    Sent {
        time,
        event,
        is_retracted: false,
    }
}

fn bought(id: &str, amount: f64) -> Sent {
    let mut sent = sent(id, "purchase", 0);
    let amount = AttributeValue::Number(amount);
    sent.event.attributes = [("amount".to_owned(), amount)].into();
    sent
}

#[test]
fn an_account_that_lost_a_share_under_a_limit_takes_what_the_person_counts() {
    let model = ordered("");
    let mut world = World::default();
    for (id, amount) in [("1", 30.0), ("2", 25.0)] {
        send(&mut world, &model, &bought(id, amount), false);
    }
    let up_to = |world: &World, id| world.records[&id].signal_count(None, "up_to").cloned();
    let person_has = up_to(&world, person("ann")).unwrap().value;
    assert_eq!(person_has, 40.0);
    world.records.remove(&account("acme"));
    for _ in 0..2 {
        for (id, amount) in [("2", 25.0), ("1", 30.0)] {
            let outcome = send(&mut world, &model, &bought(id, amount), false);
            assert!(!outcome.changed && outcome.effects.is_empty());
        }
        assert_eq!(up_to(&world, account("acme")).unwrap().value, 40.0);
        assert_eq!(world.records[&account("acme")].event_count, 2);
    }
}

#[test]
fn an_account_that_lost_shares_of_which_more_was_taken_back_than_given_takes_them_in_their_order() {
    let model = ordered("");
    // The limit of 40 leaves 20, 20 and 0 of them, from the last to the first, and each takes back
    // what it came with, as long as there is something.
    let all = [("1", 20.0), ("2", 21.0), ("3", 20.0)].map(|(id, amount)| bought(id, amount));
    let mut world = World::default();
    for sent in all.iter().rev() {
        send(&mut world, &model, sent, false);
    }
    for sent in &all {
        send(&mut world, &model, sent, true);
    }
    let spent = |world: &World| {
        let account = &world.records[&account("acme")];
        let count = account.signal_count(None, "up_to");
        (account.event_count, count.map_or(0.0, |count| count.value))
    };
    assert_eq!(spent(&world), (0, 0.0));
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        world.records.remove(&account("acme"));
        for position in order {
            send(&mut world, &model, &all[position], true);
        }
        assert_eq!(spent(&world), (0, 0.0), "{order:?}");
    }
}

#[test]
fn an_author_that_lost_an_advance_takes_it_when_the_touch_is_sent_again() {
    let model = ordered("");
    let mut world = World::default();
    let touch = sent("touch", "reply", 0);
    send(&mut world, &model, &touch, false);
    for (second, id) in (1..).zip(["1", "2", "3"]) {
        send(&mut world, &model, &sent(id, "visit", second), false);
    }
    let expected = world.records[&person("dan")].influence.clone();
    assert_eq!(expected[0].advance_millionths, 1_000_000);
    assert!(world.records[&person("ann")].touches.is_empty());
    world.records.remove(&person("dan"));
    send(&mut world, &model, &touch, false);
    assert_eq!(world.records[&person("dan")].influence, expected);
}

#[test]
fn a_share_stays_with_the_account_that_the_event_counted_for() {
    let model = ordered("");
    let mut world = World::default();
    let mut visit = sent("1", "visit", 0);
    visit.event.subjects.clear();
    send(&mut world, &model, &visit, false);
    // What is sent with another account, or to another model, is the event that it was.
    visit.event.subjects.push(account("home"));
    let outcome = send(&mut world, &model, &visit, false);
    assert_eq!((outcome.again, outcome.changed), (Vec::new(), false));
    assert!(!world.records.contains_key(&account("home")));
}

/// Takes others' shares until nothing that was before is remembered.
fn forget(model: &Model, record: Record, from: i64) -> Record {
    let mut edit = RecordEdit::new(model, account("acme"), record);
    for number in 0..REMEMBERED_EFFECTS as i64 {
        let mut other = sent(&number.to_string(), "visit", from + number);
        other.event.profile_id = person(&format!("p{number}"));
        let mut of_other = RecordEdit::new_profile(model, other.event.profile_id.clone());
        of_other.apply(&other.event, &context(other.time));
        for effect in of_other.finish().effects {
            edit.apply_effect(&effect);
        }
    }
    edit.finish().record
}

#[test]
fn of_a_duplicate_counts_only_what_was_certainly_lost_and_of_a_new_event_everything() {
    let model = ordered("");
    let mut world = World::default();
    let (early, late) = (sent("early", "visit", 0), sent("late", "visit", 5_000));
    send(&mut world, &model, &early, false);
    send(&mut world, &model, &late, false);
    let ann = world.records[&person("ann")].clone();
    let share = |sent: &Sent, outcome: Outcome| {
        let mut shares = outcome.again.into_iter().chain(outcome.effects);
        shares.find(|effect| effect.subject_id() == &account("acme") && effect.time() == sent.time)
    };

    // Acme has lost the late one, and has forgotten others of before and after the early one.
    let acme = forget(&model, Record::default(), -1_000);
    let acme = forget(&model, acme, 1_000);
    let count = acme.event_count;
    let mut edit = RecordEdit::new(&model, account("acme"), acme);
    let again = |sent: &Sent| {
        let mut of_ann = RecordEdit::new(&model, person("ann"), ann.clone());
        let outcome = of_ann.apply(&sent.event, &context(sent.time));
        assert!(outcome.is_duplicate());
        share(sent, of_ann.finish()).unwrap()
    };
    assert!(edit.apply_effect_again(&again(&late)));
    assert_eq!(edit.record().event_count, count + 1);
    assert!(!edit.apply_effect_again(&again(&late)));

    // Whether it has lost the early one nobody knows.
    let forgotten = forget(&model, edit.finish().record, 10_000);
    let count = forgotten.event_count;
    let mut edit = RecordEdit::new(&model, account("acme"), forgotten);
    for sent in [&early, &late] {
        assert!(!edit.apply_effect_again(&again(sent)));
    }
    let skipped = edit.clone().finish();
    assert_eq!((skipped.unsettled_effects, skipped.changed), (2, false));

    // A new event counts however old it is.
    assert!(edit.apply_effect(&again(&early)));
    assert_eq!(edit.record().event_count, count + 1);
}

#[test]
fn an_event_too_old_to_be_known_gives_back_what_it_is_known_to_have_caused() {
    let model = ordered("");
    let mut world = World::default();
    let sent: Vec<Sent> = (0..4)
        .map(|number| sent(&number.to_string(), "visit", number))
        .collect();
    for sent in &sent {
        let short = bellwether::scoring::Context::at(sent.time, 2);
        world.change(&model, &person("ann"), &mut |edit| {
            edit.apply(&sent.event, &short);
        });
    }
    let expected = world.records[&account("acme")].clone();
    world.records.remove(&account("acme"));
    for (position, sent) in sent.iter().enumerate() {
        let ann = world.records[&person("ann")].clone();
        let mut edit = RecordEdit::new(&model, person("ann"), ann);
        let outcome = edit.apply(&sent.event, &context(sent.time));
        let is_known = position >= 2;
        assert_eq!(outcome.is_duplicate(), is_known, "{outcome:?}");
        send(&mut world, &model, sent, false);
    }
    assert_eq!(world.records[&account("acme")], expected);
}

#[test]
fn what_a_person_has_forgotten_to_have_caused_is_counted_as_unsettled() {
    let model = ordered("");
    let mut world = World::default();
    for number in 0..=REMEMBERED_CAUSED as i64 {
        let sent = sent(&number.to_string(), "visit", number);
        send(&mut world, &model, &sent, false);
    }
    let unsettled = |world: &mut World, number: i64| {
        let sent = sent(&number.to_string(), "visit", number);
        send(world, &model, &sent, false).unsettled_effects
    };
    assert_eq!(unsettled(&mut world, 0), 1);
    assert_eq!(unsettled(&mut world, 1), 0);
}

#[test]
fn of_an_event_for_several_subjects_each_that_was_forgotten_is_counted() {
    let model = ordered("");
    let mut world = World::default();
    let send_for_two = |world: &mut World, number: i64| {
        let mut sent = sent(&number.to_string(), "visit", number);
        sent.event.author_id = None;
        sent.event.subjects.push(brand());
        send(world, &model, &sent, false)
    };
    // One effect too many: the first event has lost that on its first subject.
    for number in 0..=REMEMBERED_CAUSED as i64 / 2 {
        let outcome = send_for_two(&mut world, number);
        assert_eq!(outcome.effects.len(), 2);
    }
    let mut one_more = sent("one more", "visit", 1_000);
    one_more.event.author_id = None;
    send(&mut world, &model, &one_more, false);
    assert_eq!(send_for_two(&mut world, 0).unsettled_effects, 2);
    assert_eq!(send_for_two(&mut world, 1).unsettled_effects, 1);
    assert_eq!(send_for_two(&mut world, 2).unsettled_effects, 0);
}
