//! What a record remembers of the way along the path to purchase, and of the answers to events.

use bellwether::scoring::{
    AttributeValue, Context, Detail, EventOutcome, IdHash, Model, Name, ProfileId, Record,
    RecordEdit, RetractionOutcome, Timestamp, explain,
};
use proptest::prelude::*;

use crate::{DAY, SECOND, at, context, event, model, text, view};

const MODEL: &str = r#"
[scores.heat]
half_life = "1d"
[[signals]]
name = "visited"
on = "visit"
points = { heat = 10 }
[[signals]]
name = "watched"
on = "visit"
points = { heat = 1 }
[[stages]]
name = "awareness"
[[stages]]
name = "interest"
min = { heat = 8 }
[[stages]]
name = "decision"
min = { heat = 16 }
[[stages]]
name = "customer"
when = 'profile.attributes.plan == "paid"'
"#;

fn ann(model: &Model, record: Record) -> RecordEdit<'_> {
    RecordEdit::new(model, ProfileId::new("ann").unwrap(), record)
}

fn stages(record: &Record) -> Vec<(&str, &str)> {
    let changes = record.stage_changes.iter();
    changes
        .map(|change| {
            let from_stage = change.from_stage.as_deref();
            let to_stage = change.to_stage.as_deref();
            (from_stage.unwrap_or_default(), to_stage.unwrap_or_default())
        })
        .collect()
}

#[test]
fn an_event_that_is_sent_again_is_answered_with_what_came_of_it() {
    let model = model(MODEL);
    let mut edit = ann(&model, Record::default());
    let EventOutcome::Applied {
        matched_signals,
        stage_change,
        ..
    } = edit.apply(&event("1", "visit"), &context(at(0)))
    else {
        panic!("it counts");
    };
    assert_eq!(matched_signals, ["visited", "watched"]);
    let change = stage_change.clone().unwrap();
    assert_eq!(change.to_stage.as_deref(), Some("interest"));
    assert_eq!(change.time, at(0));
    let answered = EventOutcome::Duplicate {
        matched_signals,
        stage_change,
    };
    assert_eq!(edit.apply(&event("1", "visit"), &context(at(0))), answered);
    for number in 2..=8 {
        edit.apply(&event(&number.to_string(), "visit"), &context(at(0)));
    }
    assert_eq!(edit.apply(&event("1", "visit"), &context(at(0))), answered);
    edit.apply(&event("9", "visit"), &context(at(0)));
    let EventOutcome::Duplicate {
        matched_signals,
        stage_change,
    } = edit.apply(&event("1", "visit"), &context(at(0)))
    else {
        panic!("it has counted");
    };
    assert!(matched_signals.is_empty() && stage_change.is_some());

    let retracted = edit.retract(&event("1", "visit"), &context(at(0)));
    assert_eq!(retracted, RetractionOutcome::Retracted);
    let nothing = EventOutcome::Duplicate {
        matched_signals: Vec::new(),
        stage_change: None,
    };
    assert_eq!(edit.apply(&event("1", "visit"), &context(at(0))), nothing);
}

#[test]
fn what_an_event_was_answered_is_forgotten_with_the_event() {
    let model = model(MODEL);
    let mut edit = ann(&model, Record::default());
    for number in 0..4 {
        let context = Context::at(at(number), 2);
        edit.apply(&event(&number.to_string(), "visit"), &context);
    }
    let record = edit.finish().record;
    let known: Vec<IdHash> = record
        .matched
        .iter()
        .map(|matched| matched.event.1)
        .collect();
    assert_eq!(known, [IdHash::of_event("2"), IdHash::of_event("3")]);
    assert_eq!(stages(&record).len(), 3);
    assert!(
        record
            .stage_changes
            .iter()
            .all(|change| change.event().is_none())
    );
}

