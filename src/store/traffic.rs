//! What travels to a store, in numbers: together, because concurrent callers share messages and
//! batches.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// Is told of each message what it asks for, and how many items it has.
pub type Observer = Arc<dyn Fn(&'static str, usize) + Send + Sync>;

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
pub(super) struct Messages {
    operation: &'static str,
    sent: AtomicU64,
    items: AtomicU64,
    in_flight: AtomicUsize,
    observer: OnceLock<Observer>,
}

impl fmt::Debug for Messages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.traffic(0).fmt(formatter)
    }
}

impl Messages {
    /// None yet; what they ask for.
    pub(super) const fn new(operation: &'static str) -> Self {
        Self {
            operation,
            sent: AtomicU64::new(0),
            items: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            observer: OnceLock::new(),
        }
    }

    /// Who is told of each from now on, once.
    pub(super) fn observe(&self, observer: Observer) {
        // A store is opened by one server, which observes it once.
        let _ = self.observer.set(observer);
    }

    /// Notes a message of so many items, which is in flight until what is returned is dropped.
    pub(super) fn send(&self, items: usize) -> InFlight<'_> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if let Some(observer) = self.observer.get() {
            observer(self.operation, items);
        }
        InFlight(self)
    }

    /// All that was sent, with what waits.
    pub(super) fn traffic(&self, waiting: usize) -> Traffic {
        Traffic {
            operation: self.operation,
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
