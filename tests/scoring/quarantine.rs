//! Events that a quarantine rule holds, and their release.

use bellwether::scoring::{
    Detail, EventOutcome, IdHash, Model, Name, Record, RecordEdit, RetractionOutcome, Selection,
    Timestamp, explain, index,
    limits::{MAX_HELD_BYTES, MAX_HELD_EVENTS},
};

use crate::{
    DAY, SECOND, at, context,
    corrections::{MODEL, ann, applied, by_robot, change, ranks_of},
    event, model,
};

#[test]
fn a_held_event_counts_nowhere_but_in_its_rule() {
    let model = model(MODEL);
    let mut edit = RecordEdit::new_profile(&model, ann());
    let visit = by_robot("1", "visit");
    let held = edit.apply(&visit, &context(at(0)));
    let rule = "robots".to_owned();
    assert_eq!(held, EventOutcome::Quarantined { rule: rule.into() });
    assert!(edit.apply(&visit, &context(at(0))).is_duplicate());
    assert_eq!(
        edit.profile(at(0), Detail::Points).quarantined,
        [(Name::new("robots"), 1)]
    );
    let outcome = edit.finish();
    assert_eq!(ranks_of(&outcome), ["quarantine:robots"]);
    assert_eq!(outcome.held_by, ["robots"]);
    assert_eq!(outcome.effects, []);
    let record = &outcome.record;
    assert_eq!(
        (record.event_count, record.last_event_time),
        (0, Timestamp::EPOCH)
    );
    assert_eq!(record.quarantine[0].matches[0].signal, "visited");
    let keys = index(&model, &ann(), record);
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].0.as_str(), "quarantine:robots");
}

#[test]
fn impossible_speed_is_held_and_an_ordinary_pace_is_not() {
    let model = model(MODEL);
    let mut edit = RecordEdit::new_profile(&model, ann());
    let mut outcome = |id: &str, time| edit.apply(&event(id, "click"), &context(at(time)));
    let is_held = |outcome| matches!(outcome, EventOutcome::Quarantined { .. });
    assert!(!is_held(outcome("1", 0)));
    assert!(is_held(outcome("2", SECOND / 4)));
    assert!(!is_held(outcome("3", SECOND)));
    assert!(!is_held(outcome("4", 2 * SECOND)));
    assert!(!is_held(outcome("5", 3 * SECOND)));
    assert!(is_held(outcome("6", 4 * SECOND)));
    assert!(!is_held(outcome("7", DAY)));
}

#[test]
fn the_oldest_held_event_is_dropped_for_good_beyond_the_capacity() {
    let model = model(MODEL);
    let outcome = change(&model, Record::default(), |edit| {
        for id in 0..=MAX_HELD_EVENTS {
            let visit = by_robot(&id.to_string(), "visit");
            edit.apply(&visit, &context(at(id as i64)));
        }
    });
    assert_eq!(outcome.dropped_events, 1);
    assert_eq!(outcome.record.quarantine.len(), MAX_HELD_EVENTS);
    assert_eq!(outcome.record.quarantine[0].id, IdHash::of_event("1"));
    // It never counted, so that its retraction must take nothing.
    let outcome = change(&model, outcome.record, |edit| {
        edit.apply(&event("real", "visit"), &context(at(DAY)));
        let dropped = edit.retract(&by_robot("0", "visit"), &context(at(0)));
        assert_eq!(dropped, RetractionOutcome::Duplicate);
    });
    assert_eq!(outcome.record.event_count, 1);
}

#[test]
fn events_with_many_long_keys_are_held_up_to_so_many_bytes_but_always_the_latest() {
    let by_tag = "[[signals]]\nname = \"read\"\non = \"visit\"\nper = 'event.tags'\npoints = { total = 1 }\n";
    let model = model(&format!("{MODEL}{by_tag}"));
    let outcome = change(&model, Record::default(), |edit| {
        for id in 0..20 {
            let mut visit = by_robot(&id.to_string(), "visit");
            let tags = (0..64).map(|tag| format!("{tag:0>128}").into());
            visit.tags = tags.collect();
            edit.apply(&visit, &context(at(id)));
        }
    });
    // Each has 8 KiB of keys, and its names.
    let held = outcome.record.quarantine.iter().map(|held| held.id);
    let latest = (13..20).map(|id| IdHash::of_event(&id.to_string()));
    assert_eq!(held.collect::<Vec<_>>(), latest.collect::<Vec<_>>());
    assert_eq!(outcome.dropped_events, 13);
    const { assert!(MAX_HELD_BYTES == 64 * 1024) };
}

