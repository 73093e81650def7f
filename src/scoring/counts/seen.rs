//! What a record notes of an event beside the counts of its signals: its type, and its topics.

use super::without;
use crate::scoring::{Model, NamedCount, Record, SeenType, Timestamp, limits::MAX_SEEN_TYPES};

/// Whether an event of this type has counted, among types that ascend by name.
pub(crate) fn has_seen(seen: &[SeenType], event_type: &str) -> bool {
    find(seen, event_type).is_ok()
}

/// Where a type stands among types that ascend by name, or would.
fn find(seen: &[SeenType], event_type: &str) -> Result<usize, usize> {
    seen.binary_search_by(|seen| seen.name.as_str().cmp(event_type))
}

impl Record {
    /// Remembers that an event of this type has counted. Returns whether that is news.
    pub(crate) fn apply_seen(&mut self, model: &Model, event_type: &str) -> bool {
        let seen = &mut self.seen_types;
        let position = match find(seen, event_type) {
            Ok(position) => {
                let known = &mut seen[position];
                known.count = known.count.saturating_add(1);
                return false;
            }
            Err(position) => position,
        };
        let unnamed = |seen: &&SeenType| !model.names_type(&seen.name);
        let others = || seen.iter().filter(unnamed).count();
        if !model.names_type(event_type) && others() >= MAX_SEEN_TYPES {
            return false;
        }
        let name = event_type.into();
        seen.insert(position, SeenType { name, count: 1 });
        true
    }

    /// Forgets that one event of this type has counted. Returns whether that was the last.
    pub(crate) fn revert_seen(&mut self, event_type: &str) -> bool {
        let seen = &mut self.seen_types;
        let Ok(position) = find(seen, event_type) else {
            return false;
        };
        let count = &mut seen[position].count;
        *count = count.saturating_sub(1);
        let was_last = *count == 0;
        if was_last {
            seen.remove(position);
        }
        was_last
    }

    /// Adds 1 to a topic, as of an instant.
    pub(crate) fn apply_interest(&mut self, model: &Model, topic: &str, at: Timestamp) {
        let value = self.interest_of_one(model, at);
        match self.find_interest(topic) {
            Ok(position) => self.interests[position].value += value,
            Err(position) => {
                let name = topic.into();
                self.interests.insert(position, NamedCount { name, value });
            }
        }
    }

    /// Takes 1 from a topic, as of an instant.
    pub(crate) fn revert_interest(&mut self, model: &Model, topic: &str, at: Timestamp) {
        let value = self.interest_of_one(model, at);
        if let Ok(position) = self.find_interest(topic) {
            match without(self.interests[position].value, value) {
                Some(left) => self.interests[position].value = left,
                None => drop(self.interests.remove(position)),
            }
        }
    }

    /// Where a topic stands among the interests, or would.
    fn find_interest(&self, topic: &str) -> Result<usize, usize> {
        let interests = &self.interests;
        interests.binary_search_by(|interest| interest.name.as_str().cmp(topic))
    }

    /// What an event of an instant adds to each of its topics.
    fn interest_of_one(&self, model: &Model, at: Timestamp) -> f64 {
        let half_life = model.interests_half_life;
        half_life.decay_factor(at, self.last_event_time)
    }
}
