//! All records as they are at one moment, read while others are written.

use std::sync::Arc;

use super::{
    super::{StoreError, Stored},
    entries::Unread,
    keys,
    records::Records,
};
use crate::scoring::Tenant;

/// Records that are read at once, and about how many bytes.
const READ_AT_ONCE: usize = 500;
const READ_AT_ONCE_BYTES: usize = 256 * 1024;

/// The records of one moment.
pub struct Moment {
    records: Arc<Records>,
    unread: Unread,
}

impl Moment {
    /// This moment, of a tenant or of all.
    pub fn new(records: Arc<Records>, tenant: Option<&Tenant>) -> Result<Self, StoreError> {
        let keys = keys::range_of(tenant);
        let unread = records.with(|open| records.guarded(|| open.engine.records_now(&keys)))?;
        Ok(Self { records, unread })
    }

    /// The next records by tenant and id, with those whose they are; none at the end.
    pub fn next(&mut self) -> Result<Vec<(Tenant, Stored)>, StoreError> {
        let records = &self.records;
        // The engine stays as long as that.
        records.with(|_| {
            let read = self.unread.read(|entries| {
                let mut batch = Vec::new();
                let mut bytes = 0;
                while batch.len() < READ_AT_ONCE && bytes < READ_AT_ONCE_BYTES {
                    let Some((key, value)) = records.guarded(|| entries.next().transpose())? else {
                        break;
                    };
                    let (tenant, stored) = records.stored_under(&key, &value)?;
                    bytes += stored.bytes;
                    batch.push((tenant, stored));
                }
                Ok(batch)
            });
            read.unwrap_or_else(|| {
                let reason = "its files were opened again while it was read; begin anew";
                Err(StoreError::Unavailable(reason.to_owned()))
            })
        })
    }
}
