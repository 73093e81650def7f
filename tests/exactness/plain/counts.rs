//! Counts as they are defined: everything that was added, each faded by its age.

use std::collections::BTreeMap;

use crate::story::HOUR;

/// What is left of a count when something is taken from it, as a share of that, when only
/// rounding left it.
const ROUNDING: f64 = 1e-12;

/// `7d` in nanoseconds.
pub fn nanos(duration: &str) -> i64 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let unit = match unit {
        "m" => HOUR / 60,
        "h" => HOUR,
        "d" => 24 * HOUR,
        other => panic!("no unit {other}"),
    };
    number.parse::<i64>().unwrap() * unit
}

/// What is left at `at` of 1 that came at `time`; all of it without half-life.
pub fn remaining(half_life: Option<&str>, time: i64, at: i64) -> f64 {
    half_life.map_or(1.0, |half_life| {
        (-((at - time) as f64) / nanos(half_life) as f64).exp2()
    })
}

/// Whether anything but rounding is left of a sum without one of its terms.
pub fn is_left(sum: f64, term: f64) -> bool {
    sum - term > sum * ROUNDING
}

/// Something counted: when, and how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    pub time: i64,
    pub value: f64,
}

/// The sum of terms, each faded by its age.
pub fn faded_sum(terms: &[Term], half_life: Option<&str>, at: i64) -> f64 {
    terms
        .iter()
        .map(|term| term.value * remaining(half_life, term.time, at))
        .sum()
}

/// What is counted apart: a signal with a half-life.
pub type Slot = (&'static str, Option<&'static str>);

/// All counts of a person or an account, by signal, half-life and key.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    by_key: BTreeMap<Slot, BTreeMap<String, Vec<Term>>>,
    /// What limits have cut off.
    cut_off: BTreeMap<Slot, Vec<Term>>,
}

impl Counts {
    /// The count of a signal over all keys.
    pub fn sum(&self, slot: Slot, at: i64) -> f64 {
        self.keys(slot, at)
            .into_iter()
            .map(|(_, count)| count)
            .sum()
    }

    /// The counts of a signal by key.
    pub fn keys(&self, slot: Slot, at: i64) -> Vec<(&str, f64)> {
        let keys = self.by_key.get(&slot).into_iter().flatten();
        keys.map(|(key, terms)| (key.as_str(), faded_sum(terms, slot.1, at)))
            .collect()
    }

    /// The half-lives that something of a signal is counted with.
    pub fn half_lives_of(&self, signal: &str) -> impl Iterator<Item = Option<&'static str>> {
        let slots = self.by_key.iter();
        let own = slots.filter(move |((name, _), keys)| *name == signal && !keys.is_empty());
        own.map(|((_, half_life), _)| *half_life)
    }

    /// Has nothing be counted in a slot; what was, by key.
    pub fn remove(&mut self, slot: Slot) -> BTreeMap<String, Vec<Term>> {
        self.by_key.remove(&slot).unwrap_or_default()
    }

    fn one(&self, slot: Slot, key: &str, at: i64) -> f64 {
        let terms = self.by_key.get(&slot).and_then(|keys| keys.get(key));
        terms.map_or(0.0, |terms| faded_sum(terms, slot.1, at))
    }

    fn terms(&mut self, slot: Slot, key: &str) -> &mut Vec<Term> {
        let keys = self.by_key.entry(slot).or_default();
        keys.entry(key.to_owned()).or_default()
    }

    /// What limits have cut off a signal.
    pub fn cut_off(&self, slot: Slot, at: i64) -> f64 {
        let terms = self.cut_off.get(&slot);
        terms.map_or(0.0, |terms| faded_sum(terms, slot.1, at))
    }

    /// Notes that this was cut off, and nothing else.
    pub fn set_cut_off(&mut self, slot: Slot, terms: Vec<Term>) {
        self.cut_off.insert(slot, terms);
    }

    /// Takes away what was cut off.
    pub fn remove_cut_off(&mut self, slot: Slot) -> Vec<Term> {
        self.cut_off.remove(&slot).unwrap_or_default()
    }

    /// Adds a term, and sets the count to the limit when it is above it at `now`. Returns what
    /// the count has gained at `now`.
    pub fn add(&mut self, slot: Slot, key: &str, term: Term, limit: Option<f64>, now: i64) -> f64 {
        let before = self.one(slot, key, now);
        self.terms(slot, key).push(term);
        match limit {
            Some(limit) if self.one(slot, key, now) > limit => {
                let value = self.one(slot, key, now) - limit;
                let cut_off = self.cut_off.entry(slot).or_default();
                cut_off.push(Term { time: now, value });
                self.set(
                    slot,
                    key,
                    Term {
                        time: now,
                        value: limit,
                    },
                );
                limit - before
            }
            _ => term.value * remaining(slot.1, term.time, now),
        }
    }

    /// Has a count be one term, and nothing else.
    pub fn set(&mut self, slot: Slot, key: &str, term: Term) {
        *self.terms(slot, key) = vec![term];
    }

    /// Takes a value from a count at `now`, which nothing leaves below 0; what a key does not
    /// have comes from the keys that were dropped. Returns what was taken.
    pub fn take(&mut self, slot: Slot, key: &str, value: f64, now: i64) -> f64 {
        let before = self.one(slot, key, now);
        let taken = value.min(before);
        if is_left(before, taken) {
            let value = -taken;
            self.terms(slot, key).push(Term { time: now, value });
        } else if let Some(keys) = self.by_key.get_mut(&slot) {
            keys.remove(key);
            if keys.is_empty() {
                self.cut_off.remove(&slot);
            }
        }
        let missing = value - taken;
        if !key.is_empty() && missing > value * ROUNDING {
            return taken + self.take(slot, "", missing, now);
        }
        taken
    }

    /// Drops the smallest keys beyond `most`, of equals the greatest text first, and those that
    /// were just counted last. What they counted goes to the empty key.
    pub fn keep_greatest(&mut self, slot: Slot, most: usize, counted: &[String], now: i64) {
        loop {
            let mut keys = self.keys(slot, now);
            keys.retain(|(key, _)| !key.is_empty());
            if keys.len() <= most {
                return;
            }
            keys.sort_by(|(a, one), (b, other)| {
                let is_counted = |key: &str| counted.iter().any(|own| own == key);
                let by_age = is_counted(a).cmp(&is_counted(b));
                by_age
                    .then_with(|| one.total_cmp(other))
                    .then_with(|| b.cmp(a))
            });
            let smallest = keys[0].0.to_owned();
            let dropped = self
                .by_key
                .get_mut(&slot)
                .and_then(|keys| keys.remove(&smallest));
            self.terms(slot, "").extend(dropped.unwrap());
        }
    }
}
