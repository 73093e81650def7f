//! Two models on the same records: what a comparison counts, and what each change of a file is
//! said to act on.

use std::sync::Arc;

use bellwether::scoring::{
    ActsOn, Comparison, ComparisonReport, Model, ModelChange, ProfileId, Record, model_changes,
};
use proptest::prelude::*;

const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[scores.loyalty]
half_life = "40d"
[scores.fit]
base = 1
[[signals]]
name = "visited"
on = "visit"
limit = 5
points = { interest = 3, loyalty = 1 }
[[signals]]
name = "called"
on = "call"
points = { interest = 2 }
[[attributes]]
name = "in_retail"
when = 'profile.attributes.industry == "retail"'
points = { fit = 3 }
[[stages]]
name = "awareness"
[[stages]]
name = "consideration"
min = { interest = 12 }
[[segments]]
name = "everyone"
rank_by = "interest"
[[topics]]
name = "price"
keywords = ["price"]
[influence]
event_types = { reply = 2 }
half_life = "10d"
attribution_half_life = "3d"
"#;

fn model(source: &str) -> Arc<Model> {
    Arc::new(Model::parse(source).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

/// The only change between the file and the file with one text in place of another.
fn only_change(before: &str, after: &str) -> (String, ActsOn) {
    assert!(MODEL.contains(before), "{before}");
    let changed = MODEL.replacen(before, after, 1);
    let mut changes = model_changes(&model(MODEL), &model(&changed));
    assert_eq!(changes.len(), 1, "{changes:?}");
    let ModelChange { place, acts_on, .. } = changes.remove(0);
    (place, acts_on)
}

#[test]
fn each_kind_of_change_says_what_it_acts_on() {
    use ActsOn::{Afterwards, HalfLife, History};
    let cases = [
        (
            "interest = 3",
            "interest = 4",
            "signals.visited.points.interest",
            History,
        ),
        (
            "loyalty = 1 }",
            "loyalty = 1, fit = 2 }",
            "signals.visited.points.fit",
            Afterwards,
        ),
        (
            "points = { interest = 2 }",
            "points = { loyalty = 2 }",
            "",
            HalfLife,
        ),
        (
            "limit = 5",
            "limit = 6",
            "signals.visited.limit",
            Afterwards,
        ),
        (
            "on = \"call\"",
            "on = \"call\"\nwhen = 'event.channel == \"web\"'",
            "signals.called.when",
            Afterwards,
        ),
        (
            "on = \"call\"",
            "on = \"call\"\ncooldown = \"1h\"",
            "signals.called.cooldown",
            Afterwards,
        ),
        (
            "half_life = \"7d\"",
            "half_life = \"9d\"",
            "scores.interest.half_life",
            HalfLife,
        ),
        ("base = 1", "base = 2", "scores.fit.base", History),
        (
            "fit = 3 }",
            "fit = 4 }",
            "attributes.in_retail.points.fit",
            History,
        ),
        (
            "\"retail\"",
            "\"wholesale\"",
            "attributes.in_retail.when",
            History,
        ),
        (
            "min = { interest = 12 }",
            "min = { interest = 9 }",
            "stages.consideration.min.interest",
            History,
        ),
        (
            "rank_by = \"interest\"",
            "rank_by = \"interest\"\nmin = 2",
            "segments.everyone.min",
            History,
        ),
        (
            "on = \"call\"",
            "on = \"call\"\ndescription = \"Called us.\"",
            "signals.called.description",
            History,
        ),
        (
            "keywords = [\"price\"]",
            "keywords = [\"cost\"]",
            "topics.price.keywords",
            Afterwards,
        ),
        (
            "keywords = [\"price\"]",
            "keywords = [{ forms = \"price\", unless_near = { words = \"no\", before = 2 } }]",
            "topics.price.keywords",
            Afterwards,
        ),
        (
            "on = \"call\"",
            "on = \"call\"\nphrases = [{ forms = \"cher\", fold_diacritics = true }]",
            "signals.called.phrases",
            Afterwards,
        ),
        (
            "[influence]",
            "[word_lists]\nnegation = [\"not\"]\n[influence]",
            "word_lists.negation",
            Afterwards,
        ),
        (
            "reply = 2",
            "reply = 3",
            "influence.event_types.reply",
            Afterwards,
        ),
        (
            "half_life = \"10d\"",
            "half_life = \"11d\"",
            "influence.half_life",
            HalfLife,
        ),
        (
            "[influence]",
            "[influence]\nreach = \"followers\"",
            "influence.reach",
            History,
        ),
    ];
    for (before, after, place, acts_on) in cases {
        if place.is_empty() {
            // Points move from one score to another: one is gone, one is new.
            let changed = MODEL.replacen(before, after, 1);
            let changes = model_changes(&model(MODEL), &model(&changed));
            let kinds: Vec<ActsOn> = changes.iter().map(|change| change.acts_on).collect();
            assert_eq!(kinds, [History, acts_on], "{changes:?}");
            continue;
        }
        assert_eq!(only_change(before, after), (place.to_owned(), acts_on));
    }
}

#[test]
fn what_is_new_or_gone_is_one_change_each() {
    let signal = "[[signals]]\nname = \"called\"\non = \"call\"\npoints = { interest = 2 }\n";
    let without = MODEL.replace(signal, "");
    assert_ne!(without, MODEL);
    let (old, new) = (model(&without), model(MODEL));
    let added = model_changes(&old, &new);
    assert_eq!(added.len(), 1, "{added:?}");
    assert_eq!(added[0].place, "signals.called");
    assert_eq!(added[0].before, "");
    assert!(added[0].after.contains("points.interest = 2"), "{added:?}");
    assert_eq!(added[0].acts_on, ActsOn::Afterwards);
    let removed = model_changes(&new, &old);
    assert_eq!(removed[0].acts_on, ActsOn::History);
    assert_eq!(removed[0].after, "");
}

#[test]
fn what_means_the_same_is_no_change() {
    let same = MODEL.replace("interest = 3", "interest = 3.0") + "# a comment\n";
    assert_eq!(model_changes(&model(MODEL), &model(&same)), []);
    let later = "[[stages]]\nname = \"awareness\"\n";
    let moved = MODEL.replace(later, "").replace(
        "[[segments]]",
        "[[stages]]\nname = \"awareness\"\n[[segments]]",
    );
    let changes = model_changes(&model(MODEL), &model(&moved));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].place, "stages");
    assert_eq!(changes[0].acts_on, ActsOn::History);
}

