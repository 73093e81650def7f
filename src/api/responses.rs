//! What the service answers, as messages of the wire.

use pbjson_types as wkt;
use tonic::Status;

use super::violations::{EventPath, Shown};
use crate::{
    api::{
        page_token::{PageToken, QueryHash},
        status::to_message,
    },
    proto::{attributes::to_struct, v1},
    scoring::{
        Contribution, ContributionKind, EventOutcome, Influencer, Probability, Profile, Ranked,
        Score, StageExplanation, StageRequirement, Subject, Timestamp,
    },
    service::{Funnel, InfluencerPage, PageStart, Scored, SegmentPage, SegmentTopics},
};

/// The profile as it is sent.
pub fn profile(profile: Profile) -> v1::Profile {
    let subject = profile.profile_id.subject();
    let name = profile.profile_id.name().to_owned();
    v1::Profile {
        profile_id: match subject {
            Subject::Person => name.clone(),
            Subject::Account => String::new(),
        },
        account_id: match subject {
            Subject::Person => String::new(),
            Subject::Account => name,
        },
        scores: profile.scores.into_iter().map(score).collect(),
        stage: profile.stage.unwrap_or_default(),
        segments: profile.segments,
        topics: profile
            .topics
            .into_iter()
            .map(|interest| v1::TopicInterest {
                topic: interest.topic,
                points: interest.points,
            })
            .collect(),
        attributes: Some(to_struct(profile.attributes)),
        event_count: signed(profile.event_count),
        first_seen_time: profile.first_seen_time.map(timestamp),
        last_event_time: profile.last_event_time.map(timestamp),
        as_of: Some(timestamp(profile.as_of)),
        identity_confidence: profile.identity_confidence,
        stage_explanation: profile.stage_explanation.map(|explanation| {
            let StageExplanation { current, next } = explanation;
            v1::StageExplanation {
                current: current.map(requirement),
                next: next.map(requirement),
            }
        }),
        quarantined: profile
            .quarantined
            .into_iter()
            .map(|(rule, count)| v1::QuarantinedEvents {
                rule,
                count: i32::try_from(count).unwrap_or(i32::MAX),
            })
            .collect(),
    }
}

fn requirement(requirement: StageRequirement) -> v1::StageRequirement {
    v1::StageRequirement {
        stage: requirement.stage,
        when: requirement.when,
        when_holds: requirement.when_holds,
        score: requirement.score,
        min: requirement.min,
        points: requirement.points,
        missing_points: requirement.missing_points,
        missing_signals: small(requirement.missing_signals),
    }
}

fn score(score: Score) -> v1::Score {
    let (probability, outcome) = probability(score.probability);
    v1::Score {
        name: score.name,
        points: score.points,
        percentile: score.percentile,
        contributions: score.contributions.into_iter().map(contribution).collect(),
        base: score.base,
        probability,
        breadth: score.breadth.map(|breadth| v1::Breadth {
            present: small(breadth.present),
            required: small(breadth.required),
        }),
        outcome,
    }
}

/// A probability, and what it is the probability of.
fn probability(probability: Option<Probability>) -> (Option<f64>, String) {
    probability.map_or_else(Default::default, |probability| {
        (Some(probability.value), probability.outcome)
    })
}

fn contribution(contribution: Contribution) -> v1::Contribution {
    let kind = match contribution.kind {
        ContributionKind::Signal => v1::ContributionKind::Signal,
        ContributionKind::AttributeRule => v1::ContributionKind::AttributeRule,
    };
    let keys = contribution.keys.into_iter();
    v1::Contribution {
        signal: contribution.signal,
        count: contribution.count,
        weight: contribution.weight,
        points: contribution.points,
        kind: kind.into(),
        limit: contribution.limit,
        capped_count: contribution.capped_count,
        keys: keys
            .map(|part| v1::KeyContribution {
                key: part.key,
                count: part.count,
                points: part.points,
            })
            .collect(),
    }
}

/// The answer to a `BatchGetProfiles`.
pub fn profiles(
    (known, missing): (Vec<Profile>, Vec<crate::scoring::ProfileId>),
) -> v1::BatchGetProfilesResponse {
    v1::BatchGetProfilesResponse {
        profiles: known.into_iter().map(profile).collect(),
        missing_ids: missing.iter().map(|id| id.as_str().to_owned()).collect(),
    }
}

/// What a warning says of an event that nothing of the model looks at.
pub const UNMATCHED_TYPE: &str = "UNMATCHED_EVENT_TYPE";

