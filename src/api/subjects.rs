//! `GetSubject` and `UpdateSubject`, and how other messages name subjects.

use tonic::Status;

use super::{
    fields::{bad_identifier, response_view, signed, tenant, timestamp},
    profiles::{interest, membership, profile_query, score, update},
    violations::{Shown, Violations},
};
use crate::{
    proto::{attributes::to_struct, v1},
    scoring::{
        Profile, ProfileId, Tenant, is_identifier, is_kind_name,
        limits::{MAX_EVENT_SUBJECTS, MAX_KIND_BYTES},
    },
    service::{ProfileQuery, ProfileUpdate, View},
};

/// Reads a `GetSubject`.
pub fn get_subject(
    request: &v1::GetSubjectRequest,
) -> Result<(Tenant, ProfileId, ProfileQuery), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let subject = subject_id("", &request.kind, &request.subject_id, &mut violations);
    let query = profile_query(
        (request.view, request.as_of, request.or_default),
        &mut violations,
    );
    let read = tenant.zip(subject).zip(query);
    violations.finish(read.map(|((tenant, subject), query)| (tenant, subject, query)))
}

/// Reads an `UpdateSubject`.
pub fn update_subject(
    request: v1::UpdateSubjectRequest,
) -> Result<(Tenant, ProfileUpdate, Option<View>), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let subject = subject_id("", &request.kind, &request.subject_id, &mut violations);
    let changes = (request.attributes, request.remove_attributes);
    let update = update(subject, changes, "", &mut violations);
    let view = response_view(request.response_view, &mut violations);
    let read = tenant.zip(update);
    violations.finish(read.map(|(tenant, update)| (tenant, update, view)))
}

/// Reads the subjects that an event names; the path is that of the event.
pub(super) fn event_subjects(
    path: impl std::fmt::Display,
    sent: &[v1::SubjectReference],
    violations: &mut Violations,
) -> Vec<ProfileId> {
    if sent.len() > MAX_EVENT_SUBJECTS {
        violations.add(
            format_args!("{path}.subjects"),
            format_args!(
                "has {} entries; send at most {MAX_EVENT_SUBJECTS}",
                sent.len()
            ),
        );
    }
    let named = sent.iter().take(MAX_EVENT_SUBJECTS).enumerate();
    named
        .filter_map(|(index, named)| {
            let path = format!("{path}.subjects[{index}].");
            subject_id(&path, &named.kind, &named.subject_id, violations)
        })
        .collect()
}

/// A subject; the path of the message that names it ends with a dot, or is empty.
fn subject_id(
    path: &str,
    kind: &str,
    subject_id: &str,
    violations: &mut Violations,
) -> Option<ProfileId> {
    if kind.is_empty() {
        violations.add(format_args!("{path}kind"), "is required");
    } else if !is_kind_name(kind) {
        violations.add(
            format_args!("{path}kind"),
            format_args!(
                "is {}; send 1 to {MAX_KIND_BYTES} characters of [a-z0-9_], the first a letter",
                Shown(kind)
            ),
        );
    }
    if !is_identifier(subject_id) {
        bad_identifier(format_args!("{path}subject_id"), subject_id, violations);
    }
    ProfileId::of_subject(kind, subject_id)
}

/// The subject as it is sent.
pub fn subject(subject: Profile) -> v1::Subject {
    let (kind, subject_id) = subject.profile_id.subject().unwrap_or_default();
    v1::Subject {
        kind: kind.to_owned(),
        subject_id: subject_id.to_owned(),
        exists: subject.exists,
        scores: subject.scores.into_iter().map(score).collect(),
        segments: subject.segments.into_iter().map(membership).collect(),
        interests: subject.interests.into_iter().map(interest).collect(),
        attributes: Some(to_struct(subject.attributes)),
        event_count: signed(subject.event_count),
        first_seen_time: subject.first_seen_time.map(timestamp),
        last_event_time: subject.last_event_time.map(timestamp),
        as_of: Some(timestamp(subject.as_of)),
    }
}

/// The answer to an `UpdateSubject`.
pub fn updated_subject(updated: Option<Profile>) -> v1::UpdateSubjectResponse {
    v1::UpdateSubjectResponse {
        subject: updated.map(subject),
    }
}
