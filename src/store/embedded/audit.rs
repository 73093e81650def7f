//! Audit entries on disk, the oldest of a scope going when there are too many.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task;

use super::{
    super::{AUDIT_ENTRIES, AuditEntry, AuditStore, StoreError},
    Embedded,
    records::Records,
};

/// Where in its scope an entry stands: its time, and what tells it from others of that instant.
type Place = (i64, u64);

/// The entries of every scope.
pub struct Audit {
    records: Arc<Records>,
    /// Those of the scopes that were written to, held from the first write to the last.
    places: Mutex<HashMap<String, BTreeSet<Place>>>,
}

impl Audit {
    /// Those that stand beside the records.
    pub fn new(records: Arc<Records>) -> Self {
        Self {
            records,
            places: Mutex::default(),
        }
    }

    fn add(&self, scope: &str, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if !places.contains_key(scope) {
            let entries = self.latest(scope, usize::MAX)?;
            let entries = entries.iter().map(|entry| (entry.time, entry.id));
            places.insert(scope.to_owned(), entries.collect());
        }
        let kept = places.entry(scope.to_owned()).or_default();
        let place = (entry.time, entry.id);
        // Each key once: a clock that was set back may make the new entry the oldest.
        let mut values = BTreeMap::from([(key(scope, place), Some(entry.to_text()?))]);
        kept.insert(place);
        while kept.len() > AUDIT_ENTRIES {
            let oldest = kept.pop_first();
            values.extend(oldest.map(|place| (key(scope, place), None)));
        }
        let written = self.records.write_audit(values);
        if written.is_err() {
            // What is there is read again.
            places.remove(scope);
        }
        written
    }

    fn latest(&self, scope: &str, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let (first, end) = (start(scope), end(scope));
        let texts = self.records.audit_entries(first..end, limit)?;
        texts
            .iter()
            .map(|text| AuditEntry::from_text(text))
            .collect()
    }
}

impl AuditStore for Embedded {
    async fn add_audit_entry(&self, scope: &str, entry: &AuditEntry) -> Result<(), StoreError> {
        let (audit, scope, entry) = (Arc::clone(&self.audit), scope.to_owned(), entry.clone());
        task::spawn_blocking(move || audit.add(&scope, &entry))
            .await
            .unwrap_or_else(|error| Err(StoreError::OutcomeUnknown(error.to_string())))
    }

    async fn audit_entries(
        &self,
        scope: &str,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (audit, scope) = (Arc::clone(&self.audit), scope.to_owned());
        task::spawn_blocking(move || audit.latest(&scope, limit))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}

/// A scope has no zero byte, so that those of one lie together.
fn start(scope: &str) -> Vec<u8> {
    [scope.as_bytes(), &[0]].concat()
}

fn end(scope: &str) -> Vec<u8> {
    [scope.as_bytes(), &[1]].concat()
}

fn key(scope: &str, (time, id): Place) -> Vec<u8> {
    let mut key = start(scope);
    // Never negative, so that bytes are in the order of times.
    key.extend(time.to_be_bytes());
    key.extend(id.to_be_bytes());
    key
}
