//! Whether the store still holds what it held.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::store::StoreError;

/// Whether the store still holds what it held when the service was opened on it. When it does
/// not, no call is answered: what is read would be wrong, and what is written would make
/// another store of it.
#[derive(Debug, Default)]
pub(super) struct Ground {
    is_lost: AtomicBool,
    loss: Mutex<Option<StoreError>>,
}

impl Ground {
    /// Takes in what the store says of itself.
    pub(super) fn see(&self, pinged: &Result<(), StoreError>) {
        let loss = match pinged {
            Ok(()) => None,
            Err(error @ StoreError::Lost(_)) => Some(error.clone()),
            // Who cannot be reached says nothing.
            Err(_) => return,
        };
        let is_lost = loss.is_some();
        if let Some(error) = &loss {
            *self.loss.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        if self.is_lost.swap(is_lost, Ordering::AcqRel) == is_lost {
            return;
        }
        match loss {
            Some(error) => tracing::error!(%error, "no call is answered from now on"),
            None => tracing::info!("the store holds again what it held; calls are answered"),
        }
    }

    /// The loss, when there is one.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if !self.is_lost.load(Ordering::Acquire) {
            return Ok(());
        }
        let loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        loss.clone().map_or(Ok(()), Err)
    }
}
