//! A backup: every record of a tenant or of all, as the file that an export is.

use std::sync::Arc;

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task,
};

use super::{Service, ServiceError};
use crate::{
    limits::{BACKUP_PART_BYTES, RETRY_BACKUP_AFTER},
    scoring::Tenant,
    store::{ExportWriter, Exported, Store, StoreError, Stored},
    telemetry::Shed,
};

/// What a backup came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// What it holds.
    pub exported: Exported,
    /// How long it is.
    pub bytes: u64,
}

impl<S: Store> Service<S> {
    /// A turn to back up.
    ///
    /// # Errors
    /// When others have all of them.
    pub fn backup_turn(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let turn = Arc::clone(&self.shell.backups).try_acquire_owned();
        turn.map_err(|_| {
            self.shed(Shed::Backups);
            ServiceError::Overloaded {
                retry_after: RETRY_BACKUP_AFTER,
            }
        })
    }

    /// Sends the parts of the file, as fast as they are received. `None` when nobody receives them
    /// any more.
    pub async fn back_up(
        &self,
        tenant: Option<&Tenant>,
        parts: mpsc::Sender<Bytes>,
    ) -> Result<Option<BackedUp>, ServiceError> {
        let (batches, mut read) = mpsc::channel::<Vec<(Tenant, Stored)>>(1);
        let send = async move {
            let mut text = String::new();
            let mut writer = ExportWriter::begin(tenant, &mut text);
            let mut bytes = 0;
            while let Some(batch) = read.recv().await {
                // Its lines take as long to make as hundreds of calls.
                let written = task::spawn_blocking(move || {
                    for (tenant, stored) in &batch {
                        writer.add(tenant, stored, &mut text)?;
                    }
                    Ok((writer, text))
                });
                let stopped = |error: task::JoinError| StoreError::Unavailable(error.to_string());
                let written = written.await.unwrap_or_else(|error| Err(stopped(error)));
                (writer, text) = written?;
                let Some(sent) = send_text(&mut text, &parts).await else {
                    return Ok(None);
                };
                bytes += sent;
            }
            Ok(Some((writer, text, bytes, parts)))
        };
        let read = self.shell.store.send_all(tenant, batches);
        let (written, ()) = tokio::try_join!(send, read)?;
        // All of it was read; only now that may be said.
        let Some((writer, mut text, bytes, parts)) = written else {
            return Ok(None);
        };
        let exported = writer.end(&mut text);
        let sent = send_text(&mut text, &parts).await;
        Ok(sent.map(|sent| BackedUp {
            exported,
            bytes: bytes + sent,
        }))
    }
}

/// Sends what was written, and returns how long it is; `None` when nobody receives it.
async fn send_text(text: &mut String, parts: &mpsc::Sender<Bytes>) -> Option<u64> {
    let mut rest = Bytes::from(std::mem::take(text));
    let bytes = rest.len() as u64;
    while !rest.is_empty() {
        let part = rest.split_to(rest.len().min(BACKUP_PART_BYTES));
        parts.send(part).await.ok()?;
    }
    Some(bytes)
}
