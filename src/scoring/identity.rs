//! Names of tenants, people and events.

use std::{borrow::Borrow, fmt, sync::Arc};

use super::{Name, Timestamp};

/// A customer of one deployment: 1 to 64 characters of `[a-z0-9_-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// What an empty tenant means.
    pub const DEFAULT: &'static str = "default";

    /// The tenant of this name, `default` when empty; `None` when it is malformed.
    pub fn new(name: &str) -> Option<Self> {
        let name = if name.is_empty() { Self::DEFAULT } else { name };
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        (name.len() <= super::limits::MAX_TENANT_BYTES && name.bytes().all(allowed))
            .then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the stored ids of subjects begin with.
const SUBJECT: char = '\u{1}';
/// What stands between the kind of a subject and its id.
const KIND_END: char = ':';

/// A person, as named by the caller: 1 to 256 bytes without control characters. Or a subject,
/// see [`ProfileId::of_subject`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(Name);

impl ProfileId {
    /// The id of this name; `None` when it is empty, too long or has control characters.
    pub fn new(id: &str) -> Option<Self> {
        is_identifier(id).then(|| Self(id.into()))
    }

    /// The id under which a subject is stored among the profiles; `None` when the kind is not
    /// [the name of one](is_kind_name), or the id is malformed as in [`Self::new`]. No caller can
    /// send it, because it begins with a control character.
    pub fn of_subject(kind: &str, id: &str) -> Option<Self> {
        let is_one = is_kind_name(kind) && is_identifier(id);
        is_one.then(|| Self(smol_str::format_smolstr!("{SUBJECT}{kind}{KIND_END}{id}")))
    }

    /// The id of a stored profile or subject, as [`Self::as_str`] gives it.
    pub fn stored(id: impl AsRef<str> + Into<Name>) -> Option<Self> {
        let is_one = match id.as_ref().strip_prefix(SUBJECT) {
            Some(subject) => subject
                .split_once(KIND_END)
                .is_some_and(|(kind, id)| is_kind_name(kind) && is_identifier(id)),
            None => is_identifier(id.as_ref()),
        };
        is_one.then(|| Self(id.into()))
    }

    /// The kind and the id of the subject, when it is one.
    pub fn subject(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix(SUBJECT)?.split_once(KIND_END)
    }

    /// Whether it names a person, and no subject.
    pub fn is_person(&self) -> bool {
        !self.0.starts_with(SUBJECT)
    }

    /// The id as callers know it, of a person or of a subject.
    pub fn name(&self) -> &str {
        self.subject().map_or(&self.0, |(_, id)| id)
    }

    /// The id as given; that of a subject with a control character and its kind before it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ProfileId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether `kind` may name a kind of subjects: 1 to 32 characters of `[a-z0-9_]`, the first a
/// letter.
pub fn is_kind_name(kind: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    kind.len() <= super::limits::MAX_KIND_BYTES
        && kind.starts_with(|first: char| first.is_ascii_lowercase())
        && kind.bytes().all(allowed)
}

/// Whether `id` may name a profile, a subject, an event or a piece of content: 1 to 256 bytes
/// without control characters.
pub fn is_identifier(id: &str) -> bool {
    // Most ids are plain, which is known faster.
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte);
    let has_control = || !id.bytes().all(is_plain) && id.chars().any(char::is_control);
    !id.is_empty() && id.len() <= super::limits::MAX_ID_BYTES && !has_control()
}

/// Tells a record from one that is made anew under the same id: drawn at random with its first
/// write, 0 before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// A few bits of the hash of an event type: enough to tell that two types are not the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeMark(pub u8);

impl TypeMark {
    /// The mark of an event type.
    pub fn of(event_type: &str) -> Self {
        let [mark, ..] = xxhash_rust::xxh3::xxh3_64(event_type.as_bytes()).to_le_bytes();
        Self(mark)
    }
}

/// The hash by which a record remembers an event or a credit: XXH3, 64 bits, stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdHash(pub u64);

impl IdHash {
    /// The hash of an event's id.
    pub fn of_event(event_id: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(event_id.as_bytes()))
    }

    /// The hash of a key that a signal is counted by.
    pub(crate) fn of_key(key: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(key.as_bytes()))
    }

    /// What an event is known by within its profile, in one hash: its id, and its time as sent.
    pub fn at(self, time: Timestamp) -> Self {
        let time = time.nanos().to_le_bytes();
        Self(xxhash_rust::xxh3::xxh3_64_with_seed(&time, self.0))
    }

    /// The hash by which the retraction of the event with this hash is remembered.
    #[must_use]
    pub(crate) fn of_retraction(self) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64_with_seed(b"retracted", self.0))
    }
}
