//! What is made of counts and of what is stated: breadth, rules with a value, identity,
//! calibration, and the explanation of it all.

use bellwether::scoring::{
    AttributeValue, Breadth, ContributionKind, CountGroup, Detail, HalfLife, Judgement, Model,
    Profile, ProfileId, RankName, Record, Score, SignalCount, StageRequirement, Timestamp, index,
    ranked,
};
use proptest::prelude::*;

use crate::{DAY, SECOND, at, context, event, model, replay, view};

const BREADTH: &str = r#"
[scores.seeking]
half_life = "7d"
breadth = 3
breadth_share = 0.1
[scores.fit]
base = 1
breadth = 2
[[signals]]
name = "a"
on = "a"
points = { seeking = 10, fit = 1 }
[[signals]]
name = "b"
on = "b"
points = { seeking = 1 }
[[signals]]
name = "c"
on = "c"
points = { seeking = 3 }
[[signals]]
name = "bad"
on = "bad"
points = { seeking = -1, fit = -0.1 }
[[attributes]]
name = "rich"
when = 'has(profile.attributes.rich)'
points = { fit = 7 }
[[stages]]
name = "seeker"
min = { seeking = 5 }
[[segments]]
name = "seekers"
rank_by = ["seeking", "fit"]
"#;

fn score<'p>(profile: &'p Profile, name: &str) -> &'p Score {
    let mut scores = profile.scores.iter();
    scores.find(|score| score.name == name).unwrap()
}

fn stands_in(model: &Model, record: &Record, rank: &str) -> bool {
    let ann = ProfileId::new("ann").unwrap();
    let keys = index(model, &ann, record);
    keys.iter().any(|(name, _)| *name == RankName::new(rank))
}

