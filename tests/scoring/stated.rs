//! What is made of what a profile states: rules with a value, and how sure it is who somebody is.

use bellwether::scoring::{
    AttributeValue, ContributionKind, Name, ProfileId, RankName, Record, RecordEdit,
};
use proptest::prelude::*;

use crate::{at, context, event, model, replay, score, segments, stating, text, view};

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
        let terms: Vec<_> = terms.map(|term| (term.name.clone(), term.count)).collect();
        terms
    };
    let term = |name: &str, count| (Name::new(name), count);
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
    assert_eq!(segments(&stranger), ["strangers"]);

    let half = view(&model, &stating(&[matching(0.5)]), at(0));
    assert_eq!(half.identity_confidence, Some(0.5));
    assert_eq!(score(&half, "fit").points, 7.0);
    assert_eq!(half.stage.as_deref(), Some("known"));
    assert_eq!(segments(&half), [""; 0]);

    let mut record = stating(std::slice::from_ref(&crm));
    record.seen_types.push(bellwether::scoring::SeenType {
        name: "purchase".into(),
        count: 1,
    });
    let known = view(&model, &record, at(0));
    assert_eq!(known.identity_confidence, Some(0.86), "1 - 0.2 * 0.7");
    assert_eq!(segments(&known), ["sure", "sure_and_good"]);

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
        let mut edit = RecordEdit::new(&model, ann.clone(), record);
        edit.apply(&event("1", "visit"), &context(at(0)));
        let counted = !edit.finish().record.counts.is_empty();
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