/// Records by numbers: visits, calls and whether they are in retail.
fn record(visits: u8, calls: u8, in_retail: bool) -> Record {
    use bellwether::scoring::{AttributeValue, Context, Event, IdHash, RecordEdit, Timestamp};
    let profile_id = ProfileId::new("somebody").unwrap();
    let model = model(MODEL);
    let mut edit = RecordEdit::new_profile(&model, profile_id.clone());
    let all = [("visit", visits), ("call", calls)];
    for (event_type, count) in all {
        for number in 0..count {
            let at = Timestamp::from_nanos(i64::from(number) * 3_600_000_000_000).unwrap();
            let event = Event {
                id: IdHash::of_event(&format!("{event_type} {number}")),
                profile_id: profile_id.clone(),
                event_type: event_type.to_owned(),
                time: Some(at),
                channel: String::new(),
                attributes: Default::default(),
                text: String::new(),
                tags: Vec::new(),
                sentiment: None,
                author_id: None,
                content_id: String::new(),
                campaign_id: String::new(),
                subjects: Vec::new(),
            };
            let context = Context::at(at, 256);
            edit.apply(&event, &context);
        }
    }
    if in_retail {
        let retail = AttributeValue::String("retail".to_owned());
        edit.update([("industry".to_owned(), retail)].into(), Timestamp::EPOCH);
    }
    edit.finish().record
}

fn compare(records: &[Record], old: &str, new: &str) -> ComparisonReport {
    let at = bellwether::scoring::Timestamp::from_nanos(9 * 86_400_000_000_000).unwrap();
    let mut comparison = Comparison::new(model(old), model(new), at, 3);
    for (number, record) in records.iter().enumerate() {
        let profile_id = ProfileId::new(&format!("person-{number}")).unwrap();
        comparison.add(&profile_id, record);
    }
    comparison.finish()
}

/// How many of the records stand in ranks.
fn counted(records: &[Record]) -> u64 {
    let counted = |record: &&Record| record.event_count > 0 || !record.attributes.is_empty();
    records.iter().filter(counted).count() as u64
}

fn people() -> impl Strategy<Value = Vec<Record>> {
    let one = (0..12_u8, 0..12_u8, any::<bool>());
    let one = one.prop_map(|(visits, calls, in_retail)| record(visits, calls, in_retail));
    proptest::collection::vec(one, 1..12)
}

#[test]
fn of_whom_nothing_has_counted_no_model_moves() {
    let new = MODEL.replace("base = 1", "base = 2");
    let report = compare(&[record(0, 0, false), record(1, 0, false)], MODEL, &new);
    assert_eq!(report.profiles, 1);
    let fit = report.scores.iter().find(|moves| moves.score == "fit");
    let fit = fit.unwrap();
    assert_eq!(fit.rising, 1);
    assert_eq!(fit.movers[0].profile_id.as_str(), "person-1");
    let flows: Vec<_> = report.flows.iter().map(|flow| flow.profiles).collect();
    assert_eq!(flows, [1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_model_against_itself_moves_nobody(records in people()) {
        let report = compare(&records, MODEL, MODEL);
        prop_assert_eq!(report.profiles, counted(&records));
        for score in &report.scores {
            prop_assert_eq!((score.rising, score.falling, score.movers.len()), (0, 0, 0));
        }
        for flow in &report.flows {
            prop_assert_eq!(&flow.from, &flow.to);
        }
        for segment in &report.segments {
            prop_assert_eq!((segment.entering, segment.leaving), (0, 0));
        }
    }

    #[test]
    fn the_way_back_is_the_way_there_turned_round(records in people()) {
        let new = MODEL
            .replace("interest = 3", "interest = 1")
            .replace("fit = 3 }", "fit = 9 }")
            .replace("min = { interest = 12 }", "min = { interest = 5 }");
        let there = compare(&records, MODEL, &new);
        let back = compare(&records, &new, MODEL);
        for (there, back) in there.scores.iter().zip(&back.scores) {
            prop_assert_eq!((there.rising, there.falling), (back.falling, back.rising));
            let turned: Vec<_> = back.movers.iter().map(|mover| (mover.after, mover.before)).collect();
            let moves: Vec<_> = there.movers.iter().map(|mover| (mover.before, mover.after)).collect();
            prop_assert_eq!(turned, moves);
            let way = |mover: &bellwether::scoring::Mover| (mover.after - mover.before).abs();
            prop_assert!(there.movers.is_sorted_by(|one, other| way(one) >= way(other)));
        }
        for flow in &there.flows {
            let turned = back.flows.iter().find(|back| back.from == flow.to && back.to == flow.from);
            prop_assert_eq!(turned.map(|flow| flow.profiles), Some(flow.profiles));
        }
        let everybody: u64 = there.flows.iter().map(|flow| flow.profiles).sum();
        prop_assert_eq!(everybody, counted(&records));
        for (there, back) in there.segments.iter().zip(&back.segments) {
            prop_assert_eq!((there.before, there.entering), (back.after, back.leaving));
        }
    }
}
