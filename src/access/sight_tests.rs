use std::collections::BTreeSet;

use super::*;
use crate::{access::Permission, scoring::Population};

const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[scores.fit]
base = 1

[[signals]]
name = "visited"
on = "visit"
points = { interest = 1 }
[[signals]]
name = "retailer_visited"
on = "visit"
when = 'profile.attributes.industry == "retail"'
points = { interest = 1 }
[[signals]]
name = "measured"
on = "visit"
when = 'count("complained", "7d") < 3.0'
points = { fit = 1 }

[[signals]]
name = "complained"
on = "complaint"

[[attributes]]
name = "is_rich"
when = 'profile.attributes.income == "high"'
points = { fit = 20 }
[[attributes]]
name = "is_there"
when = 'seen("visit")'
points = { fit = 1 }

[[stages]]
name = "awareness"
[[stages]]
name = "consideration"
min = { interest = 20 }

[[segments]]
name = "interested"
rank_by = "interest"
[[segments]]
name = "rich"
when = 'profile.attributes.income == "high"'
rank_by = "interest"
[[segments]]
name = "fitting"
rank_by = ["interest", "fit"]

[[topics]]
name = "prices"
keywords = ["price"]

[influence]
event_types = { reply = 1 }
half_life = "7d"
attribution_half_life = "7d"
reach = "followers"
"#;

fn seen(sight: Sight) -> Seen {
    let model = Model::parse(MODEL).unwrap();
    let role = Role {
        name: "some".to_owned(),
        permissions: [Permission::Read].into(),
        calls: BTreeSet::new(),
        sight,
    };
    Seen::of(&Arc::new(role), &model)
}

