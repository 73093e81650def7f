//! Room for what is in work, which tenants take in turns.

use std::{
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::turns::Turns;

/// How much there may be in work now, where so much is.
type Limit = Box<dyn Fn(usize) -> usize + Send + Sync>;

/// Room that is shared by all tenants, or whatever else takes turns.
pub struct Room<K: Clone + Eq + Hash> {
    limit: Limit,
    turns: Mutex<Turns<K, oneshot::Sender<Reserved<K>>>>,
}

/// Some room; given back when it is dropped.
#[derive(Debug)]
pub struct Reserved<K: Clone + Eq + Hash> {
    room: Arc<Room<K>>,
    key: K,
    amount: usize,
}

impl<K: Clone + Eq + Hash> Room<K> {
    /// With nothing in work.
    pub fn new(limit: impl Fn(usize) -> usize + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            limit: Box::new(limit),
            turns: Mutex::new(Turns::default()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Turns<K, oneshot::Sender<Reserved<K>>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is in work, and how much waits.
    pub fn load(&self) -> (usize, usize) {
        self.lock().load()
    }

    /// Waits for room for so much of a tenant's; `None` when the room is gone.
    pub async fn take(self: &Arc<Self>, key: K, amount: usize) -> Option<Reserved<K>> {
        let reserved = {
            let mut turns = self.lock();
            let (in_work, _) = turns.load();
            let limit = (self.limit)(in_work + amount);
            if turns.take(&key, amount, limit) {
                let room = Arc::clone(self);
                return Some(Reserved { room, key, amount });
            }
            let (granted, reserved) = oneshot::channel();
            turns.ask(&key, amount, granted);
            reserved
        };
        self.grant();
        reserved.await.ok()
    }

    /// Tells whoever has room now. Who goes just then gives it back, which may be room for others.
    fn grant(self: &Arc<Self>) {
        let granted = {
            let mut turns = self.lock();
            let (in_work, _) = turns.load();
            let limit = (self.limit)(in_work);
            turns.grant(limit, oneshot::Sender::is_closed)
        };
        for (key, amount, waiter) in granted {
            let room = Arc::clone(self);
            drop(waiter.send(Reserved { room, key, amount }));
        }
    }
}

impl<K: Clone + Eq + Hash> fmt::Debug for Room<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (in_work, waiting) = self.load();
        let mut room = formatter.debug_struct("Room");
        room.field("in_work", &in_work).field("waiting", &waiting);
        room.finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash> Drop for Reserved<K> {
    fn drop(&mut self) {
        self.room.lock().leave(&self.key, self.amount);
        self.room.grant();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_goes_away_while_waiting_keeps_no_room() {
        let room = Room::<u8>::new(|_| 10);
        let first = room.take(0, 10).await.unwrap();
        let waiting = tokio::spawn({
            let room = Arc::clone(&room);
            async move { room.take(0, 10).await }
        });
        tokio::task::yield_now().await;
        waiting.abort();
        drop(waiting.await);
        drop(first);
        let next = room.take(0, 10).await.unwrap();
        assert_eq!(room.load(), (10, 0));
        drop(next);
        assert_eq!(room.load(), (0, 0));
    }

    #[tokio::test]
    async fn very_many_who_have_gone_take_neither_room_nor_stack() {
        let room = Room::<u8>::new(|_| 1);
        let first = room.take(0, 1).await.unwrap();
        for _ in 0..200_000 {
            assert!(room.take(1, 1).now_or_never().is_none());
        }
        let waiting = room.take(0, 1);
        drop(first);
        drop(waiting.await.unwrap());
        assert_eq!(room.load(), (0, 0));
    }
}
