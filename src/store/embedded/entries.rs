//! Entries of the engine that are read over a long time, as they were when that began.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fjall::{UserKey, UserValue};

/// Keys and values in the order of keys.
type Entries = Box<dyn Iterator<Item = fjall::Result<(UserKey, UserValue)>> + Send>;

/// Entries of which some are still to be read.
pub struct Unread(Arc<Mutex<Option<Entries>>>);

/// Those of an engine. They end with it, because what they hold are its files.
#[derive(Default)]
pub struct UnreadEntries(Mutex<Vec<Weak<Mutex<Option<Entries>>>>>);

impl UnreadEntries {
    /// Has entries end with the engine.
    pub fn add(&self, entries: Entries) -> Unread {
        let entries = Arc::new(Mutex::new(Some(entries)));
        let mut all = locked(&self.0);
        all.retain(|entries| entries.strong_count() > 0);
        all.push(Arc::downgrade(&entries));
        Unread(entries)
    }
}

impl Drop for UnreadEntries {
    fn drop(&mut self) {
        for entries in locked(&self.0).iter().filter_map(Weak::upgrade) {
            drop(locked(&entries).take());
        }
    }
}

impl Unread {
    /// Reads some of the entries; `None` when the engine has gone.
    pub fn read<T>(&self, read: impl FnOnce(&mut Entries) -> T) -> Option<T> {
        locked(&self.0).as_mut().map(read)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_with_their_engine_and_are_forgotten_when_nobody_reads_them() {
        let all = UnreadEntries::default();
        drop(all.add(Box::new(std::iter::empty())));
        let unread = all.add(Box::new(std::iter::empty()));
        assert_eq!(locked(&all.0).len(), 1);
        assert!(unread.read(|entries| entries.next().is_none()).unwrap());
        drop(all);
        assert!(unread.read(|_| ()).is_none());
    }
}
