//! What events are worth.

use bellwether::scoring::{AttributeValue, EventOutcome, ProfileId, Record, RecordEdit};

use crate::{DAY, SECOND, at, context, event, model, points, replay, segments, view};

const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[scores.total]
[scores.fit]
base = 1

[[signals]]
name = "visited"
on = "visit"
points = { interest = 4, total = 1 }

[[signals]]
name = "asked_price"
on = ["quote", "price"]
when = 'event.attributes.seats >= 10'
value = 'event.attributes.seats / 10'
limit = 5
points = { interest = 10 }

[[signals]]
name = "complained"
on = "complaint"
cooldown = "10m"
points = { total = -3 }

[[signals]]
name = "came_back"
on = "visit"
when = 'seen("purchase") && stage == "customer" && scores.total > 0'
points = { total = 100 }

[[attributes]]
name = "in_retail"
when = 'profile.attributes.industry == "retail"'
points = { fit = 20 }

[[stages]]
name = "awareness"
[[stages]]
name = "consideration"
min = { interest = 8 }
[[stages]]
name = "customer"
when = 'seen("purchase")'

[[segments]]
name = "warm"
rank_by = "interest"
min = 4
[[segments]]
name = "leaving"
rank_by = "interest"
min = 1
max = 4
[[segments]]
name = "good"
when = '!has(profile.attributes.crm_id)'
rank_by = ["interest", "fit"]
min = 40
"#;

#[test]
fn points_halve_after_one_half_life() {
    let model = model(MODEL);
    let (record, _) = replay(&model, &[(at(0), event("1", "visit"))]);
    assert_eq!(points(&model, &record, at(0), "interest"), 4.0);
    assert!((points(&model, &record, at(7 * DAY), "interest") - 2.0).abs() < 1e-12);
    assert_eq!(points(&model, &record, at(700 * DAY), "total"), 1.0);
}

#[test]
fn a_score_below_the_noise_floor_is_zero() {
    let model = model(MODEL);
    let (record, _) = replay(&model, &[(at(0), event("1", "visit"))]);
    assert!(points(&model, &record, at(7 * DAY * 21), "interest") > 0.0);
    assert_eq!(points(&model, &record, at(7 * DAY * 23), "interest"), 0.0);
}

#[test]
fn a_value_is_computed_and_its_count_saturates_at_the_limit() {
    let model = model(MODEL);
    let mut quote = event("1", "quote");
    let seats = |number| AttributeValue::Number(number);
    quote.attributes.insert("seats".to_owned(), seats(20.0));
    let (record, _) = replay(&model, &[(at(0), quote.clone())]);
    assert_eq!(points(&model, &record, at(0), "interest"), 20.0);
    let mut large = quote.clone();
    large.id = event("2", "").id;
    large.attributes.insert("seats".to_owned(), seats(900.0));
    let (record, _) = replay(&model, &[(at(0), quote), (at(0), large)]);
    assert_eq!(points(&model, &record, at(0), "interest"), 50.0);
}

#[test]
fn a_condition_that_does_not_hold_or_fails_is_no_match_and_the_failure_is_told() {
    let model = model(MODEL);
    let mut small = event("1", "quote");
    small
        .attributes
        .insert("seats".to_owned(), AttributeValue::Number(9.0));
    let (_, outcomes) = replay(&model, &[(at(0), small)]);
    let none = EventOutcome::Applied {
        matched_signals: Vec::new(),
        stage_change: None,
        unmatched_type: None,
        ignored_subjects: Default::default(),
    };
    assert_eq!(outcomes, [none]);
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(&model, ann, Record::default());
    edit.apply(&event("2", "quote"), &context(at(0)));
    assert_eq!(edit.finish().failed_rules, ["asked_price"]);
}

#[test]
fn repeats_within_a_cooldown_do_not_count_on_either_side() {
    let model = model(MODEL);
    let minute = 60 * SECOND;
    let complaints: Vec<_> = [20, 25, 12, 35, 9]
        .iter()
        .map(|minutes| {
            (
                at(minutes * minute),
                event(&minutes.to_string(), "complaint"),
            )
        })
        .collect();
    let (record, outcomes) = replay(&model, &complaints);
    let counted: Vec<bool> = outcomes
        .iter()
        .map(|outcome| matches!(outcome, EventOutcome::Applied { matched_signals, .. } if matched_signals == &["complained"]))
        .collect();
    // 20 counts; 25 and 12 lie within ten minutes of it; 35 counts; 9 lies far before.
    assert_eq!(counted, [true, false, false, true, true]);
    let profile = view(&model, &record, at(DAY));
    assert_eq!(profile.scores[1].contributions[0].points, -9.0);
    assert_eq!(profile.scores[1].points, 0.0);
}

