//! Names of tenants, people and events.

use std::{borrow::Borrow, fmt, sync::Arc};

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

/// A person, as named by the caller: 1 to 256 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(Arc<str>);

impl ProfileId {
    /// The id of this name; `None` when it is empty, too long or has control characters.
    pub fn new(id: &str) -> Option<Self> {
        is_identifier(id).then(|| Self(id.into()))
    }

    /// The id as given.
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

/// Whether `id` may name a profile, an event or a piece of content: 1 to 256 bytes
/// without control characters.
pub fn is_identifier(id: &str) -> bool {
    !id.is_empty() && id.len() <= super::limits::MAX_ID_BYTES && !id.chars().any(char::is_control)
}

/// The hash by which a record remembers an event or a credit: XXH3, 64 bits, stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdHash(pub u64);

impl IdHash {
    /// The hash of an event's id.
    pub fn of_event(event_id: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(event_id.as_bytes()))
    }
}
