//! The mathematics that hold for every set of events.

use std::collections::BTreeMap;

use bellwether::scoring::{
    AttributeValue, Credit, Effect, EffectKind, Event, IdHash, Model, Name, ProfileId, RankKey,
    RankName, Record, RecordEdit, Selection, Timestamp, index, moves,
};
use proptest::prelude::*;

use crate::{
    DAY, SECOND, at, context, model,
    order_free::{LATEST, ORDER_FREE, any_event, any_event_within, shuffle},
    replay, view,
};

/// Where somebody stands: the same in every order, too.
const STANDING: &str = r#"
[[attributes]]
name = "rich"
when = 'has(profile.attributes.rich)'
points = { ever = 7 }
[[stages]]
name = "awareness"
[[stages]]
name = "decision"
min = { slow = 5 }
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[segments]]
name = "hot"
rank_by = ["fast", "ever"]
min = 3
[[segments]]
name = "buyers"
when = 'seen("purchase")'
rank_by = "slow"
"#;

/// Stages that are easier to keep than to reach, on two scores, and events that are held.
const KEPT: &str = r#"
[[stages]]
name = "awareness"
[[stages]]
name = "interest"
min = { slow = 3 }
keep = { slow = 1.5 }
[[stages]]
name = "decision"
min = { slow = 8 }
keep = { slow = 5 }
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[stages]]
name = "regular"
when = 'seen("purchase")'
min = { fast = 6 }
keep = { fast = 2 }
[[quarantine]]
name = "great_numbers"
when = 'event.attributes.amount > 45'
"#;

fn order_free() -> Model {
    model(&format!("{ORDER_FREE}{LATEST}{STANDING}"))
}

fn ann() -> ProfileId {
    ProfileId::new("ann").unwrap()
}

fn events() -> impl Strategy<Value = Vec<(Timestamp, Event)>> {
    prop::collection::vec(any_event(40), 1..60)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-30)
}

fn assert_same(a: &Record, b: &Record) {
    let counts = |record: &Record| -> Vec<(String, f64)> {
        let groups = record.counts.iter().flat_map(|group| {
            let half_life = group.half_life;
            group.counts.iter().flat_map(move |count| {
                let parts = count.parts();
                parts.map(move |(key, value)| {
                    (format!("{half_life:?} {} {key}", count.signal), value)
                })
            })
        });
        let interests = record
            .interests
            .iter()
            .map(|count| (count.name.to_string(), count.value));
        groups.chain(interests).collect()
    };
    let (left, right) = (counts(a), counts(b));
    assert_eq!(left.len(), right.len());
    for ((name, a), (other, b)) in left.iter().zip(&right) {
        assert_eq!(name, other);
        assert!(close(*a, *b), "{name}: {a} and {b}");
    }
    assert_eq!(a.memory, b.memory);
    assert_eq!(a.event_count, b.event_count);
    assert_eq!(a.first_seen_time, b.first_seen_time);
    assert_eq!(a.last_event_time, b.last_event_time);
    assert_eq!(a.seen_types, b.seen_types);
}

