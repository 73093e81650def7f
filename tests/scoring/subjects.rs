//! Subjects: which ones an event counts for, and where they stand.

use std::sync::Arc;

use bellwether::scoring::{
    AttributeValue, Attributes, Context, Detail, Effect, Evaluator, Event, EventOutcome, Outcome,
    ProfileId, Record, RecordEdit, explain, index,
};

use crate::{
    DAY, SECOND, at, context,
    corrections::{MODEL, ann, change, ranks_of},
    event, model, segments,
};

#[test]
fn an_account_is_named_by_the_event_or_by_what_the_profile_states() {
    let model = model(MODEL);
    let accounts = |outcome: Outcome| -> Vec<String> {
        let effects = outcome.effects.iter();
        let ids = effects.map(|effect| effect.subject_id().name().to_owned());
        ids.collect()
    };
    let visit = |id: &str, account: Option<&str>| Event {
        subjects: Vec::from_iter(account.and_then(|id| ProfileId::of_subject("account", id))),
        ..event(id, "visit")
    };
    let outcome = change(&model, Record::default(), |edit| {
        edit.apply(&visit("1", None), &context(at(0)));
        let acme = AttributeValue::String("acme".to_owned());
        edit.update([("company".to_owned(), acme)].into(), crate::at(0));
        edit.apply(&visit("2", None), &context(at(0)));
        edit.apply(&visit("3", Some("home")), &context(at(0)));
        edit.update(
            [("company".to_owned(), AttributeValue::Number(7.0))].into(),
            crate::at(0),
        );
        edit.apply(&visit("4", None), &context(at(0)));
    });
    assert_eq!(accounts(outcome), ["acme", "home", "7"]);

    let without =
        crate::model("[scores.a]\n[[signals]]\nname = \"v\"\non = \"visit\"\npoints = { a = 1 }\n");
    let outcome = change(&without, Record::default(), |edit| {
        edit.apply(&visit("1", Some("home")), &context(at(0)));
    });
    assert!(accounts(outcome).is_empty());
}

#[test]
fn an_account_stands_in_ranks_of_its_own_and_at_no_stage() {
    let model = model(MODEL);
    let outcome = change(&model, Record::default(), |edit| {
        for (id, time) in [("1", 0), ("2", SECOND), ("3", 2 * SECOND)] {
            let visit = Event {
                subjects: Vec::from_iter(ProfileId::of_subject("account", "acme")),
                ..event(id, "visit")
            };
            edit.apply(&visit, &context(at(time)));
        }
    });
    let people: Vec<&str> = ranks_of(&outcome);
    assert!(
        people.iter().all(|rank| !rank.starts_with("subject:")),
        "{people:?}"
    );

    let acme = ProfileId::of_subject("account", "acme").unwrap();
    let mut account = RecordEdit::new_profile(&model, acme.clone());
    outcome
        .effects
        .iter()
        .for_each(|delta| assert!(account.apply_effect(delta)));
    let account = account.finish();
    assert_eq!(
        ranks_of(&account),
        ["subject:account:score:heat", "subject:account:score:total"]
    );
    let profile = explain(
        &model,
        &acme,
        &account.record,
        at(DAY),
        Detail::Contributions,
    );
    assert_eq!(profile.stage, None);
    assert_eq!(segments(&profile), ["warm_accounts"]);
    assert_eq!(profile.event_count, 3);
    assert_eq!(profile.scores[1].points, 4.0);
    let keys = index(&model, &acme, &account.record);
    let names: Vec<&str> = keys.iter().map(|(rank, _)| rank.as_str()).collect();
    assert_eq!(
        names,
        ["subject:account:score:heat", "subject:account:score:total"]
    );
    for rank in keys.iter().map(|(rank, _)| rank) {
        assert!(model.rank_names().contains(rank), "{rank}");
    }
}

#[test]
fn an_account_that_has_not_counted_an_event_loses_nothing_when_it_is_taken_back() {
    let model = model(MODEL);
    let of = |person: &str| Event {
        profile_id: ProfileId::new(person).unwrap(),
        ..event(person, "visit")
    };
    let company = |name: &str| {
        let name = AttributeValue::String(name.to_owned());
        [("company".to_owned(), name)].into()
    };
    let deltas = |outcome: &Outcome| outcome.effects.clone();
    let zed = change(&model, Record::default(), |edit| {
        edit.update(company("home"), crate::at(0));
        edit.apply(&of("zed"), &context(at(0)));
    });
    let eve = change(&model, Record::default(), |edit| {
        edit.update(company("home"), crate::at(0));
        edit.apply(&of("eve"), &context(at(0)));
        edit.retract(&of("eve"), &context(at(0)));
    });
    let [given, taken] = deltas(&eve).try_into().unwrap();
    assert_eq!(
        (given.subject_id().name(), taken.subject_id().name()),
        ("home", "home")
    );

    // It never got to know of the event itself.
    let home = ProfileId::of_subject("account", "home").unwrap();
    let mut home = RecordEdit::new_profile(&model, home);
    assert!(home.apply_effect(&deltas(&zed)[0]));
    assert!(home.apply_effect(&taken));
    assert_eq!(home.record().event_count, 1);
    assert_eq!(home.record().counts.len(), 2);
}

