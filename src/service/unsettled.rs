//! Room for effects that are durable while the events that cause them are not yet: on each record
//! no more than it remembers, so that the retry of an event after a crash finds its effects there,
//! unless as many others have come meanwhile.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::scoring::{ProfileId, Tenant};

type Key = (Tenant, ProfileId);
type Rooms = HashMap<Key, Arc<Semaphore>>;

/// How many effects there are on each record.
pub(super) type Amounts = BTreeMap<ProfileId, u32>;

/// The records with effects that are not settled.
#[derive(Debug)]
pub(super) struct Unsettled {
    most: u32,
    rooms: Mutex<Rooms>,
}

/// Room for some effects; given back when it is dropped.
#[derive(Debug)]
pub(super) struct UnsettledRoom<'a> {
    unsettled: &'a Unsettled,
    records: Vec<RoomOn>,
    /// Whether it had to be waited for.
    pub was_awaited: bool,
}

/// Room on one record.
#[derive(Debug)]
struct RoomOn {
    key: Key,
    amount: u32,
    of_all: Arc<Semaphore>,
    /// `None` until it is there.
    held: Option<OwnedSemaphorePermit>,
}

impl Unsettled {
    /// With room for so many effects on each record.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: u32::try_from(most).unwrap_or(u32::MAX),
            rooms: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for no effects.
    pub(super) fn nothing(&self) -> UnsettledRoom<'_> {
        UnsettledRoom {
            unsettled: self,
            records: Vec::new(),
            was_awaited: false,
        }
    }

    /// Waits for room. Whoever waits holds room on lesser ids only, so nobody waits in a circle.
    pub(super) async fn take(&self, tenant: &Tenant, amounts: &Amounts) -> UnsettledRoom<'_> {
        let mut room = self.nothing();
        room.records = self.ask(tenant, amounts);
        for record in &mut room.records {
            let of_all = Arc::clone(&record.of_all);
            record.held = match Arc::clone(&of_all).try_acquire_many_owned(record.amount) {
                Ok(held) => Some(held),
                Err(_) => {
                    room.was_awaited = true;
                    // Nobody closes one.
                    of_all.acquire_many_owned(record.amount).await.ok()
                }
            };
        }
        room
    }

    fn ask(&self, tenant: &Tenant, amounts: &Amounts) -> Vec<RoomOn> {
        let mut rooms = self.lock();
        let records = amounts.iter().map(|(id, amount)| {
            let key = (tenant.clone(), id.clone());
            let of_all = rooms
                .entry(key.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(self.most as usize)));
            RoomOn {
                of_all: Arc::clone(of_all),
                key,
                amount: (*amount).min(self.most),
                held: None,
            }
        });
        records.collect()
    }
}

impl UnsettledRoom<'_> {
    /// Whether it is room enough for these.
    pub(super) fn covers(&self, amounts: &Amounts) -> bool {
        let is_covered = |(id, amount): (&ProfileId, &u32)| {
            let mut records = self.records.iter();
            let record = records.find(|record| record.key.1 == *id);
            record.is_some_and(|record| record.amount >= (*amount).min(self.unsettled.most))
        };
        amounts.iter().all(is_covered)
    }
}

impl Drop for UnsettledRoom<'_> {
    fn drop(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let mut rooms = self.unsettled.lock();
        for record in self.records.drain(..) {
            let RoomOn {
                key, of_all, held, ..
            } = record;
            drop((of_all, held));
            // Nobody else holds room on this record, or waits for it.
            if let Entry::Occupied(room) = rooms.entry(key)
                && Arc::strong_count(room.get()) == 1
            {
                room.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn tenant() -> Tenant {
        Tenant::new("test").unwrap()
    }

    fn amounts(amounts: &[(&str, u32)]) -> Amounts {
        let amounts = amounts.iter();
        amounts
            .map(|(id, amount)| (ProfileId::new(id).unwrap(), *amount))
            .collect()
    }

    #[tokio::test]
    async fn each_record_has_room_of_its_own() {
        let tenant = tenant();
        let unsettled = Unsettled::new(4);
        let first = unsettled.take(&tenant, &amounts(&[("a", 4)])).await;
        let other = unsettled.take(&tenant, &amounts(&[("b", 4)])).await;
        assert!(!first.was_awaited && !other.was_awaited);
        let both = amounts(&[("a", 1), ("b", 1)]);
        let mut waiting = Box::pin(unsettled.take(&tenant, &both));
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        assert!((&mut waiting).now_or_never().is_none());
        drop(other);
        let room = waiting.await;
        assert!(room.was_awaited);
        drop(room);
        assert!(unsettled.lock().is_empty());
    }

    #[tokio::test]
    async fn what_is_more_than_all_the_room_takes_all_of_it() {
        let tenant = tenant();
        let unsettled = Unsettled::new(4);
        let room = unsettled.take(&tenant, &amounts(&[("a", 9)])).await;
        assert!(!room.was_awaited);
        let one = amounts(&[("a", 1)]);
        assert!(unsettled.take(&tenant, &one).now_or_never().is_none());
        drop(room);
        assert!(unsettled.take(&tenant, &one).now_or_never().is_some());
        assert!(unsettled.lock().is_empty());
    }

    #[tokio::test]
    async fn many_that_want_room_on_the_same_records_all_get_it() {
        let tenant = tenant();
        let unsettled = Arc::new(Unsettled::new(2));
        let ids = ["a", "b", "c", "d"];
        let takers = (0..200_usize).map(|number| {
            let (unsettled, tenant) = (Arc::clone(&unsettled), tenant.clone());
            tokio::spawn(async move {
                let wanted = amounts(&[(ids[number % 4], 1), (ids[number / 4 % 4], 2)]);
                let room = unsettled.take(&tenant, &wanted).await;
                tokio::task::yield_now().await;
                drop(room);
            })
        });
        for taker in takers.collect::<Vec<_>>() {
            taker.await.unwrap();
        }
        assert!(unsettled.lock().is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_keeps_no_room() {
        let tenant = tenant();
        let wanted = amounts(&[("a", 1), ("b", 1), ("c", 1)]);
        for held in ["a", "b", "c"] {
            for leaves_first in [false, true] {
                let unsettled = Unsettled::new(1);
                let room = unsettled.take(&tenant, &amounts(&[(held, 1)])).await;
                let mut waiting = Box::pin(unsettled.take(&tenant, &wanted));
                assert!((&mut waiting).now_or_never().is_none());
                if leaves_first {
                    drop(room);
                    drop(waiting);
                } else {
                    drop(waiting);
                    drop(room);
                }
                assert!(unsettled.lock().is_empty());
                let room = unsettled.take(&tenant, &wanted).now_or_never();
                assert!(!room.unwrap().was_awaited);
            }
        }
    }

    #[tokio::test]
    async fn room_covers_what_it_was_taken_for_and_no_more() {
        let tenant = tenant();
        let unsettled = Unsettled::new(4);
        let taken = amounts(&[("a", 2), ("b", 9)]);
        let room = unsettled.take(&tenant, &taken).await;
        assert!(room.covers(&taken) && room.covers(&amounts(&[("b", 4), ("a", 1)])));
        assert!(!room.covers(&amounts(&[("a", 3)])) && !room.covers(&amounts(&[("c", 1)])));
    }
}
