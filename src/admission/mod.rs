//! Who may enter when more is asked for than can be done: shed early, by how long calls wait,
//! the least important first, with a share for every connection and every tenant. The rules
//! are pure (`state.rs`); [`Gate`] hands them the clock.

mod delay;
mod limit;
mod room;
mod shares;
mod state;
mod turns;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::time::timeout;

use self::state::{Admission, Entered};
pub use self::{
    room::{Reserved, Room},
    state::{Refused, TenantKey},
};
use crate::limits::MAX_TURN_WAIT;

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
pub struct Gate {
    admission: Arc<Mutex<Admission>>,
    /// Where single calls take turns.
    calls: Arc<Room<TenantKey>>,
    /// Where events of streams do.
    streamed: Arc<Room<TenantKey>>,
}

fn lock(admission: &Mutex<Admission>) -> MutexGuard<'_, Admission> {
    // Whoever panics in there leaves counts that are consistent.
    admission.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// A gate to so many calls and events of streams at the most.
    pub fn new(most_calls: usize, most_streamed: usize) -> Self {
        let admission = Arc::new(Mutex::new(Admission::new(most_calls, most_streamed)));
        let [of_calls, of_streamed] = [(); 2].map(|()| Arc::clone(&admission));
        Self {
            admission,
            calls: Room::new(move |_| lock(&of_calls).most_at_once()),
            streamed: Room::new(move |in_work| {
                lock(&of_streamed).streamed_limit(in_work, Instant::now())
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Admission> {
        lock(&self.admission)
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
            call: Mutex::new(Call {
                entered,
                is_answered: false,
                turn: None,
            }),
        }))
    }

    /// How many reads, writes and others are in work.
    pub fn in_work(&self) -> [usize; 3] {
        self.lock().in_work()
    }

    /// How many events of streams are in work, and how many wait for their turn.
    pub fn streamed(&self) -> (usize, usize) {
        self.streamed.load()
    }

    /// Waits for a turn for so many events of a stream of a tenant.
    pub async fn streamed_turn(
        &self,
        tenant: TenantKey,
        events: usize,
    ) -> Option<Reserved<TenantKey>> {
        self.streamed.take(tenant, events).await
    }
}

/// The right to be in work; given back when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    gate: Gate,
    call: Mutex<Call>,
}

/// What is known of a call that was let in.
#[derive(Debug)]
struct Call {
    entered: Entered,
    is_answered: bool,
    /// Given back when it is dropped, which is done without a lock.
    turn: Option<Reserved<TenantKey>>,
}

impl Ticket {
    fn call(&self) -> MutexGuard<'_, Call> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whose call it is, once its message is read.
    ///
    /// # Errors
    /// [`Refused`] when the tenant has had its share and others wait for theirs.
    pub fn identify(&self, tenant: TenantKey) -> Result<(), Refused> {
        let mut call = self.call();
        let mut gate = self.gate.lock();
        gate.identify(&mut call.entered, tenant, Instant::now())
    }

    /// Waits for the turn of its tenant, where such a call takes one. Not for long: where nothing
    /// ends, as on a store that hangs, everybody goes on and hears of it. Who speaks for a tenant that
    /// nobody knows is told so at once.
    pub async fn turn(&self) {
        let Some(tenant) = self.call().entered.takes_turns_for() else {
            return;
        };
        let turn = timeout(MAX_TURN_WAIT, self.gate.calls.take(Some(tenant), 1));
        if let Ok(Some(turn)) = turn.await {
            let (in_work, waiting) = self.gate.calls.load();
            let mut call = self.call();
            let mut gate = self.gate.lock();
            gate.begin(&mut call.entered, in_work, waiting > 0, Instant::now());
            call.turn = Some(turn);
        }
    }

    /// Gives its turn back, if it has one, to wait for something else; whether it had.
    pub fn step_aside(&self) -> bool {
        let turn = self.call().turn.take();
        turn.is_some()
    }

    /// Says that the call turned out to be bulk work, once its message is read.
    pub fn is_bulk(&self) {
        let mut call = self.call();
        self.gate.lock().becomes(&mut call.entered, Class::Other);
    }

