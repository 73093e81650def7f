//! What becomes of counts when a model changes a half-life: the count of the new one goes on from
//! where the old one stood at the record's reference instant, which no clock moves. A record that
//! is only read is evaluated so; the next write stores it so.

use crate::scoring::{HalfLife, Model, Record, SignalCount, model::SlotId};

/// A count of a record that a model keeps with another half-life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HalfLifeMigration {
    /// The half-life in the record.
    pub from: Option<HalfLife>,
    /// The position in the model of the count that goes on from it.
    pub slot: SlotId,
}

impl HalfLifeMigration {
    /// The counts that move to another half-life under a model: `orphans` are those of the record, by half-life and
    /// signal, that the model has no slot for; `is_kept` says which slots the record has.
    ///
    /// The nearest go together first, of equals the shortest half-lives, until old or new ones
    /// run out: what is left must not be there for another write to move.
    pub(crate) fn of(
        model: &Model,
        orphans: &[(Option<HalfLife>, &str)],
        is_kept: impl Fn(SlotId) -> bool,
    ) -> Vec<Self> {
        let mut possible: Vec<Self> = Vec::new();
        for (from, signal) in orphans {
            let Some(signal) = model.signals_by_name.get(*signal) else {
                continue;
            };
            let slots = model.signals[*signal].slots.iter().copied();
            let missing = slots.filter(|slot| !is_kept(*slot));
            possible.extend(missing.map(|slot| Self { from: *from, slot }));
        }
        possible.sort_by(|a, b| a.distance(model).total_cmp(&b.distance(model)));
        let mut found: Vec<Self> = Vec::new();
        for migration in possible {
            let signal = |migration: &Self| &model.slots[migration.slot].signal;
            let is_taken = found.iter().any(|other| {
                let is_of_one = other.from == migration.from && signal(other) == signal(&migration);
                other.slot == migration.slot || is_of_one
            });
            if !is_taken {
                found.push(migration);
            }
        }
        found
    }

    fn distance(&self, model: &Model) -> f64 {
        distance(self.from, model.slots[self.slot].half_life)
    }

    /// What the record counts in its place.
    pub(crate) fn count<'r>(&self, model: &Model, record: &'r Record) -> Option<&'r SignalCount> {
        record.signal_count(self.from, &model.slots[self.slot].signal)
    }
}

/// How far apart half-lives are, by their ratio; what does not fade is far from all that does.
fn distance(a: Option<HalfLife>, b: Option<HalfLife>) -> f64 {
    match (a, b) {
        (Some(a), Some(b)) => (a.nanos() as f64 / b.nanos() as f64).ln().abs(),
        _ => f64::INFINITY,
    }
}

impl Record {
    /// Stores what moves to another half-life as the model evaluates it.
    pub(crate) fn migrate_half_lives(&mut self, model: &Model, migrations: &[HalfLifeMigration]) {
        for migration in migrations {
            let slot = &model.slots[migration.slot];
            let Ok(place) = self.find(migration.from, &slot.signal) else {
                continue;
            };
            let taken = self.counts[place.group].counts.remove(place.position);
            *self.count_of(slot.half_life, &slot.signal) = taken;
        }
        self.counts.retain(|group| !group.counts.is_empty());
    }
}
