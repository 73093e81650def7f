//! Requests of the wire into what the core and the service take.

use std::fmt;

use pbjson_types as wkt;
use tonic::Status;

use super::{
    attributes,
    violations::{EventPath, Shown, Violations},
};
use crate::{
    limits::{MAX_BATCH_PROFILES, MAX_EVENTS_PER_REQUEST, MAX_MASK_PATH_BYTES, MAX_MASK_PATHS},
    proto::v1,
    scoring::{
        Attributes, Event, IdHash, ProfileId, Tenant, Timestamp, is_identifier,
        limits::{
            MAX_ID_BYTES, MAX_TAG_BYTES, MAX_TAGS, MAX_TENANT_BYTES, MAX_TEXT_BYTES, MAX_TYPE_BYTES,
        },
    },
    service::{ProfileUpdate, View},
};

/// Reads a `ScoreEvent`.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong, as in every function here.
pub fn score_event(request: v1::ScoreEventRequest) -> Result<(Tenant, Event), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let event = match request.event {
        Some(event) => read_event(event, EventPath::Single, &mut violations),
        None => {
            violations.add("event", "is required");
            None
        }
    };
    violations.finish(tenant.zip(event))
}

/// Reads the frame of a `ScoreEvents` request; its events are read one by one with
/// [`event`], because each is refused on its own.
pub fn score_events(request: v1::ScoreEventsRequest) -> Result<(Tenant, Vec<v1::Event>), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    count(
        "events",
        request.events.len(),
        MAX_EVENTS_PER_REQUEST,
        &mut violations,
    );
    violations.finish(tenant.map(|tenant| (tenant, request.events)))
}

/// Reads one event of a `ScoreEvents` request.
pub fn event(event: v1::Event, path: EventPath) -> Result<Event, Status> {
    let mut violations = Violations::default();
    let event = read_event(event, path, &mut violations);
    violations.finish(event)
}

/// What a `GetProfile` asks for.
pub type ProfileQuery = (Tenant, ProfileId, View, Option<Timestamp>);

/// Reads a `GetProfile`.
pub fn get_profile(request: &v1::GetProfileRequest) -> Result<ProfileQuery, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let profile_id = subject(&request.profile_id, &request.account_id, &mut violations);
    let view = view(request.view, &mut violations);
    let as_of = instant("as_of", request.as_of, &mut violations);
    let read = tenant.zip(profile_id).zip(view);
    violations.finish(read.map(|((tenant, profile_id), view)| (tenant, profile_id, view, as_of)))
}

/// What a `BatchGetProfiles` asks for.
pub type BatchQuery = (Tenant, Vec<ProfileId>, Option<Timestamp>);

/// Reads a `BatchGetProfiles`.
pub fn batch_get_profiles(request: &v1::BatchGetProfilesRequest) -> Result<BatchQuery, Status> {
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
    let as_of = instant("as_of", request.as_of, &mut violations);
    violations.finish(tenant.map(|tenant| (tenant, ids, as_of)))
}

/// Reads an `UpdateProfile`.
pub fn update_profile(
    request: v1::UpdateProfileRequest,
) -> Result<(Tenant, ProfileUpdate), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let profile_id = subject(&request.profile_id, &request.account_id, &mut violations);
    let attributes = attributes::read(request.attributes, "attributes", &mut violations);
    let mask = request.update_mask.unwrap_or_default().paths;
    if mask.len() > MAX_MASK_PATHS {
        violations.add(
            "update_mask.paths",
            format_args!("has {} entries; send at most {MAX_MASK_PATHS}", mask.len()),
        );
    }
    for (index, path) in mask.iter().take(MAX_MASK_PATHS).enumerate() {
        if path.is_empty() {
            violations.add(
                format_args!("update_mask.paths[{index}]"),
                "is empty; send the name of an attribute",
            );
        } else if path.len() > MAX_MASK_PATH_BYTES {
            too_long(
                format_args!("update_mask.paths[{index}]"),
                path,
                MAX_MASK_PATH_BYTES,
                &mut violations,
            );
        }
    }
    if let Some(attributes) = &attributes {
        unnamed(attributes, &mask, &mut violations);
    }
    let read = tenant.zip(profile_id).zip(attributes);
    violations.finish(read.map(|((tenant, profile_id), attributes)| {
        let update = ProfileUpdate {
            profile_id,
            attributes,
            mask,
        };
        (tenant, update)
    }))
}

