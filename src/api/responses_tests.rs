//! Answers: everything that is known is sent.

use tonic::Status;

use super::{
    page_token::{PageToken, QueryHash},
    *,
};
use crate::{
    proto::v1,
    scoring::{
        AttributeValue, Breadth, ChangeCause, Contribution, ContributionKind, EventOutcome,
        Fingerprint, IgnoredSubjects, InvalidAttributes, KeyContribution, Probability, Profile,
        ProfileId, RankKey, Ranked, Score, SegmentMembership, StageChange, StageExplanation,
        StageRequirement, Timestamp, TopicInterest,
    },
    service::{Page, PageStart, Scored, SegmentPage, SegmentTopic, SegmentTopics, ServiceError},
    store::Cursor,
};

fn seal() -> TokenSeal {
    TokenSeal::of_bytes([7; 32])
}

fn likely() -> Probability {
    Probability {
        value: 0.25,
        outcome: "buys".into(),
    }
}

fn arrival() -> StageChange {
    StageChange {
        from_stage: None,
        to_stage: Some("awareness".into()),
        time: Timestamp::EPOCH,
        cause: ChangeCause::Write(None),
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
                name: "replied".into(),
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
        stage_entered_time: Some(Timestamp::EPOCH),
        stage_changes: vec![arrival()],
        segments: vec![SegmentMembership {
            segment: "buyers".into(),
            points: 48.0,
            probability: Some(likely()),
        }],
        interests: vec![TopicInterest {
            topic: "coverage".into(),
            points: 1.5,
        }],
        attributes: [("crm_id".to_owned(), AttributeValue::Number(7.0))].into(),
        is_counted: true,
        exists: true,
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
                keep: None,
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
    let segment = &sent.segments[0];
    assert_eq!((&*segment.segment, segment.points), ("buyers", 48.0));
    assert_eq!(
        (segment.probability, &*segment.outcome),
        (Some(0.25), "buys")
    );
    assert_eq!(sent.interests[0].points, 1.5);
    assert_eq!(sent.attributes.unwrap().fields["crm_id"], 7.0.into());
    assert_eq!(sent.event_count, 2);
    assert_eq!(sent.first_seen_time.unwrap().seconds, 0);
    let last = sent.last_event_time.unwrap();
    assert_eq!((last.seconds, last.nanos), (1, 1));
    assert_eq!(sent.as_of.unwrap().seconds, 2);
    assert_eq!(sent.quarantined[0].rule, "robots");
    assert_eq!(sent.quarantined[0].count, 2);
    assert!(sent.exists);
}

#[test]
fn a_subject_is_sent_by_its_kind_and_id() {
    let acme = Profile {
        profile_id: ProfileId::of_subject("account", "acme:1").unwrap(),
        ..ann()
    };
    let sent = subject(acme);
    assert_eq!((&*sent.kind, &*sent.subject_id), ("account", "acme:1"));
    assert_eq!((sent.event_count, sent.exists), (2, true));
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
        as_of: Timestamp::from_seconds(7),
    });
    assert_eq!((sent.members, sent.segment_size), (3, 40));
    assert_eq!(sent.as_of.unwrap().seconds, 7);
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
        let profile = Some(profile);
        scored(Scored { outcome, profile }, EventPath::Single)
    };
    let applied = with(EventOutcome::Applied {
        matched_signals: vec!["replied".into()],
        stage_change: Some(arrival()),
        unmatched_type: None,
        ignored_subjects: IgnoredSubjects::default(),
    });
    assert_eq!(applied.outcome(), v1::EventOutcome::Applied);
    assert!(applied.warnings.is_empty());
    assert_eq!(applied.matched_signals, ["replied"]);
    let change = applied.stage_change.unwrap();
    assert_eq!(
        (change.from_stage.as_str(), change.to_stage.as_str()),
        ("", "awareness")
    );

    let again = with(EventOutcome::Duplicate {
        matched_signals: vec!["replied".into()],
        stage_change: Some(arrival()),
    });
    assert_eq!(again.outcome(), v1::EventOutcome::Duplicate);
    assert_eq!(again.matched_signals, ["replied"]);
    let change = again.stage_change.unwrap();
    assert_eq!(change.to_stage, "awareness");
    assert!(change.time.is_some());
    let slip = with(EventOutcome::Applied {
        matched_signals: Vec::new(),
        stage_change: None,
        unmatched_type: Some("form_submited".to_owned()),
        ignored_subjects: IgnoredSubjects {
            undeclared_kinds: vec!["brnad".to_owned()],
            left_out: 2,
        },
    });
    let warning = &slip.warnings[0];
    assert_eq!(
        (warning.code.as_str(), warning.field.as_str()),
        (UNMATCHED_TYPE, "event.type")
    );
    assert!(warning.message.contains("\"form_submited\""));
    let codes: Vec<&str> = slip.warnings.iter().map(|warning| &*warning.code).collect();
    assert_eq!(codes, [UNMATCHED_TYPE, UNDECLARED_KIND, SUBJECTS_LEFT_OUT]);
    assert!(slip.warnings[1].message.contains("[subjects.brnad]"));
    assert!(slip.warnings[2].message.contains("not for 2 more"));
    let rule = "robots".to_owned();
    let held = with(EventOutcome::Quarantined { rule: rule.into() });
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
        members: Page {
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
            as_of: Timestamp::from_seconds(5),
            model: Fingerprint(1),
        },
        condition_failed: 7,
    };
    let last = segment_page(&seal(), page(None), query);
    assert_eq!(last.next_page_token, "");
    assert_eq!((last.segment_size, last.condition_failed_count), (9, 7));
    assert_eq!(last.as_of.unwrap().seconds, 5);
    let ranked = &last.members[0];
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
        as_of: Timestamp::from_seconds(5),
        model: Fingerprint(1),
    };
    let more = segment_page(&seal(), page(Some(start.clone())), query);
    let token = PageToken::decode(&more.next_page_token, &seal()).unwrap();
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

