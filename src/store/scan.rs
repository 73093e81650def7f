//! All records of a tenant, some at a time.

use tokio::sync::mpsc;

use super::{RecordStore, StoreError, Stored};
use crate::scoring::{ProfileId, Tenant};

/// Records that are read at once to be sent.
const SENT_AT_ONCE: usize = 500;

/// Sends the records of a tenant, or of all, one scan after the other.
pub(super) async fn send_scanned<S: RecordStore>(
    store: &S,
    tenant: Option<&Tenant>,
    batches: mpsc::Sender<Vec<(Tenant, Stored)>>,
) -> Result<(), StoreError> {
    let tenants = match tenant {
        Some(tenant) => vec![tenant.clone()],
        None => {
            let mut tenants = store.tenants().await?;
            tenants.sort();
            tenants
        }
    };
    for tenant in tenants {
        let mut scan = Scan::new(store, &tenant, None, SENT_AT_ONCE);
        while let Some(records) = scan.next().await? {
            let records = records.into_iter();
            let batch = records.map(|stored| (tenant.clone(), stored)).collect();
            if batches.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads the records of a tenant in the order of their ids.
#[derive(Debug)]
pub struct Scan<'s, S> {
    store: &'s S,
    tenant: &'s Tenant,
    after: Option<ProfileId>,
    limit: usize,
}

impl<'s, S: RecordStore> Scan<'s, S> {
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
