//! Who is next where there is not room for everybody: tenants take turns, so that nobody waits for
//! more than one turn of each other one. Pure: the limit is handed in.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use crate::limits::LARGEST_SHARE_OF_A_TENANT;

/// Who waits for how much, and who holds how much.
#[derive(Debug)]
pub struct Turns<K, W> {
    in_work: usize,
    waiting: usize,
    lines: HashMap<K, Line<W>>,
    /// The tenants that wait, the next one first.
    order: VecDeque<K>,
}

#[derive(Debug)]
struct Line<W> {
    in_work: usize,
    waiting: VecDeque<(usize, W)>,
}

impl<K, W> Default for Turns<K, W> {
    fn default() -> Self {
        Self {
            in_work: 0,
            waiting: 0,
            lines: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Clone + Hash + Eq, W> Turns<K, W> {
    /// How much is in work, and how much waits.
    pub const fn load(&self) -> (usize, usize) {
        (self.in_work, self.waiting)
    }

    /// Takes room without waiting where there is some and nobody waits for it; whether there was.
    pub fn take(&mut self, key: &K, amount: usize, limit: usize) -> bool {
        let held = self.lines.get(key).map_or(0, |line| line.in_work);
        let most_of_one = most_of_one(limit);
        let has_room = fits(self.in_work, amount, limit) && fits(held, amount, most_of_one);
        if !self.order.is_empty() || !has_room {
            return false;
        }
        self.in_work += amount;
        self.line(key).in_work += amount;
        true
    }

    fn line(&mut self, key: &K) -> &mut Line<W> {
        self.lines.entry(key.clone()).or_insert_with(|| Line {
            in_work: 0,
            waiting: VecDeque::new(),
        })
    }

    /// Waits for room; whoever has it now is returned by [`Self::grant`].
    pub fn ask(&mut self, key: &K, amount: usize, waiter: W) {
        let line = self.line(key);
        let is_first = line.waiting.is_empty();
        line.waiting.push_back((amount, waiter));
        if is_first {
            self.order.push_back(key.clone());
        }
        self.waiting += amount;
    }

    /// Gives room back.
    pub fn leave(&mut self, key: &K, amount: usize) {
        self.in_work = self.in_work.saturating_sub(amount);
        if let Some(line) = self.lines.get_mut(key) {
            line.in_work = line.in_work.saturating_sub(amount);
            if line.in_work == 0 && line.waiting.is_empty() {
                self.lines.remove(key);
            }
        }
    }

    /// Whoever has room now, and how much. One tenant alone never takes all of it, so that
    /// another one finds some; what is larger than the limit goes when nothing else is there. Whoever
    /// has gone away is passed over.
    pub fn grant(&mut self, limit: usize, has_gone: impl Fn(&W) -> bool) -> Vec<(K, usize, W)> {
        let most_of_one = most_of_one(limit);
        let mut granted = Vec::new();
        let mut passed_over = 0;
        while passed_over < self.order.len() {
            let Some(key) = self.order.pop_front() else {
                break;
            };
            let Some(line) = self.lines.get_mut(&key) else {
                continue;
            };
            while let Some((amount, waiter)) = line.waiting.front()
                && has_gone(waiter)
            {
                self.waiting -= amount;
                line.waiting.pop_front();
            }
            let Some((amount, _)) = line.waiting.front() else {
                if line.in_work == 0 {
                    self.lines.remove(&key);
                }
                continue;
            };
            let amount = *amount;
            if !fits(self.in_work, amount, limit) {
                // It is the next one, however much it needs.
                self.order.push_front(key);
                break;
            }
            if !fits(line.in_work, amount, most_of_one) {
                self.order.push_back(key);
                passed_over += 1;
                continue;
            }
            let Some((amount, waiter)) = line.waiting.pop_front() else {
                continue;
            };
            self.in_work += amount;
            self.waiting -= amount;
            line.in_work += amount;
            if !line.waiting.is_empty() {
                self.order.push_back(key.clone());
            }
            granted.push((key, amount, waiter));
            passed_over = 0;
        }
        granted
    }
}

/// Whether so much goes beside what is in work: more than the limit does where nothing is.
const fn fits(in_work: usize, amount: usize, limit: usize) -> bool {
    in_work == 0 || in_work.saturating_add(amount) <= limit
}

/// What one tenant may have of so much: another one finds room at once.
const fn most_of_one(limit: usize) -> usize {
    let (part, whole) = LARGEST_SHARE_OF_A_TENANT;
    limit / whole * part + limit % whole * part / whole
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: u32 = 1_000;

    fn granted(turns: &mut Turns<&'static str, u32>, limit: usize) -> Vec<u32> {
        let granted = turns.grant(limit, |waiter| *waiter == GONE).into_iter();
        granted.map(|(_, _, waiter)| waiter).collect()
    }

    #[test]
    fn tenants_take_turns_however_much_one_of_them_asks_for() {
        let mut turns = Turns::default();
        for waiter in 0..100 {
            turns.ask(&"loud", 10, waiter);
        }
        turns.ask(&"quiet", 10, 900);
        turns.ask(&"quiet", 10, 901);
        assert_eq!(granted(&mut turns, 40), [0, 900, 1, 901]);
        turns.leave(&"quiet", 10);
        turns.ask(&"quiet", 10, 902);
        assert_eq!(granted(&mut turns, 40), [2]);
        turns.leave(&"loud", 10);
        assert_eq!(granted(&mut turns, 40), [902]);
    }

    #[test]
    fn one_tenant_leaves_room_for_another_one() {
        let mut turns = Turns::default();
        for waiter in 0..100 {
            turns.ask(&"loud", 10, waiter);
        }
        assert_eq!(granted(&mut turns, 80), [0, 1, 2, 3, 4, 5]);
        turns.ask(&"quiet", 10, 900);
        assert_eq!(granted(&mut turns, 80), [900]);
    }

    #[test]
    fn what_is_larger_than_the_limit_goes_alone_and_is_not_starved() {
        let mut turns = Turns::default();
        turns.ask(&"a", 5, 1);
        turns.ask(&"b", 50, 2);
        turns.ask(&"a", 5, 3);
        assert_eq!(granted(&mut turns, 20), [1]);
        turns.leave(&"a", 5);
        assert_eq!(granted(&mut turns, 20), [2]);
        assert_eq!(granted(&mut turns, 20), [0_u32; 0]);
        turns.leave(&"b", 50);
        assert_eq!(granted(&mut turns, 20), [3]);
        turns.leave(&"a", 5);
        assert!(turns.lines.is_empty() && turns.order.is_empty());
    }

    #[test]
    fn who_has_gone_is_passed_over_and_waits_no_more() {
        let mut turns = Turns::default();
        for waiter in [0, GONE, GONE, 1, GONE] {
            turns.ask(&"a", 10, waiter);
        }
        turns.ask(&"b", 10, GONE);
        assert_eq!(granted(&mut turns, 10), [0]);
        turns.leave(&"a", 10);
        assert_eq!(granted(&mut turns, 10), [1]);
        turns.leave(&"a", 10);
        assert!(granted(&mut turns, 10).is_empty());
        assert_eq!(turns.load(), (0, 0));
        assert!(turns.lines.is_empty() && turns.order.is_empty());
    }
}