#[test]
fn a_subject_with_nothing_but_marks_of_what_is_withheld_is_read_as_unknown() {
    let model = model(
        r#"
[subjects.account]
[scores.fit]
base = 1
[[signals]]
name = "came_after_others"
on = "visit"
when = 'subjects.account.scores.fit > 0'
points = { fit = 5 }
"#,
    );
    let mut evaluator = Evaluator::new(Arc::new(model), 256);
    let visit = |id: &str| Event {
        subjects: Vec::from_iter(ProfileId::of_subject("account", "acme")),
        ..event(id, "visit")
    };
    let came_after_others = |evaluator: &Evaluator| {
        let ann = &evaluator.records()[&ProfileId::new("ann").unwrap()];
        !ann.counts.is_empty()
    };
    evaluator.retract(&visit("taken back in advance"), at(0));
    evaluator.apply(&visit("first"), at(0));
    assert!(!came_after_others(&evaluator));
    evaluator.apply(&visit("second"), at(0));
    assert!(came_after_others(&evaluator));
}

const KINDS: &str = r#"
[scores.heat]
half_life = "7d"
[subjects.account]
key = 'lower(domain(profile.attributes.email))'
[subjects.content]
key = 'event.content_id'
[subjects.brand]
[[signals]]
name = "visited"
on = "visit"
points = { heat = 4 }
"#;

fn subject(kind: &str, id: &str) -> ProfileId {
    ProfileId::of_subject(kind, id).unwrap()
}

fn for_whom(effects: &[Effect]) -> Vec<String> {
    let subjects = effects.iter().map(|effect| effect.subject_id().as_str());
    subjects.map(|id| id.replace('\u{1}', "")).collect()
}

fn states(email: &str) -> Attributes {
    [("email".to_owned(), AttributeValue::String(email.to_owned()))].into()
}

#[test]
fn an_event_counts_for_those_it_names_and_of_other_kinds_for_that_of_the_key() {
    let model = model(KINDS);
    let mut edit = RecordEdit::new_profile(&model, ann());
    edit.update(states("ann@Shop.example"), at(0));
    let visit = Event {
        content_id: "post 1".to_owned(),
        subjects: vec![
            subject("brand", "b"),
            subject("unheard_of", "x"),
            subject("brand", "a"),
            subject("brand", "b"),
        ],
        ..event("1", "visit")
    };
    let EventOutcome::Applied {
        ignored_subjects, ..
    } = edit.apply(&visit, &context(at(0)))
    else {
        panic!("it counts");
    };
    assert_eq!(ignored_subjects.undeclared_kinds, ["unheard_of"]);
    assert_eq!(ignored_subjects.left_out, 0);
    let expected = [
        "brand:b",
        "brand:a",
        "account:shop.example",
        "content:post 1",
    ];
    assert_eq!(for_whom(edit.effects()), expected);
}

#[test]
fn no_more_subjects_are_counted_for_than_eight_and_those_that_are_named_first() {
    let model = model(KINDS);
    for (named, left_out) in [(7, 0), (8, 1)] {
        let mut edit = RecordEdit::new_profile(&model, ann());
        let ids = (0..named).map(|number| subject("brand", &number.to_string()));
        let visit = Event {
            content_id: "post 1".to_owned(),
            subjects: ids.collect(),
            ..event("1", "visit")
        };
        let EventOutcome::Applied {
            ignored_subjects, ..
        } = edit.apply(&visit, &context(at(0)))
        else {
            panic!("it counts");
        };
        assert_eq!(ignored_subjects.left_out, left_out);
        assert_eq!(edit.effects().len(), 8);
        assert_eq!(model.most_subjects(&visit), 8);
    }
}

#[test]
fn what_is_taken_back_is_taken_from_the_subjects_that_counted_whatever_is_stated_since() {
    let model = model(KINDS);
    let mut edit = RecordEdit::new_profile(&model, ann());
    edit.update(states("ann@acme.example"), at(0));
    let visit = Event {
        content_id: "post 1".to_owned(),
        ..event("1", "visit")
    };
    edit.apply(&visit, &context(at(0)));
    edit.update(states("ann@home.example"), at(0));
    edit.apply(&event("2", "visit"), &context(at(SECOND)));
    let mut later = RecordEdit::new(&model, ann(), edit.finish().record);
    later.update(states("ann@else.example"), at(0));
    assert!(later.apply(&visit, &context(at(0))).is_duplicate());
    later.retract(&visit, &context(at(0)));
    assert_eq!(
        for_whom(later.effects()),
        ["account:acme.example", "content:post 1"]
    );
    later.retract(&event("2", "visit"), &context(at(SECOND)));
    assert_eq!(for_whom(later.effects())[2..], ["account:home.example"]);
}

#[test]
fn who_an_event_counted_for_is_forgotten_with_the_event() {
    let model = model(KINDS);
    let mut edit = RecordEdit::new_profile(&model, ann());
    edit.update(states("ann@acme.example"), at(0));
    for number in 0..5 {
        if number == 3 {
            edit.update(states("ann@home.example"), at(0));
        }
        let context = Context {
            remembered_events: 3,
            ..context(at(number * SECOND))
        };
        edit.apply(&event(&number.to_string(), "visit"), &context);
    }
    let memory = &edit.record().memory;
    let counted = memory.subjects.iter();
    let counted: Vec<_> = counted
        .map(|(id, events)| (id.name(), events.len()))
        .collect();
    assert_eq!(counted, [("acme.example", 1), ("home.example", 2)]);
}
