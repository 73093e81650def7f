//! Names that models or callers make up, as attributes of metrics: so many of them, and the rest
//! together as `other`, so that nobody makes metrics without end.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

const OTHER: &str = "other";

/// The names that are told apart: those that come first.
#[derive(Debug)]
pub(super) struct Names {
    most: usize,
    known: Mutex<BTreeSet<String>>,
}

impl Names {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            known: Mutex::default(),
        }
    }

    /// The name if it is told apart.
    pub(super) fn bounded<'a>(&self, name: &'a str) -> &'a str {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(name) {
            return name;
        }
        if known.len() >= self.most {
            return OTHER;
        }
        known.insert(name.to_owned());
        name
    }
}

/// Counts by such a name and by a column of a closed set, for what happens to every event: a few
/// tens of nanoseconds each, where an instrument with attributes takes one or two hundred.
#[derive(Debug)]
pub(super) struct Tally<const COLUMNS: usize> {
    most: usize,
    named: RwLock<HashMap<String, [AtomicU64; COLUMNS]>>,
    others: [AtomicU64; COLUMNS],
}

impl<const COLUMNS: usize> Tally<COLUMNS> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            named: RwLock::default(),
            others: [const { AtomicU64::new(0) }; COLUMNS],
        }
    }

    /// Counts so many in a column; `None` is nobody's name.
    pub(super) fn count(&self, name: Option<&str>, column: usize, times: u64) {
        let add = |row: &[AtomicU64; COLUMNS]| row[column].fetch_add(times, Ordering::Relaxed);
        let Some(name) = name.filter(|name| *name != OTHER) else {
            add(&self.others);
            return;
        };
        let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = named.get(name) {
            add(row);
            return;
        }
        let is_full = named.len() >= self.most;
        drop(named);
        if is_full {
            add(&self.others);
            return;
        }
        let mut named = self.named.write().unwrap_or_else(PoisonError::into_inner);
        let row = if named.len() < self.most || named.contains_key(name) {
            named
                .entry(name.to_owned())
                .or_insert_with(|| [const { AtomicU64::new(0) }; COLUMNS])
        } else {
            &self.others
        };
        add(row);
    }

    /// Tells every count that is not 0.
    pub(super) fn each(&self, mut tell: impl FnMut(&str, usize, u64)) {
        let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
        let named = named.iter().map(|(name, row)| (name.as_str(), row));
        for (name, row) in named.chain([(OTHER, &self.others)]) {
            for (column, count) in row.iter().enumerate() {
                match count.load(Ordering::Relaxed) {
                    0 => {}
                    count => tell(name, column, count),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_one() {
        let names = Names::new(100);
        for number in 0..100 {
            let name = number.to_string();
            assert_eq!(names.bounded(&name), name);
        }
        assert_eq!(names.bounded("one more"), "other");
        assert_eq!(names.bounded("7"), "7");
    }

    #[test]
    fn a_tally_loses_nothing_when_all_threads_make_up_names() {
        let tally = Tally::<2>::new(10);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let tally = &tally;
                scope.spawn(move || {
                    for number in 0..1_000 {
                        tally.count(Some(&format!("{}", number % 50)), thread % 2, 1);
                    }
                    tally.count(None, 0, 1);
                    tally.count(Some("other"), 1, 1);
                });
            }
        });
        let (mut rows, mut total) = (BTreeSet::new(), [0; 2]);
        tally.each(|name, column, count| {
            rows.insert(name.to_owned());
            total[column] += count;
        });
        assert_eq!((rows.len(), total), (11, [2_004, 2_004]));
    }
}
