//! What travels to a store, in numbers: together, because concurrent callers share messages and
//! batches.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a store has been asked in one kind of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// What they ask for.
    pub operation: &'static str,
    /// Messages that were sent; batches of a store without messages.
    pub messages: u64,
    /// Records or commits in them.
    pub items: u64,
    /// Messages that are not answered.
    pub in_flight: usize,
    /// Requests that wait to be sent.
    pub waiting: usize,
}

/// The messages of one kind.
#[derive(Debug, Default)]
pub(super) struct Messages {
    sent: AtomicU64,
    items: AtomicU64,
    in_flight: AtomicUsize,
}

impl Messages {
    /// Notes a message of so many items, which is in flight until what is returned is dropped.
    pub(super) fn send(&self, items: usize) -> InFlight<'_> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// All that was sent, with what waits.
    pub(super) fn traffic(&self, operation: &'static str, waiting: usize) -> Traffic {
        Traffic {
            operation,
            messages: self.sent.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            waiting,
        }
    }
}

/// A message that is not answered.
pub(super) struct InFlight<'a>(&'a Messages);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