fn stating(attributes: &[(&str, AttributeValue)]) -> Record {
    Record {
        attributes: attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..Record::default()
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::String(value.to_owned())
}

#[test]
fn a_score_that_asks_for_breadth_has_points_only_with_so_many_different_signals() {
    let model = model(BREADTH);
    let mut events = vec![(at(0), event("1", "a")), (at(SECOND), event("2", "c"))];
    let (record, _) = replay(&model, &events);
    let profile = view(&model, &record, at(DAY));
    let seeking = score(&profile, "seeking");
    assert_eq!(seeking.points, 0.0);
    assert_eq!(
        seeking.breadth,
        Some(Breadth {
            present: 2,
            required: 3
        })
    );
    assert_eq!(
        seeking.contributions.len(),
        2,
        "they are shown all the same"
    );
    assert_eq!((profile.stage, profile.segments.len()), (None, 0));
    assert!(!stands_in(&model, &record, "score:seeking"));
    assert!(!stands_in(&model, &record, "segment:seekers"));

    // A tenth of what the greatest one gives counts, and a bad sign is no sign.
    events.push((at(2 * SECOND), event("3", "bad")));
    let (record, _) = replay(&model, &events);
    assert_eq!(
        score(&view(&model, &record, at(DAY)), "seeking").points,
        0.0
    );
    events.push((at(2 * SECOND), event("4", "b")));
    let (mut record, _) = replay(&model, &events);
    let profile = view(&model, &record, at(2 * SECOND));
    assert!((score(&profile, "seeking").points - 13.0).abs() < 1e-4);
    assert_eq!(score(&profile, "seeking").breadth.unwrap().present, 3);
    assert_eq!(profile.stage.as_deref(), Some("seeker"));
    // A rule is a sign like a signal where nothing fades, and the base is none.
    assert_eq!(score(&profile, "fit").points, 0.0);
    record
        .attributes
        .insert("rich".to_owned(), AttributeValue::Null);
    let profile = view(&model, &record, at(2 * SECOND));
    assert!((score(&profile, "fit").points - 8.9).abs() < 1e-9);
    assert_eq!(profile.segments, ["seekers"]);
}

#[test]
fn the_share_of_the_breadth_is_one_in_twenty_unless_given() {
    let source = r#"
[scores.seeking]
breadth = 2
[[signals]]
name = "a"
on = "a"
points = { seeking = 20 }
[[signals]]
name = "b"
on = "b"
points = { seeking = SMALL }
"#;
    for (small, points) in [("1", 21.0), ("0.99", 0.0)] {
        let model = model(&source.replace("SMALL", small));
        let events = [(at(0), event("1", "a")), (at(0), event("2", "b"))];
        let (record, _) = replay(&model, &events);
        assert_eq!(
            score(&view(&model, &record, at(0)), "seeking").points,
            points
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn breadth_is_the_same_at_every_instant_and_in_every_order(
        drawn in prop::collection::vec(
            (prop::sample::select(vec!["a", "b", "c", "bad"]), 0..30 * DAY / SECOND), 0..12,
        ),
        later in prop::collection::vec(0..200_i64, 1..6),
        rotated in 0..12_usize,
    ) {
        let model = model(BREADTH);
        let events: Vec<_> = drawn
            .iter()
            .enumerate()
            .map(|(number, (kind, second))| (at(second * SECOND), event(&number.to_string(), kind)))
            .collect();
        let (record, _) = replay(&model, &events);
        // By the definition, from the events themselves, at the last one.
        let last = record.last_event_time;
        let given = |kind: &str, weight: f64| -> f64 {
            let own = events.iter().filter(|(_, event)| event.event_type == kind);
            let ages = own.map(|(time, _)| (last.nanos() - time.nanos()) as f64 / DAY as f64);
            weight * ages.map(|age| 0.5_f64.powf(age / 7.0)).sum::<f64>()
        };
        let terms = [given("a", 10.0), given("b", 1.0), given("c", 3.0)];
        let greatest = terms.iter().copied().fold(0.0, f64::max);
        let near = |points: f64| (points - 0.1 * greatest).abs() <= 1e-5 * greatest;
        prop_assume!(!terms.iter().any(|points| *points > 0.0 && near(*points)));
        let present = terms.iter().filter(|points| **points > 0.0 && **points >= 0.1 * greatest).count();
        let sum = terms.iter().sum::<f64>() + given("bad", -1.0);
        let expected = if present >= 3 { sum.max(0.0) } else { 0.0 };

        let mut turned = events.clone();
        turned.rotate_left(rotated.min(events.len()));
        let (again, _) = replay(&model, &turned);
        for record in [&record, &again] {
            for days in &later {
                let instant = record.last_event_time.saturating_add_nanos(days * DAY / 4);
                let profile = view(&model, record, instant);
                let seeking = score(&profile, "seeking");
                prop_assert_eq!(seeking.breadth.unwrap().present, present);
                let faded = expected * 0.5_f64.powf(*days as f64 / 4.0 / 7.0);
                prop_assert!((seeking.points - faded).abs() < 2e-6, "{} is not {}", seeking.points, faded);
            }
            prop_assert_eq!(stands_in(&model, record, "score:seeking"), expected > 1e-5);
        }
    }

    #[test]
    fn a_move_of_a_profile_that_gains_or_loses_breadth_is_told_to_its_ranks(
        drawn in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "bad"]), 1..20),
    ) {
        let model = model(BREADTH);
        let mut record = Record::default();
        let mut held = std::collections::BTreeMap::new();
        let ann = ProfileId::new("ann").unwrap();
        for (number, kind) in drawn.iter().enumerate() {
            let mut judgement = if number == 0 {
                Judgement::new_profile(&model, ann.clone())
            } else {
                Judgement::new(&model, ann.clone(), record)
            };
            let time = at(number as i64 * DAY);
            judgement.apply(&event(&number.to_string(), kind), &context(time));
            let outcome = judgement.finish();
            record = outcome.record;
            for change in outcome.ranks {
                let old = match change.new {
                    Some(key) => held.insert(change.rank.clone(), key),
                    None => held.remove(&change.rank),
                };
                prop_assert_eq!(old, change.old);
            }
            let expected: std::collections::BTreeMap<_, _> = index(&model, &ann, &record).into_iter().collect();
            prop_assert_eq!(&held, &expected);
        }
    }
}

const STATED: &str = r#"
[scores.fit]
[[attributes]]
name = "by_seats"
value = 'profile.attributes.seats'
points = { fit = 2 }
[[attributes]]
name = "twice"
when = 'has(profile.attributes.industry)'
value = 2
points = { fit = 5 }
"#;

