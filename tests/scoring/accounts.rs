//! Accounts: which one an event counts for, and where it stands.

use std::sync::Arc;

use bellwether::scoring::{
    AttributeValue, Detail, Evaluator, Event, Outcome, ProfileId, Record, RecordEdit, explain,
    index,
};

use crate::{
    DAY, SECOND, at, context,
    corrections::{MODEL, change, ranks_of},
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
        account_id: account.and_then(ProfileId::of_account),
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
    assert_eq!(accounts(outcome), ["acme", "home"]);

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
                account_id: ProfileId::of_account("acme"),
                ..event(id, "visit")
            };
            edit.apply(&visit, &context(at(time)));
        }
    });
    let people: Vec<&str> = ranks_of(&outcome);
    assert!(
        people.iter().all(|rank| !rank.starts_with("account:")),
        "{people:?}"
    );

    let acme = ProfileId::of_account("acme").unwrap();
    let mut account = RecordEdit::new_profile(&model, acme.clone());
    outcome
        .effects
        .iter()
        .for_each(|delta| assert!(account.apply_effect(delta)));
    let account = account.finish();
    assert_eq!(
        ranks_of(&account),
        ["account:score:heat", "account:score:total"]
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
    assert_eq!(names, ["account:score:heat", "account:score:total"]);
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
        edit.update(company("acme"), crate::at(0));
        edit.apply(&of("eve"), &context(at(0)));
        edit.update(company("home"), crate::at(0));
        edit.retract(&of("eve"), &context(at(0)));
    });
    let [given, taken] = deltas(&eve).try_into().unwrap();
    assert_eq!(
        (given.subject_id().name(), taken.subject_id().name()),
        ("acme", "home")
    );

    let home = ProfileId::of_account("home").unwrap();
    let mut home = RecordEdit::new_profile(&model, home);
    assert!(home.apply_effect(&deltas(&zed)[0]));
    assert!(home.apply_effect(&taken));
    assert_eq!(home.record().event_count, 1);
    assert_eq!(home.record().counts.len(), 2);
}

#[test]
fn an_account_with_nothing_but_marks_of_what_is_withheld_is_read_as_unknown() {
    let model = model(
        r#"
[accounts]
[scores.fit]
base = 1
[[signals]]
name = "came_after_others"
on = "visit"
when = 'account.scores.fit > 0'
points = { fit = 5 }
"#,
    );
    let mut evaluator = Evaluator::new(Arc::new(model), 256);
    let visit = |id: &str| Event {
        account_id: ProfileId::of_account("acme"),
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
