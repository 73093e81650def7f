//! Room for what is in work, which tenants take in turns.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{TenantKey, turns::Turns};

/// How much there may be in work now, where so much is.
type Limit = Box<dyn Fn(usize) -> usize + Send + Sync>;

/// Room that is shared by all tenants.
pub struct Room {
    limit: Limit,
    turns: Mutex<Turns<TenantKey, oneshot::Sender<Reserved>>>,
}

/// Some room; given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    room: Arc<Room>,
    key: TenantKey,
    amount: usize,
}

impl Room {
    /// With nothing in work.
    pub fn new(limit: impl Fn(usize) -> usize + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            limit: Box::new(limit),
            turns: Mutex::new(Turns::new()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Turns<TenantKey, oneshot::Sender<Reserved>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is in work, and how much waits.
    pub fn load(&self) -> (usize, usize) {
        self.lock().load()
    }

    /// Waits for room for so much of a tenant; `None` when the room is gone.
    pub async fn take(self: &Arc<Self>, key: TenantKey, amount: usize) -> Option<Reserved> {
        let reserved = {
            let mut turns = self.lock();
            let limit = (self.limit)(turns.in_work() + amount);
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

    /// Tells whoever has room now. Who has gone gives it back at once, which may be room for
    /// others.
    fn grant(self: &Arc<Self>) {
        let granted = {
            let mut turns = self.lock();
            let limit = (self.limit)(turns.in_work());
            turns.grant(limit)
        };
        for (key, amount, waiter) in granted {
            let room = Arc::clone(self);
            drop(waiter.send(Reserved { room, key, amount }));
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (in_work, waiting) = self.load();
        let mut room = formatter.debug_struct("Room");
        room.field("in_work", &in_work).field("waiting", &waiting);
        room.finish_non_exhaustive()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.room.lock().leave(&self.key, self.amount);
        self.room.grant();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_goes_away_while_waiting_keeps_no_room() {
        let room = Room::new(|_| 10);
        let first = room.take(None, 10).await.unwrap();
        let waiting = tokio::spawn({
            let room = Arc::clone(&room);
            async move { room.take(None, 10).await }
        });
        tokio::task::yield_now().await;
        waiting.abort();
        drop(waiting.await);
        drop(first);
        let next = room.take(None, 10).await.unwrap();
        assert_eq!(room.load(), (10, 0));
        drop(next);
        assert_eq!(room.load(), (0, 0));
    }
}
