//! What all connections share, and what each holds of it. A connection may hold as much as it
//! leaves free for the others: one alone takes up to a half piece by piece, and whoever comes
//! next still finds some, however many others are greedy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::OwnedNotified},
    time::Instant,
};
use tonic::Status;

use crate::{api::status, limits::RETRY_UNAVAILABLE_AFTER, telemetry::ShedCount};

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Budgets {
    /// Streams that are open.
    pub streams: Budget,
    /// Bytes of messages that have not arrived whole.
    pub request_bytes: Budget,
    /// Bytes of answers that are being made or not read.
    pub answer_bytes: Budget,
    /// How many connections there are.
    pub connections: Arc<AtomicUsize>,
}

/// An amount of something that all connections share.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    freed: Arc<Notify>,
    shed: ShedCount,
}

impl Shared {
    fn turn_away(&self) -> Status {
        self.shed.add();
        status::overloaded(status::spread_out(RETRY_UNAVAILABLE_AFTER))
    }
}

impl Budget {
    /// So much for all, and where it is counted who was turned away for lack of it.
    pub fn new(limit: usize, shed: ShedCount) -> Self {
        Self(Arc::new(Shared {
            limit,
            taken: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Arc::new(Notify::new()),
            shed,
        }))
    }

    /// How much all connections have.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// An account of it, for one connection.
    pub fn account(&self) -> Account {
        Account(Arc::new(Reserved {
            budget: Arc::clone(&self.0),
            amount: AtomicUsize::new(0),
        }))
    }
}

impl Shared {
    fn free(&self) -> usize {
        self.limit
            .saturating_sub(self.taken.load(Ordering::Acquire))
    }

    fn give_back(&self, amount: usize) {
        self.taken.fetch_sub(amount, Ordering::AcqRel);
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.freed.notify_waiters();
        }
    }
}

/// What one connection holds of a [`Budget`].
#[derive(Clone, Debug)]
pub struct Account(Arc<Reserved>);

#[derive(Debug)]
struct Reserved {
    budget: Arc<Shared>,
    amount: AtomicUsize,
}

impl Account {
    /// Takes so much, unless the connection would then hold more than it leaves to others.
    pub fn try_take(&self, amount: usize) -> Option<Taken> {
        let mut taken = self.nothing();
        taken.try_grow(amount).then_some(taken)
    }

    /// As [`Account::try_take`], and waits for others to give back what is missing.
    pub async fn take_within(&self, amount: usize, wait: Duration) -> Option<Taken> {
        if let Some(taken) = self.try_take(amount) {
            return Some(taken);
        }
        let until = Instant::now() + wait;
        loop {
            let freed = self.freed();
            if let Some(taken) = self.try_take(amount) {
                return Some(taken);
            }
            tokio::time::timeout_at(until, freed).await.ok()?;
        }
    }

    /// Takes what is there already, whether or not it is more than the connection may hold.
    pub fn take(&self, amount: usize) -> Taken {
        let mut taken = self.nothing();
        taken.grow(amount);
        taken
    }

    /// Ends when anybody gives something back from now on.
    pub fn freed(&self) -> impl Future<Output = ()> + Send + 'static {
        let waiting = Waiting::new(&self.0.budget);
        let freed: OwnedNotified = Arc::clone(&self.0.budget.freed).notified_owned();
        async move {
            freed.await;
            drop(waiting);
        }
    }

    /// Whether the connection holds no more than it leaves to others.
    pub fn is_within_share(&self) -> bool {
        self.0.amount.load(Ordering::Relaxed) <= self.0.budget.free()
    }

    /// Counts a call that is turned away for lack of it. Returns what its caller hears.
    pub fn turn_away(&self) -> Status {
        self.0.budget.turn_away()
    }

    /// Nothing yet, to grow.
    pub fn nothing(&self) -> Taken {
        Taken {
            reserved: Arc::clone(&self.0),
            amount: 0,
        }
    }
}

/// Counts who waits.
struct Waiting(Arc<Shared>);

impl Waiting {
    fn new(budget: &Arc<Shared>) -> Self {
        budget.waiting.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(budget))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A part of what all connections share, given back when it is dropped.
#[derive(Debug)]
pub struct Taken {
    reserved: Arc<Reserved>,
    amount: usize,
}

impl Taken {
    /// What a caller is told for whom no room was left, which is counted.
    pub fn turn_away(&self) -> Status {
        self.reserved.budget.turn_away()
    }

    /// Takes so much more, unless the connection would then hold more than it leaves to
    /// others.
    pub fn try_grow(&mut self, amount: usize) -> bool {
        let Reserved {
            budget,
            amount: reserved,
        } = &*self.reserved;
        let fits = budget
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                let free = budget.limit.saturating_sub(taken);
                let wanted = reserved.load(Ordering::Relaxed).checked_add(amount)?;
                (wanted <= free).then_some(taken + amount)
            })
            .is_ok();
        if fits {
            reserved.fetch_add(amount, Ordering::Relaxed);
            self.amount += amount;
        }
        fits
    }

    /// Gives all of it back.
    pub fn clear(&mut self) {
        // Who took nothing wakes nobody, least of all itself.
        if self.amount > 0 {
            self.reserved
                .amount
                .fetch_sub(self.amount, Ordering::Relaxed);
            self.reserved.budget.give_back(self.amount);
            self.amount = 0;
        }
    }

    fn grow(&mut self, amount: usize) {
        self.reserved
            .budget
            .taken
            .fetch_add(amount, Ordering::AcqRel);
        self.reserved.amount.fetch_add(amount, Ordering::Relaxed);
        self.amount += amount;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_takes_half_and_the_next_ones_still_find_some() {
        let budget = Budget::new(1_024, ShedCount::default());
        let mut all = Vec::new();
        let shares = [(); 5].map(|()| {
            let account = budget.account();
            let before = all.len();
            while let Some(taken) = account.try_take(1) {
                all.push(taken);
            }
            all.len() - before
        });
        assert_eq!(shares, [512, 256, 128, 64, 32]);
        drop(all);
        assert!(budget.account().try_take(1_024).is_some());
    }

    #[test]
    fn what_is_there_already_is_counted_beyond_the_share_and_given_back() {
        let budget = Budget::new(100, ShedCount::default());
        let (greedy, quiet) = (budget.account(), budget.account());
        let taken = greedy.take(150);
        assert!(!greedy.is_within_share());
        assert!(quiet.is_within_share());
        assert!(quiet.try_take(1).is_none());
        drop(taken);
        assert!(quiet.try_take(100).is_some());
        assert!(greedy.is_within_share());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_what_another_gives_back_or_nothing_in_time() {
        let budget = Budget::new(10, ShedCount::default());
        let all = budget.account().try_take(10).unwrap();
        let waiting = tokio::spawn({
            let account = budget.account();
            async move {
                account
                    .take_within(4, Duration::from_secs(9))
                    .await
                    .is_some()
            }
        });
        let started = Instant::now();
        let refused = budget
            .account()
            .take_within(4, Duration::from_secs(2))
            .await;
        assert!(refused.is_none());
        assert_eq!(started.elapsed(), Duration::from_secs(2));
        drop(all);
        assert!(waiting.await.unwrap());
    }
}
