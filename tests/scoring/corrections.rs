//! Retraction, quarantine and accounts, one rule at a time; `effects` has what holds for all
//! events.

use bellwether::scoring::{
    AttributeValue, Detail, Effect, Event, EventOutcome, IdHash, Judgement, Model, Outcome,
    ProfileId, Record, RetractionOutcome, SeenType, Selection, SignalCount, Timestamp, explain,
    index, limits::MAX_HELD_EVENTS,
};

use crate::{DAY, SECOND, at, context, event, model};

const MODEL: &str = r#"
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
of = "accounts"
rank_by = "heat"
min = 6
[accounts]
attribute = "company"
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

fn ann() -> ProfileId {
    ProfileId::new("ann").unwrap()
}

/// What a record becomes by some changes, all in one write.
fn change(model: &Model, record: Record, changes: impl FnOnce(&mut Judgement<'_>)) -> Outcome {
    let mut judgement = Judgement::new(model, ann(), record);
    changes(&mut judgement);
    judgement.finish()
}

fn applied(model: &Model, events: &[(i64, Event)]) -> Record {
    let outcome = change(model, Record::default(), |judgement| {
        for (time, event) in events {
            judgement.apply(event, &context(at(*time)));
        }
    });
    outcome.record
}

fn retracted(model: &Model, record: Record, (time, event): &(i64, Event)) -> Record {
    let outcome = change(model, record, |judgement| {
        let outcome = judgement.retract(event, &context(at(*time)));
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

fn by_robot(id: &str, event_type: &str) -> Event {
    Event {
        channel: "robot".to_owned(),
        ..event(id, event_type)
    }
}

fn ranks_of(outcome: &Outcome) -> Vec<&str> {
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
    let outcome = change(&model, record.clone(), |judgement| {
        let again = judgement.retract(&visit.1, &context(at(0)));
        assert_eq!(again, RetractionOutcome::Duplicate);
        let sent_again = judgement.apply(&visit.1, &context(at(0)));
        assert_eq!(sent_again, EventOutcome::Duplicate);
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
    let outcome = change(&model, Record::default(), |judgement| {
        let forestalled = judgement.retract(&visit, &context(at(DAY)));
        assert_eq!(forestalled, RetractionOutcome::Forestalled);
        let late = judgement.apply(&visit, &context(at(DAY)));
        assert_eq!(late, EventOutcome::Duplicate);
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
        record = change(&model, record, |judgement| {
            judgement.apply(&visit, &few(id * SECOND));
        })
        .record;
    }
    let outcome = change(&model, record, |judgement| {
        let newest = judgement.retract(&event("3", "visit"), &few(3 * SECOND));
        assert_eq!(newest, RetractionOutcome::Retracted);
        let oldest = judgement.retract(&event("0", "visit"), &few(0));
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
    let record = change(&model, record, |judgement| {
        judgement.apply(&near.1, &context(at(near.0)));
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
    let record = change(&model, record, |judgement| {
        judgement.apply(&event("third", "question"), &context(at(2 * DAY)));
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

#[test]
fn a_type_that_was_seen_an_unknown_number_of_times_stays_seen() {
    let model = model(MODEL);
    let visit = (0, event("1", "visit"));
    let mut record = applied(&model, std::slice::from_ref(&visit));
    record.seen_types = vec![SeenType {
        name: "visit".to_owned(),
        count: 0,
    }];
    let record = retracted(&model, record, &visit);
    assert_eq!(record.seen_types.len(), 1);
}

fn replied(id: &str) -> Event {
    Event {
        author_id: ProfileId::new("bob"),
        tags: vec!["price".to_owned()],
        ..event(id, "reply")
    }
}

#[test]
fn a_touch_is_taken_back_from_the_author_unless_an_advance_has_used_it() {
    let model = model(MODEL);
    let bob = ProfileId::new("bob").unwrap();
    let reply = (0, replied("1"));
    let outcome = change(&model, Record::default(), |judgement| {
        judgement.apply(&reply.1, &context(at(0)));
        judgement.retract(&reply.1, &context(at(0)));
    });
    let mut author = Judgement::new_profile(&model, bob.clone());
    let credits: Vec<&Effect> = outcome.effects.iter().collect();
    assert_eq!(credits.len(), 2);
    credits
        .iter()
        .for_each(|credit| assert!(author.take(credit)));
    credits
        .iter()
        .for_each(|credit| assert!(!author.take(credit)));
    let author = author.finish();
    assert!(author.record.influence.is_empty());
    let totals: i64 = author.totals.iter().map(|(_, touches, _)| touches).sum();
    assert_eq!(totals, 0);

    let record = applied(&model, std::slice::from_ref(&reply));
    let outcome = change(&model, record, |judgement| {
        judgement.apply(&event("2", "purchase"), &context(at(DAY)));
        judgement.retract(&reply.1, &context(at(0)));
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
    let taken = change(&model, record, |judgement| {
        judgement.retract(&replied("1"), &context(at(0)));
    });
    let mut author = Judgement::new_profile(&model, ProfileId::new("bob").unwrap());
    assert!(author.take(&taken.effects[0]));
    let author = author.finish();
    assert_eq!((author.totals, author.record.influence), (vec![], vec![]));
}

#[test]
fn a_held_event_counts_nowhere_but_in_its_rule() {
    let model = model(MODEL);
    let mut judgement = Judgement::new_profile(&model, ann());
    let visit = by_robot("1", "visit");
    let held = judgement.apply(&visit, &context(at(0)));
    let rule = "robots".to_owned();
    assert_eq!(held, EventOutcome::Quarantined { rule });
    assert_eq!(
        judgement.apply(&visit, &context(at(0))),
        EventOutcome::Duplicate
    );
    assert_eq!(
        judgement.profile(at(0)).quarantined,
        [("robots".to_owned(), 1)]
    );
    let outcome = judgement.finish();
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
    let mut judgement = Judgement::new_profile(&model, ann());
    let mut outcome = |id: &str, time| judgement.apply(&event(id, "click"), &context(at(time)));
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
    let outcome = change(&model, Record::default(), |judgement| {
        for id in 0..=MAX_HELD_EVENTS {
            let visit = by_robot(&id.to_string(), "visit");
            judgement.apply(&visit, &context(at(id as i64)));
        }
    });
    assert_eq!(outcome.dropped_events, 1);
    assert_eq!(outcome.record.quarantine.len(), MAX_HELD_EVENTS);
    assert_eq!(outcome.record.quarantine[0].id, IdHash::of_event("1"));
    // It never counted, so that its retraction must take nothing.
    let outcome = change(&model, outcome.record, |judgement| {
        judgement.apply(&event("real", "visit"), &context(at(DAY)));
        let dropped = judgement.retract(&by_robot("0", "visit"), &context(at(0)));
        assert_eq!(dropped, RetractionOutcome::Duplicate);
    });
    assert_eq!(outcome.record.event_count, 1);
}

#[test]
fn released_events_count_at_their_own_time_and_once() {
    let model = model(MODEL);
    let outcome = change(&model, Record::default(), |judgement| {
        judgement.apply(&by_robot("1", "visit"), &context(at(0)));
        judgement.apply(&by_robot("2", "visit"), &context(at(DAY)));
        judgement.apply(&event("3", "visit"), &context(at(7 * DAY)));
    });
    let one = Selection {
        rule: Some("robots".to_owned()),
        event: Some(IdHash::of_event("1")),
    };
    let outcome = change(&model, outcome.record, |judgement| {
        assert_eq!(judgement.release(&one, 10), 1);
        assert_eq!(judgement.release(&one, 10), 0);
    });
    assert!(outcome.changed);
    let record = outcome.record;
    assert_eq!((record.event_count, record.first_seen_time), (2, at(0)));
    assert_eq!(record.last_event_time, at(7 * DAY));
    let heat = record.counts.iter().find(|group| group.half_life.is_some());
    assert_eq!(heat.unwrap().counts[0].value, 1.5);
    assert_eq!(record.quarantine.len(), 1);
    assert!(record.reached_stages.contains(&"awareness".to_owned()));

    let other = Selection {
        rule: Some("impossible_speed".to_owned()),
        event: None,
    };
    let outcome = change(&model, record, |judgement| {
        assert_eq!(judgement.release(&other, 10), 0);
        assert_eq!(judgement.release(&Selection::default(), 10), 1);
        assert_eq!(
            judgement.apply(&by_robot("2", "visit"), &context(at(DAY))),
            EventOutcome::Duplicate
        );
    });
    assert_eq!(outcome.record.event_count, 3);
}

#[test]
fn a_held_event_that_is_retracted_is_dropped() {
    let model = model(MODEL);
    let visit = by_robot("1", "visit");
    let outcome = change(&model, Record::default(), |judgement| {
        judgement.apply(&visit, &context(at(0)));
        let outcome = judgement.retract(&visit, &context(at(0)));
        assert_eq!(outcome, RetractionOutcome::Retracted);
        assert_eq!(judgement.release(&Selection::default(), 10), 0);
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
    assert_eq!(profile.quarantined, [("robots".to_owned(), 1)]);
    assert_eq!(index(&without, &ann(), &record), []);
    let outcome = change(&without, record, |judgement| {
        assert_eq!(judgement.release(&Selection::default(), 10), 1);
    });
    assert_eq!(outcome.record.event_count, 1);
}

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
    let outcome = change(&model, Record::default(), |judgement| {
        judgement.apply(&visit("1", None), &context(at(0)));
        let acme = AttributeValue::String("acme".to_owned());
        judgement.update([("company".to_owned(), acme)].into());
        judgement.apply(&visit("2", None), &context(at(0)));
        judgement.apply(&visit("3", Some("home")), &context(at(0)));
        judgement.update([("company".to_owned(), AttributeValue::Number(7.0))].into());
        judgement.apply(&visit("4", None), &context(at(0)));
    });
    assert_eq!(accounts(outcome), ["acme", "home"]);

    let without =
        crate::model("[scores.a]\n[[signals]]\nname = \"v\"\non = \"visit\"\npoints = { a = 1 }\n");
    let outcome = change(&without, Record::default(), |judgement| {
        judgement.apply(&visit("1", Some("home")), &context(at(0)));
    });
    assert!(accounts(outcome).is_empty());
}

#[test]
fn an_account_stands_in_ranks_of_its_own_and_at_no_stage() {
    let model = model(MODEL);
    let outcome = change(&model, Record::default(), |judgement| {
        for (id, time) in [("1", 0), ("2", SECOND), ("3", 2 * SECOND)] {
            let visit = Event {
                account_id: ProfileId::of_account("acme"),
                ..event(id, "visit")
            };
            judgement.apply(&visit, &context(at(time)));
        }
    });
    let people: Vec<&str> = ranks_of(&outcome);
    assert!(
        people.iter().all(|rank| !rank.starts_with("account:")),
        "{people:?}"
    );

    let acme = ProfileId::of_account("acme").unwrap();
    let mut account = Judgement::new_profile(&model, acme.clone());
    outcome
        .effects
        .iter()
        .for_each(|share| assert!(account.take(share)));
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
    assert_eq!(
        (profile.stage, profile.segments),
        (None, vec!["warm_accounts".to_owned()])
    );
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
fn tables_of_accounts_and_quarantine_are_checked() {
    let mistakes = |lines: &str| -> String {
        let source = format!("[scores.heat]\nhalf_life = \"7d\"\n{lines}");
        let mistakes = Model::parse(&source).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect()
    };
    let segment = "[[segments]]\nname = \"s\"\nrank_by = \"heat\"\n";
    let told = mistakes(&format!("{segment}of = \"accounts\"\n"));
    assert!(told.contains("add a table [accounts]"), "{told}");
    let told = mistakes(&format!("{segment}of = \"companies\"\n"));
    assert!(told.contains("\"people\" or \"accounts\""), "{told}");
    let told = mistakes("[[quarantine]]\nname = \"q\"\n");
    assert!(told.contains("quarantine lacks \"when\""), "{told}");
    let rule = "[[quarantine]]\nname = \"q\"\nwhen = 'event.text == \"\"'\n";
    let told = mistakes(&format!("{rule}{rule}"));
    assert!(told.contains("two quarantine rules called \"q\""), "{told}");
    let told = mistakes("[[quarantine]]\nname = \"q\"\nwhen = 'event.colour == \"red\"'\n");
    assert!(told.contains("no event.colour"), "{told}");
    let told = mistakes("[accounts]\nname = \"company\"\n");
    assert!(told.contains("no key \"name\""), "{told}");
}

#[test]
fn a_rule_that_fails_on_an_event_holds_nothing_and_is_told() {
    let model = model(
        "[scores.a]\n[[quarantine]]\nname = \"verdict\"\nwhen = 'event.attributes.is_robot'\n",
    );
    let mut judgement = Judgement::new_profile(&model, ann());
    let outcome = judgement.apply(&event("1", "visit"), &context(at(0)));
    assert!(matches!(outcome, EventOutcome::Applied { .. }));
    assert_eq!(judgement.finish().failed_rules, ["verdict"]);
}
