//! What is likely at so many points, by the calibration of a score or a segment.

use bellwether::scoring::{AttributeValue, Detail, Model, ProfileId, Record, Timestamp, ranked};
use proptest::prelude::*;

use crate::{DAY, at, event, model, replay, score, stating, view};

fn calibrated(calibration: &str) -> Model {
    model(&format!(
        "[scores.x]\n[scores.x.calibration]\n{calibration}\n[[attributes]]\nname = \"a\"\nwhen = 'true'\nvalue = 'profile.attributes.n'\npoints = {{ x = 1 }}\n"
    ))
}

fn probability(model: &Model, points: f64) -> f64 {
    let record = stating(&[("n", AttributeValue::Number(points))]);
    let profile = view(model, &record, at(0));
    score(&profile, "x").probability.clone().unwrap().value
}

#[test]
fn a_table_is_linear_between_its_steps_and_level_outside() {
    let model = calibrated("table = [[10, 0.1], [20, 0.5], [40, 0.6]]\noutcome = \"buys\"");
    for (points, expected) in [
        (0.0, 0.1),
        (9.0, 0.1),
        (10.0, 0.1),
        (15.0, 0.3),
        (20.0, 0.5),
        (30.0, 0.55),
        (40.0, 0.6),
        (4_000.0, 0.6),
    ] {
        let found = probability(&model, points);
        assert!((found - expected).abs() < 1e-12, "{found} at {points}");
    }
    let profile = view(&model, &Record::default(), at(0));
    assert_eq!(
        score(&profile, "x").probability.clone().unwrap().outcome,
        "buys"
    );
}

#[test]
fn a_logistic_curve_is_one_half_at_its_midpoint() {
    let model = calibrated("logistic = { midpoint = 20, slope = -0.5 }");
    assert!((probability(&model, 20.0) - 0.5).abs() < 1e-12);
    assert!((probability(&model, 24.0) - 1.0 / (1.0 + 2.0_f64.exp())).abs() < 1e-12);
    assert!((probability(&model, 0.0) - 1.0 / (1.0 + (-10.0_f64).exp())).abs() < 1e-12);
}

proptest! {
    #[test]
    fn a_probability_is_monotone_in_points_and_from_0_to_1(
        steps in prop::collection::btree_map(0..1_000_000_u32, 0..=1_000_u32, 2..12),
        falls: bool,
        slope in prop::sample::select(vec![-3.0, -0.001, 0.02, 500.0]),
        points in prop::collection::vec(0.0..1_000.0_f64, 2..30),
    ) {
        let mut probabilities: Vec<u32> = steps.values().copied().collect();
        probabilities.sort_unstable();
        if falls {
            probabilities.reverse();
        }
        let table: Vec<String> = steps.keys().zip(&probabilities)
            .map(|(points, share)| format!("[{}, {}]", f64::from(*points) / 1_000.0, f64::from(*share) / 1_000.0))
            .collect();
        let table = calibrated(&format!("table = [{}]", table.join(", ")));
        let logistic = calibrated(&format!("logistic = {{ midpoint = 400, slope = {slope:?} }}"));
        let mut points = points;
        points.extend(steps.keys().map(|points| f64::from(*points) / 1_000.0));
        points.sort_by(f64::total_cmp);
        let is_ordered = |model: &Model, falls: bool| {
            let found: Vec<f64> = points.iter().map(|points| probability(model, *points)).collect();
            found.iter().all(|share| (0.0..=1.0).contains(share))
                && found.is_sorted_by(|a, b| if falls { a >= b } else { a <= b })
        };
        prop_assert!(is_ordered(&table, falls));
        prop_assert!(is_ordered(&logistic, slope < 0.0));
    }
}

const RANKED: &str = r#"
[scores.interest]
half_life = "7d"
[scores.fit]
base = 1
[[signals]]
name = "a"
on = "a"
points = { interest = 6, fit = 1 }
[[segments]]
name = "buyers"
rank_by = ["interest", "fit"]
calibration = { table = [[0, 0], [24, 1]], outcome = "buys" }
[[segments]]
name = "all"
rank_by = "interest"
"#;

#[test]
fn a_member_has_the_points_and_the_probability_that_its_segment_ranks_by() {
    let model = model(RANKED);
    let (record, _) = replay(&model, &[(at(0), event("1", "a"))]);
    let ann = ProfileId::new("ann").unwrap();
    let member = |segment: &str, instant: Timestamp| {
        let segment = model.segment(segment).unwrap();
        ranked(&model, segment, &ann, &record, instant, Detail::Points)
    };
    let now = member("buyers", at(0));
    assert_eq!((now.points, now.probability.unwrap().value), (12.0, 0.5));
    let later = member("buyers", at(7 * DAY));
    assert!((later.points - 6.0).abs() < 1e-9);
    assert!((later.probability.unwrap().value - 0.25).abs() < 1e-9);
    assert_eq!(member("buyers", at(700 * DAY)).points, 0.0, "faded away");
    let all = member("all", at(0));
    assert_eq!((all.points, all.probability), (6.0, None));
}
