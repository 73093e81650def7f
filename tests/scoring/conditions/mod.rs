//! Conditions that calls send: what they read of a member at an instant.

mod garbage;
mod refused;

use crate::{DAY, SECOND, at, context, corrections::change, event, model, replay, stating, text};
use bellwether::scoring::{
    AttributeValue, Condition, Detail, Event, Member, Model, Population, ProfileId, Record,
    RecordEdit, SubjectKindId, Timestamp, explain,
};

const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[scores.fit]
base = 1
[[signals]]
name = "visited"
on = "visit"
points = { interest = 8 }
[[attributes]]
name = "in_retail"
when = 'profile.attributes.industry == "retail"'
points = { fit = 3 }
[[identity]]
name = "mail"
when = 'has(profile.attributes.email)'
confidence = 0.5
[[stages]]
name = "awareness"
min = { interest = 1 }
[[stages]]
name = "decision"
min = { interest = 20 }
[[segments]]
name = "warm"
rank_by = "interest"
[[segments]]
name = "companies"
of = "account"
rank_by = "interest"
[[topics]]
name = "dropped calls"
[[topics]]
name = "price"
[interests]
half_life = "10d"
[subjects.account]
key = 'lower(profile.attributes.company)'
[subjects.brand]
key = 'event.attributes.brand'
"#;

fn id() -> ProfileId {
    ProfileId::new("ann").unwrap()
}

struct Asked {
    model: Model,
    record: Record,
    subjects: Vec<(SubjectKindId, Record)>,
    at: Timestamp,
}

impl Asked {
    /// Somebody who came on two days and cares about a topic, a week later.
    fn new() -> Self {
        let model = model(MODEL);
        let mut first = event("1", "visit");
        first.tags = vec!["dropped calls".into()];
        let second = event("2", "visit");
        let (mut record, _) = replay(&model, &[(at(0), first), (at(DAY), second)]);
        for (name, value) in [
            ("industry", text("retail")),
            ("email", text("ann@example.com")),
            ("contacted_at", text("2026-01-05T12:00:00+01:00")),
            ("called_at", AttributeValue::Number(1_767_268_800.0)),
            ("never", text("never")),
            ("tags", AttributeValue::List(vec![text("a"), text("b")])),
        ] {
            record.attributes.insert(name.to_owned(), value);
        }
        Self {
            model,
            record,
            subjects: Vec::new(),
            at: at(8 * DAY),
        }
    }

    fn condition(&self, text: &str) -> Condition {
        let read = self.model.condition(text, Population::People);
        read.unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"))
    }

    /// What the condition says; `None` where it fails.
    fn holds(&self, text: &str) -> Option<bool> {
        let subjects = self.subjects.iter();
        let subjects: Vec<_> = subjects.map(|(kind, record)| (*kind, record)).collect();
        let member = Member {
            profile_id: &id(),
            record: &self.record,
            subjects: &subjects,
        };
        let judged = self.condition(text).judge(&self.model, &member, self.at);
        assert!(judged.steps > 0);
        judged.holds
    }

    fn assert_all(&self, expected: Option<bool>, conditions: &[&str]) {
        for condition in conditions {
            assert_eq!(self.holds(condition), expected, "{condition}");
        }
    }
}

#[test]
fn a_condition_reads_what_the_profile_is_at_the_instant() {
    let mut asked = Asked::new();
    let profile = explain(&asked.model, &id(), &asked.record, asked.at, Detail::Points);
    let interest = profile.scores[0].points;
    let about = profile.interests[0].points;
    assert!(interest > 1.0 && about > 0.0);
    asked.assert_all(
        Some(true),
        &[
            "profile.attributes.industry == \"retail\"",
            "has(profile.attributes.industry) && !has(profile.attributes.phone)",
            "seen(\"visit\") && !seen(\"purchase\")",
            &format!("scores.interest == {interest:?}"),
            "scores.fit == 4.0",
            "stage == \"awareness\"",
            "identity.confidence == 0.5",
            &format!("interest(\"dropped calls\") == {about:?}"),
            "interest(\"price\") == 0.0",
            "subjects.account.scores.interest == 0.0",
            "!has(subjects.account.attributes) && !has(subjects.account.attributes.staff)",
            "completeness([\"industry\", \"phone\"]) == 0.5",
            "profile.attributes.tags.exists(tag, tag == \"b\")",
            "has(profile.last_event_time) && has(profile.first_seen_time)",
        ],
    );
    // What fades is what it is then.
    asked.at = at(60 * DAY);
    asked.assert_all(
        Some(true),
        &[
            "stage == \"\"",
            "scores.interest < 0.1",
            "scores.fit == 4.0",
        ],
    );
}

