//! Who may enter, decided before a message is read: by how long calls wait, by how much can
//! be done without them, and by what their connection and its tenant have had lately. Pure:
//! the instant is handed in.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{Class, Key, delay::Delays, limit::Limit, shares::Shares};
use crate::{
    limits::{
        ADMISSION_INTERVAL, LEAST_CALLS_AT_ONCE, LEAST_CALLS_IN_WORK, LEAST_PART_IN_TIME,
        LEAST_PART_OF_TURNS_IN_TIME, LEAST_SHARE_OF_STREAMED_EVENTS, MAX_RETRY_AFTER,
        MIN_RETRY_AFTER, QUEUE_TARGET, START_CALLS_AT_ONCE, START_CALLS_IN_WORK, TURN_TARGET,
        spread,
    },
    scoring::Tenant,
};

/// A tenant; those that nobody knows are one.
pub type TenantKey = Option<Tenant>;

/// A call that was let in.
#[derive(Clone, Debug)]
pub struct Entered {
    class: Class,
    method: &'static str,
    connection: Key,
    tenant: Option<TenantKey>,
    at: Instant,
    was_quiet: bool,
    /// It came in late into the reserve, where room gets scarce.
    is_last: bool,
    /// When its turn came, where tenants take turns.
    began: Option<Instant>,
}

impl Entered {
    /// The tenant whose turn such a call waits for; `None` for what takes long, which waits
    /// elsewhere, and for a tenant that nobody knows.
    pub fn takes_turns_for(&self) -> Option<Tenant> {
        let tenant = self.tenant.as_ref()?.as_ref();
        tenant.filter(|_| self.class != Class::Other).cloned()
    }
}

/// A call that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it is worth to come back.
    pub retry_after: Duration,
}

/// Calls of one class.
#[derive(Clone, Debug)]
struct Line {
    limit: Limit,
    in_work: usize,
    delays: Delays,
}

impl Line {
    fn new(most: usize) -> Self {
        Self {
            limit: Limit::new(LEAST_CALLS_IN_WORK, START_CALLS_IN_WORK, most),
            in_work: 0,
            delays: Delays::new(QUEUE_TARGET, LEAST_PART_IN_TIME),
        }
    }
}

/// The state of admission.
#[derive(Clone, Debug)]
pub struct Admission {
    most_calls: usize,
    calls: usize,
    reads: Line,
    writes: Line,
    /// Calls whose turn has come, where tenants take turns, and how long those take.
    at_once: Limit,
    at_once_delays: Delays,
    /// Events of streams, which wait outside for their turn.
    streamed: Limit,
    streamed_in_work: usize,
    connections: Shares<Key>,
    tenants: Shares<TenantKey>,
    /// The tenant that each connection last spoke for.
    carried: HashMap<Key, TenantKey>,
    interval_began: Option<Instant>,
    entered: u32,
    refused: u32,
    /// How many times as much is offered as is taken.
    pressure: f64,
    told: u64,
}

impl Admission {
    /// An empty server that takes so many calls and events of streams at the most.
    pub fn new(most_calls: usize, most_streamed: usize) -> Self {
        let least_streamed = most_streamed / LEAST_SHARE_OF_STREAMED_EVENTS;
        Self {
            most_calls,
            calls: 0,
            reads: Line::new(most_calls),
            writes: Line::new(most_calls),
            at_once: Limit::new(LEAST_CALLS_AT_ONCE, START_CALLS_AT_ONCE, most_calls),
            at_once_delays: Delays::new(TURN_TARGET, LEAST_PART_OF_TURNS_IN_TIME),
            streamed: Limit::new(least_streamed, most_streamed, most_streamed),
            streamed_in_work: 0,
            connections: Shares::default(),
            tenants: Shares::default(),
            carried: HashMap::new(),
            interval_began: None,
            entered: 0,
            refused: 0,
            pressure: 1.0,
            told: 0,
        }
    }

