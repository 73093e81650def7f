//! Audit entries: of each scope a sorted set of texts in the order in which they were added. To add
//! one again changes nothing.

use super::{
    super::{AUDIT_ENTRIES, AuditEntry, AuditScope, AuditStore, StoreError},
    Redis,
    failure::unexpected,
    keys, list,
    scripts::ADD_AUDIT_ENTRY,
    text,
};

impl AuditStore for Redis {
    async fn add_audit_entry(
        &self,
        scope: &AuditScope,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        self.check_note().await?;
        let (key, text) = (keys::audit(scope), entry.to_text()?);
        let mut call = ADD_AUDIT_ENTRY.call(1, 3, 64 + key.len() + text.len());
        call.arg(&key)
            .arg(entry.at().millis())
            .arg(text)
            .arg(AUDIT_ENTRIES);
        let added = self.decide_durably(&ADD_AUDIT_ENTRY, &call, &key).await;
        added.map(drop)
    }

    async fn audit_entries(
        &self,
        scope: &AuditScope,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let Some(last) = limit.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let key = keys::audit(scope);
        let mut command = redis::cmd("ZREVRANGE");
        command.arg(&key).arg(0).arg(last.min(AUDIT_ENTRIES));
        let texts = list(self.read(&command, &key).await?)?;
        // Whether it was our database that has none.
        self.check_note().await?;
        let entries = texts.into_iter().map(|value| {
            let text = text(value)?.ok_or_else(unexpected)?;
            AuditEntry::from_text(&text)
        });
        entries.collect()
    }
}
