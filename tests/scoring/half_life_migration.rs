//! What becomes of counts when a model changes a half-life.

use bellwether::scoring::{Model, ProfileId, Record, RecordEdit, index};

use crate::{DAY, at, context, event, model, points, replay};

/// Scores with these half-lives, each with a point for a visit; `""` does not fade.
fn fading(half_lives: &[&str]) -> Model {
    let mut source = String::new();
    let mut given = Vec::new();
    for (position, half_life) in half_lives.iter().enumerate() {
        source += &format!("[scores.s{position}]\n");
        if !half_life.is_empty() {
            source += &format!("half_life = \"{half_life}\"\n");
        }
        given.push(format!("s{position} = 1"));
    }
    let given = given.join(", ");
    source += &format!(
        "[[signals]]\nname = \"visited\"\non = \"visit\"\nper = 'event.channel == \"\" ? \"none\" : event.channel'\npoints = {{ {given} }}\n"
    );
    model(&source)
}

fn visited(model: &Model) -> Record {
    let visits = [(at(0), event("1", "visit")), (at(0), event("2", "visit"))];
    replay(model, &visits).0
}

fn written(model: &Model, record: Record, days: i64) -> Record {
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(model, ann, record);
    edit.apply(&event("later", "other"), &context(at(days * DAY)));
    edit.finish().record
}

#[test]
fn a_count_goes_on_with_the_new_half_life_from_where_the_old_one_stood() {
    let record = visited(&fading(&["7d"]));
    let slower = fading(&["14d"]);
    assert_eq!(points(&slower, &record, at(0), "s0"), 2.0);
    assert_eq!(points(&slower, &record, at(14 * DAY), "s0"), 1.0);
    let stored = written(&slower, record.clone(), 14);
    assert_eq!(points(&slower, &stored, at(28 * DAY), "s0"), 0.5);
    // Only the new one is there, with its keys.
    assert_eq!(stored.counts.len(), 1);
    assert_eq!(stored.counts[0].counts[0].keys[0].name, "none");
    // And back again.
    let back = fading(&["7d"]);
    assert_eq!(points(&back, &stored, at(21 * DAY), "s0"), 0.5);
}

#[test]
fn what_fades_and_what_does_not_follow_each_other_too() {
    let ever = fading(&[""]);
    let weekly = fading(&["7d"]);
    let record = visited(&weekly);
    assert_eq!(points(&ever, &record, at(700 * DAY), "s0"), 2.0);
    let record = visited(&ever);
    assert_eq!(points(&weekly, &record, at(7 * DAY), "s0"), 1.0);
}

#[test]
fn the_nearest_half_life_takes_over_and_each_count_once() {
    let record = visited(&fading(&["8d", "100d"]));
    let changed = fading(&["10d", "90d", "16d"]);
    let at_last = at(0);
    // 8d goes to 10d and 100d to 90d; nothing is left for 16d.
    for (score, expected) in [("s0", 2.0), ("s1", 2.0), ("s2", 0.0)] {
        assert_eq!(
            points(&changed, &record, at_last, score),
            expected,
            "{score}"
        );
    }
    // Of two that are nearest to one, the nearer is taken.
    let record = visited(&fading(&["8d", "9d"]));
    let one = fading(&["10d"]);
    let stored = written(&one, record, 9);
    let left: Vec<_> = stored
        .counts
        .iter()
        .map(|group| group.half_life.unwrap().nanos() / DAY)
        .collect();
    assert_eq!(left, [8, 10]);
}

#[test]
fn what_loses_to_a_nearer_one_goes_to_what_is_left_at_once_and_not_with_a_later_write() {
    let record = visited(&fading(&["6h", "30d", "10d"]));
    let changed = fading(&["9h", "20d", ""]);
    // Both 30d and 10d are nearest to 20d.
    for record in [written(&changed, record.clone(), 0), record] {
        for score in ["s0", "s1", "s2"] {
            assert_eq!(points(&changed, &record, at(0), score), 2.0, "{score}");
        }
    }
}

#[test]
fn what_is_taken_back_is_gone_with_the_half_lives_that_took_nothing_over_too() {
    let record = visited(&fading(&["8d", "9d"]));
    let one = fading(&["10d"]);
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(&one, ann, record);
    for id in ["1", "2"] {
        edit.retract(&event(id, "visit"), &context(at(0)));
    }
    let record = edit.finish().record;
    assert_eq!(points(&one, &record, at(0), "s0"), 0.0);
    assert!(record.counts.is_empty(), "{:?}", record.counts);
}

#[test]
fn a_count_that_is_taken_back_leaves_what_no_model_asks_for_alone() {
    let visits: Vec<_> = (0..500)
        .map(|number| (at(0), event(&number.to_string(), "visit")))
        .collect();
    let (record, _) = replay(&fading(&["", "7d"]), &visits);
    let weekly = fading(&["7d"]);
    let late = at(365 * DAY);
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(&weekly, ann.clone(), record);
    edit.apply(&event("late", "visit"), &context(late));
    edit.retract(&event("late", "visit"), &context(late));
    let outcome = edit.finish();
    assert!(points(&weekly, &outcome.record, late, "s0") < 1e-9);
    let moved = index(&weekly, &ann, &outcome.record);
    assert!(moved.iter().all(|(_, key)| key.value() < 0.0), "{moved:?}");
}

#[test]
fn a_signal_that_is_counted_by_key_no_more_is_taken_back_all_the_same() {
    let by_key = fading(&["7d"]);
    let record = visited(&by_key);
    let source = by_key.source();
    let per = source.lines().find(|line| line.starts_with("per")).unwrap();
    let plain = model(&source.replace(per, ""));
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(&plain, ann, record);
    edit.retract(&event("1", "visit"), &context(at(0)));
    assert_eq!(points(&plain, edit.record(), at(0), "s0"), 1.0);
    edit.apply(&event("3", "visit"), &context(at(0)));
    assert_eq!(points(&plain, edit.record(), at(0), "s0"), 2.0);
}

#[test]
fn a_half_life_that_the_model_still_has_is_not_taken_over() {
    let record = visited(&fading(&["7d"]));
    let more = fading(&["7d", "14d"]);
    assert_eq!(points(&more, &record, at(0), "s0"), 2.0);
    assert_eq!(points(&more, &record, at(0), "s1"), 0.0);
}

#[test]
fn a_write_of_what_was_taken_over_moves_no_rank() {
    let record = visited(&fading(&["7d"]));
    let slower = fading(&["14d"]);
    let ann = ProfileId::new("ann").unwrap();
    let before = index(&slower, &ann, &record);
    let mut edit = RecordEdit::new(&slower, ann.clone(), record);
    edit.update(
        [("city".to_owned(), bellwether::scoring::AttributeValue::Null)].into(),
        crate::at(0),
    );
    let outcome = edit.finish();
    assert!(outcome.ranks.is_empty(), "{:?}", outcome.ranks);
    assert_eq!(index(&slower, &ann, &outcome.record), before);
}