#[test]
fn released_events_count_at_their_own_time_and_once() {
    let model = model(MODEL);
    let outcome = change(&model, Record::default(), |edit| {
        edit.apply(&by_robot("1", "visit"), &context(at(0)));
        edit.apply(&by_robot("2", "visit"), &context(at(DAY)));
        edit.apply(&event("3", "visit"), &context(at(7 * DAY)));
    });
    let one = Selection {
        rule: Some("robots".to_owned()),
        event: Some(IdHash::of_event("1")),
    };
    let outcome = change(&model, outcome.record, |edit| {
        assert_eq!(edit.release(&one, 10), 1);
        assert_eq!(edit.release(&one, 10), 0);
    });
    assert!(outcome.changed);
    let record = outcome.record;
    assert_eq!((record.event_count, record.first_seen_time), (2, at(0)));
    assert_eq!(record.last_event_time, at(7 * DAY));
    let heat = record.counts.iter().find(|group| group.half_life.is_some());
    assert_eq!(heat.unwrap().counts[0].value, 1.5);
    assert_eq!(record.quarantine.len(), 1);
    assert!(record.reached_stages.contains(&Name::new("awareness")));

    let other = Selection {
        rule: Some("impossible_speed".to_owned()),
        event: None,
    };
    let outcome = change(&model, record, |edit| {
        assert_eq!(edit.release(&other, 10), 0);
        assert_eq!(edit.release(&Selection::default(), 10), 1);
        let again = edit.apply(&by_robot("2", "visit"), &context(at(DAY)));
        assert!(again.is_duplicate());
    });
    assert_eq!(outcome.record.event_count, 3);
}

#[test]
fn a_held_event_that_is_retracted_is_dropped() {
    let model = model(MODEL);
    let visit = by_robot("1", "visit");
    let outcome = change(&model, Record::default(), |edit| {
        edit.apply(&visit, &context(at(0)));
        let outcome = edit.retract(&visit, &context(at(0)));
        assert_eq!(outcome, RetractionOutcome::Retracted);
        assert_eq!(edit.release(&Selection::default(), 10), 0);
    });
    assert!(outcome.record.quarantine.is_empty());
    assert_eq!(outcome.effects, []);
    assert_eq!(
        ranks_of(&outcome),
        ranks_of(&change(&model, Record::default(), |_| {}))
    );
}

#[test]
fn what_a_removed_rule_held_is_still_shown_and_released() {
    let with_rule = model(MODEL);
    let record = applied(&with_rule, &[(0, by_robot("1", "visit"))]);
    let without = model(&MODEL.replace("name = \"robots\"", "name = \"scanners\""));
    let profile = explain(&without, &ann(), &record, at(0), Detail::Points);
    assert_eq!(profile.quarantined, [(Name::new("robots"), 1)]);
    assert_eq!(index(&without, &ann(), &record), []);
    let outcome = change(&without, record, |edit| {
        assert_eq!(edit.release(&Selection::default(), 10), 1);
    });
    assert_eq!(outcome.record.event_count, 1);
}

#[test]
fn tables_of_subjects_and_quarantine_are_checked() {
    let mistakes = |lines: &str| -> String {
        let source = format!("[scores.heat]\nhalf_life = \"7d\"\n{lines}");
        let mistakes = Model::parse(&source).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect()
    };
    let segment = "[[segments]]\nname = \"s\"\nrank_by = \"heat\"\n";
    let told = mistakes(&format!("{segment}of = \"account\"\n"));
    assert!(told.contains("add a table [subjects.account]"), "{told}");
    let told = mistakes(&format!("{segment}of = \"acount\"\n[subjects.account]\n"));
    assert!(told.contains("did you mean \"account\""), "{told}");
    for (kind, is_wrong) in [("Account", true), ("people", true), ("brand_2", false)] {
        let source = format!("[scores.heat]\n[subjects.{kind}]\n");
        assert_eq!(Model::parse(&source).is_err(), is_wrong, "{kind}");
    }
    let kinds: String = (0..5).map(|kind| format!("[subjects.k{kind}]\n")).collect();
    let told = mistakes(&kinds);
    assert!(told.contains("5 kinds of subjects; at most 4"), "{told}");
    for (key, words) in [
        ("event.topics", "must be known before the event is counted"),
        ("stage", "must be known before the event is counted"),
        ("subjects.account.attributes.x", "must be known before"),
        ("seen(\"x\") ? \"a\" : \"b\"", "must be known before"),
        ("event.colour", "no event.colour"),
        ("[event.content_id]", "where a key is needed"),
    ] {
        let told = mistakes(&format!("[subjects.account]\nkey = '{key}'\n"));
        assert!(told.contains(words), "{key}: {told}");
    }
    let told = mistakes("[[quarantine]]\nname = \"q\"\n");
    assert!(told.contains("[[quarantine]] lacks \"when\""), "{told}");
    let rule = "[[quarantine]]\nname = \"q\"\nwhen = 'event.text == \"\"'\n";
    let told = mistakes(&format!("{rule}{rule}"));
    assert!(told.contains("two quarantine rules called \"q\""), "{told}");
    let told = mistakes("[[quarantine]]\nname = \"q\"\nwhen = 'event.colour == \"red\"'\n");
    assert!(told.contains("no event.colour"), "{told}");
    let told = mistakes("[subjects.account]\nname = \"company\"\n");
    assert!(told.contains("no key \"name\""), "{told}");
}

#[test]
fn a_rule_that_fails_on_an_event_holds_nothing_and_is_told() {
    let model = model(
        "[scores.a]\n[[quarantine]]\nname = \"verdict\"\nwhen = 'event.attributes.is_robot'\n",
    );
    let mut edit = RecordEdit::new_profile(&model, ann());
    let outcome = edit.apply(&event("1", "visit"), &context(at(0)));
    assert!(matches!(outcome, EventOutcome::Applied { .. }));
    assert_eq!(edit.finish().failed_rules, ["verdict"]);
}
