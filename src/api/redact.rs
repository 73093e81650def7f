//! Takes out of answers what a caller may not see. Every message that can hold some of it is here; a
//! test walks the descriptors for one that is not.

use super::status::of_service;
use crate::{
    access::Seen,
    proto::v1::{self, ContributionKind},
    scoring::Diagnostic,
    service::ServiceError,
};

/// An answer that is told in part to who sees in part.
pub trait Redact {
    /// Takes out what is hidden.
    fn redact(&mut self, seen: &Seen);
}

/// Why a call failed, without names that its caller may not see.
fn redacted_error(mut error: ServiceError, seen: &Seen) -> ServiceError {
    if seen.is_all() {
        return error;
    }
    match &mut error {
        ServiceError::UnknownName { kind, known, .. } => known.retain(|name| match *kind {
            "segment" => seen.segment(name),
            "stage" => seen.stages(),
            "topic" => seen.topic(name),
            "quarantine rule" => seen.quarantine(name),
            _ => true,
        }),
        ServiceError::Condition(mistakes) => {
            // What is wrong may be said with names that are near, or with all that there are.
            for Diagnostic { message, .. } in mistakes {
                *message = "cannot be read, or reads what is not there".to_owned();
            }
        }
        _ => {}
    }
    error
}

/// The status of a failed call, as its caller sees it.
pub fn redacted_status(error: ServiceError, field: &str, seen: &Seen) -> tonic::Status {
    of_service(&redacted_error(error, seen), field)
}

impl<T: Redact> Redact for Option<T> {
    fn redact(&mut self, seen: &Seen) {
        if let Some(inner) = self {
            inner.redact(seen);
        }
    }
}

impl<T: Redact> Redact for Vec<T> {
    fn redact(&mut self, seen: &Seen) {
        for element in self {
            element.redact(seen);
        }
    }
}

fn redact_attributes(attributes: &mut Option<pbjson_types::Struct>, seen: &Seen) {
    if let Some(attributes) = attributes {
        attributes.fields.retain(|name, _| seen.attribute(name));
    }
}

fn redact_scores(scores: &mut Vec<v1::Score>, seen: &Seen) {
    scores.retain(|score| seen.score(&score.name));
    scores.redact(seen);
}

fn redact_segments(segments: &mut Vec<v1::SegmentMembership>, seen: &Seen) {
    segments.retain(|membership| seen.segment(&membership.segment));
}

fn redact_interests(interests: &mut Vec<v1::TopicInterest>, seen: &Seen) {
    interests.retain(|interest| seen.topic(&interest.topic));
}

impl Redact for v1::Profile {
    fn redact(&mut self, seen: &Seen) {
        redact_scores(&mut self.scores, seen);
        redact_segments(&mut self.segments, seen);
        redact_interests(&mut self.interests, seen);
        redact_attributes(&mut self.attributes, seen);
        self.quarantined.retain(|held| seen.quarantine(&held.rule));
        if !seen.stages() {
            self.stage.clear();
            self.stage_entered_time = None;
            self.stage_changes.clear();
            self.stage_explanation = None;
        }
        self.stage_explanation.redact(seen);
        if !seen.identity() {
            self.identity_confidence = None;
        }
    }
}

impl Redact for v1::Score {
    fn redact(&mut self, seen: &Seen) {
        self.contributions.retain(|part| match part.kind() {
            ContributionKind::Signal => seen.signal(&part.name),
            ContributionKind::AttributeRule => seen.rule(&part.name),
            ContributionKind::Unspecified => false,
        });
    }
}

impl Redact for v1::StageExplanation {
    fn redact(&mut self, seen: &Seen) {
        self.current.redact(seen);
        self.next.redact(seen);
    }
}

impl Redact for v1::StageRequirement {
    fn redact(&mut self, seen: &Seen) {
        if !seen.stage_inputs() {
            *self = Self {
                stage: std::mem::take(&mut self.stage),
                ..Self::default()
            };
        }
    }
}

impl Redact for v1::Subject {
    fn redact(&mut self, seen: &Seen) {
        redact_scores(&mut self.scores, seen);
        redact_segments(&mut self.segments, seen);
        redact_interests(&mut self.interests, seen);
        redact_attributes(&mut self.attributes, seen);
    }
}

/// Takes out a person altogether, where single ones are not seen.
fn redact_profile(profile: &mut Option<v1::Profile>, seen: &Seen) {
    if !seen.profiles() {
        *profile = None;
    }
    profile.redact(seen);
}

impl Redact for v1::ScoreEventResponse {
    fn redact(&mut self, seen: &Seen) {
        redact_profile(&mut self.profile, seen);
        self.matched_signals.retain(|name| seen.signal(name));
        if !seen.stages() || !seen.profiles() {
            self.stage_change = None;
        }
        if !seen.quarantine(&self.quarantine_rule) {
            self.quarantine_rule.clear();
        }
    }
}