#[test]
fn history_is_what_was_before_the_event() {
    let model = model(MODEL);
    let events = [
        (at(0), event("1", "visit")),
        (at(1), event("2", "purchase")),
        (at(2), event("3", "visit")),
    ];
    let (_, outcomes) = replay(&model, &events);
    let EventOutcome::Applied {
        stage_change: Some(change),
        ..
    } = &outcomes[1]
    else {
        panic!("{:?}", outcomes[1]);
    };
    assert_eq!(change.from_stage.as_deref(), Some("awareness"));
    assert_eq!(change.to_stage.as_deref(), Some("customer"));
    let EventOutcome::Applied {
        matched_signals, ..
    } = &outcomes[2]
    else {
        panic!("{:?}", outcomes[2]);
    };
    assert_eq!(matched_signals, &["visited", "came_back"]);
}

#[test]
fn bounds_hold_at_the_line_and_a_maximum_is_below_it() {
    let model = model(MODEL);
    let (record, _) = replay(&model, &[(at(0), event("1", "visit"))]);
    assert_eq!(segments(&view(&model, &record, at(0))), ["warm"]);
    assert_eq!(segments(&view(&model, &record, at(DAY))), ["leaving"]);
    assert_eq!(segments(&view(&model, &record, at(14 * DAY))), ["leaving"]);
    assert_eq!(segments(&view(&model, &record, at(15 * DAY))), [""; 0]);
}

#[test]
fn a_product_multiplies_what_is_stated_with_what_is_done() {
    let model = model(MODEL);
    let (record, _) = replay(&model, &[(at(0), event("1", "visit"))]);
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(&model, ann, record);
    let retail = AttributeValue::String("retail".to_owned());
    edit.update([("industry".to_owned(), retail)].into(), crate::at(0));
    let record = edit.finish().record;
    assert_eq!(points(&model, &record, at(0), "fit"), 21.0);
    let both = view(&model, &record, at(0));
    assert_eq!(segments(&both), ["warm", "good"]);
    let warm = both.scores.iter().find(|score| score.name == "interest");
    let points = both.segments.iter().map(|segment| segment.points);
    let warm = warm.unwrap().points;
    assert_eq!(points.collect::<Vec<_>>(), [warm, warm * 21.0]);
    let mut known = record.clone();
    known
        .attributes
        .insert("crm_id".to_owned(), AttributeValue::Null);
    assert_eq!(segments(&view(&model, &known, at(0))), ["warm"]);
}

#[test]
fn a_stage_is_lost_when_its_score_fades_and_a_condition_keeps_it() {
    let model = model(MODEL);
    let visits = [(at(0), event("1", "visit")), (at(0), event("2", "visit"))];
    let (record, _) = replay(&model, &visits);
    assert_eq!(
        view(&model, &record, at(0)).stage.as_deref(),
        Some("consideration")
    );
    assert_eq!(
        view(&model, &record, at(DAY)).stage.as_deref(),
        Some("awareness")
    );
    let bought = [visits[0].clone(), (at(1), event("3", "purchase"))];
    let (record, _) = replay(&model, &bought);
    assert_eq!(
        view(&model, &record, at(900 * DAY)).stage.as_deref(),
        Some("customer")
    );
}

#[test]
fn beyond_the_horizon_nothing_can_count_twice() {
    let model = model(MODEL);
    let ann = ProfileId::new("ann").unwrap();
    let mut record = Record::default();
    let small = |time| bellwether::scoring::Context::at(at(time), 3);
    for pass in 0..2 {
        for time in 0..10 {
            let mut edit = RecordEdit::new(&model, ann.clone(), record);
            let outcome = edit.apply(&event(&time.to_string(), "visit"), &small(time));
            let expected = match (pass, time) {
                (0, _) => matches!(outcome, EventOutcome::Applied { .. }),
                (_, 0..=6) => outcome == EventOutcome::TooOld,
                _ => outcome.is_duplicate(),
            };
            assert!(expected, "pass {pass}, time {time}: {outcome:?}");
            record = edit.finish().record;
        }
    }
    assert_eq!(record.event_count, 10);
}