    /// Says that the call has ended as such calls do, so that what it took tells how long
    /// calls wait.
    pub fn answered(&self) {
        self.call().is_answered = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let call = self.call.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut gate = self.gate.lock();
        gate.leave(&call.entered, call.is_answered, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use futures_util::{FutureExt as _, future::BoxFuture};

    use super::*;
    use crate::{limits::START_CALLS_AT_ONCE, scoring::Tenant};

    struct Server(Gate);

    type Waiting = BoxFuture<'static, Arc<Ticket>>;

    impl Server {
        /// A call of a tenant that waits for its turn, and has it when this is ready.
        fn call(&self, tenant: &str) -> Waiting {
            let ticket = self.0.enter(Class::Read, "GetProfile", 1).unwrap();
            let tenant = Tenant::new(tenant);
            async move {
                ticket.identify(tenant).unwrap();
                ticket.turn().await;
                ticket
            }
            .boxed()
        }
    }

    /// A server that a quiet tenant has called too, with calls of a loud one: those whose turn has
    /// come, and those who wait.
    fn loud() -> (Server, Vec<Arc<Ticket>>, Vec<Waiting>) {
        let server = Server(Gate::new(1_000, 1));
        drop(polled([server.call("quiet")].into_iter()));
        let (in_work, waiting) = polled((0..200).map(|_| server.call("loud")));
        (server, in_work, waiting)
    }

    /// Those whose turn has come, and those who wait.
    fn polled<F: Future + Unpin>(calls: impl Iterator<Item = F>) -> (Vec<F::Output>, Vec<F>) {
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for mut call in calls {
            match (&mut call).now_or_never() {
                Some(ticket) => ready.push(ticket),
                None => waiting.push(call),
            }
        }
        (ready, waiting)
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_that_is_alone_waits_for_nobody() {
        let server = Server(Gate::new(1_000, 1));
        let (ready, waiting) = polled((0..200).map(|_| server.call("loud")));
        assert_eq!((ready.len(), waiting.len()), (200, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_call_of_a_quiet_tenant_waits_for_none_of_those_that_a_loud_one_has_waiting() {
        let (server, in_work, waiting) = loud();
        assert!(in_work.len() < START_CALLS_AT_ONCE);
        let (quiet, _) = polled([server.call("quiet")].into_iter());
        assert_eq!(quiet.len(), 1, "room is left for others");

        let ended = in_work.len();
        drop(in_work);
        let (in_work, waiting) = polled(waiting.into_iter());
        assert_eq!(in_work.len(), ended, "turns are given back");
        drop(waiting);
        drop((in_work, quiet));
        assert_eq!(server.0.calls.load(), (0, 0));
        assert_eq!(server.0.in_work(), [0, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_takes_no_turn() {
        let server = Server(Gate::new(1_000, 1));
        drop(polled([server.call("quiet")].into_iter()));
        let ticket = server.0.enter(Class::Read, "RankSegment", 1).unwrap();
        ticket.is_bulk();
        ticket.identify(Tenant::new("loud")).unwrap();
        ticket.turn().now_or_never().unwrap();
        assert_eq!(server.0.calls.load(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_something_else_leaves_its_place_to_others() {
        let (_server, in_work, mut waiting) = loud();
        assert!(in_work[0].step_aside());
        assert!(!in_work[0].step_aside());
        let next = waiting.swap_remove(0);
        assert!(next.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_ends_nobody_waits_for_long() {
        let (server, in_work, waiting) = loud();
        let began = tokio::time::Instant::now();
        let waited = futures_util::future::join_all(waiting).await;
        assert_eq!(began.elapsed(), MAX_TURN_WAIT);
        assert_eq!(in_work.len() + waited.len(), 200);
        drop((in_work, waited));
        assert_eq!(server.0.calls.load(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_that_nobody_knows_waits_for_no_turn() {
        let (server, _in_work, waiting) = loud();
        assert!(!waiting.is_empty());
        // No name of a tenant is like this, so it is nobody's.
        let (told, _) = polled((0..50).map(|_| server.call("NOBODY")));
        assert_eq!(told.len(), 50);
    }
}
