//! What a record keeps: counts of signals, to which matches are applied and from which they are
//! reverted, types that were seen, interests, and what counts once. The record's reference instant
//! has been moved to where it is to stand before anything is applied.

mod deltas;
mod half_life_migration;
mod held;
mod once;
mod revert;
mod seen;

pub(crate) use deltas::CountDeltas;
pub(crate) use half_life_migration::HalfLifeMigration;
pub(crate) use revert::without;
pub(crate) use seen::has_seen;

use super::{
    CountGroup, HalfLife, Model, Name, NamedCount, Record, SignalCount, Timestamp,
    decay::decay_factor,
    limits::MAX_COUNT,
    model::{Signal, SignalId, Slot, SlotId},
};

/// An event that is a behaviour that counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Match {
    /// The position of the signal in the model.
    pub signal: SignalId,
    /// What it adds to each count.
    pub value: f64,
    /// What it counts under, each once; none when the signal is not kept by key.
    pub keys: Vec<Name>,
}

impl Match {
    /// What the signal counts under: the empty key when it is not kept by key.
    pub fn counted_keys(&self, signal: &Signal) -> impl Iterator<Item = &str> {
        let (alone, keys) = match signal.per {
            None => (Some(""), &[][..]),
            Some(_) => (None, self.keys.as_slice()),
        };
        alone.into_iter().chain(keys.iter().map(Name::as_str))
    }
}

/// Where a record keeps a count: a position in `Record::counts`, and one in that group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountIndex {
    pub group: usize,
    pub position: usize,
}

impl Record {
    /// The latest instant at which anything has counted: what was before it is not kept.
    pub fn latest_counted(&self) -> Timestamp {
        self.last_event_time.max(self.influence_time)
    }

    /// Moves the reference instant of all counts forward.
    pub(crate) fn advance_to(&mut self, model: &Model, now: Timestamp) {
        let last = self.last_event_time;
        if now == last {
            return;
        }
        for group in &mut self.counts {
            let factor = decay_factor(group.half_life, last, now);
            for count in &mut group.counts {
                count.value *= factor;
                count.capped *= factor;
                for key in &mut count.keys {
                    key.value *= factor;
                }
            }
        }
        let factor = model.interests_half_life.decay_factor(last, now);
        for interest in &mut self.interests {
            interest.value *= factor;
        }
        self.last_event_time = now;
    }

    /// Adds a match of an instant to the counts of its signal, and tells what that changed.
    /// Returns whether the record has a count that it had not.
    pub(crate) fn apply_match(
        &mut self,
        model: &Model,
        matched: &Match,
        at: Timestamp,
        found: impl Fn(SlotId) -> Option<CountIndex>,
        deltas: &mut CountDeltas,
    ) -> bool {
        let now = self.last_event_time;
        let signal = &model.signals[matched.signal];
        if signal.keeps_latest && self.last_counted.get(&signal.name) > Some(&at) {
            return false;
        }
        // What counted at the same instant is no older.
        let replaces = signal.keeps_latest && self.last_counted.get(&signal.name) != Some(&at);
        let limit = signal.limit.unwrap_or(f64::INFINITY);
        let mut has_begun = false;
        for position in &signal.slots {
            let slot = &model.slots[*position];
            let faded = decay_factor(slot.half_life, at, now);
            let place = self.place(slot, found(*position));
            let place = place.unwrap_or_else(|place| {
                has_begun = true;
                self.begin(slot.half_life, &slot.signal, place)
            });
            let counts = &mut self.counts[place.group].counts[place.position];
            if signal.per.is_none() {
                counts.drop_keys();
            }
            let mut capped = counts.capped;
            for key in matched.counted_keys(signal) {
                let count = counts.of_key(key);
                let before = *count;
                let added = matched.value * faded;
                if !signal.keeps_latest {
                    // What an earlier model let grow beyond the limit stays.
                    *count = (before + added).min(limit).max(before);
                    capped += (before + added - *count).max(0.0);
                } else if replaces || matched.value.min(limit) * faded > before {
                    *count = matched.value.min(limit) * faded;
                    capped = (matched.value - limit).max(0.0) * faded;
                }
                // Not what rounding leaves of a difference: what two keys gain from one event must
                // be equal for a subject, which keeps the first in the alphabet of equals.
                let is_whole = !signal.keeps_latest && *count == before + added;
                let change = if is_whole { added } else { *count - before };
                deltas.note(slot.half_life, &slot.signal, key, change);
            }
            counts.capped = capped.min(MAX_COUNT);
            counts.keep_greatest(signal.max_keys, |key| {
                matched.keys.iter().any(|own| own == key)
            });
        }
        if signal.keeps_latest || signal.cooldown_nanos.is_some() {
            let last = self.last_counted.entry(signal.name.clone()).or_default();
            *last = at.max(*last);
        }
        self.note_first_times(signal, &matched.keys, at);
        has_begun
    }