#[test]
fn a_profile_says_since_when_it_stands_at_its_stage() {
    let model = model(MODEL);
    let mut edit = ann(&model, Record::default());
    edit.apply(&event("1", "visit"), &context(at(0)));
    edit.apply(&event("2", "visit"), &context(at(SECOND)));
    let record = edit.finish().record;
    let entered = |when| {
        let profile = view(&model, &record, when);
        let last = profile.stage_changes.last().cloned().unwrap();
        assert_eq!(last.to_stage, profile.stage);
        (profile.stage.unwrap(), profile.stage_entered_time.unwrap())
    };
    assert_eq!(entered(at(SECOND)), (Name::new("decision"), at(SECOND)));
    // 22 points are 16 after log2(22/16) half-lives.
    let (stage, fallen) = entered(at(DAY / 2));
    assert_eq!(stage, "interest");
    let seconds = (fallen.nanos() - at(SECOND).nanos()) as f64 / SECOND as f64;
    assert!(
        (seconds - 86_400.0 * (22.0_f64 / 16.0).log2()).abs() < 1.0,
        "{seconds}"
    );
    let just_before = Timestamp::from_nanos(fallen.nanos() - 1).unwrap();
    assert_eq!(entered(just_before).0, "decision");
    assert_eq!(entered(fallen), (Name::new("interest"), fallen));
    let (stage, lowest) = entered(at(90 * DAY));
    assert_eq!(stage, "awareness");
    assert!(lowest > fallen);

    // The next event remembers what has faded meanwhile, and is told of its own change alone.
    let mut edit = ann(&model, record);
    edit.apply(&event("3", "visit"), &context(at(90 * DAY)));
    let record = edit.finish().record;
    let way = [
        "",
        "awareness",
        "interest",
        "decision",
        "interest",
        "awareness",
        "interest",
    ];
    let moves: Vec<_> = way.windows(2).map(|pair| (pair[0], pair[1])).collect();
    assert_eq!(stages(&record), moves);
    let times: Vec<Timestamp> = record
        .stage_changes
        .iter()
        .map(|change| change.time)
        .collect();
    assert_eq!(times[3..], [fallen, lowest, at(90 * DAY)]);
}

#[test]
fn an_update_and_a_retraction_change_the_stage_when_they_come() {
    let model = model(MODEL);
    let mut edit = ann(&model, Record::default());
    edit.apply(&event("1", "visit"), &context(at(0)));
    edit.update([("plan".to_owned(), text("paid"))].into(), at(5 * DAY));
    edit.update(
        [("plan".to_owned(), AttributeValue::Null)].into(),
        at(6 * DAY),
    );
    let context = Context {
        now: at(7 * DAY),
        ..context(at(0))
    };
    edit.retract(&event("1", "visit"), &context);
    let record = edit.finish().record;
    assert_eq!(
        stages(&record),
        [
            ("", "awareness"),
            ("awareness", "interest"),
            ("interest", "awareness"),
            ("awareness", "customer"),
            ("customer", "awareness"),
        ]
    );
    let times: Vec<Timestamp> = record
        .stage_changes
        .iter()
        .map(|change| change.time)
        .collect();
    assert_eq!(times[3..], [at(5 * DAY), at(6 * DAY)]);
    let profile = view(&model, &record, at(8 * DAY));
    assert_eq!(profile.stage_entered_time, Some(at(6 * DAY)));
}

#[test]
fn a_retraction_takes_the_stage_when_it_comes() {
    let model = model(MODEL);
    let mut edit = ann(&model, Record::default());
    edit.apply(&event("1", "visit"), &context(at(0)));
    let context = Context {
        now: at(DAY / 10),
        ..context(at(0))
    };
    edit.retract(&event("1", "visit"), &context);
    let record = edit.finish().record;
    let last = record.stage_changes.last().unwrap();
    assert_eq!(last.from_stage.as_deref(), Some("interest"));
    assert_eq!((last.to_stage.as_deref(), last.time), (None, at(DAY / 10)));
}

#[test]
fn a_backfill_after_what_is_stated_has_its_own_instants() {
    let model = model(MODEL);
    let mut edit = ann(&model, Record::default());
    edit.update([("city".to_owned(), text("Rome"))].into(), at(90 * DAY));
    let mut outcome = None;
    for (number, day) in [(1, 0), (2, 1)] {
        let context = Context {
            now: at(90 * DAY),
            ..context(at(day * DAY))
        };
        outcome = Some(edit.apply(&event(&number.to_string(), "visit"), &context));
    }
    let Some(EventOutcome::Applied { stage_change, .. }) = outcome else {
        panic!("it counts");
    };
    let change = stage_change.unwrap();
    assert_eq!(change.from_stage.as_deref(), Some("awareness"));
    assert_eq!(
        (change.to_stage.as_deref(), change.time),
        (Some("decision"), at(DAY))
    );
    let record = edit.finish().record;
    assert_eq!(
        view(&model, &record, at(DAY)).stage_entered_time,
        Some(at(DAY))
    );
    assert!(
        record
            .stage_changes
            .iter()
            .all(|change| change.time <= at(DAY))
    );
}

