//! How matches of signals are taken from the counts of a record again, none of them below 0.

use super::{CountDeltas, Match};
use crate::scoring::{
    HalfLife, Model, NamedCount, Record, SignalCount, Timestamp, decay::decay_factor,
};

/// What is left of a count after something was taken from it, as a share of that, when only
/// rounding left it.
const ROUNDING: f64 = 1e-12;

impl Record {
    /// Takes a match of an instant from the counts of its signal, none of them below 0, and tells
    /// what that changed.
    pub(crate) fn revert_match(
        &mut self,
        model: &Model,
        mut matched: Match,
        at: Timestamp,
        deltas: &mut CountDeltas,
    ) {
        let signal = &model.signals[matched.signal];
        let last = self.last_counted.get(&signal.name);
        let was_last = last == Some(&at);
        // Of two that are nearer than the cooldown only one has counted, and of all that replace
        // each other only the latest does.
        if (signal.keeps_latest || self.cools_down(signal, at)) && !was_last {
            return;
        }
        if signal.keeps_latest {
            return self.revert_latest(model, &matched, at, deltas);
        }
        self.forget_first_times(signal, &mut matched.keys, at);
        if signal.counts_once() {
            self.last_counted.remove(&signal.name);
        }
        for half_life in self.half_lives_of(&signal.name) {
            let value = matched.value * decay_factor(half_life, at, self.last_event_time);
            if signal.per.is_none() {
                self.count_of(half_life, &signal.name).drop_keys();
            }
            for key in matched.counted_keys(signal) {
                let taken = self.subtract(half_life, &signal.name, key, value);
                deltas.note(half_life, &signal.name, key, -taken);
            }
        }
    }

    /// Takes the latest value of a signal, unless a greater one of the same instant has replaced
    /// it. What was the latest before it is not known any more.
    fn revert_latest(
        &mut self,
        model: &Model,
        matched: &Match,
        at: Timestamp,
        deltas: &mut CountDeltas,
    ) {
        let signal = &model.signals[matched.signal];
        let latest = matched.value.min(signal.limit.unwrap_or(f64::INFINITY));
        let is_replaced = signal.slots.iter().any(|slot| {
            let half_life = model.slots[*slot].half_life;
            let left = decay_factor(half_life, at, self.last_event_time);
            let kept = self.signal_count(half_life, &signal.name);
            kept.is_some_and(|kept| {
                // A limit that was lowered has not lowered what is kept.
                let is_above = without(kept.value, latest * left).is_some();
                let own = if is_above { matched.value } else { latest };
                without(kept.value, own * left).is_some()
            })
        });
        if is_replaced {
            return;
        }
        for half_life in self.half_lives_of(&signal.name) {
            let taken = self.subtract(half_life, &signal.name, "", f64::INFINITY);
            deltas.note(half_life, &signal.name, "", -taken);
        }
        self.last_counted.remove(&signal.name);
    }

    /// The half-lives that the record counts a signal with: also those that the model has no
    /// more, lest what was reverted moves from them, or is there again with an old model.
    fn half_lives_of(&self, signal: &str) -> Vec<Option<HalfLife>> {
        let half_lives = self.counts.iter().map(|group| group.half_life);
        half_lives
            .filter(|half_life| self.signal_count(*half_life, signal).is_some())
            .collect()
    }

    /// Takes up to `value` from the count of a signal and a key, and what is missing from the
    /// keys that were dropped. Returns what was taken.
    pub(crate) fn subtract(
        &mut self,
        half_life: Option<HalfLife>,
        signal: &str,
        key: &str,
        value: f64,
    ) -> f64 {
        let Ok(place) = self.find(half_life, signal) else {
            return 0.0;
        };
        let counts = &mut self.counts[place.group].counts;
        let count = &mut counts[place.position];
        let mut taken = subtract_from_key(&mut count.keys, key, value);
        let missing = value - taken;
        if key.is_empty() || missing > value * ROUNDING {
            taken += subtract_from_value(count, missing);
        }
        // A count that another half-life has as well stays at 0, lest that one moves here.
        let mut counts = self.counts.iter().flat_map(|group| &group.counts);
        if counts.all(|count| count.signal != signal || count.total() == 0.0) {
            for group in &mut self.counts {
                group.counts.retain(|count| count.signal != signal);
            }
        }
        self.counts.retain(|group| !group.counts.is_empty());
        taken
    }
}

/// Takes up to `value` from what is counted by a key. Returns what was taken.
fn subtract_from_key(keys: &mut Vec<NamedCount>, key: &str, value: f64) -> f64 {
    let Ok(position) = keys.binary_search_by(|count| count.name.as_str().cmp(key)) else {
        return 0.0;
    };
    let before = keys[position].value;
    match without(before, value) {
        Some(left) => keys[position].value = left,
        None => drop(keys.remove(position)),
    }
    value.min(before)
}

/// Takes up to `value` from what is not counted by key. Returns what was taken.
fn subtract_from_value(count: &mut SignalCount, value: f64) -> f64 {
    let before = count.value;
    count.value = without(before, value).unwrap_or(0.0);
    value.min(before)
}

/// What is left of a sum without one of its terms; `None` when that is nothing.
pub(crate) fn without(sum: f64, term: f64) -> Option<f64> {
    let left = sum - term;
    (left > sum * ROUNDING).then_some(left)
}