    /// Whether a match of this instant is too near to the latest that counted.
    pub(crate) fn cools_down(&self, signal: &Signal, at: Timestamp) -> bool {
        let (Some(cooldown), Some(last)) =
            (signal.cooldown_nanos, self.last_counted.get(&signal.name))
        else {
            return false;
        };
        at.nanos().abs_diff(last.nanos()) < cooldown.unsigned_abs()
    }

    /// Where the count of a slot stands, which is mostly where it stood; or would stand.
    fn place(&self, slot: &Slot, before: Option<CountIndex>) -> Result<CountIndex, CountIndex> {
        let stands = |place: &CountIndex| {
            let group = self.counts.get(place.group);
            group.is_some_and(|group| {
                let count = group.counts.get(place.position);
                group.half_life == slot.half_life
                    && count.is_some_and(|count| count.signal == slot.signal)
            })
        };
        match before.filter(stands) {
            Some(place) => Ok(place),
            None => self.find(slot.half_life, &slot.signal),
        }
    }

    /// Where the count of a signal stands, or would.
    pub(crate) fn find(
        &self,
        half_life: Option<HalfLife>,
        signal: &str,
    ) -> Result<CountIndex, CountIndex> {
        let mut groups = self.counts.iter();
        let group = groups.position(|group| group.half_life >= half_life);
        let group = group.unwrap_or(self.counts.len());
        let own = self.counts.get(group);
        let Some(own) = own.filter(|own| own.half_life == half_life) else {
            return Err(CountIndex { group, position: 0 });
        };
        let place = |position| CountIndex { group, position };
        let found = own
            .counts
            .binary_search_by(|count| count.signal.as_str().cmp(signal));
        found.map(place).map_err(place)
    }

    /// Begins a count, from 0, where it is to stand.
    fn begin(
        &mut self,
        half_life: Option<HalfLife>,
        signal: &str,
        place: CountIndex,
    ) -> CountIndex {
        let group = self.counts.get(place.group);
        if group.is_none_or(|group| group.half_life != half_life) {
            let counts = Vec::new();
            let group = CountGroup { half_life, counts };
            self.counts.insert(place.group, group);
        }
        let count = SignalCount {
            signal: signal.into(),
            value: 0.0,
            keys: Vec::new(),
            capped: 0.0,
        };
        let counts = &mut self.counts[place.group].counts;
        counts.insert(place.position, count);
        place
    }

    /// The count of a signal, which starts from 0.
    pub(crate) fn count_of(
        &mut self,
        half_life: Option<HalfLife>,
        signal: &str,
    ) -> &mut SignalCount {
        let place = self.find(half_life, signal);
        let place = place.unwrap_or_else(|place| self.begin(half_life, signal, place));
        &mut self.counts[place.group].counts[place.position]
    }

    /// The count at a place.
    pub(crate) fn count_at(&self, place: CountIndex) -> &SignalCount {
        &self.counts[place.group].counts[place.position]
    }

    /// What is counted of a signal with a half-life.
    pub fn signal_count(&self, half_life: Option<HalfLife>, signal: &str) -> Option<&SignalCount> {
        let place = self.find(half_life, signal).ok()?;
        Some(self.count_at(place))
    }
}

impl SignalCount {
    /// The count of a key, which starts from 0.
    pub(crate) fn of_key(&mut self, key: &str) -> &mut f64 {
        if key.is_empty() {
            return &mut self.value;
        }
        let keys = &mut self.keys;
        let found = keys.binary_search_by(|count| count.name.as_str().cmp(key));
        let position = found.unwrap_or_else(|position| {
            let name = key.into();
            keys.insert(position, NamedCount { name, value: 0.0 });
            position
        });
        &mut keys[position].value
    }

    /// Drops all keys: those of a model before, when the signal is kept by key no more.
    pub(crate) fn drop_keys(&mut self) {
        self.keep_greatest(0, |_| false);
    }

    /// Drops the smallest keys beyond `most`, the greatest text first of equals, and those that
    /// have just counted last: a new key begins as the smallest, and would never grow. What they
    /// counted stays in the count of the signal.
    pub(crate) fn keep_greatest(&mut self, most: usize, has_counted: impl Fn(&str) -> bool) {
        while self.keys.len() > most {
            let keys = self.keys.iter().enumerate();
            let smallest = keys.min_by(|(_, a), (_, b)| {
                let by_age = has_counted(&a.name).cmp(&has_counted(&b.name));
                let by_value = by_age.then_with(|| a.value.total_cmp(&b.value));
                by_value.then_with(|| b.name.cmp(&a.name))
            });
            let Some((position, _)) = smallest else {
                return;
            };
            self.value += self.keys.remove(position).value;
        }
    }
}
