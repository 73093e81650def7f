//! Who has had how much lately, so that one who asks for little is never turned away for
//! those who ask for much.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// What is forgotten of it in an interval: half in seven of them.
const KEPT_OF_AN_INTERVAL: f64 = 0.9;
/// Who has had less than this is forgotten.
const FORGOTTEN: f64 = 0.1;

/// What everybody holds, and has had lately.
#[derive(Clone, Debug)]
pub struct Shares<K> {
    holders: HashMap<K, Holder>,
    recent: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Holder {
    held: usize,
    recent: f64,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self {
            holders: HashMap::new(),
            recent: 0.0,
        }
    }
}

impl<K: Hash + Eq> Shares<K> {
    /// Gives one.
    pub fn give(&mut self, key: K) {
        let holder = self.holders.entry(key).or_default();
        holder.held += 1;
        holder.recent += 1.0;
        self.recent += 1.0;
    }

    /// Takes one back.
    pub fn take_back<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(holder) = self.holders.get_mut(key) {
            holder.held = holder.held.saturating_sub(1);
        }
    }

    /// Whether somebody has had less than half of an equal share lately, and holds no more
    /// than an equal share of `limit`. Never so when everybody has had about as much.
    pub fn is_below<Q: Hash + Eq + ?Sized>(&self, key: &Q, limit: usize) -> bool
    where
        K: Borrow<Q>,
    {
        let (holder, others) = match self.holders.get(key) {
            Some(holder) => (*holder, self.holders.len() - 1),
            None => (Holder::default(), self.holders.len()),
        };
        let all = others + 1;
        let share = (limit / all).max(1);
        holder.held < share && 2.0 * holder.recent * (all as f64) < self.recent
    }

    /// How many are known to have had something lately.
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// Whether somebody is known to have had something lately.
    pub fn knows(&self, key: &K) -> bool {
        self.holders.contains_key(key)
    }

    /// Fades what was given, and forgets who has nothing.
    pub fn end_interval(&mut self) {
        self.recent = 0.0;
        for holder in self.holders.values_mut() {
            holder.recent *= KEPT_OF_AN_INTERVAL;
            self.recent += holder.recent;
        }
        self.holders
            .retain(|_, holder| holder.held > 0 || holder.recent >= FORGOTTEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_little_is_below_and_equals_are_not() {
        let mut shares = Shares::default();
        for _ in 0..1_000 {
            for loud in 0..4 {
                shares.give(loud);
                shares.take_back(&loud);
            }
        }
        for loud in 0..4 {
            assert!(!shares.is_below(&loud, 64));
        }
        assert!(shares.is_below(&9, 64), "somebody new");
        for _ in 0..100 {
            shares.give(9);
            shares.take_back(&9);
        }
        assert!(shares.is_below(&9, 64));
        for _ in 0..900 {
            shares.give(9);
            shares.take_back(&9);
        }
        assert!(!shares.is_below(&9, 64));
    }

    #[test]
    fn who_holds_an_equal_share_has_enough() {
        let mut shares = Shares::default();
        for _ in 0..1_000 {
            shares.give("loud");
        }
        for _ in 0..5 {
            assert!(shares.is_below("quiet", 10));
            shares.give("quiet");
        }
        assert!(!shares.is_below("quiet", 10));
        shares.take_back("quiet");
        assert!(shares.is_below("quiet", 10));
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let mut shares = Shares::default();
        for _ in 0..1_000 {
            shares.give(1);
            shares.take_back(&1);
        }
        shares.give(2);
        for _ in 0..200 {
            shares.end_interval();
        }
        assert!(!shares.knows(&1));
        assert!(shares.knows(&2), "it still holds something");
    }
}
