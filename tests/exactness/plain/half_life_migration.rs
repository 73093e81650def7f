//! What becomes of counts when another model keeps them with other half-lives.

use std::collections::BTreeSet;

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

fn shortest_first<'a>(half_lives: impl Iterator<Item = &'a HalfLife>) -> Vec<HalfLife> {
    let mut half_lives: Vec<HalfLife> = half_lives.copied().collect();
    half_lives.sort_by_key(|half_life| half_life.map(nanos));
    half_lives
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
                    .migrate_half_lives(signal.name, half_lives, person.last_event_time);
            }
        }
    }
}

impl Counts {
    /// Has counts whose half-lives are not among these go on with those of them that are
    /// missing, from what they are at an instant: the nearest first.
    fn migrate_half_lives(
        &mut self,
        signal: &'static str,
        half_lives: &BTreeSet<HalfLife>,
        at: i64,
    ) {
        let counted: BTreeSet<HalfLife> = self.half_lives_of(signal).collect();
        let mut missing = shortest_first(half_lives.difference(&counted));
        let mut old = shortest_first(counted.difference(half_lives));
        let mut heirs = Vec::new();
        while !missing.is_empty() && !old.is_empty() {
            let mut nearest = (old[0], missing[0]);
            for old in &old {
                for new in &missing {
                    if distance(*old, *new) < distance(nearest.0, nearest.1) {
                        nearest = (*old, *new);
                    }
                }
            }
            old.retain(|old| *old != nearest.0);
            missing.retain(|new| *new != nearest.1);
            heirs.push(nearest);
        }
        for (old, new) in heirs {
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