#[test]
fn the_results_of_a_batch_stand_in_the_order_of_its_updates() {
    use v1::batch_update_profiles_result::Result as Answer;
    let too_many = ServiceError::Attributes(InvalidAttributes::TooDeep);
    let refused = vec![None, Some(Status::invalid_argument("no id")), None, None];
    let made = vec![Ok(Some(ann())), Ok(None), Err(too_many)];
    let sent = batch_updated(refused, made).results;
    let profile = |index: usize| match &sent[index].result {
        Some(Answer::Response(response)) => response.profile.as_ref(),
        other => panic!("{other:?}"),
    };
    let error = |index: usize| match &sent[index].result {
        Some(Answer::Error(error)) => error.message.as_str(),
        other => panic!("{other:?}"),
    };
    assert_eq!(profile(0).unwrap().profile_id, "ann");
    assert_eq!(error(1), "no id");
    assert_eq!(profile(2), None, "it is asked for without profiles");
    assert!(error(3).starts_with("updates[3].attributes of the profile"));
}

#[test]
fn each_id_of_a_batch_is_answered_with_a_profile_or_why_there_is_none() {
    use v1::batch_get_profiles_result::Result as Answer;
    let unknown = ServiceError::UnknownProfile("bob".into());
    let sent = profiles(vec![Ok(ann()), Err(unknown)]).results;
    let Some(Answer::Profile(found)) = &sent[0].result else {
        panic!("{:?}", sent[0]);
    };
    assert_eq!(found.profile_id, "ann");
    let Some(Answer::Error(error)) = &sent[1].result else {
        panic!("{:?}", sent[1]);
    };
    assert_eq!(error.code, i32::from(tonic::Code::NotFound));
    assert!(!error.details.is_empty());
}