/// Refuses attributes that no path of a mask names: they would be lost in silence.
fn unnamed(attributes: &Attributes, mask: &[String], violations: &mut Violations) {
    if mask.is_empty() {
        return;
    }
    for name in attributes.keys().filter(|name| !mask.contains(name)) {
        violations.add(
            "update_mask.paths",
            format_args!(
                "leaves out {name}, which attributes holds; write {name} as a path, which is the \
                 name of an attribute and nothing else, or send no mask to set all that is sent",
                name = Shown(name)
            ),
        );
    }
}

/// Reads a `GetFunnel`.
pub fn get_funnel(request: &v1::GetFunnelRequest) -> Result<(Tenant, Option<Timestamp>), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let as_of = instant("as_of", request.as_of, &mut violations);
    violations.finish(tenant.map(|tenant| (tenant, as_of)))
}

/// Reads an instant that a person asked for.
pub fn timestamp_of(sent: wkt::Timestamp) -> Result<Timestamp, Status> {
    let mut violations = Violations::default();
    let read = instant("as_of", Some(sent), &mut violations);
    violations.finish(read)
}

pub(super) fn read_event(
    sent: v1::Event,
    path: EventPath,
    violations: &mut Violations,
) -> Option<Event> {
    identifier(format_args!("{path}.event_id"), &sent.event_id, violations);
    let profile = profile_id(
        format_args!("{path}.profile_id"),
        &sent.profile_id,
        violations,
    );
    if sent.r#type.is_empty() {
        violations.add(
            format_args!("{path}.type"),
            "is required; say what was done, such as \"purchase\"",
        );
    }
    label(
        format_args!("{path}.type"),
        &sent.r#type,
        MAX_TYPE_BYTES,
        violations,
    );
    let time = instant(format_args!("{path}.time"), sent.time, violations);
    label(
        format_args!("{path}.channel"),
        &sent.channel,
        MAX_TYPE_BYTES,
        violations,
    );
    let attributes = attributes::read(
        sent.attributes,
        format_args!("{path}.attributes"),
        violations,
    );
    if sent.text.len() > MAX_TEXT_BYTES {
        violations.add(
            format_args!("{path}.text"),
            format_args!(
                "has {} bytes; send at most {MAX_TEXT_BYTES}",
                sent.text.len()
            ),
        );
    }
    tags(path, &sent.topics, violations);
    if let Some(sentiment) = sent.sentiment
        && !(-1.0..=1.0).contains(&sentiment)
    {
        violations.add(
            format_args!("{path}.sentiment"),
            format_args!("is {sentiment}; send a number from -1 to 1, or leave it out"),
        );
    }
    let author_id = match sent.author_id.as_str() {
        "" => None,
        author_id => profile_id(format_args!("{path}.author_id"), author_id, violations),
    };
    label(
        format_args!("{path}.content_id"),
        &sent.content_id,
        MAX_ID_BYTES,
        violations,
    );
    let account_id = match sent.account_id.as_str() {
        "" => None,
        id => account(format_args!("{path}.account_id"), id, violations),
    };
    Some(Event {
        id: IdHash::of_event(&sent.event_id),
        profile_id: profile?,
        event_type: sent.r#type,
        time,
        channel: sent.channel,
        attributes: attributes?,
        text: sent.text,
        tags: sent.topics,
        sentiment: sent.sentiment,
        author_id,
        content_id: sent.content_id,
        account_id,
    })
}

fn tags(path: EventPath, tags: &[String], violations: &mut Violations) {
    if tags.len() > MAX_TAGS {
        violations.add(
            format_args!("{path}.topics"),
            format_args!("has {} entries; send at most {MAX_TAGS}", tags.len()),
        );
    }
    for (index, tag) in tags.iter().take(MAX_TAGS).enumerate() {
        if tag.len() > MAX_TAG_BYTES {
            too_long(
                format_args!("{path}.topics[{index}]"),
                tag,
                MAX_TAG_BYTES,
                violations,
            );
        }
    }
}

