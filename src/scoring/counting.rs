//! How matches of signals are added to the counts of a record. The record's reference instant
//! has been moved to where it is to stand before anything is added.

use super::{
    CountGroup, HalfLife, Model, NamedCount, Record, SeenType, SignalCount, Timestamp,
    limits::MAX_SEEN_TYPES, model::Signal, standing::remaining,
};

/// An event that is a behaviour that counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Match {
    /// The position of the signal in the model.
    pub signal: usize,
    /// What it adds to each count.
    pub value: f64,
    /// What it counts under, each once; none when the signal is not kept by key.
    pub keys: Vec<String>,
}

/// What a match has changed in a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CountChange<'m> {
    /// How the count fades.
    pub half_life: Option<HalfLife>,
    /// The signal.
    pub signal: &'m str,
    /// The key that was counted; empty when the signal is not kept by key.
    pub key: String,
    /// What was added at the record's reference instant, limits kept; below 0 when a smaller
    /// value is the latest.
    pub change: f64,
}

impl Record {
    /// Moves the reference instant of all counts forward.
    pub(super) fn advance_to(&mut self, model: &Model, now: Timestamp) {
        let last = self.last_event_time;
        if now == last {
            return;
        }
        for group in &mut self.counts {
            let factor = remaining(group.half_life, last, now);
            for count in &mut group.counts {
                count.value *= factor;
            }
        }
        let factor = model.interests_half_life.remaining(last, now);
        for interest in &mut self.interests {
            interest.value *= factor;
        }
        self.last_event_time = now;
    }

    /// Adds a match of an instant to the counts of its signal, and what that changed to `changes`.
    pub(super) fn count<'m>(
        &mut self,
        model: &'m Model,
        matched: &Match,
        at: Timestamp,
        changes: &mut Vec<CountChange<'m>>,
    ) {
        let now = self.last_event_time;
        let signal = &model.signals[matched.signal];
        if signal.keeps_latest && self.last_counted.get(&signal.name) > Some(&at) {
            return;
        }
        // What counted at the same instant is no older.
        let replaces = signal.keeps_latest && self.last_counted.get(&signal.name) != Some(&at);
        for slot in &signal.slots {
            let slot = &model.slots[*slot];
            let faded = remaining(slot.half_life, at, now);
            let counts = self.counts_of(slot.half_life);
            let mut count = |key: &str| {
                let count = count_of(counts, &slot.signal, key);
                let before = *count;
                let limit = signal.limit.unwrap_or(f64::INFINITY);
                let added = matched.value * faded;
                *count = if signal.keeps_latest {
                    let latest = matched.value.min(limit) * faded;
                    if replaces { latest } else { latest.max(before) }
                } else {
                    // What an earlier model let grow beyond the limit stays.
                    (before + added).min(limit).max(before)
                };
                // Not what rounding leaves of a difference: what two keys gain from one event
                // must be equal for an account, which keeps the first in the alphabet of equals.
                let is_whole = !signal.keeps_latest && *count == before + added;
                let change = if is_whole { added } else { *count - before };
                changes.push(CountChange {
                    half_life: slot.half_life,
                    signal: &slot.signal,
                    key: key.to_owned(),
                    change,
                });
            };
            if signal.per.is_none() {
                count("");
                continue;
            }
            matched.keys.iter().for_each(|key| count(key));
            keep_greatest(counts, &slot.signal, signal.max_keys);
        }
        if signal.keeps_latest || signal.cooldown_nanos.is_some() {
            let last = self.last_counted.entry(signal.name.clone()).or_default();
            *last = at.max(*last);
        }
    }

    /// Adds 1 to a topic, as of an instant.
    pub(super) fn count_interest(&mut self, model: &Model, topic: &str, at: Timestamp) {
        let added = model
            .interests_half_life
            .remaining(at, self.last_event_time);
        let interests = &mut self.interests;
        match interests.binary_search_by(|interest| interest.name.as_str().cmp(topic)) {
            Ok(position) => interests[position].value += added,
            Err(position) => {
                let name = topic.to_owned();
                interests.insert(position, NamedCount { name, value: added });
            }
        }
    }

    /// Remembers that an event of this type has counted. Returns whether that is news.
    pub(super) fn see(&mut self, model: &Model, event_type: &str) -> bool {
        let seen = &mut self.seen_types;
        let position = match seen.binary_search_by(|seen| seen.name.as_str().cmp(event_type)) {
            Ok(position) => {
                let known = &mut seen[position];
                known.count = known.count.saturating_add(u32::from(known.count > 0));
                return false;
            }
            Err(position) => position,
        };
        let named = |name: &str| {
            let names = &model.named_types;
            names
                .binary_search_by(|known| known.as_str().cmp(name))
                .is_ok()
        };
        let others = || seen.iter().filter(|seen| !named(&seen.name)).count();
        if !named(event_type) && others() >= MAX_SEEN_TYPES {
            return false;
        }
        let name = event_type.to_owned();
        seen.insert(position, SeenType { name, count: 1 });
        true
    }

    /// Whether a match of this instant is too near to the latest that counted.
    pub(super) fn cools_down(&self, signal: &Signal, at: Timestamp) -> bool {
        let (Some(cooldown), Some(last)) =
            (signal.cooldown_nanos, self.last_counted.get(&signal.name))
        else {
            return false;
        };
        at.nanos().abs_diff(last.nanos()) < cooldown.unsigned_abs()
    }

    pub(super) fn counts_of(&mut self, half_life: Option<HalfLife>) -> &mut Vec<SignalCount> {
        let found = self
            .counts
            .binary_search_by_key(&half_life, |group| group.half_life);
        let position = found.unwrap_or_else(|position| {
            let counts = Vec::new();
            self.counts
                .insert(position, CountGroup { half_life, counts });
            position
        });
        &mut self.counts[position].counts
    }
}

/// The count of a signal and a key, which starts from 0.
pub(super) fn count_of<'c>(
    counts: &'c mut Vec<SignalCount>,
    signal: &str,
    key: &str,
) -> &'c mut f64 {
    let position = find(counts, signal, key).unwrap_or_else(|position| {
        let count = SignalCount {
            signal: signal.to_owned(),
            key: key.to_owned(),
            value: 0.0,
        };
        counts.insert(position, count);
        position
    });
    &mut counts[position].value
}

/// Where the count of a signal and a key stands, or would.
pub(super) fn find(counts: &[SignalCount], signal: &str, key: &str) -> Result<usize, usize> {
    let wanted = (signal, key);
    counts.binary_search_by(|count| (count.signal.as_str(), count.key.as_str()).cmp(&wanted))
}

/// Drops the smallest keys of a signal beyond `most`, the greatest text first of equals. What they counted
/// goes to the rest, so that the count of the signal stays what it is.
pub(super) fn keep_greatest(counts: &mut Vec<SignalCount>, signal: &str, most: usize) {
    let from = counts.partition_point(|count| count.signal.as_str() < signal);
    loop {
        let own = counts[from..]
            .iter()
            .take_while(|count| count.signal == signal);
        let keys = own.enumerate().filter(|(_, count)| !count.key.is_empty());
        let excess = keys.clone().count().saturating_sub(most);
        let smallest = keys.min_by(|(_, a), (_, b)| {
            let by_value = a.value.total_cmp(&b.value);
            by_value.then_with(|| b.key.cmp(&a.key))
        });
        let Some((offset, _)) = smallest.filter(|_| excess > 0) else {
            return;
        };
        let dropped = counts.remove(from + offset);
        *count_of(counts, signal, "") += dropped.value;
    }
}
