//! Audit entries, in the place that all servers share.

use bellwether::store::{AuditEntry, AuditScope, AuditStore, StoreError};

use crate::network::{Connection, Kind, Place, World};

impl AuditStore for Connection {
    async fn add_audit_entry(
        &self,
        scope: &AuditScope,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let (scope, entry) = (scope.clone(), entry.clone());
        let add = move |world: &mut World| {
            let entries = world.common.audit.entry(scope.clone()).or_default();
            if !entries.contains(&entry) {
                entries.push(entry.clone());
            }
        };
        self.ask(Place::Common, Kind::Write, add).await
    }

    async fn audit_entries(
        &self,
        scope: &AuditScope,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let scope = scope.clone();
        let read = move |world: &mut World| {
            let entries = world.common.audit.get(&scope).cloned().unwrap_or_default();
            entries.into_iter().rev().take(limit).collect()
        };
        self.ask(Place::Common, Kind::Read, read).await
    }
}
