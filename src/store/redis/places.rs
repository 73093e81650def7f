//! The ranks that a script is given, each once.

use std::collections::HashMap;

use crate::scoring::RankName;

/// The distinct ranks of a call, by their places among its keys.
#[derive(Default)]
pub struct Places<'a> {
    places: HashMap<(u64, &'a RankName), usize>,
    pub ranks: Vec<(u64, &'a RankName)>,
}

impl<'a> Places<'a> {
    pub fn add(&mut self, generation: u64, rank: &'a RankName) {
        let rank = (generation, rank);
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.places.entry(rank) {
            self.ranks.push(rank);
            vacant.insert(self.ranks.len());
        }
    }

    /// From 1; 0 when it was not added.
    pub fn place(&self, generation: u64, rank: &'a RankName) -> usize {
        self.places.get(&(generation, rank)).copied().unwrap_or(0)
    }
}