fn unmatched(path: EventPath, event_type: &str) -> v1::Warning {
    v1::Warning {
        code: UNMATCHED_TYPE.to_owned(),
        field: format!("{path}.type"),
        message: format!(
            "the model names no event type {}, so the event matches nothing; check the spelling, or name the type in the model",
            Shown(event_type)
        ),
    }
}

/// The answer to a `ScoreEvent`.
pub fn scored(scored: Scored, path: EventPath) -> v1::ScoreEventResponse {
    let mut response = v1::ScoreEventResponse {
        profile: Some(profile(scored.profile)),
        ..v1::ScoreEventResponse::default()
    };
    match scored.outcome {
        EventOutcome::Applied {
            matched_signals,
            stage_change,
            unmatched_type,
        } => {
            response.set_outcome(v1::EventOutcome::Applied);
            let unmatched = unmatched_type.map(|event_type| unmatched(path, &event_type));
            response.warnings.extend(unmatched);
            response.matched_signals = matched_signals;
            response.stage_change = stage_change.map(|change| v1::StageChange {
                from: change.from.unwrap_or_default(),
                to: change.to.unwrap_or_default(),
            });
        }
        EventOutcome::Duplicate => response.set_outcome(v1::EventOutcome::Duplicate),
        EventOutcome::TooOld => {
            response.set_outcome(v1::EventOutcome::Ignored);
            response.set_ignored_reason(v1::IgnoredReason::TooOld);
        }
        EventOutcome::Quarantined { rule } => {
            response.set_outcome(v1::EventOutcome::Quarantined);
            response.quarantine_rule = rule;
        }
    }
    response
}

/// The answer to one event of a `ScoreEvents`.
pub fn result_of_event(result: Result<Scored, Status>, path: EventPath) -> v1::ScoreEventsResult {
    use v1::score_events_result::Result as Answer;
    let answer = match result {
        Ok(answer) => Answer::Response(scored(answer, path)),
        Err(status) => Answer::Error(to_message(&status)),
    };
    v1::ScoreEventsResult {
        result: Some(answer),
    }
}

/// The answer to a `RankSegment`.
pub fn segment_page(page: SegmentPage, query: QueryHash) -> v1::RankSegmentResponse {
    v1::RankSegmentResponse {
        next_page_token: next_page_token(page.next, page.as_of, query),
        profiles: page.entries.into_iter().map(ranked).collect(),
        total_size: signed(page.total),
    }
}

fn ranked((rank, member): (u64, Ranked)) -> v1::RankedProfile {
    let (probability, outcome) = probability(member.probability);
    v1::RankedProfile {
        rank: signed(rank),
        profile: Some(profile(member.profile)),
        points: member.points,
        probability,
        outcome,
    }
}

/// The answer to a `GetSegmentTopics`.
pub fn segment_topics(found: SegmentTopics) -> v1::GetSegmentTopicsResponse {
    let topics = found.topics.into_iter().map(|topic| v1::SegmentTopic {
        topic: topic.topic,
        points: topic.points,
        members: small(topic.members),
    });
    v1::GetSegmentTopicsResponse {
        topics: topics.collect(),
        members: small(found.members),
        total_size: signed(found.total),
    }
}

/// The answer to a `TopInfluencers`.
pub fn influencer_page(page: InfluencerPage, query: QueryHash) -> v1::TopInfluencersResponse {
    v1::TopInfluencersResponse {
        next_page_token: next_page_token(page.next, page.as_of, query),
        influencers: page.entries.into_iter().map(influencer).collect(),
    }
}

fn influencer(influencer: Influencer) -> v1::Influencer {
    v1::Influencer {
        profile: Some(profile(influencer.profile)),
        influence: influencer.influence,
        reach: influencer.reach,
        touches: signed(influencer.touches),
        advances: influencer.advances,
        influence_probability: influencer.influence_probability,
    }
}

pub(super) fn next_page_token(
    next: Option<PageStart>,
    as_of: Timestamp,
    query: QueryHash,
) -> String {
    next.map_or_else(String::new, |start| {
        PageToken {
            query,
            as_of,
            start,
        }
        .encode()
    })
}

/// The answer to a `GetFunnel`.
pub fn funnel(funnel: Funnel) -> v1::GetFunnelResponse {
    v1::GetFunnelResponse {
        stages: funnel
            .stages
            .into_iter()
            .map(|(stage, count)| v1::StageCount {
                stage,
                count: signed(count),
            })
            .collect(),
        unstaged_count: signed(funnel.unstaged),
    }
}

