//! The ratio of two scores: how somebody does against their own habit.

use bellwether::scoring::{
    AttributeValue, Attributes, Detail, Event, HalfLife, KeyRange, Model, ProfileId, RankKey,
    Record, RecordEdit, Slope, Timestamp, explain, index,
};
use proptest::prelude::*;

use crate::{DAY, SECOND, at, context, event, model, models::check, replay, segments, view};

const HOUR: i64 = 3_600 * SECOND;

const MODEL: &str = r#"
[scores.lately]
half_life = "1d"
[scores.habit]
half_life = "60d"
[scores.visits]

[[signals]]
name = "visited"
on = "visit"
points = { lately = 60, habit = 1, visits = 1 }

[[segments]]
name = "gone_quiet"
when = 'scores.visits >= 10'
rank_by = "lately / habit"
min = 0.000000000001
max = 0.2
"#;

fn member(model: &Model, record: &Record, at: Timestamp) -> Option<f64> {
    let profile = view(model, record, at);
    let mut segments = profile.segments.into_iter();
    let found = segments.find(|segment| segment.segment == "gone_quiet");
    found.map(|segment| segment.points)
}

fn visits(days: i64, a_day: i64) -> Vec<(Timestamp, Event)> {
    let times = (0..days * a_day).map(|number| number * DAY / a_day);
    times
        .map(|time| (at(time), event(&time.to_string(), "visit")))
        .collect()
}

#[test]
fn four_visits_a_day_and_then_none_for_two_weeks_is_found() {
    let model = model(MODEL);
    let (record, _) = replay(&model, &visits(90, 4));
    let last = 90 * DAY - DAY / 4;
    assert_eq!(member(&model, &record, at(last)), None, "as ever");
    assert_eq!(member(&model, &record, at(last + DAY)), None, "a day off");
    let gone = member(&model, &record, at(last + 14 * DAY)).unwrap();
    assert!(gone < 0.001, "{gone}");
    // Whoever has a habit of one visit a week is as quiet as ever after a week.
    let weekly: Vec<_> = visits(90, 4).into_iter().step_by(28).collect();
    let (weekly, _) = replay(&model, &weekly);
    let last = weekly.last_event_time;
    assert_eq!(member(&model, &weekly, last), None);
    // And who came once has no habit.
    let (once, _) = replay(&model, &visits(1, 1));
    assert_eq!(member(&model, &once, at(14 * DAY)), None);
}

