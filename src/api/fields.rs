//! Fields that many messages have, and how they are read and written.

use std::fmt;

use pbjson_types as wkt;
use tonic::Status;

use super::violations::{Shown, Violations};
use crate::{
    proto::v1,
    scoring::{
        Name, ProfileId, Tenant, Timestamp, is_identifier,
        limits::{MAX_ID_BYTES, MAX_TENANT_BYTES},
    },
    service::View,
};

pub(super) fn required_name(
    field: impl std::fmt::Display,
    name: &str,
    max_bytes: usize,
    violations: &mut Violations,
) {
    if name.is_empty() {
        violations.add(field, "is required");
    } else {
        label(field, name, max_bytes, violations);
    }
}

/// Reads an instant that a person asked for.
pub fn timestamp_of(sent: wkt::Timestamp) -> Result<Timestamp, Status> {
    let mut violations = Violations::default();
    let read = instant("as_of", Some(sent), &mut violations);
    violations.finish(read)
}

/// Names as they are sent.
pub(super) fn texts(names: Vec<Name>) -> Vec<String> {
    names.into_iter().map(String::from).collect()
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

pub(super) fn identifier(field: impl fmt::Display, id: &str, violations: &mut Violations) {
    if !is_identifier(id) {
        bad_identifier(field, id, violations);
    }
}

pub(super) fn bad_identifier(field: impl fmt::Display, id: &str, violations: &mut Violations) {
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

pub(super) fn too_long(
    field: impl fmt::Display,
    text: &str,
    max_bytes: usize,
    violations: &mut Violations,
) {
    violations.add(
        field,
        format_args!(
            "has {} bytes: {}; send at most {max_bytes}",
            text.len(),
            Shown(text)
        ),
    );
}

pub(super) fn has_control_characters(
    field: impl fmt::Display,
    text: &str,
    violations: &mut Violations,
) {
    violations.add(
        field,
        format_args!("has control characters: {}; send it without", Shown(text)),
    );
}

pub(super) fn count(field: &str, length: usize, max: usize, violations: &mut Violations) {
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

/// How much of a profile to return with the answer to a write; `None` for no profile.
pub(super) fn response_view(value: i32, violations: &mut Violations) -> Option<View> {
    match v1::ResponseView::try_from(value) {
        Ok(v1::ResponseView::None) => None,
        Ok(v1::ResponseView::Unspecified | v1::ResponseView::Basic) => Some(View::Basic),
        Ok(v1::ResponseView::Full) => Some(View::Full),
        Err(_) => {
            violations.add(
                "response_view",
                format_args!(
                    "is {value}; send RESPONSE_VIEW_NONE, RESPONSE_VIEW_BASIC or RESPONSE_VIEW_FULL"
                ),
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

pub(super) fn timestamp(instant: Timestamp) -> wkt::Timestamp {
    let (seconds, nanos) = instant.parts();
    wkt::Timestamp { seconds, nanos }
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn small(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
