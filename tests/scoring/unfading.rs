//! Scores that do not fade, in the conditions of stages and segments: no clock changes them, so they
//! are as good as what is stated. Every write that changes such a score moves the profile.

use std::collections::BTreeMap;

use bellwether::scoring::{
    ActsOn, AttributeValue, Attributes, Context, Event, Model, Name, ProfileId, RankKey, RankName,
    Record, RecordEdit, Selection, index, model_changes,
};
use proptest::prelude::*;

use crate::{DAY, at, context, event, model, models::check, replay, segments, text, view};

const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[scores.fit]
base = 0.5
[scores.care]

[[signals]]
name = "answered"
on = "survey"
points = { fit = 0.1, interest = 3 }
[[signals]]
name = "answered_well"
on = "survey"
when = 'stage == "qualified"'
points = { care = 1 }
[[signals]]
name = "left"
on = "leave"
points = { fit = -1 }

[[attributes]]
name = "in_retail"
when = 'profile.attributes.industry == "retail"'
points = { fit = 1 }

[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'

[[stages]]
name = "known"
[[stages]]
name = "qualified"
when = 'scores.fit >= 0.8'
[[stages]]
name = "wanted"
when = 'scores.fit >= 1.5 && !(scores.care > 2)'
min = { interest = 5 }

[[segments]]
name = "fitting"
when = 'scores.fit >= 0.8'
rank_by = "interest"
[[segments]]
name = "not_fitting"
when = '!(scores.fit >= 0.8)'
rank_by = "interest"
[subjects.account]
[[segments]]
name = "companies"
of = "account"
when = 'scores.fit >= 0.8'
rank_by = "interest"
"#;

fn ann() -> ProfileId {
    ProfileId::new("ann").unwrap()
}

/// A record with the entries of ranks that its writes have moved it to.
#[derive(Default)]
struct Written {
    record: Record,
    entries: BTreeMap<RankName, RankKey>,
    has_begun: bool,
}

impl Written {
    fn write(&mut self, model: &Model, id: &ProfileId, edit: impl FnOnce(&mut RecordEdit<'_>)) {
        let stored = self.has_begun.then(|| self.record.clone());
        let mut edited = RecordEdit::begin(model, id.clone(), stored);
        edit(&mut edited);
        let outcome = edited.finish();
        for change in outcome.ranks {
            assert_eq!(self.entries.remove(&change.rank), change.old, "{change:?}");
            self.entries
                .extend(change.new.map(|key| (change.rank, key)));
        }
        self.record = outcome.record;
        self.has_begun = true;
        let indexed: BTreeMap<_, _> = index(model, id, &self.record).into_iter().collect();
        assert_eq!(self.entries, indexed, "what was moved is what is indexed");
    }

    fn stage(&self, model: &Model) -> Name {
        let profile = view(model, &self.record, self.record.last_event_time);
        profile.stage.unwrap_or_default()
    }
}

fn surveys(count: usize) -> Vec<(bellwether::scoring::Timestamp, Event)> {
    (0..count)
        .map(|number| (at(0), event(&format!("survey {number}"), "survey")))
        .collect()
}

fn retail() -> Attributes {
    Attributes::from([("industry".to_owned(), text("retail"))])
}

#[test]
fn every_write_that_changes_the_score_moves_the_profile() {
    let model = model(MODEL);
    let mut written = Written::default();
    for (time, event) in surveys(2) {
        written.write(&model, &ann(), |edit| {
            edit.apply(&event, &context(time));
        });
    }
    assert_eq!(written.stage(&model), "known");
    let third = event("third", "survey");
    written.write(&model, &ann(), |edit| {
        edit.apply(&third, &context(at(0)));
    });
    assert_eq!(written.stage(&model), "qualified", "0.5 and 3 times 0.1");
    let profile = view(&model, &written.record, at(300 * DAY));
    assert_eq!(profile.stage.as_deref(), Some("qualified"), "for ever");

    written.write(&model, &ann(), |edit| {
        edit.retract(&third, &context(at(0)));
    });
    assert_eq!(written.stage(&model), "known");
    written.write(&model, &ann(), |edit| edit.update(retail(), at(0)));
    assert_eq!(written.stage(&model), "wanted");
    assert_eq!(segments(&view(&model, &written.record, at(0))), ["fitting"]);
    written.write(&model, &ann(), |edit| {
        edit.update(Attributes::new(), at(0));
    });
    assert_eq!(written.stage(&model), "known");
    let unfit = segments(&view(&model, &written.record, at(0))).join(" ");
    assert_eq!(unfit, "not_fitting");

    let held = Event {
        channel: "robot".to_owned(),
        ..event("held", "survey")
    };
    written.write(&model, &ann(), |edit| {
        edit.apply(&held, &context(at(0)));
    });
    assert_eq!(
        written.stage(&model),
        "known",
        "what is held counts nothing"
    );
    written.write(&model, &ann(), |edit| {
        assert_eq!(edit.release(&Selection::default(), 10), 1);
    });
    assert_eq!(written.stage(&model), "qualified");
    let change = written.record.stage_changes.last().unwrap();
    assert_eq!(change.to_stage.as_deref(), Some("qualified"));
}

#[test]
fn an_account_follows_its_people() {
    let model = model(MODEL);
    let account = ProfileId::of_subject("account", "acme").unwrap();
    let mut written = Written::default();
    let mut person = RecordEdit::new_profile(&model, ann());
    for (time, event) in surveys(3) {
        let event = Event {
            subjects: vec![account.clone()],
            ..event
        };
        person.apply(&event, &context(time));
    }
    let effects = person.effects().to_vec();
    assert_eq!(effects.len(), 3);
    for effect in &effects {
        written.write(&model, &account, |edit| {
            edit.apply_effect(effect);
        });
    }
    let segment = |written: &Written| {
        let names = written.entries.keys();
        names
            .filter(|name| name.as_str() == "subject:account:segment:companies")
            .count()
    };
    assert_eq!(segment(&written), 1);
    // What a recount finds is written over the record.
    let recount = Record {
        counts: Vec::new(),
        ..written.record.clone()
    };
    let recounted = written.record.recounted(account.is_person(), &recount);
    let indexed = index(&model, &account, &recounted);
    let mut names = indexed.iter().map(|(name, _)| name.as_str());
    assert!(!names.any(|name| name == "subject:account:segment:companies"));
}

#[test]
fn another_weight_moves_those_who_have_counted_already_and_is_said_to() {
    let (record, _) = replay(&model(MODEL), &surveys(2));
    let changes = [
        ("fit = 0.1", "fit = 0.2"),
        ("base = 0.5", "base = 0.6"),
        (
            "when = 'scores.fit >= 0.8'\n[[stages]]",
            "when = 'scores.fit >= 0.7'\n[[stages]]",
        ),
    ];
    for (before, after) in changes {
        assert!(MODEL.contains(before));
        let changed = model(&MODEL.replacen(before, after, 1));
        assert_ne!(changed.fingerprint(), model(MODEL).fingerprint());
        let stage = view(&changed, &record, at(0)).stage;
        assert_eq!(stage.as_deref(), Some("qualified"), "{after}");
        assert_ne!(
            index(&changed, &ann(), &record),
            index(&model(MODEL), &ann(), &record)
        );
        let told = model_changes(&model(MODEL), &changed);
        let told: Vec<ActsOn> = told.iter().map(|change| change.acts_on).collect();
        assert_eq!(told, [ActsOn::History], "{after}");
    }
}

#[test]
fn counts_that_fade_no_more_are_read_from_where_they_were() {
    let fading = model(
        "[scores.fit]\nhalf_life = \"7d\"\n[[signals]]\nname = \"answered\"\non = \"survey\"\npoints = { fit = 1 }\n",
    );
    let (record, _) = replay(
        &fading,
        &[
            (at(0), event("1", "survey")),
            (at(7 * DAY), event("2", "survey")),
        ],
    );
    let unfading = model(
        "[scores.fit]\n[[signals]]\nname = \"answered\"\non = \"survey\"\npoints = { fit = 1 }\n[[stages]]\nname = \"fits\"\nwhen = 'scores.fit >= 1.5'\n",
    );
    let stage = view(&unfading, &record, at(99 * DAY)).stage;
    assert_eq!(stage.as_deref(), Some("fits"));
}

#[test]
fn what_is_read_is_what_a_person_adds_up_in_any_order() {
    let source = "[scores.sum]\n[[signals]]\nname = \"a\"\non = \"x\"\nvalue = 'event.attributes.value'\npoints = { sum = 1 }\n[[stages]]\nname = \"exact\"\nwhen = 'scores.sum == 0.8'\n";
    let model = model(source);
    let with = |id: &str, value: f64| Event {
        attributes: Attributes::from([("value".to_owned(), AttributeValue::Number(value))]),
        ..event(id, "x")
    };
    for values in [[0.7, 0.1], [0.1, 0.7]] {
        assert_ne!(0.7 + 0.1, 0.8, "binary numbers alone would not do");
        let events = values.map(|value| (at(0), with(&value.to_string(), value)));
        let (record, _) = replay(&model, &events);
        let stage = view(&model, &record, at(0)).stage;
        assert_eq!(stage.as_deref(), Some("exact"));
    }
}

#[test]
fn what_fades_is_named_with_what_to_write_instead() {
    let table = |table: &str, when: &str| {
        format!("[[{table}]]\nname = \"a\"\nwhen = '{when}'\nrank_by = \"interest\"\n")
    };
    check(
        &table("segments", "scores.interest >= 2 && scores.fit > 1"),
        &[("8:9", "reads \"interest\", which fades with time")],
    );
    check(
        "[[stages]]\nname = \"a\"\nwhen = 'scores.fit > 1 && scores.interest >= 2'\n",
        &[("8:27", "with min = { interest = 20 } in a stage")],
    );
    check(
        "[[stages]]\nname = \"a\"\nwhen = 'scores.fitt > 1'\n",
        &[("8:9", "did you mean \"fit\"?")],
    );
    check(
        "[[stages]]\nname = \"a\"\nwhen = 'has(scores.fit)'\n",
        &[("8:13", "which is always there")],
    );
    check(
        "[[stages]]\nname = \"a\"\nwhen = 'stage == \"a\"'\n",
        &[("8:9", "repeat its `when` here")],
    );
    // A score is made of attribute rules, so these read none: no circle.
    check(
        "[[attributes]]\nname = \"a\"\nwhen = 'scores.fit > 1'\npoints = { fit = 1 }\n[[attributes]]\nname = \"b\"\nwhen = 'stage == \"\"'\npoints = { fit = 1 }\n",
        &[
            ("8:9", "reads scores, which are made of what is stated"),
            ("12:9", "reads what fades with time"),
        ],
    );
}

#[derive(Clone, Debug)]
enum Step {
    Send(u8, i64, bool),
    Leave(u8, i64),
    Retract(u8, i64),
    State(bool),
    Release,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..12, 0_i64..20, prop::bool::weighted(0.2)).prop_map(|(id, day, held)| Step::Send(id, day, held)),
        1 => (20_u8..24, 0_i64..20).prop_map(|(id, day)| Step::Leave(id, day)),
        2 => (0_u8..12, 0_i64..20).prop_map(|(id, day)| Step::Retract(id, day)),
        1 => any::<bool>().prop_map(Step::State),
        1 => Just(Step::Release),
    ]
}