#[test]
fn nobody_knows_since_when_a_stage_is_kept_that_another_model_gives() {
    let old = model(MODEL);
    let mut edit = ann(&old, Record::default());
    edit.apply(&event("1", "visit"), &context(at(0)));
    let record = edit.finish().record;
    let new = model(&MODEL.replace("name = \"interest\"", "name = \"consideration\""));
    let profile = view(&new, &record, at(0));
    assert_eq!(profile.stage.as_deref(), Some("consideration"));
    assert_eq!(profile.stage_entered_time, None);
    // It is lost by fading all the same.
    let profile = view(&new, &record, at(30 * DAY));
    assert_eq!(profile.stage.as_deref(), Some("awareness"));
    assert!(profile.stage_entered_time.is_some());
}

proptest! {
    #[test]
    fn changes_of_stage_follow_on_each_other_and_end_at_the_stage(
        offsets in prop::collection::vec((0..40_i64 * 24, any::<bool>()), 1..30),
        until in 0..100_i64,
    ) {
        let model = model(MODEL);
        let hour = DAY / 24;
        let mut edit = ann(&model, Record::default());
        for (number, (offset, is_update)) in offsets.iter().enumerate() {
            let last = edit.record().last_event_time;
            if *is_update && number > 0 {
                let plan = if number % 2 == 0 { "paid" } else { "free" };
                let now = last.max(at(offset * hour));
                edit.update([("plan".to_owned(), text(plan))].into(), now);
            } else {
                edit.apply(&event(&number.to_string(), "visit"), &context(at(offset * hour)));
            }
        }
        let record = edit.finish().record;
        let when = record.last_event_time.max(at(until * DAY));
        let latest = record.stage_changes.iter().map(|change| change.time).max();
        let when = latest.map_or(when, |latest| latest.max(when));
        let ann = ProfileId::new("ann").unwrap();
        let profile = explain(&model, &ann, &record, when, Detail::Contributions);
        for pair in profile.stage_changes.windows(2) {
            prop_assert_eq!(&pair[0].to_stage, &pair[1].from_stage);
        }
        prop_assert!(profile.stage_changes.len() <= 16);
        prop_assert_eq!(&profile.stage_changes.last().unwrap().to_stage, &profile.stage);
        prop_assert!(profile.stage_entered_time.unwrap() <= when);
    }
}

const KEPT: &str = r#"
[scores.heat]
half_life = "1d"
[[signals]]
name = "visited"
on = "visit"
points = { heat = 10 }
[[stages]]
name = "interest"
min = { heat = 10 }
keep = { heat = 5 }
[[stages]]
name = "decision"
min = { heat = 20 }
keep = { heat = 15 }
"#;

fn stage_at(model: &Model, record: &Record, when: Timestamp) -> Name {
    view(model, record, when).stage.unwrap_or_default()
}