#[test]
fn timestamps_and_durations_are_compared_added_and_subtracted() {
    let asked = Asked::new();
    asked.assert_all(
        Some(true),
        &[
            "as_of == timestamp(\"2026-01-09T12:00:00Z\")",
            "timestamp(profile.attributes.contacted_at) < as_of - duration(\"4d\")",
            "timestamp(profile.attributes.contacted_at) + duration(\"4d\") < as_of",
            "duration(\"4d\") + timestamp(profile.attributes.contacted_at) < as_of",
            "as_of - timestamp(profile.attributes.contacted_at) == duration(\"97h\")",
            "duration(\"1d\") + duration(\"24h\") == duration(\"2d\")",
            "duration(\"2d\") - duration(\"1d\") == duration(\"24h\")",
            "timestamp(profile.attributes.called_at) == profile.first_seen_time",
            "timestamp(profile.last_event_time) == timestamp(\"2026-01-02T12:00:00Z\")",
            "duration(duration(\"1d\")) >= duration(\"1440m\")",
            "profile.last_event_time < as_of && as_of != profile.last_event_time",
            "timestamp(\"1950-06-01T00:00:00Z\") < timestamp(0)",
            "as_of in [profile.last_event_time, as_of]",
            "(seen(\"visit\") ? as_of : profile.last_event_time) == as_of",
            "timestamp(\"2026-01-09\" + \"T12:00:00Z\") == as_of",
        ],
    );
    asked.assert_all(
        Some(false),
        &[
            "timestamp(profile.attributes.contacted_at) < as_of - duration(\"5d\")",
            "profile.first_seen_time > profile.last_event_time",
        ],
    );
}

#[test]
fn a_condition_fails_where_something_is_missing_or_is_no_time() {
    let asked = Asked::new();
    asked.assert_all(
        None,
        &[
            "profile.attributes.phone == \"1\"",
            "timestamp(profile.attributes.never) < as_of",
            "timestamp(profile.attributes.tags) < as_of",
            "duration(profile.attributes.never) > duration(\"1d\")",
            "timestamp(1e300) < as_of",
            "timestamp(1 / 0) < as_of",
            "timestamp(number(\"nan\")) < as_of",
            "timestamp(\"2262-04-11T23:47:16Z\") + duration(\"1d\") > as_of",
            "timestamp(\"1678-01-01T00:00:00Z\") - duration(\"100000d\") < as_of",
        ],
    );
    // What decides makes up for what fails, as in CEL.
    asked.assert_all(
        Some(true),
        &["timestamp(profile.attributes.never) < as_of || seen(\"visit\")"],
    );
    let stated = Asked {
        record: stating(&[("industry", text("retail"))]),
        ..Asked::new()
    };
    stated.assert_all(None, &["profile.last_event_time < as_of"]);
    stated.assert_all(
        Some(true),
        &["!has(profile.last_event_time) && !has(profile.first_seen_time)"],
    );
}

#[test]
fn the_subjects_are_read_that_the_person_states() {
    let mut asked = Asked::new();
    let attributes = [("company".to_owned(), text("Acme"))].into();
    let read = |condition: &str, attributes| {
        let condition = asked.condition(condition);
        condition.subjects_read(&asked.model, &id(), attributes)
    };
    let of_both = "subjects.account.scores.interest > subjects.brand.scores.interest";
    let found = read(of_both, &attributes);
    assert_eq!(found.len(), 1, "no event says which brand");
    let (kind, acme) = found[0].clone();
    assert_eq!(
        Some(&acme),
        ProfileId::of_subject("account", "acme").as_ref()
    );
    assert!(read("scores.interest > 1", &attributes).is_empty());
    assert!(read(of_both, &asked.record.attributes).is_empty());

    let visit = Event {
        subjects: vec![acme.clone()],
        ..event("3", "visit")
    };
    let outcome = change(&asked.model, Record::default(), |edit| {
        edit.apply(&visit, &context(at(7 * DAY)));
    });
    let mut account = RecordEdit::new_profile(&asked.model, acme);
    assert!(account.apply_effect(&outcome.effects[0]));
    let mut account = account.finish().record;
    let staff = AttributeValue::Number(70.0);
    account.attributes.insert("staff".to_owned(), staff);
    asked.subjects = vec![(kind, account)];
    asked.assert_all(
        Some(true),
        &[
            "subjects.account.scores.interest > 7 && subjects.account.scores.interest < 8",
            "subjects.account.attributes.staff == 70",
            "has(subjects.account.attributes.staff) && has(subjects.account.attributes)",
            "size(subjects.account.attributes) == 1 && size(subjects.brand.attributes) == 0",
            "subjects.brand.scores.interest == 0",
        ],
    );
    asked.assert_all(None, &["subjects.brand.attributes.staff == 70"]);
}

#[test]
fn a_condition_is_asked_within_a_bound_of_steps() {
    let asked = Asked::new();
    let condition = asked.condition("profile.attributes.tags.all(tag, tag.size() > 0)");
    let member = Member {
        profile_id: &id(),
        record: &asked.record,
        subjects: &[],
    };
    let judged = condition.judge(&asked.model, &member, at(SECOND));
    assert_eq!(judged.holds, Some(true));
    assert!(judged.steps < 100, "{judged:?}");
}
