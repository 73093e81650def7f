//! All records of a tenant, some at a time.

use super::{Store, StoreError, Stored};
use crate::scoring::{ProfileId, Tenant};

/// Reads the records of a tenant in the order of their ids.
#[derive(Debug)]
pub struct Scan<'s, S> {
    store: &'s S,
    tenant: &'s Tenant,
    after: Option<ProfileId>,
    limit: usize,
}

impl<'s, S: Store> Scan<'s, S> {
    /// Up to `limit` records at a time, at least one: all of them, or those after a profile.
    pub const fn new(
        store: &'s S,
        tenant: &'s Tenant,
        after: Option<ProfileId>,
        limit: usize,
    ) -> Self {
        Self {
            store,
            tenant,
            after,
            limit,
        }
    }

    /// The next records; none at the end.
    ///
    /// # Errors
    /// Those of [`RecordStore::scan`](super::RecordStore::scan), after which it goes on where it was.
    pub async fn next(&mut self) -> Result<Option<Vec<Stored>>, StoreError> {
        let after = self.after.as_ref();
        let records = self.store.scan(self.tenant, after, self.limit).await?;
        let Some(last) = records.last() else {
            return Ok(None);
        };
        self.after = Some(last.profile_id.clone());
        Ok(Some(records))
    }
}
