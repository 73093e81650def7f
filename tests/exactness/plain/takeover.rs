//! What becomes of counts when another model keeps them with other half-lives.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Counts, Term, World,
    counts::{faded_sum, nanos},
};
use crate::table::Model;

type HalfLife = Option<&'static str>;

/// How far apart two half-lives are, by their ratio; what does not fade is far from all else.
fn distance(one: HalfLife, other: HalfLife) -> f64 {
    match (one, other) {
        (Some(one), Some(other)) => (nanos(one) as f64 / nanos(other) as f64).ln().abs(),
        _ => f64::INFINITY,
    }
}

impl World {
    /// Goes on with another model.
    pub fn adopt(&mut self, model: &Model) {
        self.model = model.clone();
        let kept: Vec<_> = model
            .signals
            .iter()
            .map(|signal| self.half_lives_of(signal))
            .collect();
        for person in self.people.values_mut() {
            for (signal, half_lives) in model.signals.iter().zip(&kept) {
                person
                    .counts
                    .take_over(signal.name, half_lives, person.last_event_time);
            }
        }
    }
}

impl Counts {
    /// Has each count whose half-life is not among these go on with the nearest of those that
    /// are missing, from what it is at an instant. A half-life takes over one count, the nearest.
    fn take_over(&mut self, signal: &'static str, half_lives: &BTreeSet<HalfLife>, at: i64) {
        let counted: BTreeSet<HalfLife> = self.half_lives_of(signal).collect();
        let mut heirs: BTreeMap<HalfLife, HalfLife> = BTreeMap::new();
        for old in counted.difference(half_lives) {
            let by_distance =
                |a: &HalfLife, b: &HalfLife| distance(*old, *a).total_cmp(&distance(*old, *b));
            let missing = half_lives.difference(&counted).copied();
            let Some(nearest) = missing.min_by(by_distance) else {
                continue;
            };
            let taken = heirs.entry(nearest).or_insert(*old);
            if distance(*old, nearest) < distance(*taken, nearest) {
                *taken = *old;
            }
        }
        for (new, old) in heirs {
            for (key, terms) in self.remove((signal, old)) {
                let value = faded_sum(&terms, old, at);
                self.set((signal, new), &key, Term { time: at, value });
            }
            let cut_off = self.remove_cut_off((signal, old));
            let value = faded_sum(&cut_off, old, at);
            self.set_cut_off((signal, new), vec![Term { time: at, value }]);
        }
    }
}
