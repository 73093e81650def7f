//! Where points come from and why a profile stands at its stage.

use bellwether::scoring::{
    ContributionKind, CountGroup, HalfLife, NamedCount, Record, SignalCount, StageRequirement,
    Timestamp,
};

use crate::{DAY, at, event, model, replay, score, view};

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
fn what_a_limit_has_cut_off_is_told_and_fades_like_the_count() {
    let model = model(EXPLAINED);
    let visits = |count: i64| {
        let events: Vec<_> = (0..count)
            .map(|number| (at(number), event(&number.to_string(), "visit")))
            .collect();
        replay(&model, &events).0
    };
    for (count, capped) in [(2, 0.0), (3, 0.0), (5, 2.0)] {
        // Whatever comes after the last visit.
        let model = crate::model(EXPLAINED);
        let (other, _) = replay(&model, &[(at(6 * DAY), event("other", "purchase"))]);
        assert_eq!(other.counts.len(), 1);
        let profile = view(&model, &visits(count), at(7 * DAY));
        let term = &score(&profile, "interest").contributions[0];
        assert_eq!(term.limit, Some(3.0));
        assert!(
            (term.capped_count - capped / 2.0).abs() < 1e-9,
            "{count}: {term:?}"
        );
        assert_eq!(term.kind, ContributionKind::Signal);
        assert!(term.keys.is_empty());
    }
}

#[test]
fn a_count_by_key_is_told_key_by_key() {
    let model = model(EXPLAINED);
    let half_life = HalfLife::from_nanos(7 * DAY);
    let with = |value: f64, keys: &[(&str, f64)]| Record {
        event_count: 1,
        last_event_time: at(0),
        counts: vec![CountGroup {
            half_life,
            counts: vec![SignalCount {
                signal: "visited".into(),
                value,
                keys: keys
                    .iter()
                    .map(|(name, value)| NamedCount {
                        name: (*name).into(),
                        value: *value,
                    })
                    .collect(),
                capped: 0.0,
            }],
        }],
        ..Record::default()
    };
    let record = with(4.0, &[("go", 1.0), ("rust", 2.5)]);
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
        event.tags = tags.iter().map(|tag| (*tag).into()).collect();
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
    assert_eq!(
        (term.count, term.points, term.capped_count),
        (2.0, 6.0, 0.0)
    );
    events.push(viewing("3", 7, &["rust"]));
    let term = explained(&events);
    assert_eq!(
        (term.count, term.capped_count),
        (2.5, 0.5),
        "rust is beyond its limit, go is not"
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
        stage: stage.into(),
        when: String::new(),
        when_holds: true,
        score: String::new().into(),
        keep: None,
        min: 0.0,
        points: 0.0,
        missing_points: 0.0,
        missing_signals: 0,
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
fn what_is_missing_to_a_stage_is_told_below_zero_and_without_breadth() {
    let model = model(
        r#"
[scores.advocacy]
breadth = 2
[[signals]]
name = "complained"
on = "complaint"
points = { advocacy = -4.5 }
[[signals]]
name = "praised"
on = "praise"
points = { advocacy = 10 }
[[signals]]
name = "recommended"
on = "recommendation"
points = { advocacy = 10 }
[[stages]]
name = "advocate"
min = { advocacy = 15 }
"#,
    );
    let next = |types: &[&str]| {
        let numbered = types.iter().enumerate();
        let events: Vec<_> = numbered
            .map(|(id, event_type)| (at(0), event(&id.to_string(), event_type)))
            .collect();
        let (record, _) = replay(&model, &events);
        let explanation = view(&model, &record, at(0)).stage_explanation.unwrap();
        let next = explanation.next.unwrap();
        (next.points, next.missing_points, next.missing_signals)
    };
    assert_eq!(next(&["complaint"]), (0.0, 19.5, 2));
    assert_eq!(next(&["praise"; 2]), (0.0, 0.0, 1), "one signal is missing");
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