fn only(names: &[&str]) -> Names {
    Names::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

fn all() -> Sight {
    Sight {
        scores: Names::All,
        attributes: Names::All,
        segments: Names::All,
        topics: Names::All,
        derived: false,
    }
}

fn inputs(condition: &str) -> Inputs {
    let model = Model::parse(MODEL).unwrap();
    let condition = model.condition(condition, Population::People).unwrap();
    condition.inputs(&model)
}

#[test]
fn what_is_made_of_a_hidden_score_is_hidden_with_it() {
    let sight = Sight {
        scores: only(&["fit"]),
        ..all()
    };
    let seen = seen(sight.clone());
    assert!(seen.score("fit") && !seen.score("interest"));
    assert!(!seen.signal("visited") && seen.signal("measured"));
    assert!(seen.rule("is_rich"));
    for segment in ["interested", "rich", "fitting"] {
        assert!(!seen.segment(segment), "{segment}");
        assert!(seen.check_segment(segment).is_err());
    }
    assert!(!seen.stages() && seen.check_stages().is_err());
    // Unless it is said that this may be seen. What is missing to a stage stays hidden.
    let seen = self::seen(Sight {
        derived: true,
        ..sight
    });
    assert!(seen.segment("fitting") && seen.stages() && !seen.stage_inputs());
    // What single signals and rules give is not: it would tell what they read.
    assert!(!seen.signal("retailer_visited"));
    assert!(!seen.score("interest") && !seen.signal("visited"));
    assert!(
        seen.check_condition(&inputs("scores.interest > 1.0"))
            .is_err()
    );
}

#[test]
fn a_signal_that_gives_points_to_nothing_that_is_seen_is_hidden() {
    let of = |scores| seen(Sight { scores, ..all() });
    let none = of(only(&[]));
    for signal in ["visited", "retailer_visited", "measured", "complained"] {
        assert!(!none.signal(signal), "{signal}");
    }
    assert!(!none.rule("is_rich") && !none.rule("is_there"));
    let fit = of(only(&["fit"]));
    assert!(fit.signal("measured") && !fit.signal("complained"));
    // Who sees every score sees what counts toward none of them, too.
    let attributes = only(&["industry"]);
    let every = seen(Sight {
        attributes,
        ..all()
    });
    assert!(every.signal("complained"));
}

#[test]
fn what_is_made_of_a_hidden_attribute_is_hidden_with_it() {
    let seen = seen(Sight {
        attributes: only(&["industry"]),
        ..all()
    });
    assert!(seen.segment("interested") && !seen.segment("rich"));
    assert!(seen.signal("retailer_visited"));
    assert!(!seen.rule("is_rich") && seen.rule("is_there"));
    assert!(seen.stages() && seen.stage_inputs() && !seen.reach());
    for (condition, is_seen) in [
        ("profile.attributes.industry == \"retail\"", true),
        ("stage == \"awareness\" && scores.interest > 2.0", true),
        ("interest(\"prices\") > 1.0", true),
        ("profile.attributes.income == \"high\"", false),
        ("has(profile.attributes.income)", false),
        ("completeness([\"income\"]) > 0.5", false),
        ("size(profile.attributes) > 3", false),
    ] {
        let checked = seen.check_condition(&inputs(condition));
        assert_eq!(checked.is_ok(), is_seen, "{condition}: {checked:?}");
    }
}

#[test]
fn a_refusal_names_what_is_hidden() {
    let seen = seen(Sight {
        topics: only(&[]),
        segments: only(&["interested"]),
        ..all()
    });
    let hidden = Hidden("topic \"prices\"".to_owned());
    assert_eq!(seen.check_topic("prices"), Err(hidden.clone()));
    // Whether there is such a segment is nobody's business either.
    for segment in ["fitting", "nowhere"] {
        assert!(seen.check_segment(segment).is_err());
    }
    let denied = seen.check_condition(&inputs("interest(\"prices\") > 1.0"));
    assert_eq!(denied, Err(hidden));
}

#[test]
fn who_sees_everything_is_asked_nothing() {
    let seen = Seen::all();
    assert!(seen.is_all() && seen.segment("x") && seen.stages());
    seen.check_segment("x").unwrap();
    seen.check_condition(&inputs("scores.interest > 1.0"))
        .unwrap();
}

const INDIRECT: &str = r#"
[scores.fast]
half_life = "7d"
[scores.quiet]
half_life = "7d"
[[signals]]
name = "visited"
on = "visit"
points = { quiet = 1 }
[[signals]]
name = "regular"
on = "visit"
when = 'count("visited", "7d") >= 5.0'
points = { fast = 1 }
[[signals]]
name = "by_topic"
on = "visit"
per = 'event.topics'
points = { fast = 1 }
[subjects.account]
key = 'profile.attributes.email'
[[segments]]
name = "quick"
rank_by = "fast"
[[topics]]
name = "prices"
keywords = ["price"]
[[quarantine]]
name = "doubtful"
when = 'profile.attributes.email == "x"'
"#;

fn seen_of_indirect(sight: Sight) -> (Seen, Model) {
    let model = Model::parse(INDIRECT).unwrap();
    let role = Role {
        name: "some".to_owned(),
        permissions: [Permission::Read].into(),
        calls: BTreeSet::new(),
        sight,
    };
    (Seen::of(&Arc::new(role), &model), model)
}

#[test]
fn what_tells_something_hidden_in_a_roundabout_way_is_hidden() {
    let (seen, _) = seen_of_indirect(Sight {
        scores: only(&["fast"]),
        ..all()
    });
    assert!(
        !seen.signal("regular"),
        "it tells a count of a hidden score"
    );
    let (seen, _) = seen_of_indirect(Sight {
        topics: only(&[]),
        ..all()
    });
    assert!(!seen.signal("by_topic"), "its keys are topics");
    let (seen, model) = seen_of_indirect(Sight {
        attributes: only(&["name"]),
        ..all()
    });
    let condition = "subjects.account.attributes.name == \"acme\"";
    let read = model.condition(condition, Population::People).unwrap();
    let hidden = seen.check_condition(&read.inputs(&model));
    assert_eq!(hidden, Err(Hidden("attribute \"email\"".to_owned())));
    assert!(seen.check_quarantine(Some("doubtful")).is_err());
    assert!(
        seen.check_quarantine(None).is_err(),
        "all of them, one is hidden"
    );
    // Who sees every segment hears that there is no such one.
    seen.check_segment("quik").unwrap();
}
