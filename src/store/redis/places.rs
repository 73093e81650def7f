//! The ranks that a script is given, each once.

use rustc_hash::FxHashMap;

use crate::scoring::RankName;

/// The distinct ranks of a call, by their places among its keys.
#[derive(Default)]
pub struct Places<'a> {
    places: FxHashMap<(u64, &'a RankName), usize>,
    pub ranks: Vec<(u64, &'a RankName)>,
}

impl<'a> Places<'a> {
    /// The place of a rank, from 1.
    pub fn of(&mut self, generation: u64, rank: &'a RankName) -> usize {
        let rank = (generation, rank);
        *self.places.entry(rank).or_insert_with(|| {
            self.ranks.push(rank);
            self.ranks.len()
        })
    }
}
