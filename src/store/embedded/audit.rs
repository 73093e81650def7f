//! Audit entries on disk in the order in which they were added, the first of a scope going when
//! there are too many.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::{sync::Mutex, task};

use super::{
    super::{AUDIT_ENTRIES, AuditEntry, AuditScope, AuditStore, StoreError},
    Embedded,
    records::Records,
};
use crate::scoring::Tenant;

/// How many of the latest entries may be sent again.
const MAY_BE_SENT_AGAIN: usize = 16;

/// The numbers of the entries of the scopes that were written to, and of what each is the latest.
type Numbers = HashMap<AuditScope, VecDeque<u64>>;

/// The entries of every scope.
pub struct Audit {
    records: Arc<Records>,
    /// Held from the choice of a number to the end of its write. Who waits holds no thread.
    numbers: Mutex<Numbers>,
}

impl Audit {
    /// Those that stand beside the records.
    pub fn new(records: Arc<Records>) -> Self {
        Self {
            records,
            numbers: Mutex::default(),
        }
    }

    /// Adds an entry, where these are the numbers of its scope, and returns those of then.
    fn add(
        &self,
        scope: &AuditScope,
        entry: &AuditEntry,
        known: Option<VecDeque<u64>>,
    ) -> Result<VecDeque<u64>, StoreError> {
        let mut numbers = match known {
            Some(numbers) => numbers,
            None => self.numbers_of(scope)?,
        };
        if self.latest(scope, MAY_BE_SENT_AGAIN)?.contains(entry) {
            return Ok(numbers);
        }
        let number = numbers.back().map_or(0, |last| last + 1);
        numbers.push_back(number);
        let mut values = vec![(key(scope, number), Some(entry.to_text()?))];
        while numbers.len() > AUDIT_ENTRIES {
            let first = numbers.pop_front();
            values.extend(first.map(|number| (key(scope, number), None)));
        }
        self.records.write_audit(values)?;
        Ok(numbers)
    }

    fn numbers_of(&self, scope: &AuditScope) -> Result<VecDeque<u64>, StoreError> {
        let keys = self.records.audit_keys(start(scope)..end(scope))?;
        let numbers = keys.iter().map(|key| {
            let number = key.last_chunk().copied();
            number.map(u64::from_be_bytes).unwrap_or_default()
        });
        Ok(numbers.collect())
    }

    fn latest(&self, scope: &AuditScope, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let texts = self
            .records
            .audit_entries(start(scope)..end(scope), limit)?;
        texts
            .iter()
            .map(|text| AuditEntry::from_text(text))
            .collect()
    }
}

impl AuditStore for Embedded {
    async fn add_audit_entry(
        &self,
        scope: &AuditScope,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut numbers = self.audit.numbers.lock().await;
        // What is there is read again when the write fails.
        let known = numbers.remove(scope);
        let (audit, entry) = (Arc::clone(&self.audit), entry.clone());
        let of = scope.clone();
        let added = task::spawn_blocking(move || audit.add(&of, &entry, known))
            .await
            .unwrap_or_else(|error| Err(StoreError::OutcomeUnknown(error.to_string())))?;
        numbers.insert(scope.clone(), added);
        Ok(())
    }

    async fn audit_entries(
        &self,
        scope: &AuditScope,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (audit, scope) = (Arc::clone(&self.audit), scope.clone());
        task::spawn_blocking(move || audit.latest(&scope, limit))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}

/// Neither a tenant nor a method has a zero byte, so that the entries of a scope lie together.
fn prefix(scope: &AuditScope) -> Vec<u8> {
    let tenant = scope.tenant.as_ref().map_or("", Tenant::as_str);
    [tenant, "\0", scope.method.name()].concat().into_bytes()
}

fn start(scope: &AuditScope) -> Vec<u8> {
    [prefix(scope), vec![0]].concat()
}

fn end(scope: &AuditScope) -> Vec<u8> {
    [prefix(scope), vec![1]].concat()
}

fn key(scope: &AuditScope, number: u64) -> Vec<u8> {
    [start(scope), number.to_be_bytes().to_vec()].concat()
}
