//! `GetProfile` and `UpdateProfile`, and their batches.

use pbjson_types as wkt;
use tonic::Status;

use super::{
    attributes,
    fields::{
        count, instant, profile_id, response_view, signed, small, tenant, timestamp, too_long, view,
    },
    status::{inconsistent, of_service, to_message},
    violations::{Shown, Violations},
};
use crate::{
    limits::{MAX_BATCH_PROFILES, MAX_REMOVED_ATTRIBUTES, MAX_REMOVED_NAME_BYTES},
    proto::{attributes::to_struct, v1},
    scoring::{
        Attributes, ChangeCause, Contribution, ContributionKind, Probability, Profile, ProfileId,
        Score, SegmentMembership, StageChange, StageExplanation, StageRequirement, Tenant,
        TopicInterest,
    },
    service::{ProfileQuery, ProfileUpdate, ServiceError, View},
};

/// Reads a `GetProfile`.
pub fn get_profile(
    request: &v1::GetProfileRequest,
) -> Result<(Tenant, ProfileId, ProfileQuery), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let profile_id = profile_id("profile_id", &request.profile_id, &mut violations);
    let query = profile_query(
        (request.view, request.as_of, request.or_default),
        &mut violations,
    );
    let read = tenant.zip(profile_id).zip(query);
    violations.finish(read.map(|((tenant, profile_id), query)| (tenant, profile_id, query)))
}

/// How to read profiles: the view, the instant, and whether unknown ones are answered.
pub(super) fn profile_query(
    (sent, as_of, or_default): (i32, Option<wkt::Timestamp>, bool),
    violations: &mut Violations,
) -> Option<ProfileQuery> {
    let view = view(sent, violations);
    let as_of = instant("as_of", as_of, violations);
    Some(ProfileQuery {
        view: view?,
        as_of,
        or_default,
    })
}

/// Reads a `BatchGetProfiles`.
pub fn batch_get_profiles(
    request: &v1::BatchGetProfilesRequest,
) -> Result<(Tenant, Vec<ProfileId>, ProfileQuery), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let ids = &request.profile_ids;
    count(
        "profile_ids",
        ids.len(),
        MAX_BATCH_PROFILES,
        &mut violations,
    );
    let ids: Vec<_> = ids
        .iter()
        .take(MAX_BATCH_PROFILES)
        .enumerate()
        .filter_map(|(index, id)| {
            profile_id(format_args!("profile_ids[{index}]"), id, &mut violations)
        })
        .collect();
    let query = profile_query(
        (request.view, request.as_of, request.or_default),
        &mut violations,
    );
    let read = tenant.zip(query);
    violations.finish(read.map(|(tenant, query)| (tenant, ids, query)))
}

/// An update of a profile, and how much of the profile to answer with.
pub type UpdateQuery = (Tenant, ProfileUpdate, Option<View>);

/// Reads an `UpdateProfile`.
pub fn update_profile(request: v1::UpdateProfileRequest) -> Result<UpdateQuery, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let profile_id = profile_id("profile_id", &request.profile_id, &mut violations);
    let changes = (request.attributes, request.remove_attributes);
    let update = update(profile_id, changes, "", &mut violations);
    let view = response_view(request.response_view, &mut violations);
    let read = tenant.zip(update);
    violations.finish(read.map(|(tenant, update)| (tenant, update, view)))
}

/// What a `BatchUpdateProfiles` asks for: each update or why it is refused, and how much of each
/// profile to answer with.
pub type BatchUpdateQuery = (Tenant, Vec<Result<ProfileUpdate, Status>>, Option<View>);

/// Reads a `BatchUpdateProfiles`. Its updates are refused one by one.
pub fn batch_update_profiles(
    request: v1::BatchUpdateProfilesRequest,
) -> Result<BatchUpdateQuery, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let (sent, most) = (request.updates, MAX_BATCH_PROFILES);
    count("updates", sent.len(), most, &mut violations);
    let view = response_view(request.response_view, &mut violations);
    let tenant = violations.finish(tenant)?;
    let updates = sent.into_iter().enumerate().map(|(index, update)| {
        let mut violations = Violations::default();
        let path = format!("updates[{index}].");
        let whose = format_args!("{path}profile_id");
        let profile_id = profile_id(whose, &update.profile_id, &mut violations);
        let changes = (update.attributes, update.remove_attributes);
        let update = self::update(profile_id, changes, &path, &mut violations);
        violations.finish(update)
    });
    Ok((tenant, updates.collect(), view))
}

/// Reads what an update sets and removes; the path of its message ends with a dot, or is empty.
pub(super) fn update(
    profile_id: Option<ProfileId>,
    (set, removed): (Option<wkt::Struct>, Vec<String>),
    path: &str,
    violations: &mut Violations,
) -> Option<ProfileUpdate> {
    let attributes = attributes::read(set, format_args!("{path}attributes"), violations);
    removed_attributes(path, &removed, attributes.as_ref(), violations);
    Some(ProfileUpdate {
        profile_id: profile_id?,
        attributes: attributes?,
        removed,
    })
}

