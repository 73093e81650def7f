//! What was asked for that others may ask about later, as a store keeps it.

use std::future::Future;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::scoring::{Tenant, Timestamp};

/// How many entries a scope keeps.
pub const AUDIT_ENTRIES: usize = 1_000;

/// Calls that are audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditedMethod {
    /// `ApplyModel`.
    ApplyModel,
    /// `ReleaseEvents`.
    ReleaseEvents,
    /// `RetractEvent`.
    RetractEvent,
    /// `Backup`.
    Backup,
}

impl AuditedMethod {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::ApplyModel,
        Self::ReleaseEvents,
        Self::RetractEvent,
        Self::Backup,
    ];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApplyModel => "ApplyModel",
            Self::ReleaseEvents => "ReleaseEvents",
            Self::RetractEvent => "RetractEvent",
            Self::Backup => "Backup",
        }
    }
}

/// Entries that are kept together: many calls of one method do not push out those of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditScope {
    /// Whose; `None` is what is for all tenants.
    pub tenant: Option<Tenant>,
    /// Of what.
    pub method: AuditedMethod,
}

/// A call that changed what everybody sees, took something back, or took a copy of everything. It
/// names no person beside who called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, in nanoseconds since 1970. It stands first, so that texts are in order of time.
    pub time: i64,
    /// Tells entries of one instant apart.
    pub id: u64,
    /// Who called, as errors name them.
    pub principal: String,
    /// Whom the issuer of a token calls its bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The name of their role.
    pub role: String,
    /// The name of the method.
    pub method: String,
    /// What it was about.
    #[serde(flatten)]
    pub object: AuditObject,
}

/// What an audited call was about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditObject {
    /// The fingerprint of a model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// The id of an event.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub event_id: String,
    /// The name of a quarantine rule.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}

/// Who has done what, of each scope the latest [`AUDIT_ENTRIES`].
pub trait AuditStore: Send + Sync + 'static {
    /// Keeps an entry durably as the latest, and forgets the one that was added first of those beyond
    /// what is kept. One that is there already is not added again.
    fn add_audit_entry(
        &self,
        scope: &AuditScope,
        entry: &AuditEntry,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The latest entries of a scope, the one that was added last first.
    fn audit_entries(
        &self,
        scope: &AuditScope,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<AuditEntry>, StoreError>> + Send;
}

impl AuditEntry {
    /// When the call was made.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_nanos(self.time).unwrap_or_default()
    }

    pub(super) fn to_text(&self) -> Result<String, StoreError> {
        serde_json::to_string(self)
            .map_err(|error| StoreError::Corrupt(format!("an audit entry has no text: {error}")))
    }

    pub(super) fn from_text(text: &str) -> Result<Self, StoreError> {
        serde_json::from_str(text)
            .map_err(|error| StoreError::Corrupt(format!("an audit entry cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_from_its_text_and_later_ones_sort_behind_it() {
        let entry = AuditEntry {
            time: 1_700_000_000_000_000_000,
            id: u64::MAX,
            principal: "key \"crm\"".to_owned(),
            role: "legal".to_owned(),
            method: "RetractEvent".to_owned(),
            object: AuditObject {
                event_id: "e-1".to_owned(),
                ..AuditObject::default()
            },
            ..AuditEntry::default()
        };
        let text = entry.to_text().unwrap();
        assert_eq!(AuditEntry::from_text(&text), Ok(entry.clone()));
        let later = AuditEntry {
            time: entry.time + 1,
            id: 0,
            ..entry
        };
        assert!(text < later.to_text().unwrap());
        assert!(AuditEntry::from_text("{}").is_err());
    }
}