#[test]
fn who_has_reached_a_stage_stays_until_the_points_fall_below_keep() {
    let model = model(KEPT);
    let mut edit = ann(&model, Record::default());
    edit.apply(&event("1", "visit"), &context(at(0)));
    let record = edit.finish().record;
    // Exactly what was given is the bound, and is kept a second later.
    assert_eq!(stage_at(&model, &record, at(SECOND)), "interest");
    assert_eq!(stage_at(&model, &record, at(DAY - SECOND)), "interest");
    assert_eq!(stage_at(&model, &record, at(DAY + SECOND)), "");
    let profile = view(&model, &record, at(DAY / 2));
    let current = profile.stage_explanation.unwrap().current.unwrap();
    assert_eq!((current.min, current.keep), (10.0, Some(5.0)));
    assert_eq!(current.missing_points, 0.0);

    // Whoever has fallen below it must reach the stage again.
    let mut edit = ann(&model, record.clone());
    let later = event("2", "visit");
    let change = edit.apply(&later, &context(at(2 * DAY)));
    let EventOutcome::Applied { stage_change, .. } = change else {
        panic!("it counts");
    };
    let stage_change = stage_change.unwrap();
    assert_eq!(stage_change.from_stage, None);
    assert_eq!(stage_change.to_stage.as_deref(), Some("interest"));
    let weak = super::model(&KEPT.replace("points = { heat = 10 }", "points = { heat = 4 }"));
    let mut edit = ann(&weak, record);
    edit.apply(&event("2", "visit"), &context(at(2 * DAY)));
    let record = edit.finish().record;
    assert_eq!(stage_at(&weak, &record, at(2 * DAY)), "");
    assert!(record.kept_stages.is_empty());
}

#[test]
fn a_retraction_leaves_a_stage_to_those_who_reach_it() {
    let model = model(KEPT);
    let mut edit = ann(&model, Record::default());
    edit.apply(&event("1", "visit"), &context(at(0)));
    edit.apply(&event("2", "visit"), &context(at(0)));
    assert_eq!(edit.record().kept_stages["heat"], "decision");
    edit.retract(&event("2", "visit"), &context(at(0)));
    let record = edit.finish().record;
    assert_eq!(record.kept_stages["heat"], "interest");
    assert_eq!(stage_at(&model, &record, at(DAY / 2)), "interest");
}

#[test]
fn a_stage_that_the_model_has_no_more_is_not_kept() {
    let old = model(KEPT);
    let mut edit = ann(&old, Record::default());
    edit.apply(&event("1", "visit"), &context(at(0)));
    let record = edit.finish().record;
    let renamed = model(&KEPT.replace("\"interest\"", "\"awareness\""));
    assert_eq!(stage_at(&renamed, &record, at(DAY / 2)), "");
    let without = model(
        &KEPT
            .replace("keep = { heat = 5 }\n", "")
            .replace("keep = { heat = 15 }\n", ""),
    );
    assert_eq!(stage_at(&without, &record, at(DAY / 2)), "");
    let mut edit = ann(&without, record);
    edit.apply(&event("2", "other"), &context(at(0)));
    assert!(edit.record().kept_stages.is_empty());
}

#[test]
fn a_keep_that_cannot_be_meant_is_refused() {
    for (keep, wanted) in [
        (
            "keep = { heat = 10 }",
            "keep must be below min, which is 10",
        ),
        ("keep = { other = 5 }", "keep is on another score than min"),
        ("keep = { heat = 0 }", "must be a number from 0.00000095"),
        ("keep = 5", "a table such as"),
    ] {
        let source =
            KEPT.replace("keep = { heat = 5 }", keep) + "[scores.other]\nhalf_life = \"1d\"\n";
        let mistakes = Model::parse(&source).unwrap_err();
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(
            told.iter().any(|told| told.contains(wanted)),
            "{keep}: {told:?}"
        );
    }
    for (old, falling) in [
        (
            "min = { heat = 20 }\nkeep = { heat = 15 }",
            "min = { heat = 9 }",
        ),
        ("keep = { heat = 15 }", "keep = { heat = 4 }"),
    ] {
        let told = Model::parse(&KEPT.replace(old, falling)).unwrap_err();
        let told = told[0].to_string();
        assert!(told.contains("may fall along the path"), "{told}");
    }
}

#[test]
fn the_indexes_of_stages_are_bounded() {
    let mut source = "[scores.heat]\nhalf_life = \"1d\"\n[[signals]]\nname = \"visited\"\non = \"visit\"\npoints = { heat = 10 }\n".to_owned();
    for number in 0..6 {
        source += &format!(
            "[[stages]]\nname = \"s{number}\"\nwhen = 'seen(\"t{number}\")'\nmin = {{ heat = {} }}\nkeep = {{ heat = {} }}\n",
            number + 2,
            number + 1
        );
    }
    let told = Model::parse(&source).unwrap_err()[0].to_string();
    assert!(told.contains("need 256 indexes; at most 128"), "{told}");
}