#[test]
fn an_attribute_rule_counts_its_value() {
    let model = model(STATED);
    let points = |attributes: &[(&str, AttributeValue)]| {
        let profile = view(&model, &stating(attributes), at(0));
        let fit = score(&profile, "fit");
        let sum: f64 = fit.contributions.iter().map(|term| term.points).sum();
        assert_eq!(sum, fit.points);
        fit.points
    };
    let seats = |seats: f64| ("seats", AttributeValue::Number(seats));
    assert_eq!(points(&[]), 0.0);
    assert_eq!(points(&[seats(3.5)]), 7.0);
    assert_eq!(points(&[seats(3.5), ("industry", text("retail"))]), 17.0);
    assert_eq!(points(&[seats(1e9)]), 2e6, "above 1e6 it is 1e6");
    // What is no positive number does not count.
    assert_eq!(points(&[seats(-3.0)]), 0.0);
    assert_eq!(points(&[("seats", text("many"))]), 0.0);

    let profile = view(&model, &stating(&[seats(3.5)]), at(0));
    let term = &score(&profile, "fit").contributions[0];
    assert_eq!(term.kind, ContributionKind::AttributeRule);
    assert_eq!((term.count, term.weight, term.points), (3.5, 2.0, 7.0));
}

#[test]
fn without_a_condition_a_rule_counts_its_value_for_everybody_who_has_some() {
    let model = model(
        r#"
[scores.fit]
[[attributes]]
name = "completed"
value = 'completeness(["industry", "photo"])'
points = { fit = 8 }
[[attributes]]
name = "known"
value = 3
points = { fit = 1 }
[[attributes]]
name = "grows"
when = 'has(profile.attributes.industry)'
value = 'profile.attributes.growth'
points = { fit = 100 }
"#,
    );
    let terms = |attributes: &[(&str, AttributeValue)]| {
        let profile = view(&model, &stating(attributes), at(0));
        let terms = score(&profile, "fit").contributions.iter();
        let terms: Vec<_> = terms
            .map(|term| (term.signal.clone(), term.count))
            .collect();
        terms
    };
    let term = |name: &str, count| (name.to_owned(), count);
    let growth = ("growth", AttributeValue::Number(2.0));
    let industry = ("industry", text("retail"));
    assert_eq!(terms(std::slice::from_ref(&growth)), [term("known", 3.0)]);
    assert_eq!(
        terms(std::slice::from_ref(&industry)),
        [term("completed", 0.5), term("known", 3.0)]
    );
    assert_eq!(
        terms(&[industry, growth]),
        [
            term("completed", 0.5),
            term("known", 3.0),
            term("grows", 2.0)
        ]
    );
}

#[test]
fn an_event_type_that_a_value_or_a_confidence_asks_for_is_remembered_among_many() {
    let model = model(
        r#"
[scores.fit]
[[attributes]]
name = "a"
when = 'true'
value = 'seen("rare") ? 3 : 1'
points = { fit = 1 }
[[identity]]
name = "b"
when = 'true'
confidence = 'seen("odd") ? 0.5 : 0'
"#,
    );
    let mut events: Vec<_> = (0..100)
        .map(|number| {
            (
                at(number),
                event(&number.to_string(), &format!("type-{number}")),
            )
        })
        .collect();
    events.push((at(100), event("rare", "rare")));
    events.push((at(101), event("odd", "odd")));
    let (record, _) = replay(&model, &events);
    let profile = view(&model, &record, at(101));
    assert_eq!(score(&profile, "fit").points, 3.0);
    assert_eq!(profile.identity_confidence, Some(0.5));
}