    fn line(&mut self, class: Class) -> Option<&mut Line> {
        match class {
            Class::Read => Some(&mut self.reads),
            Class::Write => Some(&mut self.writes),
            Class::Other => None,
        }
    }

    /// How many reads, writes and others are in work.
    pub const fn in_work(&self) -> [usize; 3] {
        let (reads, writes) = (self.reads.in_work, self.writes.in_work);
        [
            reads,
            writes,
            self.calls.saturating_sub(reads).saturating_sub(writes),
        ]
    }

    /// Lets a call in, or not; nothing of it has been read yet.
    pub fn enter(
        &mut self,
        class: Class,
        method: &'static str,
        connection: Key,
        now: Instant,
    ) -> Result<Entered, Refused> {
        self.tick(now);
        let room = self.room_for(class, connection);
        let in_work = self.line(class).map_or(0, |line| {
            line.limit.saw(line.in_work + 1);
            line.in_work
        });
        if self.calls >= self.most_calls || in_work >= room.for_it {
            self.refused += 1;
            return Err(self.refusal());
        }
        let was_quiet = self.calls == 0 && self.streamed_in_work == 0;
        self.calls += 1;
        self.entered += 1;
        self.connections.give(connection);
        if let Some(line) = self.line(class) {
            line.in_work += 1;
        }
        Ok(Entered {
            class,
            method,
            connection,
            tenant: None,
            at: now,
            was_quiet,
            is_last: in_work >= room.for_all + reserve(room.for_all) / 2,
            began: None,
        })
    }

    /// What a class has room for: for everybody, and for the one who asks. What is beyond the
    /// limit is for connections and tenants that are below their share, twice for tenants.
    fn room_for(&mut self, class: Class, connection: Key) -> Room {
        let Some(line) = self.line(class) else {
            let for_all = self.most_calls;
            let for_it = for_all;
            return Room { for_all, for_it };
        };
        let (for_all, in_work) = (line.limit.now(), line.in_work);
        let mut for_it = for_all;
        if in_work >= for_all {
            let reserve = reserve(for_all);
            if self.connections.is_below(&connection, for_all) {
                for_it += reserve;
            }
            let carried = self.carried.get(&connection);
            if carried.is_some_and(|tenant| self.tenants.is_below(tenant, for_all)) {
                for_it += 2 * reserve;
            }
        }
        Room { for_all, for_it }
    }

    /// Learns whose call it is, from its message. One that came in because its connection has
    /// had little is turned away when its tenant has had its share and room gets scarce.
    pub fn identify(
        &mut self,
        entered: &mut Entered,
        tenant: TenantKey,
        now: Instant,
    ) -> Result<(), Refused> {
        self.tick(now);
        let limit = self.line(entered.class).map(|line| line.limit.now());
        let is_below = limit.is_none_or(|limit| self.tenants.is_below(&tenant, limit));
        let others = self.tenants.len() > usize::from(self.tenants.knows(&tenant));
        self.carried.insert(entered.connection, tenant.clone());
        if entered.is_last && others && !is_below {
            self.refused += 1;
            return Err(self.refusal());
        }
        self.tenants.give(tenant.clone());
        entered.tenant = Some(tenant);
        Ok(())
    }

    /// A call turns out to be of another class than its method says: it is in work there, and what
    /// it takes says nothing of how long others of its method wait.
    pub fn becomes(&mut self, entered: &mut Entered, class: Class) {
        if let Some(line) = self.line(entered.class) {
            line.in_work = line.in_work.saturating_sub(1);
        }
        if let Some(line) = self.line(class) {
            line.in_work += 1;
            line.limit.saw(line.in_work);
        }
        entered.class = class;
    }

