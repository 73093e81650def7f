//! `bellwether get`: one profile or subject, and why it stands where it stands.

use pbjson_types::Timestamp;

use super::{
    connection::Asking,
    explanation,
    failure::{Failure, printable},
    instant,
    output::{self, Column, points, signed_count, table},
};
use crate::proto::v1::{
    GetProfileRequest, GetSubjectRequest, Profile, ProfileView, Score, Subject,
};

/// Shows one profile or subject: scores, stage, segments, interests and attributes.
#[derive(Clone, Debug, clap::Args)]
pub struct Get {
    /// Whose profile, or which subject.
    id: String,
    /// The id is that of a subject of this kind, such as account.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Explain each score, by the signals that add up to it and its percentile, and the stage,
    /// by what it asks for and what is missing to the next.
    #[arg(long)]
    full: bool,
    /// Show of an unknown one what all start with.
    #[arg(long)]
    or_default: bool,
    /// The instant to compute for (RFC 3339); now unless given.
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    asking: Asking,
}

impl Get {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.kind.clone() {
            Some(kind) => self.subject(kind).await,
            None => self.profile().await,
        }
    }

    async fn profile(self) -> Result<(), Failure> {
        let request = self.asking.request(GetProfileRequest {
            tenant: self.asking.target.tenant.clone(),
            profile_id: self.id,
            view: view(self.full).into(),
            as_of: self.as_of,
            or_default: self.or_default,
        });
        let response = self
            .asking
            .answer(async |mut client| client.get_profile(request).await)
            .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            describe(&response.profile.unwrap_or_default(), self.full)
        })
    }

    async fn subject(self, kind: String) -> Result<(), Failure> {
        let request = self.asking.request(GetSubjectRequest {
            tenant: self.asking.target.tenant.clone(),
            kind,
            subject_id: self.id,
            view: view(self.full).into(),
            as_of: self.as_of,
            or_default: self.or_default,
        });
        let response = self
            .asking
            .answer(async |mut client| client.get_subject(request).await)
            .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            let subject = response.subject.unwrap_or_default();
            let whose = (subject.kind.clone(), printable(&subject.subject_id));
            describe_facts(whose, &without_stage(subject), self.full)
        })
    }
}

/// What a subject has of what a profile has.
pub(super) fn without_stage(subject: Subject) -> Profile {
    Profile {
        profile_id: subject.subject_id,
        exists: subject.exists,
        scores: subject.scores,
        segments: subject.segments,
        interests: subject.interests,
        attributes: subject.attributes,
        event_count: subject.event_count,
        first_seen_time: subject.first_seen_time,
        last_event_time: subject.last_event_time,
        as_of: subject.as_of,
        ..Profile::default()
    }
}

/// The view with or without explanation.
pub(super) fn view(full: bool) -> ProfileView {
    if full {
        ProfileView::Full
    } else {
        ProfileView::Basic
    }
}

/// The profile for people.
fn describe(profile: &Profile, full: bool) -> String {
    let whose = ("profile".to_owned(), printable(&profile.profile_id));
    describe_facts(whose, profile, full)
}

/// The same of whomever. What is absent is left out: there may be none, or the caller may not see it.
fn describe_facts(whose: (String, String), profile: &Profile, full: bool) -> String {
    let mut facts: Vec<(&str, String)> = vec![(&whose.0, whose.1)];
    if !profile.exists {
        facts.push(("exists", "no".to_owned()));
    }
    facts.push(("stage", profile.stage.clone()));
    if let Some(explanation) = &profile.stage_explanation {
        if let Some(current) = &explanation.current {
            facts.push(("because", explanation::of_stage(current)));
        }
        let next = explanation.next.as_ref().map_or_else(
            || "-".to_owned(),
            |next| match explanation::of_stage(next) {
                asks if asks.is_empty() => next.stage.clone(),
                asks => format!("{}: {asks}", next.stage),
            },
        );
        facts.push(("next stage", next));
    }
    if let Some(confidence) = profile.identity_confidence {
        let sure = format!("{:.1}% sure who this is", confidence * 100.0);
        facts.push(("identity", sure));
    }
    facts.extend([
        ("segments", segments(profile)),
        ("interests", interests(profile)),
        ("events", signed_count(profile.event_count)),
    ]);
    if profile.event_count > 0 {
        facts.push((
            "first seen",
            instant::format(profile.first_seen_time.as_ref()),
        ));
        facts.push((
            "last event",
            instant::format(profile.last_event_time.as_ref()),
        ));
    }
    facts.push(("as of", instant::format(profile.as_of.as_ref())));
    let mut text = String::new();
    for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("{name:<11} {value}\n");
    }
    for (name, value) in attributes(profile) {
        text += &format!("{:<11} {name} = {value}\n", "attribute");
    }
    if profile.scores.is_empty() {
        return text;
    }
    text.push('\n');
    if full {
        for score in &profile.scores {
            text += &explanation::of_score(score);
        }
    } else {
        text += &scores(profile);
    }
    text
}

/// The scores by name, with what is likely at them when the model says so.
fn scores(profile: &Profile) -> String {
    let mut columns = vec![Column::words("score"), Column::numbers("points")];
    let is_calibrated = |score: &Score| score.probability.is_some();
    if !profile.scores.iter().any(is_calibrated) {
        let rows = profile.scores.iter();
        return table(
            &columns,
            rows.map(|score| [score.name.clone(), points(score.points)]),
        );
    }
    columns.push(Column::words("probability"));
    let rows = profile.scores.iter().map(|score| {
        let chance = score.probability.map_or_else(String::new, |chance| {
            explanation::probability(chance, &score.outcome)
        });
        [score.name.clone(), points(score.points), chance]
    });
    table(&columns, rows)
}