/// The example of the guide: the model, and the ratios of its people by days of silence.
#[test]
fn the_example_of_the_guide_is_computed_right() {
    let guide = std::fs::read_to_string("docs/model.md").unwrap();
    let (_, part) = guide
        .split_once("### Who falls behind their own habit")
        .unwrap();
    let (_, source) = part.split_once("```toml\n").unwrap();
    let model = model(source.split_once("```").unwrap().0);
    let habit = |every: i64, count: i64| {
        let times = (0..count).map(|number| number * every);
        let events: Vec<_> = times
            .map(|time| (at(time), event(&time.to_string(), "visit")))
            .collect();
        replay(&model, &events).0
    };
    let records = [
        ("Ann", habit(DAY / 4, 120 * 4)),
        ("Bob", habit(7 * DAY, 120 / 7 + 1)),
        ("Cleo", habit(DAY, 1)),
    ];
    let rows = part.lines().filter(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> = rows
        .take(5)
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    for (row, (name, record)) in rows[2..].iter().zip(records) {
        assert_eq!(row[0], name);
        for (told, days) in row[1..].iter().zip(&rows[0][1..]) {
            let days: i64 = days.parse().unwrap();
            let later = Timestamp::from_nanos(record.last_event_time.nanos() + days * DAY);
            let later = later.unwrap();
            let told: f64 = told.parse().unwrap();
            let parts = |score: &str| crate::points(&model, &record, later, score);
            let ratio = parts("lately") / parts("habit");
            assert!(
                (ratio / told - 1.0).abs() < 0.005,
                "{name}, {days}: {ratio}"
            );
            let is_member = member(&model, &record, later).is_some();
            let is_due = (0.0001..0.1).contains(&told) && name != "Cleo";
            assert_eq!(is_member, is_due, "{name}, {days}");
        }
    }
}

#[test]
fn it_is_found_when_the_part_that_fades_fast_is_below_the_noise_floor() {
    let model = model(MODEL);
    let (record, _) = replay(&model, &visits(90, 4));
    // 377 points of `lately` are below 2^-20 after 29 days.
    let later = at(90 * DAY + 31 * DAY);
    assert_eq!(crate::points(&model, &record, later, "lately"), 0.0);
    let gone = member(&model, &record, later).unwrap();
    assert!((9e-10..1e-9).contains(&gone), "{gone}");
    // It goes on where a letter is opened, which counts nothing, when all has faded so far.
    let mut events = visits(90, 4);
    events.push((later, event("letter", "letter")));
    let (record, _) = replay(&model, &events);
    let after = member(&model, &record, later).unwrap();
    assert!((after / gone - 1.0).abs() < 1e-9, "{after}");
    // Below min nobody is a member any more.
    assert_eq!(member(&model, &record, at(90 * DAY + 60 * DAY)), None);
}

#[test]
fn members_have_points_on_both_scores() {
    let source = MODEL.replace("points = { lately = 60,", "points = { lately = -1,");
    let model = model(&source);
    let (record, _) = replay(&model, &visits(20, 1));
    assert_eq!(member(&model, &record, record.last_event_time), None);
    let ann = ProfileId::new("ann").unwrap();
    let entries = index(&model, &ann, &record);
    let mut names = entries.iter().map(|(name, _)| name.as_str());
    assert!(!names.any(|name| name == "segment:gone_quiet"));
}

#[test]
fn what_rounding_leaves_of_a_score_is_no_part_of_a_ratio() {
    let source = MODEL.replace(
        "[[segments]]",
        "[[signals]]\nname = \"sum\"\non = \"visit\"\nvalue = 0.3\npoints = { lately = -1 }\n[[signals]]\nname = \"one\"\non = \"visit\"\nvalue = 0.1\npoints = { lately = 1 }\n[[signals]]\nname = \"two\"\non = \"visit\"\nvalue = 0.2\npoints = { lately = 1 }\n[[segments]]",
    );
    let source = source.replace("lately = 60, ", "");
    let model = model(&source);
    let (record, _) = replay(&model, &visits(20, 1));
    assert_eq!(member(&model, &record, at(25 * DAY)), None);
    let ann = ProfileId::new("ann").unwrap();
    let entries = index(&model, &ann, &record);
    let mut names = entries.iter().map(|(name, _)| name.as_str());
    assert!(!names.any(|name| name == "segment:gone_quiet"));
}

#[test]
fn a_ratio_may_stand_in_a_product_and_its_divisor_need_not_fade() {
    let source = MODEL.replace("\"lately / habit\"", "[\"visits\", \"lately / habit\"]");
    let product = model(&source.replace("max = 0.2", "max = 8"));
    let (record, _) = replay(&model(MODEL), &visits(10, 4));
    let at = at(20 * DAY);
    let ratio = member(&model(MODEL), &record, at).unwrap();
    let times_visits = member(&product, &record, at);
    assert!((times_visits.unwrap() / ratio - 40.0).abs() < 1e-9);
    let share = model(&MODEL.replace("lately / habit", "lately / visits"));
    let share = member(&share, &record, at).unwrap();
    assert!((share - crate::points(&product, &record, at, "lately") / 40.0).abs() < 1e-9);
}

#[test]
fn what_a_ratio_needs_is_told_with_what_to_write() {
    let segment =
        |lines: &str| format!("[[segments]]\nname = \"a\"\nwhen = 'scores.fit > 1'\n{lines}\n");
    let bounds = "min = 0.01\nmax = 0.2";
    let cases = [
        // `warmth` has a day, `interest` a week.
        (
            format!("rank_by = \"interest / warmth\"\n{bounds}"),
            "9:11",
            "write \"warmth / interest\"",
        ),
        (
            format!("rank_by = \"fit / warmth\"\n{bounds}"),
            "9:11",
            "grows while nothing happens",
        ),
        (
            format!("rank_by = \"warmth / warmth\"\n{bounds}"),
            "9:11",
            "stands twice",
        ),
        (
            format!("rank_by = \"warmth / interes\"\n{bounds}"),
            "9:11",
            "did you mean \"interest\"?",
        ),
        (
            format!("rank_by = \"warmth / interest / fit\"\n{bounds}"),
            "9:11",
            "is a formula",
        ),
        (
            format!("rank_by = \"warmth + interest\"\n{bounds}"),
            "9:11",
            "is a formula",
        ),
        (
            "rank_by = \"warmth / interest\"\nmin = 0.01".to_owned(),
            "9:11",
            "needs both min and max",
        ),
        (
            "rank_by = \"warmth / interest\"\nmax = 0.2".to_owned(),
            "9:11",
            "needs both min and max",
        ),
        (
            format!("rank_by = [\"warmth / interest\", \"warmth\"]\n{bounds}"),
            "9:33",
            "stands twice",
        ),
    ];
    for (lines, place, words) in cases {
        check(&segment(&lines), &[(place, words)]);
    }
    check(
        "[[segments]]\nname = \"a\"\nrank_by = \"warmth / interest\"\nmin = 0.01\nmax = 0.2\n",
        &[("8:11", "needs a `when`")],
    );
    check(
        &segment("rank_by = \"warmth / interest\"\nmin = 0\nmax = 0.2"),
        &[("10:7", "above 0")],
    );
}

#[test]
fn a_part_that_fades_within_a_day_is_warned_of() {
    let warnings = |half_life: &str| {
        let source = MODEL.replace(
            "half_life = \"1d\"",
            &format!("half_life = \"{half_life}\""),
        );
        let model = model(&source);
        let warnings = model.warnings().iter().map(ToString::to_string);
        warnings.collect::<Vec<_>>()
    };
    assert_eq!(warnings("1d"), Vec::<String>::new());
    let told = warnings("23h");
    assert!(
        told.len() == 1 && told[0].contains("\"lately\" fades to its half in less than a day"),
        "{told:?}"
    );
}

fn person(number: usize) -> ProfileId {
    ProfileId::new(&format!("p{number}")).unwrap()
}

proptest! {
    #[test]
    fn the_order_of_keys_is_the_order_of_ratios_at_any_later_instant(
        people in prop::collection::vec(
            prop::collection::vec((0_i64..60 * 24, 1_u32..9), 1..12), 2..6),
        later in 0_i64..400,
        min in 0.0001_f64..0.5,
    ) {
        let source = MODEL
            .replace("when = 'scores.visits >= 10'", "when = 'scores.visits > 0'")
            .replace("on = \"visit\"", "on = \"visit\"\nvalue = 'event.attributes.value'")
            .replace("min = 0.000000000001", &format!("min = {min}"))
            .replace("max = 0.2", &format!("max = {}", min * 64.0));
        let model = model(&source);
        let half_life = |days: i64| HalfLife::from_nanos(days * DAY).unwrap();
        let slope = Slope::of([half_life(1)]).over([half_life(60)]);
        let end = at(60 * DAY + later * DAY);
        // The plain sums, by their definition.
        let sum = |visits: &[(i64, u32)], days: f64| -> f64 {
            let terms = visits.iter().map(|(hours, value)| {
                let age = (60.0 + later as f64) - *hours as f64 / 24.0;
                f64::from(*value) * (-age / days).exp2()
            });
            terms.sum()
        };
        let mut ranked: Vec<(RankKey, f64, bool)> = Vec::new();
        for (number, visits) in people.iter().enumerate() {
            let mut edit = RecordEdit::new_profile(&model, person(number));
            for (position, (hours, value)) in visits.iter().enumerate() {
                let value = AttributeValue::Number(f64::from(*value));
                let event = Event {
                    profile_id: person(number),
                    attributes: Attributes::from([("value".to_owned(), value)]),
                    ..event(&position.to_string(), "visit")
                };
                edit.apply(&event, &context(at(hours * HOUR)));
            }
            let record = edit.finish().record;
            let entries = index(&model, &person(number), &record);
            let entry = entries.iter().find(|(name, _)| name.as_str() == "segment:gone_quiet");
            let ratio = 60.0 * sum(visits, 1.0) / sum(visits, 60.0);
            // After 400 days 2^-400 is left of the fast one, and still there.
            prop_assert!(ratio > 0.0);
            let key = entry.unwrap().1;
            let profile = explain(&model, &person(number), &record, end, Detail::Points);
            let is_member = segments(&profile) == ["gone_quiet"];
            let range = KeyRange {
                from: slope.threshold_key(min, end),
                below: Some(slope.threshold_key(min * 64.0, end)),
            };
            prop_assert_eq!(range.contains(key), is_member, "page and membership agree");
            if is_member {
                let shown = profile.segments[0].points;
                prop_assert!((shown / ratio - 1.0).abs() < 1e-8, "{} and {}", shown, ratio);
            }
            let is_near = |bound: f64| (ratio / bound).log2().abs() < 1e-5;
            if !is_near(min) && !is_near(min * 64.0) {
                prop_assert_eq!(is_member, (min..min * 64.0).contains(&ratio), "{}", ratio);
            }
            ranked.push((key, ratio, is_member));
        }
        for (key, ratio, _) in &ranked {
            for (other_key, other_ratio, _) in &ranked {
                if ratio / other_ratio > 1.0 + 1e-8 {
                    prop_assert!(key > other_key, "{} is above {}", ratio, other_ratio);
                }
            }
        }
    }
}