pub(super) fn timestamp(instant: Timestamp) -> wkt::Timestamp {
    let (seconds, nanos) = instant.parts();
    wkt::Timestamp { seconds, nanos }
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn small(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scoring::{
            AttributeValue, Breadth, Fingerprint, KeyContribution, ProfileId, RankKey, StageChange,
            TopicInterest,
        },
        service::SegmentTopic,
        store::Cursor,
    };

    fn likely() -> Probability {
        Probability {
            value: 0.25,
            outcome: "buys".into(),
        }
    }

    fn ann() -> Profile {
        Profile {
            profile_id: ProfileId::new("ann").unwrap(),
            scores: vec![Score {
                name: "interest".into(),
                points: 16.0,
                base: 0.0,
                percentile: Some(99.5),
                contributions: vec![Contribution {
                    signal: "replied".into(),
                    kind: ContributionKind::Signal,
                    count: 2.0,
                    weight: 8.0,
                    points: 16.0,
                    limit: Some(2.0),
                    capped_count: 1.5,
                    keys: vec![KeyContribution {
                        key: "price".into(),
                        count: 2.0,
                        points: 16.0,
                    }],
                }],
                probability: Some(likely()),
                breadth: Some(Breadth {
                    present: 1,
                    required: 3,
                }),
            }],
            stage: Some("awareness".into()),
            segments: vec!["buyers".into()],
            topics: vec![TopicInterest {
                topic: "coverage".into(),
                points: 1.5,
            }],
            attributes: [("crm_id".to_owned(), AttributeValue::Number(7.0))].into(),
            is_counted: true,
            event_count: 2,
            quarantined: vec![("robots".into(), 2)],
            first_seen_time: Some(Timestamp::EPOCH),
            last_event_time: Timestamp::from_nanos(1_000_000_001),
            identity_confidence: Some(0.75),
            stage_explanation: Some(StageExplanation {
                current: None,
                next: Some(StageRequirement {
                    stage: "decision".into(),
                    when: "true".into(),
                    when_holds: true,
                    score: "interest".into(),
                    min: 20.0,
                    points: 16.0,
                    missing_points: 4.0,
                    missing_signals: 2,
                }),
            }),
            as_of: Timestamp::from_nanos(2_000_000_000).unwrap(),
        }
    }

    #[test]
    fn a_profile_is_sent_whole() {
        let sent = profile(ann());
        assert_eq!(sent.profile_id, "ann");
        assert_eq!(sent.scores[0].percentile, Some(99.5));
        assert_eq!(sent.scores[0].contributions[0].weight, 8.0);
        assert_eq!(sent.stage, "awareness");
        assert_eq!(sent.segments, ["buyers"]);
        assert_eq!(sent.topics[0].points, 1.5);
        assert_eq!(sent.attributes.unwrap().fields["crm_id"], 7.0.into());
        assert_eq!(sent.event_count, 2);
        assert_eq!(sent.first_seen_time.unwrap().seconds, 0);
        let last = sent.last_event_time.unwrap();
        assert_eq!((last.seconds, last.nanos), (1, 1));
        assert_eq!(sent.as_of.unwrap().seconds, 2);
        assert_eq!(sent.quarantined[0].rule, "robots");
        assert_eq!(sent.quarantined[0].count, 2);
        assert_eq!(sent.account_id, "");
    }

    #[test]
    fn an_account_is_sent_by_its_own_id() {
        let acme = Profile {
            profile_id: ProfileId::of_account("acme").unwrap(),
            ..ann()
        };
        let sent = profile(acme);
        assert_eq!((&*sent.account_id, &*sent.profile_id), ("acme", ""));
    }

    #[test]
    fn an_explanation_is_sent_whole() {
        let sent = profile(ann());
        assert_eq!(sent.identity_confidence, Some(0.75));
        let score = &sent.scores[0];
        assert_eq!(
            (score.probability, score.outcome.as_str()),
            (Some(0.25), "buys")
        );
        let breadth = score.breadth.unwrap();
        assert_eq!((breadth.present, breadth.required), (1, 3));
        let term = &score.contributions[0];
        assert_eq!(term.kind(), v1::ContributionKind::Signal);
        assert_eq!((term.limit, term.capped_count), (Some(2.0), 1.5));
        assert_eq!(
            (term.keys[0].key.as_str(), term.keys[0].points),
            ("price", 16.0)
        );
        let explanation = sent.stage_explanation.unwrap();
        assert_eq!(explanation.current, None);
        let next = explanation.next.unwrap();
        assert_eq!(
            (next.stage.as_str(), next.when.as_str()),
            ("decision", "true")
        );
        assert!(next.when_holds);
        assert_eq!((next.score.as_str(), next.min), ("interest", 20.0));
        assert_eq!((next.points, next.missing_points), (16.0, 4.0));
        assert_eq!(next.missing_signals, 2);
    }

    #[test]
    fn the_topics_of_a_segment_are_sent_with_how_many_care() {
        let sent = segment_topics(SegmentTopics {
            topics: vec![SegmentTopic {
                topic: "price".into(),
                points: 2.5,
                members: 2,
            }],
            members: 3,
            total: 40,
        });
        assert_eq!((sent.members, sent.total_size), (3, 40));
        let topic = &sent.topics[0];
        assert_eq!(
            (topic.topic.as_str(), topic.points, topic.members),
            ("price", 2.5, 2)
        );
    }

    #[test]
    fn each_outcome_has_its_own_form() {
        let with = |outcome| {
            let profile = ann();
            scored(Scored { profile, outcome }, EventPath::Single)
        };
        let applied = with(EventOutcome::Applied {
            matched_signals: vec!["replied".into()],
            stage_change: Some(StageChange {
                from: None,
                to: Some("awareness".into()),
            }),
            unmatched_type: None,
        });
        assert_eq!(applied.outcome(), v1::EventOutcome::Applied);
        assert!(applied.warnings.is_empty());
        assert_eq!(applied.matched_signals, ["replied"]);
        let change = applied.stage_change.unwrap();
        assert_eq!(
            (change.from.as_str(), change.to.as_str()),
            ("", "awareness")
        );

        assert_eq!(
            with(EventOutcome::Duplicate).outcome(),
            v1::EventOutcome::Duplicate
        );
        let slip = with(EventOutcome::Applied {
            matched_signals: Vec::new(),
            stage_change: None,
            unmatched_type: Some("form_submited".to_owned()),
        });
        let warning = &slip.warnings[0];
        assert_eq!(
            (warning.code.as_str(), warning.field.as_str()),
            (UNMATCHED_TYPE, "event.type")
        );
        assert!(warning.message.contains("\"form_submited\""));
        let rule = "robots".to_owned();
        let held = with(EventOutcome::Quarantined { rule });
        assert_eq!(held.outcome(), v1::EventOutcome::Quarantined);
        assert_eq!(held.quarantine_rule, "robots");
        let ignored = with(EventOutcome::TooOld);
        assert_eq!(ignored.outcome(), v1::EventOutcome::Ignored);
        assert_eq!(ignored.ignored_reason(), v1::IgnoredReason::TooOld);
    }

    #[test]
    fn only_a_page_with_a_next_one_has_a_token() {
        let query = QueryHash::new("RankSegment", &crate::scoring::Tenant::new("").unwrap(), []);
        let page = |next| SegmentPage {
            entries: vec![(
                3,
                Ranked {
                    profile: ann(),
                    points: 48.0,
                    probability: Some(likely()),
                },
            )],
            total: 9,
            next,
            as_of: Timestamp::EPOCH,
            model: Fingerprint(1),
        };
        let last = segment_page(page(None), query);
        assert_eq!(last.next_page_token, "");
        assert_eq!(last.total_size, 9);
        let ranked = &last.profiles[0];
        assert_eq!((ranked.rank, ranked.points), (3, 48.0));
        assert_eq!(
            (ranked.probability, ranked.outcome.as_str()),
            (Some(0.25), "buys")
        );

        let start = PageStart {
            after: Cursor {
                key: RankKey::NO_POINTS,
                profile_id: ProfileId::new("ann").unwrap(),
            },
            left: Some(4),
            model: Fingerprint(1),
        };
        let more = segment_page(page(Some(start.clone())), query);
        let token = PageToken::decode(&more.next_page_token).unwrap();
        assert_eq!((token.query, token.start), (query, start));
    }

    #[test]
    fn a_failed_event_is_answered_with_its_status() {
        let result = result_of_event(Err(Status::not_found("nobody")), EventPath::Indexed(0));
        let Some(v1::score_events_result::Result::Error(error)) = result.result else {
            panic!("not an error");
        };
        assert_eq!((error.code, error.message.as_str()), (5, "nobody"));
    }
}