proptest! {
    #[test]
    fn a_condition_on_a_score_says_what_its_points_say(
        steps in prop::collection::vec(any_step(), 1..30),
    ) {
        let model = model(MODEL);
        let mut written = Written::default();
        for step in steps {
            written.write(&model, &ann(), |edit| {
                let context = |day: i64| Context::at(at(day * DAY), 256);
                match step {
                    Step::Send(id, day, is_held) => {
                        let channel = if is_held { "robot".to_owned() } else { String::new() };
                        let event = Event { channel, ..event(&id.to_string(), "survey") };
                        edit.apply(&event, &context(day));
                    }
                    Step::Leave(id, day) => {
                        edit.apply(&event(&id.to_string(), "leave"), &context(day));
                    }
                    Step::Retract(id, day) => {
                        edit.retract(&event(&id.to_string(), "survey"), &context(day));
                    }
                    Step::State(is_stated) => {
                        let stated = if is_stated { retail() } else { Attributes::new() };
                        edit.update(stated, at(0));
                    }
                    Step::Release => {
                        edit.release(&Selection::default(), 3);
                    }
                }
            });
            let profile = view(&model, &written.record, at(30 * DAY));
            if !profile.is_counted {
                continue;
            }
            let points = |name: &str| {
                profile.scores.iter().find(|score| score.name == name).unwrap().points
            };
            let (fit, care) = (points("fit"), points("care"));
            let slack = 1e-9;
            let expected = if fit >= 1.5 - slack && care < 2.5 && points("interest") >= 5.0 {
                "wanted"
            } else if fit >= 0.8 - slack {
                "qualified"
            } else {
                "known"
            };
            prop_assert_eq!(profile.stage.as_deref(), Some(expected), "{}, {}", fit, care);
        }
    }
}