impl Redact for v1::ScoreEventsResponse {
    fn redact(&mut self, seen: &Seen) {
        for result in &mut self.results {
            if let Some(v1::score_events_result::Result::Response(response)) = &mut result.result {
                response.redact(seen);
            }
        }
    }
}

impl Redact for v1::RetractEventResponse {
    fn redact(&mut self, seen: &Seen) {
        redact_profile(&mut self.profile, seen);
    }
}

impl Redact for v1::ListQuarantineResponse {
    fn redact(&mut self, seen: &Seen) {
        for held in self.profiles.iter_mut().flat_map(|held| &mut held.events) {
            held.matched_signals.retain(|name| seen.signal(name));
        }
    }
}

impl Redact for v1::ReleaseEventsResponse {
    fn redact(&mut self, seen: &Seen) {
        redact_profile(&mut self.profile, seen);
    }
}

impl Redact for v1::GetProfileResponse {
    fn redact(&mut self, seen: &Seen) {
        self.profile.redact(seen);
    }
}

impl Redact for v1::BatchGetProfilesResponse {
    fn redact(&mut self, seen: &Seen) {
        for result in &mut self.results {
            if let Some(v1::batch_get_profiles_result::Result::Profile(profile)) =
                &mut result.result
            {
                profile.redact(seen);
            }
        }
    }
}

impl Redact for v1::UpdateProfileResponse {
    fn redact(&mut self, seen: &Seen) {
        redact_profile(&mut self.profile, seen);
    }
}

impl Redact for v1::BatchUpdateProfilesResponse {
    fn redact(&mut self, seen: &Seen) {
        for result in &mut self.results {
            if let Some(v1::batch_update_profiles_result::Result::Response(response)) =
                &mut result.result
            {
                response.redact(seen);
            }
        }
    }
}

impl Redact for v1::GetSubjectResponse {
    fn redact(&mut self, seen: &Seen) {
        self.subject.redact(seen);
    }
}

impl Redact for v1::UpdateSubjectResponse {
    fn redact(&mut self, seen: &Seen) {
        if !seen.subjects() {
            self.subject = None;
        }
        self.subject.redact(seen);
    }
}

impl Redact for v1::RankSegmentResponse {
    fn redact(&mut self, seen: &Seen) {
        for member in &mut self.members {
            match &mut member.member {
                Some(v1::segment_member::Member::Profile(profile)) => profile.redact(seen),
                Some(v1::segment_member::Member::Subject(subject)) => subject.redact(seen),
                None => {}
            }
        }
    }
}

impl Redact for v1::GetSegmentTopicsResponse {
    fn redact(&mut self, seen: &Seen) {
        self.topics.retain(|topic| seen.topic(&topic.topic));
    }
}

impl Redact for v1::GetFunnelResponse {
    fn redact(&mut self, seen: &Seen) {
        if !seen.stages() {
            *self = Self {
                as_of: self.as_of.take(),
                ..Self::default()
            };
        }
    }
}

impl Redact for v1::TopInfluencersResponse {
    fn redact(&mut self, seen: &Seen) {
        for influencer in &mut self.influencers {
            influencer.profile.redact(seen);
            if !seen.stages() {
                // They count arrivals at stages.
                influencer.advances = 0.0;
                influencer.influence_probability = 0.0;
            }
            if !seen.reach() {
                influencer.reach = 0.0;
            }
        }
    }
}

impl Redact for v1::GetAuditResponse {
    fn redact(&mut self, seen: &Seen) {
        // Without its rule it would say that all rules were meant.
        self.entries
            .retain(|entry| entry.rule.is_empty() || seen.quarantine(&entry.rule));
    }
}

impl Redact for v1::GetCatalogResponse {
    fn redact(&mut self, seen: &Seen) {
        self.scores.retain(|entry| seen.score(&entry.name));
        self.signals.retain(|entry| seen.signal(&entry.name));
        self.attribute_rules.retain(|entry| seen.rule(&entry.name));
        self.segments.retain(|entry| seen.segment(&entry.name));
        self.topics.retain(|entry| seen.topic(&entry.name));
        self.quarantine_rules.retain(|name| seen.quarantine(name));
        if !seen.stages() {
            self.stages.clear();
        }
        for segment in &mut self.segments {
            // Each is a score, or a ratio of two. Some of them would say that the segment ranks by those.
            let is_seen = |factor: &String| factor.split('/').all(|name| seen.score(name.trim()));
            if !segment.rank_by.iter().all(is_seen) {
                segment.rank_by.clear();
            }
        }
    }
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
