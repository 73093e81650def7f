//! Merges sorted lists that are read piece by piece, each only as far as it is needed.

use std::{cmp::Reverse, collections::BinaryHeap, collections::VecDeque};

/// A merge of the entries of several partitions, least first.
///
/// Before [`Merge::next`] can tell the next entry, every partition of [`Merge::hungry`] must
/// be fed; at the beginning those are all.
pub struct Merge<T> {
    /// The first entry of every partition that has one.
    heads: BinaryHeap<Reverse<(T, usize)>>,
    partitions: Vec<Partition<T>>,
    hungry: Vec<usize>,
}

struct Partition<T> {
    /// What follows its head.
    waiting: VecDeque<T>,
    /// The last entry that it was fed.
    last: Option<T>,
    /// Whether more may follow the last one.
    more: bool,
}

impl<T: Ord + Clone> Merge<T> {
    /// A merge of so many partitions, nothing of which is known.
    pub fn new(partitions: usize) -> Self {
        let unknown = || Partition {
            waiting: VecDeque::new(),
            last: None,
            more: true,
        };
        Self {
            heads: BinaryHeap::with_capacity(partitions),
            partitions: (0..partitions).map(|_| unknown()).collect(),
            hungry: (0..partitions).collect(),
        }
    }

    /// The partitions that must be fed, each with its last entry, after which to go on.
    pub fn hungry(&self) -> impl ExactSizeIterator<Item = (usize, Option<&T>)> {
        self.hungry
            .iter()
            .map(|&number| (number, self.partitions[number].last.as_ref()))
    }

    /// Feeds a hungry partition with what follows its last entry, in ascending order; `more`
    /// tells whether anything may follow the last of these.
    pub fn feed(&mut self, number: usize, entries: Vec<T>, more: bool) {
        let partition = &mut self.partitions[number];
        partition.more = more && !entries.is_empty();
        if let Some(last) = entries.last() {
            partition.last = Some(last.clone());
        }
        partition.waiting = entries.into();
        self.hungry.retain(|&hungry| hungry != number);
        self.promote(number);
    }

    /// The next entry; `None` while a partition is hungry, and at the end.
    pub fn next(&mut self) -> Option<T> {
        if !self.hungry.is_empty() {
            return None;
        }
        let Reverse((entry, number)) = self.heads.pop()?;
        self.promote(number);
        Some(entry)
    }

    fn promote(&mut self, number: usize) {
        let partition = &mut self.partitions[number];
        if let Some(head) = partition.waiting.pop_front() {
            self.heads.push(Reverse((head, number)));
        } else if partition.more {
            self.hungry.push(number);
        }
    }
}

/// How many entries to ask each of so many partitions for, so that `limit` of all are rarely
/// more than the first pieces hold.
pub fn piece(limit: usize, partitions: usize) -> usize {
    let share = limit.div_ceil(partitions.max(1));
    // Twice the deviation of a share of what is spread by a hash.
    (share + 2 * share.isqrt() + 2).min(limit)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Merges lists, feeding pieces of the given sizes in turn; returns what it took and how
    /// many entries were fed.
    fn merged(lists: &[Vec<u32>], sizes: &[usize], limit: usize) -> (Vec<u32>, usize) {
        let mut merge = Merge::new(lists.len());
        let mut sizes = sizes.iter().cycle();
        let (mut taken, mut fed) = (Vec::new(), 0);
        while taken.len() < limit {
            let hungry: Vec<(usize, Option<u32>)> = merge
                .hungry()
                .map(|(number, last)| (number, last.copied()))
                .collect();
            for (number, last) in hungry {
                let rest: Vec<u32> = lists[number]
                    .iter()
                    .copied()
                    .filter(|entry| last.is_none_or(|last| *entry > last))
                    .collect();
                let size = (*sizes.next().unwrap()).min(rest.len());
                fed += size;
                merge.feed(number, rest[..size].to_vec(), size < rest.len());
            }
            match merge.next() {
                Some(entry) => taken.push(entry),
                None if merge.hungry().len() == 0 => break,
                None => {}
            }
        }
        (taken, fed)
    }

    proptest! {
        #[test]
        fn a_merge_equals_sorting_whatever_the_pieces(
            entries in prop::collection::btree_map(0..1_000_u32, 0..5_usize, 0..200),
            sizes in vec(1..7_usize, 1..5),
            limit in 0..250_usize,
        ) {
            let mut lists = vec![Vec::new(); 5];
            for (entry, list) in &entries {
                lists[*list].push(*entry);
            }
            let expected: Vec<u32> = entries.keys().copied().take(limit).collect();
            let (taken, fed) = merged(&lists, &sizes, limit);
            prop_assert_eq!(&taken, &expected);
            // No partition is read further than a piece beyond what was taken of it.
            prop_assert!(fed <= taken.len() + 5 * 6, "{} fed for {}", fed, taken.len());
        }

        #[test]
        fn the_first_pieces_are_never_more_than_the_limit(
            limit in 0..5_000_usize,
            partitions in 1..4_096_usize,
        ) {
            let piece = piece(limit, partitions);
            prop_assert!(piece <= limit);
            prop_assert!(piece * partitions >= limit);
        }
    }

    #[test]
    fn nothing_is_given_while_a_partition_is_hungry() {
        let mut merge = Merge::new(2);
        merge.feed(0, vec![1, 5], false);
        assert_eq!(merge.next(), None);
        merge.feed(1, vec![3], true);
        assert_eq!(merge.next(), Some(1));
        assert_eq!(merge.next(), Some(3));
        assert_eq!(merge.next(), None);
        assert_eq!(merge.hungry().collect::<Vec<_>>(), [(1, Some(&3))]);
        merge.feed(1, vec![], true);
        assert_eq!(merge.next(), Some(5));
        assert_eq!(merge.next(), None);
        assert_eq!(merge.hungry().len(), 0);
    }
}
