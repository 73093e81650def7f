//! Names of tenants, people and events.

use std::{borrow::Borrow, fmt, sync::Arc};

use super::Timestamp;

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

/// Whom a record is about. People and accounts are ranked apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A person.
    Person,
    /// An account of people, such as a company.
    Account,
}

/// What the stored ids of accounts begin with.
const ACCOUNT: char = '\u{1}';

/// A person, as named by the caller: 1 to 256 bytes without control characters. Or an
/// account of people, see [`ProfileId::of_account`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(Arc<str>);

impl ProfileId {
    /// The id of this name; `None` when it is empty, too long or has control characters.
    pub fn new(id: &str) -> Option<Self> {
        is_identifier(id).then(|| Self(id.into()))
    }

    /// The id under which an account of this name is stored among the profiles; `None` like
    /// [`Self::new`]. No caller can send it, because it begins with a control character.
    pub fn of_account(id: &str) -> Option<Self> {
        is_identifier(id).then(|| Self(format!("{ACCOUNT}{id}").into()))
    }

    /// The id of a stored profile or account, as [`Self::as_str`] gives it.
    pub fn stored(id: &str) -> Option<Self> {
        match id.strip_prefix(ACCOUNT) {
            Some(account_id) => Self::of_account(account_id),
            None => Self::new(id),
        }
    }

    /// The id of the account, when it is one.
    pub fn account_id(&self) -> Option<&str> {
        self.0.strip_prefix(ACCOUNT)
    }

    /// The id as callers know it, of a person or of an account.
    pub fn name(&self) -> &str {
        self.account_id().unwrap_or(&self.0)
    }

    /// Whether it names a person or an account.
    pub fn subject(&self) -> Subject {
        match self.account_id() {
            Some(_) => Subject::Account,
            None => Subject::Person,
        }
    }

    /// The id as given; that of an account with a control character before it.
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
