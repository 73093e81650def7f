//! What stands beside the records on disk: notes of models, and audit entries.

use std::ops::Range;

use super::{super::StoreError, directory::damaged, records::Records};

impl Records {
    /// What is noted of models under a key.
    pub fn model_entry(&self, key: &str) -> Result<Option<String>, StoreError> {
        let Some(value) = self.with(|open| self.guarded(|| open.engine.models.get(key)))? else {
            return Ok(None);
        };
        let text = String::from_utf8(value.to_vec());
        text.map(Some).map_err(|_| self.damaged_models())
    }

    /// The keys under which something is noted of models: there are few.
    pub fn model_keys(&self) -> Result<Vec<String>, StoreError> {
        let keys = self.with(|open| {
            self.guarded(|| {
                let entries = open.engine.models.iter();
                entries
                    .map(fjall::Guard::key)
                    .collect::<Result<Vec<_>, _>>()
            })
        })?;
        let texts = keys.into_iter().map(|key| String::from_utf8(key.to_vec()));
        let texts = texts.collect::<Result<Vec<_>, _>>();
        texts.map_err(|_| self.damaged_models())
    }

    /// Notes of models, all or none of them, durably; `None` takes one away.
    pub fn write_models(
        &self,
        values: impl IntoIterator<Item = (String, Option<String>)>,
    ) -> Result<(), StoreError> {
        self.write_to(|engine| &engine.models, values)
    }

    /// Audit entries, all or none of them, durably; `None` takes one away.
    pub fn write_audit(
        &self,
        values: impl IntoIterator<Item = (Vec<u8>, Option<String>)>,
    ) -> Result<(), StoreError> {
        self.write_to(|engine| &engine.audit, values)
    }

    /// The keys of audit entries within a range, in their order.
    pub fn audit_keys(&self, keys: Range<Vec<u8>>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.with(|open| {
            self.guarded(|| {
                let entries = open.engine.audit.range(keys);
                let keys = entries.map(|entry| entry.key().map(|key| key.to_vec()));
                keys.collect()
            })
        })
    }

    /// The audit entries under a range of keys, the last ones first.
    pub fn audit_entries(
        &self,
        keys: Range<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let values = self.with(|open| {
            self.guarded(|| {
                let entries = open.engine.audit.range(keys).rev().take(limit);
                entries
                    .map(fjall::Guard::value)
                    .collect::<Result<Vec<_>, _>>()
            })
        })?;
        let texts = values
            .into_iter()
            .map(|value| String::from_utf8(value.to_vec()));
        let texts = texts.collect::<Result<Vec<_>, _>>();
        texts.map_err(|_| damaged(self.path(), "its audit entries cannot be read"))
    }

    /// The error for notes of models that cannot be read.
    pub fn damaged_models(&self) -> StoreError {
        damaged(self.path(), "its models cannot be read")
    }
}