/// The tenant of this name, `default` when empty.
pub(super) fn tenant(name: &str, violations: &mut Violations) -> Option<Tenant> {
    let tenant = Tenant::new(name);
    if tenant.is_none() {
        violations.add(
            "tenant",
            format_args!(
                "is {}; send 1 to {MAX_TENANT_BYTES} characters of [a-z0-9_-], or nothing for {:?}",
                Shown(name),
                Tenant::DEFAULT
            ),
        );
    }
    tenant
}

/// A profile, or an account instead.
fn subject(profile: &str, account_id: &str, violations: &mut Violations) -> Option<ProfileId> {
    match (profile, account_id) {
        (_, "") => profile_id("profile_id", profile, violations),
        ("", _) => account("account_id", account_id, violations),
        _ => {
            violations.add(
                "account_id",
                "stands beside profile_id; send one of the two",
            );
            None
        }
    }
}

pub(super) fn profile_id(
    field: impl fmt::Display,
    id: &str,
    violations: &mut Violations,
) -> Option<ProfileId> {
    let read = ProfileId::new(id);
    if read.is_none() {
        bad_identifier(field, id, violations);
    }
    read
}

fn account(field: impl fmt::Display, id: &str, violations: &mut Violations) -> Option<ProfileId> {
    let read = ProfileId::of_account(id);
    if read.is_none() {
        bad_identifier(field, id, violations);
    }
    read
}

pub(super) fn identifier(field: impl fmt::Display, id: &str, violations: &mut Violations) {
    if !is_identifier(id) {
        bad_identifier(field, id, violations);
    }
}

fn bad_identifier(field: impl fmt::Display, id: &str, violations: &mut Violations) {
    if id.is_empty() {
        violations.add(field, "is required");
    } else if id.len() > MAX_ID_BYTES {
        too_long(field, id, MAX_ID_BYTES, violations);
    } else {
        has_control_characters(field, id, violations);
    }
}

/// A name that may be empty: at most `max_bytes`, without control characters.
pub(super) fn label(
    field: impl fmt::Display,
    text: &str,
    max_bytes: usize,
    violations: &mut Violations,
) {
    if text.len() > max_bytes {
        too_long(field, text, max_bytes, violations);
    } else if text.chars().any(char::is_control) {
        has_control_characters(field, text, violations);
    }
}

fn too_long(field: impl fmt::Display, text: &str, max_bytes: usize, violations: &mut Violations) {
    violations.add(
        field,
        format_args!(
            "has {} bytes: {}; send at most {max_bytes}",
            text.len(),
            Shown(text)
        ),
    );
}

fn has_control_characters(field: impl fmt::Display, text: &str, violations: &mut Violations) {
    violations.add(
        field,
        format_args!("has control characters: {}; send it without", Shown(text)),
    );
}

fn count(field: &str, length: usize, max: usize, violations: &mut Violations) {
    if length == 0 || length > max {
        violations.add(field, format_args!("has {length} entries; send 1 to {max}"));
    }
}

/// How much of a profile to return.
pub(super) fn view(value: i32, violations: &mut Violations) -> Option<View> {
    match v1::ProfileView::try_from(value) {
        Ok(v1::ProfileView::Unspecified | v1::ProfileView::Basic) => Some(View::Basic),
        Ok(v1::ProfileView::Full) => Some(View::Full),
        Err(_) => {
            violations.add(
                "view",
                format_args!("is {value}; send PROFILE_VIEW_BASIC or PROFILE_VIEW_FULL"),
            );
            None
        }
    }
}

/// An instant that may be left out.
pub(super) fn instant(
    field: impl fmt::Display,
    sent: Option<wkt::Timestamp>,
    violations: &mut Violations,
) -> Option<Timestamp> {
    let wkt::Timestamp { seconds, nanos } = sent?;
    let read = Timestamp::from_parts(seconds, nanos);
    if read.is_none() {
        let wrong = if !(0..1_000_000_000).contains(&nanos) {
            format!("has nanos of {nanos}; send 0 to 999999999")
        } else if seconds < 0 {
            format!("has seconds of {seconds}, before 1970; send an instant from 1970 on")
        } else {
            format!("has seconds of {seconds}, after April 2262; send seconds, not milliseconds")
        };
        violations.add(field, wrong);
    }
    read
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