    /// A call has ended; `answered` says that it ended as such calls do, after all its work.
    pub fn leave(&mut self, entered: &Entered, answered: bool, now: Instant) {
        self.calls = self.calls.saturating_sub(1);
        self.connections.take_back(&entered.connection);
        if let Some(tenant) = &entered.tenant {
            self.tenants.take_back(tenant);
        }
        if let Some(line) = self.line(entered.class) {
            line.in_work = line.in_work.saturating_sub(1);
            if answered {
                let latency = now.saturating_duration_since(entered.at);
                line.delays
                    .ended(entered.method, latency, entered.was_quiet);
            }
        }
        if let Some(began) = entered.began
            && answered
        {
            let latency = now.saturating_duration_since(began);
            self.at_once_delays
                .ended(entered.method, latency, entered.was_quiet);
        }
        self.tick(now);
    }

    /// The turn of a call has come; so many are in work, and perhaps others wait. Nothing is learned
    /// from a tenant that is alone: nobody bounds it.
    pub fn begin(
        &mut self,
        entered: &mut Entered,
        in_work: usize,
        others_wait: bool,
        now: Instant,
    ) {
        self.tick(now);
        entered.began = None;
        if self.tenants.len() > 1 {
            entered.began = Some(now);
            self.at_once.saw(in_work);
            if others_wait {
                self.at_once.was_too_low();
            }
        }
    }

    /// How many calls may be in work at once now. A tenant that is alone waits for nobody.
    pub fn most_at_once(&self) -> usize {
        match self.tenants.len() > 1 {
            true => self.at_once.now(),
            false => usize::MAX,
        }
    }

    /// How many events of streams may be in work now, where so many are.
    pub fn streamed_limit(&mut self, in_work: usize, now: Instant) -> usize {
        self.tick(now);
        self.streamed_in_work = in_work;
        self.streamed.saw(in_work);
        self.streamed.now()
    }

    fn refusal(&mut self) -> Refused {
        self.told += 1;
        // As far as it is spread it stays between the two.
        let (least, most) = (MIN_RETRY_AFTER * 2, MAX_RETRY_AFTER * 2 / 3);
        let retry_after = MIN_RETRY_AFTER.mul_f64(self.pressure).clamp(least, most);
        Refused {
            retry_after: spread(retry_after, self.told),
        }
    }

    /// Ends the interval when it is over.
    fn tick(&mut self, now: Instant) {
        let began = *self.interval_began.get_or_insert(now);
        if now.saturating_duration_since(began) < ADMISSION_INTERVAL {
            return;
        }
        self.interval_began = Some(now);
        let entered = f64::from(self.entered.max(1));
        self.pressure = (entered + f64::from(self.refused)) / entered;
        (self.entered, self.refused) = (0, 0);
        self.connections.end_interval();
        self.tenants.end_interval();
        let connections = &self.connections;
        self.carried
            .retain(|connection, _| connections.knows(connection));
        self.adapt();
    }

    /// Where calls have waited too long, the least important work that is in use gives way:
    /// events of streams, then writes, then reads.
    fn adapt(&mut self) {
        let reads_wait = self.reads.delays.end_interval();
        let writes_wait = self.writes.delays.end_interval();
        let Self {
            reads,
            writes,
            streamed,
            ..
        } = self;
        // What is still in work when the interval begins is in use.
        let in_use = [
            (streamed, reads_wait || writes_wait),
            (&mut writes.limit, reads_wait || writes_wait),
            (&mut reads.limit, reads_wait),
        ];
        let mut has_given_way = false;
        for (limit, must_give_way) in in_use {
            if !must_give_way {
                limit.grow();
            } else if !has_given_way && limit.can_shrink() {
                limit.shrink();
                has_given_way = true;
            } else {
                limit.stay();
            }
        }
        self.streamed.saw(self.streamed_in_work);
        if !self.at_once_delays.end_interval() {
            self.at_once.grow();
        } else if self.at_once.can_shrink() {
            self.at_once.shrink();
        } else {
            self.at_once.stay();
        }
    }
}

/// What is kept for those who have had little.
const fn reserve(limit: usize) -> usize {
    let quarter = limit / 4;
    if quarter == 0 { 1 } else { quarter }
}

/// What a class has room for.
#[derive(Clone, Copy, Debug)]
struct Room {
    for_all: usize,
    for_it: usize,
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