fn removed_attributes(
    path: &str,
    names: &[String],
    sent: Option<&Attributes>,
    violations: &mut Violations,
) {
    if names.len() > MAX_REMOVED_ATTRIBUTES {
        violations.add(
            format_args!("{path}remove_attributes"),
            format_args!(
                "has {} entries; send at most {MAX_REMOVED_ATTRIBUTES}",
                names.len()
            ),
        );
    }
    for (index, name) in names.iter().take(MAX_REMOVED_ATTRIBUTES).enumerate() {
        let field = format_args!("{path}remove_attributes[{index}]");
        if name.is_empty() {
            violations.add(field, "is empty; send the name of an attribute");
        } else if name.len() > MAX_REMOVED_NAME_BYTES {
            too_long(field, name, MAX_REMOVED_NAME_BYTES, violations);
        } else if sent.is_some_and(|sent| sent.contains_key(name)) {
            violations.add(
                field,
                format_args!(
                    "is {}, which attributes sets; send it in one of the two",
                    Shown(name)
                ),
            );
        }
    }
}

/// The profile as it is sent.
pub fn profile(profile: Profile) -> v1::Profile {
    v1::Profile {
        profile_id: profile.profile_id.name().to_owned(),
        exists: profile.exists,
        scores: profile.scores.into_iter().map(score).collect(),
        stage: profile.stage.unwrap_or_default().into(),
        stage_entered_time: profile.stage_entered_time.map(timestamp),
        stage_changes: profile
            .stage_changes
            .into_iter()
            .map(to_stage_change)
            .collect(),
        segments: profile.segments.into_iter().map(membership).collect(),
        interests: profile.interests.into_iter().map(interest).collect(),
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
                rule: rule.into(),
                count: i32::try_from(count).unwrap_or(i32::MAX),
            })
            .collect(),
    }
}

pub(super) fn to_stage_change(change: StageChange) -> v1::StageChange {
    v1::StageChange {
        from_stage: change.from_stage.unwrap_or_default().into(),
        to_stage: change.to_stage.unwrap_or_default().into(),
        time: Some(timestamp(change.time)),
        by_fading: change.cause == ChangeCause::Fading,
    }
}

pub(super) fn interest(interest: TopicInterest) -> v1::TopicInterest {
    v1::TopicInterest {
        topic: interest.topic.into(),
        points: interest.points,
    }
}

pub(super) fn membership(membership: SegmentMembership) -> v1::SegmentMembership {
    let (probability, outcome) = probability(membership.probability);
    v1::SegmentMembership {
        segment: membership.segment.into(),
        points: membership.points,
        probability,
        outcome,
    }
}

pub(super) fn requirement(requirement: StageRequirement) -> v1::StageRequirement {
    v1::StageRequirement {
        stage: requirement.stage.into(),
        when: requirement.when,
        when_holds: requirement.when_holds,
        score: requirement.score.into(),
        min: requirement.min,
        keep: requirement.keep,
        points: requirement.points,
        missing_points: requirement.missing_points,
        missing_signals: small(requirement.missing_signals),
    }
}

pub(super) fn score(score: Score) -> v1::Score {
    let (probability, outcome) = probability(score.probability);
    v1::Score {
        name: score.name.into(),
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
pub(super) fn probability(probability: Option<Probability>) -> (Option<f64>, String) {
    probability.map_or_else(Default::default, |probability| {
        (Some(probability.value), probability.outcome)
    })
}

pub(super) fn contribution(contribution: Contribution) -> v1::Contribution {
    let kind = match contribution.kind {
        ContributionKind::Signal => v1::ContributionKind::Signal,
        ContributionKind::AttributeRule => v1::ContributionKind::AttributeRule,
    };
    let keys = contribution.keys.into_iter();
    v1::Contribution {
        name: contribution.name.into(),
        count: contribution.count,
        weight: contribution.weight,
        points: contribution.points,
        kind: kind.into(),
        limit: contribution.limit,
        capped_count: contribution.capped_count,
        keys: keys
            .map(|part| v1::KeyContribution {
                key: part.key.into(),
                count: part.count,
                points: part.points,
            })
            .collect(),
    }
}

/// The answer to a `BatchGetProfiles`.
pub fn profiles(read: Vec<Result<Profile, ServiceError>>) -> v1::BatchGetProfilesResponse {
    use v1::batch_get_profiles_result::Result as Answer;
    let results = read.into_iter().map(|read| {
        let result = match read {
            Ok(read) => Answer::Profile(profile(read)),
            Err(error) => Answer::Error(to_message(&of_service(&error, "as_of"))),
        };
        v1::BatchGetProfilesResult {
            result: Some(result),
        }
    });
    v1::BatchGetProfilesResponse {
        results: results.collect(),
    }
}

/// The answer to an `UpdateProfile`.
pub fn updated(updated: Option<Profile>) -> v1::UpdateProfileResponse {
    v1::UpdateProfileResponse {
        profile: updated.map(profile),
    }
}

/// The answer to a `BatchUpdateProfiles`: one result for each update that was made or failed,
/// between those that were refused before.
pub fn batch_updated(
    refused: Vec<Option<Status>>,
    made: Vec<Result<Option<Profile>, ServiceError>>,
) -> v1::BatchUpdateProfilesResponse {
    use v1::batch_update_profiles_result::Result as Answer;
    let mut made = made.into_iter();
    let results = refused.into_iter().enumerate().map(|(index, refused)| {
        let result = match refused {
            Some(status) => Err(status),
            None => made.next().map_or_else(
                || Err(inconsistent()),
                |made| {
                    made.map_err(|error| {
                        of_service(&error, &format!("updates[{index}].attributes"))
                    })
                },
            ),
        };
        let result = match result {
            Ok(profile) => Answer::Response(updated(profile)),
            Err(status) => Answer::Error(to_message(&status)),
        };
        v1::BatchUpdateProfilesResult {
            result: Some(result),
        }
    });
    v1::BatchUpdateProfilesResponse {
        results: results.collect(),
    }
}