/// The ranks of a profile as an index would hold them after all changes.
fn follow(index: &mut BTreeMap<RankName, RankKey>, changes: &[bellwether::scoring::RankChange]) {
    for change in changes {
        let old = match change.new {
            Some(key) => index.insert(change.rank.clone(), key),
            None => index.remove(&change.rank),
        };
        assert_eq!(old, change.old, "{}", change.rank);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn order_duplicates_and_batches_do_not_matter(
        events in events(),
        seed in any::<u64>(),
        batch in 1..10_usize,
    ) {
        let model = order_free();
        let (plain, _) = replay(&model, &events);
        let mut shuffled = events.clone();
        shuffled.extend(events.iter().take(20).cloned());
        shuffle(&mut shuffled, seed);
        let mut record = Record::default();
        for batch in shuffled.chunks(batch) {
            let mut edit = RecordEdit::new(&model, batch[0].1.profile_id.clone(), record);
            for (time, event) in batch {
                edit.apply(event, &context(*time));
            }
            record = edit.finish().record;
        }
        assert_same(&plain, &record);
    }

    #[test]
    fn a_second_run_changes_nothing(events in events()) {
        let model = order_free();
        let (record, _) = replay(&model, &events);
        for (time, event) in &events {
            let mut edit = RecordEdit::new(&model, event.profile_id.clone(), record.clone());
            prop_assert!(edit.apply(event, &context(*time)).is_duplicate());
            let outcome = edit.finish();
            prop_assert!(!outcome.changed && outcome.ranks.is_empty());
            prop_assert_eq!(&outcome.record, &record);
        }
    }

    #[test]
    fn contributions_and_base_add_up_to_the_points(events in events(), later in 0..400_i64, rich: bool) {
        let model = order_free();
        let (mut record, _) = replay(&model, &events);
        if rich {
            record.attributes.insert("rich".to_owned(), AttributeValue::Null);
        }
        let instant = record.last_event_time.saturating_add_nanos(later * DAY / 4);
        for score in view(&model, &record, instant).scores {
            let sum: f64 = score.base + score.contributions.iter().map(|term| term.points).sum::<f64>();
            let floored = if sum < bellwether::scoring::limits::NOISE_FLOOR { 0.0 } else { sum };
            prop_assert!((score.points - floored).abs() < 1e-6, "{} is not {}", sum, score.points);
        }
    }

    #[test]
    fn counts_equal_the_plain_sum(events in events(), later in 0..100_i64) {
        let model = order_free();
        let (record, outcomes) = replay(&model, &events);
        let instant = record.last_event_time.saturating_add_nanos(later * DAY / 3);
        let sum = |half_life: f64, names: &[&str], worth: &dyn Fn(&Event) -> f64| -> f64 {
            events.iter().zip(&outcomes)
                .filter(|((_, event), outcome)| {
                    names.contains(&event.event_type.as_str()) && !outcome.is_duplicate()
                })
                .map(|((time, event), _)| {
                    let age = (instant.nanos() - time.nanos()) as f64 / SECOND as f64;
                    worth(event) * 0.5_f64.powf(age / half_life)
                })
                .sum()
        };
        let amount = |event: &Event| match event.attributes["amount"] {
            AttributeValue::Number(amount)
                if amount > 10.0 && !event.tags.contains(&Name::new("coverage")) => amount,
            _ => 0.0,
        };
        let month = 30.0 * 86_400.0;
        let slow = sum(month, &["visit", "view", "reply"], &|_| 1.0)
            + sum(month, &["visit"], &|event| event.tags.len() as f64)
            + 2.0 * sum(month, &["purchase"], &amount)
            - 4.0 * sum(month, &["complaint"], &|_| 1.0);
        let shown = view(&model, &record, instant).scores[1].points;
        let expected = slow.max(0.0);
        prop_assert!((shown - expected).abs() <= 1e-9 * expected.max(1.0) + 1e-6, "{} is not {}", shown, expected);
    }

    #[test]
    fn rank_changes_keep_an_index_equal_to_the_record(events in events()) {
        let model = order_free();
        let mut held = BTreeMap::new();
        let mut record: Option<Record> = None;
        for (position, (time, event)) in events.iter().enumerate() {
            let id = event.profile_id.clone();
            let mut edit = RecordEdit::begin(&model, id, record);
            edit.apply(event, &context(*time));
            if position % 5 == 4 {
                let mut stated = edit.record().attributes.clone();
                stated.insert("rich".to_owned(), AttributeValue::Bool(true));
                edit.update(stated, Timestamp::EPOCH);
            }
            let outcome = edit.finish();
            follow(&mut held, &outcome.ranks);
            record = Some(outcome.record);
        }
        let keys = index(&model, &ann(), &record.unwrap());
        prop_assert_eq!(held, keys.into_iter().collect());
    }

    #[test]
    fn moves_are_the_difference_of_whole_entries_where_stages_are_kept(
        steps in prop::collection::vec((any_event_within(40, 12 * 24), 0..9_u8), 1..60),
    ) {
        let source = format!("{ORDER_FREE}{LATEST}{KEPT}");
        let active = model(&source);
        // A candidate follows records that it has not counted, and keeps other stages.
        let other = source
            .replace("keep = { slow = 1.5 }\n", "")
            .replace("keep = { slow = 5 }", "keep = { slow = 4 }")
            .replace("\"regular\"", "\"loyal\"");
        let candidate = model(&other);
        let (mut ranks, mut ranks_of_candidate) = (BTreeMap::new(), BTreeMap::new());
        let mut record: Option<Record> = None;
        let mut before: Option<(Timestamp, Event)> = None;
        for ((time, event), verb) in steps {
            let mut edit = RecordEdit::begin(&active, ann(), record.clone());
            match (verb, &before) {
                (0, Some((time, event))) => {
                    edit.retract(event, &context(*time));
                }
                (1, _) => {
                    edit.release(&Selection::default(), usize::MAX);
                }
                (2, _) => {
                    let rich = AttributeValue::Number(1.0);
                    edit.update([("rich".to_owned(), rich)].into(), time);
                }
                _ => {
                    edit.apply(&event, &context(time));
                }
            }
            let outcome = edit.finish();
            let mut changes = outcome.ranks.clone();
            changes.sort_by(|one, other| one.rank.cmp(&other.rank));
            let mut whole = moves(&active, &ann(), record.as_ref(), Some(&outcome.record));
            whole.retain(|change| change.old != change.new);
            prop_assert_eq!(changes, whole);
            follow(&mut ranks, &outcome.ranks);
            let entries = index(&active, &ann(), &outcome.record);
            prop_assert_eq!(&ranks, &entries.into_iter().collect());
            let moved = moves(&candidate, &ann(), record.as_ref(), Some(&outcome.record));
            follow(&mut ranks_of_candidate, &moved);
            let entries = index(&candidate, &ann(), &outcome.record);
            prop_assert_eq!(&ranks_of_candidate, &entries.into_iter().collect());
            record = Some(outcome.record);
            before = Some((time, event));
        }
    }

    #[test]
    fn the_order_of_keys_is_the_order_of_points_at_every_instant(
        left in events(), right in events(), later in 0..2_000_i64,
    ) {
        let model = order_free();
        let (left, _) = replay(&model, &left);
        let (right, _) = replay(&model, &right);
        let instant = left.last_event_time.max(right.last_event_time).saturating_add_nanos(later * DAY / 100);
        let key = |record: &Record, name: &str| {
            let keys = index(&model, &ann(), record);
            keys.into_iter().find(|(rank, _)| rank.as_str() == name).map(|(_, key)| key)
        };
        for (position, score) in ["fast", "slow", "ever"].iter().enumerate() {
            let name = format!("score:{score}");
            let points = |record: &Record| view(&model, record, instant).scores[position].points;
            let (a, b) = (points(&left), points(&right));
            // Nearer than the precision of a key, either order is right.
            if a > 0.0 && b > 0.0 && (a - b).abs() > 1e-8 * a.max(b) {
                prop_assert_eq!(key(&left, &name) > key(&right, &name), a > b, "{}: {} {}", score, a, b);
            }
        }
    }

    #[test]
    fn credits_add_up_in_every_order(times in prop::collection::vec(0..30 * DAY, 1..40), seed: u64) {
        let model = influence_model();
        let bob = ProfileId::new("bob").unwrap();
        let credits: Vec<Credit> = times.iter().enumerate().map(|(id, time)| Credit {
            id: IdHash(id as u64),
            kind: EffectKind::Apply,
            author_id: bob.clone(),
            time: at(*time),
            topics: vec!["price".into()],
            stage: if time % 2 == 0 { String::new().into() } else { "awareness".into() },
            credit: 1.5,
            touches: 1,
            advance_millionths: 0,
        }).collect();
        let total = |credits: &mut dyn Iterator<Item = &Credit>| {
            let mut edit = RecordEdit::new_profile(&model, bob.clone());
            for credit in credits {
                let credit = Effect::Credit(credit.clone());
                edit.apply_effect(&credit);
                edit.apply_effect(&credit);
            }
            edit.finish().record
        };
        let forward = total(&mut credits.iter());
        let mut rotated = credits.clone();
        rotated.rotate_left(seed as usize % credits.len());
        let backward = total(&mut rotated.iter().rev());
        prop_assert_eq!(forward.influence_time, backward.influence_time);
        for (a, b) in forward.influence.iter().zip(&backward.influence) {
            prop_assert_eq!((&a.topic, &a.stage, a.touches), (&b.topic, &b.stage, b.touches));
            prop_assert!(close(a.credit, b.credit), "{} {}", a.credit, b.credit);
        }
    }
}

fn influence_model() -> Model {
    model(
        "[scores.a]\n[[topics]]\nname = \"price\"\n[[stages]]\nname = \"awareness\"\n[influence]\nevent_types = { reply = 1 }\nhalf_life = \"7d\"\nattribution_half_life = \"7d\"\n",
    )
}