const IDENTITY: &str = r#"
[scores.fit]
base = 2
[[identity]]
name = "in_crm"
when = 'has(profile.attributes.crm_id)'
confidence = 0.8
[[identity]]
name = "says_who"
when = 'has(profile.attributes.match)'
confidence = 'profile.attributes.match'
[[identity]]
name = "bought"
when = 'seen("purchase")'
confidence = 0.3
[[signals]]
name = "known_visit"
on = "visit"
when = 'identity.confidence >= 0.8'
points = { fit = 1 }
[[attributes]]
name = "known"
when = 'identity.confidence > 0'
value = 'identity.confidence'
points = { fit = 10 }
[[stages]]
name = "anyone"
[[stages]]
name = "known"
when = 'identity.confidence >= 0.5'
[[segments]]
name = "strangers"
when = 'identity.confidence == 0'
rank_by = "fit"
[[segments]]
name = "sure"
min_confidence = 0.86
rank_by = "fit"
[[segments]]
name = "sure_and_good"
min_confidence = 0.86
rank_by = "fit"
min = 9
"#;

#[test]
fn pieces_of_evidence_of_an_identity_add_up_and_everything_else_may_read_it() {
    let model = model(IDENTITY);
    let matching = |value: f64| ("match", AttributeValue::Number(value));
    let crm = ("crm_id", text("7"));
    let stranger = view(&model, &stating(&[("mood", text("good"))]), at(0));
    assert_eq!(stranger.identity_confidence, Some(0.0));
    assert_eq!(stranger.stage.as_deref(), Some("anyone"));
    assert_eq!(stranger.segments, ["strangers"]);

    let half = view(&model, &stating(&[matching(0.5)]), at(0));
    assert_eq!(half.identity_confidence, Some(0.5));
    assert_eq!(score(&half, "fit").points, 7.0);
    assert_eq!(half.stage.as_deref(), Some("known"));
    assert_eq!(half.segments, [""; 0]);

    let mut record = stating(std::slice::from_ref(&crm));
    record.seen_types.push(bellwether::scoring::SeenType {
        name: "purchase".to_owned(),
        count: 1,
    });
    let known = view(&model, &record, at(0));
    assert_eq!(known.identity_confidence, Some(0.86), "1 - 0.2 * 0.7");
    assert_eq!(known.segments, ["sure", "sure_and_good"]);

    // What is no share counts as the nearest one.
    for (stated, confidence) in [(7.0, 1.0), (-1.0, 0.8)] {
        let profile = view(&model, &stating(&[crm.clone(), matching(stated)]), at(0));
        assert_eq!(profile.identity_confidence, Some(confidence));
    }
    let odd = view(&model, &stating(&[("match", text("x"))]), at(0));
    assert_eq!(
        odd.identity_confidence,
        Some(0.0),
        "what fails shows nothing"
    );
}

#[test]
fn a_signal_may_ask_how_sure_it_is_who_somebody_is() {
    let model = model(IDENTITY);
    let ann = ProfileId::new("ann").unwrap();
    for (stated, counts) in [(0.7, false), (0.8, true)] {
        let record = stating(&[("match", AttributeValue::Number(stated))]);
        let mut judgement = Judgement::new(&model, ann.clone(), record);
        judgement.apply(&event("1", "visit"), &context(at(0)));
        let counted = !judgement.finish().record.counts.is_empty();
        assert_eq!(counted, counts);
    }
}

#[test]
fn segments_of_one_condition_and_one_confidence_share_a_rank() {
    let model = model(IDENTITY);
    let names = model.rank_names();
    let is_rank = |name: &str| names.contains(&RankName::new(name));
    assert!(is_rank("segment:sure") && !is_rank("segment:sure_and_good"));
}

#[test]
fn a_model_without_identity_says_nothing_of_it() {
    let model = model("[scores.fit]\n");
    assert_eq!(
        view(&model, &Record::default(), at(0)).identity_confidence,
        None
    );
}