/// Such as `buyers 12.3 (25.0% likely: buys)`.
fn segments(profile: &Profile) -> String {
    let segments = profile.segments.iter().map(|segment| {
        let named = format!("{} {}", segment.segment, points(segment.points));
        match segment.probability {
            Some(chance) => {
                let likely = explanation::probability(chance, &segment.outcome);
                format!("{named} ({likely})")
            }
            None => named,
        }
    });
    segments.collect::<Vec<_>>().join(", ")
}

fn interests(profile: &Profile) -> String {
    let interests: Vec<_> = profile
        .interests
        .iter()
        .map(|interest| format!("{} {}", interest.topic, points(interest.points)))
        .collect();
    interests.join(", ")
}

/// Attributes by name, each value as JSON, which also escapes control characters.
fn attributes(profile: &Profile) -> Vec<(String, String)> {
    let mut attributes: Vec<_> = profile
        .attributes
        .iter()
        .flat_map(|attributes| &attributes.fields)
        .map(|(name, value)| {
            let value = serde_json::to_value(value)
                .map_or_else(|_| "(no JSON form)".to_owned(), |value| value.to_string());
            (printable(name), value)
        })
        .collect();
    attributes.sort();
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{
        Contribution, SegmentMembership, StageExplanation, StageRequirement, TopicInterest,
    };

    fn profile() -> Profile {
        Profile {
            profile_id: "ada".to_owned(),
            exists: true,
            scores: vec![Score {
                name: "interest".to_owned(),
                points: 18.0,
                percentile: Some(97.5),
                contributions: vec![Contribution {
                    name: "asked".to_owned(),
                    count: 4.25,
                    weight: 4.0,
                    points: 17.0,
                    ..Contribution::default()
                }],
                base: 1.0,
                ..Score::default()
            }],
            segments: vec![
                SegmentMembership {
                    segment: "learners".to_owned(),
                    points: 18.0,
                    ..SegmentMembership::default()
                },
                SegmentMembership {
                    segment: "buyers".to_owned(),
                    points: 36.0,
                    probability: Some(0.25),
                    outcome: "buys".to_owned(),
                },
            ],
            interests: vec![TopicInterest {
                topic: "grammar".to_owned(),
                points: 2.5,
            }],
            attributes: Some(serde_json::from_str(r#"{"b":"x\u001b","a":{"n":1}}"#).unwrap()),
            event_count: 1_200,
            ..Profile::default()
        }
    }

    #[test]
    fn the_full_view_explains_each_score() {
        let text = describe(&profile(), true);
        for part in ["18.0 points", "97.5%", "base", "asked", "4.25", "17.0"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_basic_view_names_what_is_there_and_what_is_not() {
        let text = describe(&profile(), false);
        for part in [
            "segments    learners 18.0, buyers 36.0 (25.0% likely: buys)",
            "grammar 2.5",
            "1,200",
            "interest",
            "a = {\"n\":1",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.find("a =") < text.find("b ="));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn the_stage_is_explained_and_the_identity_said_when_the_answer_has_them() {
        let mut profile = profile();
        assert!(!describe(&profile, true).contains("because"));
        profile.identity_confidence = Some(0.86);
        profile.stage_explanation = Some(StageExplanation {
            current: Some(StageRequirement::default()),
            next: Some(StageRequirement {
                stage: "customer".to_owned(),
                when: "seen(\"purchase\")".to_owned(),
                ..StageRequirement::default()
            }),
        });
        let text = describe(&profile, true);
        for part in [
            "next stage  customer: seen(\"purchase\") does not hold",
            "identity    86.0% sure who this is",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_the_answer_does_not_have_is_left_out() {
        let next = StageRequirement {
            stage: "customer".to_owned(),
            ..StageRequirement::default()
        };
        let told = Profile {
            profile_id: "ada".to_owned(),
            exists: true,
            stage: "aware".to_owned(),
            stage_explanation: Some(StageExplanation {
                current: Some(StageRequirement::default()),
                next: Some(next),
            }),
            ..Profile::default()
        };
        for full in [false, true] {
            let text = describe(&told, full);
            assert_eq!(
                text,
                "profile     ada\nstage       aware\nnext stage  customer\nevents      0\n"
            );
        }
    }

    #[test]
    fn a_profile_that_does_not_exist_is_said_to() {
        let mut profile = profile();
        assert!(!describe(&profile, false).contains("exists"));
        profile.exists = false;
        assert!(describe(&profile, false).contains("exists      no"));
    }

    #[test]
    fn the_basic_view_says_what_is_likely_when_the_model_does() {
        let mut profile = profile();
        assert!(!describe(&profile, false).contains("probability"));
        profile.scores[0].probability = Some(0.25);
        profile.scores[0].outcome = "buys".to_owned();
        assert!(describe(&profile, false).contains("25.0% likely: buys"));
    }

    #[test]
    fn json_is_the_form_of_the_proto() {
        let text = output::json(&profile()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["profileId"], "ada");
        assert_eq!(value["eventCount"], 1_200);
        assert_eq!(value["scores"][0]["percentile"], 97.5);
        let again: Profile = serde_json::from_str(&text).unwrap();
        assert_eq!(again, profile());
    }
}
