//! What counts once for each key: which keys have counted, and when.

use std::collections::BTreeMap;

use crate::scoring::{IdHash, Name, Record, Timestamp, model::Signal};

impl Record {
    /// Leaves of the keys of a match those that may count now: of a signal that counts each key
    /// once, those that have not. Returns whether the match still counts.
    pub(crate) fn leave_first_times(&self, signal: &Signal, keys: &mut Vec<Name>) -> bool {
        let Some(once) = &signal.once_per_key else {
            return true;
        };
        let known = self.counted_keys.get(&signal.name);
        let is_known = |key: &IdHash| known.is_some_and(|known| known.contains_key(key));
        let mut room = once.most.saturating_sub(known.map_or(0, BTreeMap::len));
        keys.retain(|key| {
            if is_known(&IdHash::of_key(key)) {
                return false;
            }
            let is_remembered = room > 0;
            room = room.saturating_sub(1);
            is_remembered || once.counts_beyond
        });
        !keys.is_empty()
    }

    /// Remembers the keys of a match that has counted, as far as there is room.
    pub(crate) fn note_first_times(&mut self, signal: &Signal, keys: &[Name], at: Timestamp) {
        let Some(once) = &signal.once_per_key else {
            self.counted_keys.remove(&signal.name);
            return;
        };
        let known = self.counted_keys.entry(signal.name.clone()).or_default();
        for key in keys {
            if known.len() < once.most {
                known.insert(IdHash::of_key(key), at);
            }
        }
    }

    /// Leaves of the keys of a match that is reverted those that this event has counted, and
    /// forgets them, so that another event may count.
    pub(crate) fn forget_first_times(
        &mut self,
        signal: &Signal,
        keys: &mut Vec<Name>,
        at: Timestamp,
    ) {
        let Some(once) = &signal.once_per_key else {
            return;
        };
        let known = self.counted_keys.entry(signal.name.clone()).or_default();
        let was_full = known.len() >= once.most;
        keys.retain(|key| match known.get(&IdHash::of_key(key)) {
            Some(counted) if *counted == at => {
                known.remove(&IdHash::of_key(key));
                true
            }
            Some(_) => false,
            None => once.counts_beyond && was_full,
        });
        if known.is_empty() {
            self.counted_keys.remove(&signal.name);
        }
    }
}
