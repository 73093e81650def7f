//! Scores that ask for several different signals, and where a profile stands by them.

use bellwether::scoring::{
    AttributeValue, Breadth, Model, ProfileId, RankName, Record, RecordEdit, index,
};
use proptest::prelude::*;

use crate::{DAY, SECOND, at, context, event, model, replay, score, segments, view};

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

fn stands_in(model: &Model, record: &Record, rank: &str) -> bool {
    let ann = ProfileId::new("ann").unwrap();
    let keys = index(model, &ann, record);
    keys.iter().any(|(name, _)| *name == RankName::new(rank))
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
    assert_eq!(segments(&profile), ["seekers"]);
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
            let mut edit = if number == 0 {
                RecordEdit::new_profile(&model, ann.clone())
            } else {
                RecordEdit::new(&model, ann.clone(), record)
            };
            let time = at(number as i64 * DAY);
            edit.apply(&event(&number.to_string(), kind), &context(time));
            let outcome = edit.finish();
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