#[test]
fn an_event_of_the_past_counts_faded_and_moves_no_clock() {
    let model = model(MODEL);
    let events = [
        (at(7 * DAY), event("1", "visit")),
        (at(0), event("2", "visit")),
    ];
    let (record, _) = replay(&model, &events);
    assert_eq!(record.last_event_time, at(7 * DAY));
    assert_eq!(record.first_seen_time, at(0));
    assert!((points(&model, &record, at(7 * DAY), "interest") - 6.0).abs() < 1e-12);
}

#[test]
fn every_number_is_finite_even_long_before_the_last_event() {
    let source = "[scores.heat]\nhalf_life = \"1m\"\n[[signals]]\nname = \"visited\"\non = \"visit\"\npoints = { heat = 1e9 }\n[[signals]]\nname = \"left\"\non = \"leave\"\npoints = { heat = -1 }\n[[topics]]\nname = \"price\"\n[interests]\nhalf_life = \"1m\"\n";
    let model = model(source);
    let visit = bellwether::scoring::Event {
        tags: vec!["price".into()],
        ..event("1", "visit")
    };
    let (record, _) = replay(&model, &[(at(0), visit), (at(DAY), event("2", "leave"))]);
    for offset in [-DAY, -4_000 * DAY, DAY, 4_000 * DAY] {
        let profile = view(&model, &record, at(offset));
        let score = &profile.scores[0];
        assert!(score.points.is_finite(), "{score:?}");
        for part in &score.contributions {
            assert!(
                part.count.is_finite() && part.points.is_finite(),
                "{part:?}"
            );
        }
        assert!(
            profile
                .interests
                .iter()
                .all(|interest| interest.points.is_finite())
        );
    }
}

#[test]
fn an_event_ahead_of_the_clock_counts_at_its_arrival_and_once_however_often_it_comes() {
    let model = model(MODEL);
    let mut ahead = event("1", "visit");
    ahead.time = Some(at(30 * SECOND));
    let arrivals = [0, 2, 60].map(|second| {
        let arrival = at(second * SECOND);
        (arrival.min(at(30 * SECOND)), ahead.clone())
    });
    let (record, outcomes) = replay(&model, &arrivals);
    assert!(matches!(outcomes[0], EventOutcome::Applied { .. }));
    assert!(outcomes[1..].iter().all(EventOutcome::is_duplicate));
    assert_eq!((record.event_count, record.last_event_time), (1, at(0)));
}

#[test]
fn a_loop_over_a_map_gives_one_answer_however_often_it_is_asked() {
    let model = model(
        "[scores.fit]\n[[attributes]]\nname = \"first\"\nwhen = 'profile.attributes.filter(k, k.startsWith(\"utm_\"))[0] == \"utm_a\"'\npoints = { fit = 5 }\n",
    );
    let mut record = Record::default();
    for name in ["utm_c", "utm_b", "other", "utm_a", "utm_d"] {
        record
            .attributes
            .insert(name.to_owned(), AttributeValue::Null);
    }
    for _ in 0..50 {
        assert_eq!(points(&model, &record, at(0), "fit"), 5.0);
    }
}

#[test]
fn a_type_that_the_model_uses_nowhere_is_told_and_no_other() {
    let model = model(
        r#"
[scores.interest]
half_life = "7d"
[[signals]]
name = "visited"
on = "visit"
when = 'seen("trial")'
points = { interest = 1 }
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[topics]]
name = "price"
keywords = ["price"]
[[quarantine]]
name = "robots"
on = ["scan"]
when = 'event.attributes.robot == true'
[influence]
event_types = { reply = 1 }
half_life = "7d"
attribution_half_life = "7d"
"#,
    );
    let told = |event| match replay(&model, &[(at(0), event)]).1.remove(0) {
        EventOutcome::Applied { unmatched_type, .. } => unmatched_type,
        outcome => panic!("{outcome:?}"),
    };
    for known in ["visit", "trial", "purchase", "scan", "reply"] {
        assert_eq!(told(event("1", known)), None, "{known}");
    }
    assert_eq!(told(event("1", "vsit")).as_deref(), Some("vsit"));
    let mut on_a_topic = event("1", "vsit");
    on_a_topic.text = "what is the price?".to_owned();
    assert_eq!(told(on_a_topic), None);
}