proptest! {
    #[test]
    fn confidence_is_one_minus_the_product_of_the_doubts_whatever_their_order(
        pieces in prop::collection::vec((1..=100_u32, any::<bool>()), 1..8),
    ) {
        let source = |pieces: &[(u32, bool)]| {
            let rules = pieces.iter().enumerate().map(|(number, (percent, holds))| format!(
                "[[identity]]\nname = \"piece_{number}\"\nwhen = '{}'\nconfidence = {}\n",
                if *holds { "true" } else { "has(profile.attributes.x)" },
                f64::from(*percent) / 100.0,
            ));
            format!("[scores.fit]\n{}", rules.collect::<String>())
        };
        let confidence = |source: String| {
            view(&model(&source), &Record::default(), at(0)).identity_confidence.unwrap()
        };
        let doubt: f64 = pieces.iter().filter(|(_, holds)| *holds)
            .map(|(percent, _)| 1.0 - f64::from(*percent) / 100.0).product();
        let found = confidence(source(&pieces));
        prop_assert!((found - (1.0 - doubt)).abs() < 1e-11);
        let mut turned = pieces.clone();
        turned.reverse();
        prop_assert_eq!(confidence(source(&turned)), found);
    }
}

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
    let member = |segment: usize, instant: Timestamp| {
        ranked(&model, segment, &ann, &record, instant, Detail::Points)
    };
    let now = member(0, at(0));
    assert_eq!((now.points, now.probability.unwrap().value), (12.0, 0.5));
    let later = member(0, at(7 * DAY));
    assert!((later.points - 6.0).abs() < 1e-9);
    assert!((later.probability.unwrap().value - 0.25).abs() < 1e-9);
    assert_eq!(member(0, at(700 * DAY)).points, 0.0, "faded away");
    let all = member(1, at(0));
    assert_eq!((all.points, all.probability), (6.0, None));
}

const EXPLAINED: &str = r#"
[scores.interest]
half_life = "7d"
[scores.loyalty]
[[signals]]
name = "visited"
on = "visit"
limit = 3
points = { interest = 2 }
[[signals]]
name = "bought"
on = "purchase"
points = { loyalty = 1 }
[[stages]]
name = "anyone"
[[stages]]
name = "interested"
min = { interest = 5 }
[[stages]]
name = "buyer"
when = 'seen("purchase")'
[[stages]]
name = "fan"
when = 'seen("purchase")'
min = { loyalty = 2 }
"#;

#[test]
fn a_count_at_its_limit_is_told_as_it_stood_at_the_last_event() {
    let model = model(EXPLAINED);
    let visits = |count: i64| {
        let events: Vec<_> = (0..count)
            .map(|number| (at(number), event(&number.to_string(), "visit")))
            .collect();
        replay(&model, &events).0
    };
    for (count, is_capped) in [(2, false), (3, true), (5, true)] {
        let profile = view(&model, &visits(count), at(30 * DAY));
        let term = &score(&profile, "interest").contributions[0];
        assert_eq!(
            (term.limit, term.is_capped),
            (Some(3.0), is_capped),
            "{count}"
        );
        assert_eq!(term.kind, ContributionKind::Signal);
        assert!(term.keys.is_empty());
    }
}

#[test]
fn a_count_by_key_is_told_key_by_key_and_capped_when_one_of_them_is() {
    let model = model(EXPLAINED);
    let half_life = HalfLife::from_nanos(7 * DAY);
    let part = |key: &str, value: f64| SignalCount {
        signal: "visited".to_owned(),
        key: key.to_owned(),
        value,
    };
    let with = |counts: Vec<SignalCount>| Record {
        event_count: 1,
        last_event_time: at(0),
        counts: vec![CountGroup { half_life, counts }],
        ..Record::default()
    };
    let record = with(vec![part("", 4.0), part("go", 1.0), part("rust", 2.5)]);
    let profile = view(&model, &record, at(7 * DAY));
    let term = &score(&profile, "interest").contributions[0];
    assert!((term.count - 3.75).abs() < 1e-12 && (term.points - 7.5).abs() < 1e-12);
    assert!((score(&profile, "interest").points - 7.5).abs() < 1e-9);
    let keys: Vec<_> = term
        .keys
        .iter()
        .map(|part| (part.key.as_str(), part.points))
        .collect();
    assert_eq!(keys, [("", 4.0), ("rust", 2.5), ("go", 1.0)], "most first");
    assert!(!term.is_capped, "what was dropped has no limit");

    let record = with(vec![part("go", 1.0), part("rust", 3.0 * (1.0 - 1e-12))]);
    let profile = view(&model, &record, at(0));
    assert!(score(&profile, "interest").contributions[0].is_capped);
}

