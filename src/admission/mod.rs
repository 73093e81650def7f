//! Who may enter when more is asked for than can be done: shed early, by how long calls wait,
//! the least important first, with a share for every connection and every tenant. The rules
//! are pure (`state.rs`); [`Gate`] hands them the clock.

mod delay;
mod limit;
mod shares;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use self::state::{Admission, Entered};
pub use self::state::{Refused, TenantKey};

/// What tells connections apart.
pub type Key = u64;

/// What a call is. Health is none of them: it is never turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asks, and changes nothing.
    Read,
    /// Changes one profile.
    Write,
    /// What waits for its turn: streams and batches of writes, questions with a condition; and what
    /// is seldom asked for.
    Other,
}

/// Who may enter, for all connections of a server together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Mutex<Admission>>);

impl Gate {
    /// A gate to so many calls and events of streams at the most.
    pub fn new(most_calls: usize, most_streamed: usize) -> Self {
        Self(Arc::new(Mutex::new(Admission::new(
            most_calls,
            most_streamed,
        ))))
    }

    fn lock(&self) -> MutexGuard<'_, Admission> {
        // Whoever panics in there leaves counts that are consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call in, or not.
    ///
    /// # Errors
    /// [`Refused`] when there is too much to do.
    pub fn enter(
        &self,
        class: Class,
        method: &'static str,
        connection: Key,
    ) -> Result<Arc<Ticket>, Refused> {
        let entered = self
            .lock()
            .enter(class, method, connection, Instant::now())?;
        Ok(Arc::new(Ticket {
            gate: self.clone(),
            entered: Mutex::new((entered, false)),
        }))
    }

    /// How many reads, writes and others are in work.
    pub fn in_work(&self) -> [usize; 3] {
        self.lock().in_work()
    }

    /// How many events of streams may be in work now, where so many are.
    pub fn streamed_limit(&self, in_work: usize) -> usize {
        self.lock().streamed_limit(in_work, Instant::now())
    }
}

/// The right to be in work; given back when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    gate: Gate,
    /// With whether the call was answered.
    entered: Mutex<(Entered, bool)>,
}

impl Ticket {
    /// Says whose call it is, once its message is read.
    ///
    /// # Errors
    /// [`Refused`] when the tenant has had its share and others wait for theirs.
    pub fn identify(&self, tenant: TenantKey) -> Result<(), Refused> {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gate = self.gate.lock();
        gate.identify(&mut entered.0, tenant, Instant::now())
    }

    /// Says that the call turned out to be bulk work, once its message is read.
    pub fn is_bulk(&self) {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        self.gate.lock().becomes(&mut entered.0, Class::Other);
    }

    /// Says that the call has ended as such calls do, so that what it took tells how long
    /// calls wait.
    pub fn answered(&self) {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        entered.1 = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let entered = self
            .entered
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut gate = self.gate.lock();
        gate.leave(&entered.0, entered.1, Instant::now());
    }
}