#[test]
fn a_signal_that_is_counted_by_key_is_explained_by_what_its_events_counted() {
    let model = model(
        r#"
[scores.interest]
half_life = "7d"
[[signals]]
name = "viewed"
on = "view"
per = 'event.tags'
limit = 2
points = { interest = 3 }
"#,
    );
    let viewing = |id: &str, day: i64, tags: &[&str]| {
        let mut event = event(id, "view");
        event.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        (at(day * DAY), event)
    };
    let mut events = vec![viewing("1", 0, &["go", "rust"]), viewing("2", 7, &["rust"])];
    let explained = |events: &[(Timestamp, bellwether::scoring::Event)]| {
        let (record, _) = replay(&model, events);
        let profile = view(&model, &record, at(7 * DAY));
        let mut terms = score(&profile, "interest").contributions.clone();
        assert_eq!(terms.len(), 1);
        terms.remove(0)
    };
    let term = explained(&events);
    let keys: Vec<_> = term
        .keys
        .iter()
        .map(|part| (part.key.as_str(), part.count))
        .collect();
    assert_eq!(keys, [("rust", 1.5), ("go", 0.5)]);
    assert_eq!((term.count, term.points, term.is_capped), (2.0, 6.0, false));
    events.push(viewing("3", 7, &["rust"]));
    let term = explained(&events);
    assert_eq!(
        (term.count, term.is_capped),
        (2.5, true),
        "rust is at its limit, go is not"
    );
}

#[test]
fn a_stage_is_explained_by_what_holds_it_and_what_is_missing_to_the_next() {
    let model = model(EXPLAINED);
    let explained = |events: &[(Timestamp, bellwether::scoring::Event)], instant: Timestamp| {
        let (record, _) = replay(&model, events);
        let profile = view(&model, &record, instant);
        let explanation = profile.stage_explanation.unwrap();
        assert_eq!(
            explanation.current.as_ref().map(|current| &current.stage),
            profile.stage.as_ref()
        );
        (explanation.current, explanation.next)
    };
    let plain = |stage: &str| StageRequirement {
        stage: stage.to_owned(),
        when: String::new(),
        when_holds: true,
        score: String::new(),
        min: 0.0,
        points: 0.0,
        missing_points: 0.0,
    };
    let visit = (at(0), event("1", "visit"));
    let (current, next) = explained(std::slice::from_ref(&visit), at(7 * DAY));
    assert_eq!(current, Some(plain("anyone")), "a floor asks for nothing");
    let next = next.unwrap();
    assert_eq!(
        (next.stage.as_str(), next.score.as_str()),
        ("interested", "interest")
    );
    assert!((next.points - 1.0).abs() < 1e-9 && (next.missing_points - 4.0).abs() < 1e-9);

    let visits = [0, 1, 2].map(|number| (at(number), event(&number.to_string(), "visit")));
    let (current, next) = explained(&visits, at(2));
    let current = current.unwrap();
    assert_eq!((current.min, current.missing_points), (5.0, 0.0));
    let next = next.unwrap();
    assert_eq!(
        next,
        StageRequirement {
            when: "seen(\"purchase\")".to_owned(),
            when_holds: false,
            ..plain("buyer")
        }
    );

    let bought = [
        (at(0), event("1", "purchase")),
        (at(1), event("2", "purchase")),
    ];
    let (current, next) = explained(&bought[..1], at(0));
    assert!(current.unwrap().when_holds);
    let next = next.unwrap();
    assert_eq!((next.points, next.missing_points), (1.0, 1.0));
    let (current, next) = explained(&bought, at(1));
    assert_eq!((current.unwrap().stage.as_str(), next), ("fan", None));
}

#[test]
fn below_all_stages_only_the_next_one_is_explained() {
    let model = model("[scores.x]\n[[stages]]\nname = \"a\"\nmin = { x = 2 }\n");
    let profile = view(&model, &Record::default(), at(0));
    let explanation = profile.stage_explanation.unwrap();
    assert_eq!(explanation.current, None);
    assert_eq!(explanation.next.unwrap().missing_points, 2.0);
    let without = crate::model("[scores.x]\n");
    assert_eq!(
        view(&without, &Record::default(), at(0)).stage_explanation,
        None
    );
}
