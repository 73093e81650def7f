//! The entries of one rank in page order: the greatest key first, equals by profile id. They lie
//! in chunks, one behind the other, so that an entry is found, counted, added and taken away in
//! a few steps and takes little more than its twelve bytes.

use std::ops::Range;

use super::ids::{IdNumber, Ids};
use crate::scoring::{KeyRange, RankKey};

/// Entries of a chunk at most: then it is split in two. Few chunks are soon counted, and short ones
/// soon moved apart. Tests split more often.
const MAX_CHUNK: usize = if cfg!(test) { 32 } else { 1_024 };
/// Entries of a chunk that is built at once, which leaves room for others.
const BUILT_CHUNK: usize = MAX_CHUNK / 4 * 3;
/// Entries that a full chunk gets room for at a time.
const ROOM: usize = MAX_CHUNK / 32;

/// Entries in page order.
#[derive(Default)]
pub struct Rank {
    /// None is empty.
    chunks: Vec<Chunk>,
    /// How many entries stand before each chunk.
    starts: Vec<usize>,
}

/// Keys and ids of entries, apart so that nothing lies between them.
#[derive(Default)]
struct Chunk {
    keys: Vec<RankKey>,
    ids: Vec<IdNumber>,
}

/// A place in page order, whether an entry stands there or not.
#[derive(Clone, Copy)]
pub struct Place<'i> {
    key: RankKey,
    /// `None` stands behind every profile of the key.
    profile_id: Option<&'i str>,
}

impl<'i> Place<'i> {
    /// That of a profile.
    pub const fn of(key: RankKey, profile_id: &'i str) -> Self {
        Self {
            key,
            profile_id: Some(profile_id),
        }
    }

    /// The one behind every profile of a key.
    pub const fn end_of(key: RankKey) -> Self {
        Self {
            key,
            profile_id: None,
        }
    }
}

/// Where an entry lies: the chunk, and the position in it.
type Seat = (usize, usize);

impl Rank {
    /// The rank of these entries, which are in page order.
    pub fn of(entries: &[(RankKey, IdNumber)]) -> Self {
        let chunks = entries.chunks(BUILT_CHUNK).map(|entries| Chunk {
            keys: entries.iter().map(|(key, _)| *key).collect(),
            ids: entries.iter().map(|(_, id)| *id).collect(),
        });
        Self {
            chunks: chunks.collect(),
            starts: (0..entries.len()).step_by(BUILT_CHUNK).collect(),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let last = self.chunks.last().zip(self.starts.last());
        last.map_or(0, |(chunk, start)| start + chunk.keys.len())
    }

    /// The numbers of the ids of all entries, some at a time.
    pub fn ids(&self) -> impl Iterator<Item = &[IdNumber]> {
        self.chunks.iter().map(|chunk| chunk.ids.as_slice())
    }

    /// Adds an entry. Returns whether it was missing.
    pub fn insert(&mut self, key: RankKey, id: IdNumber, ids: &Ids) -> bool {
        let place = Place::of(key, ids.text(id));
        let (mut chunk, mut position) = self.seek(&place, ids);
        if self.is_at((chunk, position), &place, ids) {
            return false;
        }
        if chunk == self.chunks.len() {
            // Behind all others.
            match chunk.checked_sub(1) {
                Some(last) => (chunk, position) = (last, self.chunks[last].keys.len()),
                None => {
                    self.chunks.push(Chunk::default());
                    self.starts.push(0);
                }
            }
        }
        self.chunks[chunk].insert(position, key, id);
        for start in &mut self.starts[chunk + 1..] {
            *start += 1;
        }
        if self.chunks[chunk].keys.len() > MAX_CHUNK {
            let second = self.chunks[chunk].split_off_half();
            let start = self.starts[chunk] + self.chunks[chunk].keys.len();
            self.chunks.insert(chunk + 1, second);
            self.starts.insert(chunk + 1, start);
        }
        true
    }

    /// Takes an entry away. Returns the number that its id had, when it was there.
    pub fn remove(&mut self, place: &Place<'_>, ids: &Ids) -> Option<IdNumber> {
        let (chunk, position) = self.seek(place, ids);
        if !self.is_at((chunk, position), place, ids) {
            return None;
        }
        let id = self.chunks[chunk].remove(position);
        for start in &mut self.starts[chunk + 1..] {
            *start -= 1;
        }
        // The chunk becomes a part of a neighbour when both are small.
        if !self.unite(chunk)
            && let Some(before) = chunk.checked_sub(1)
        {
            self.unite(before);
        }
        if self.chunks[0].keys.is_empty() {
            *self = Self::default();
        }
        Some(id)
    }

    /// Makes one of a chunk and the next, unless the half of a full one would not hold them.
    fn unite(&mut self, chunk: usize) -> bool {
        let Some(next) = self.chunks.get(chunk + 1) else {
            return false;
        };
        let lengths = [self.chunks[chunk].keys.len(), next.keys.len()];
        if !lengths.contains(&0) && lengths.iter().sum::<usize>() > MAX_CHUNK / 2 {
            return false;
        }
        let next = self.chunks.remove(chunk + 1);
        self.starts.remove(chunk + 1);
        self.chunks[chunk].append(next);
        true
    }

    /// Where the entries of a range stand.
    pub fn positions(&self, keys: &KeyRange, ids: &Ids) -> Range<usize> {
        let start = keys
            .below
            .map_or(0, |below| self.position_after(&Place::end_of(below), ids));
        let end = self.position_after(&Place::end_of(keys.from), ids);
        start..end.max(start)
    }

    /// How many entries do not stand behind a place.
    pub fn position_after(&self, place: &Place<'_>, ids: &Ids) -> usize {
        let seat = self.seek(place, ids);
        let start = self.starts.get(seat.0);
        let position = start.map_or_else(|| self.len(), |start| start + seat.1);
        position + usize::from(self.is_at(seat, place, ids))
    }

    /// The entries from a position on.
    pub fn entries_from(&self, position: usize) -> impl Iterator<Item = (RankKey, IdNumber)> {
        let first = self.starts.partition_point(|start| *start <= position);
        let first = first.saturating_sub(1);
        let within = position - self.starts.get(first).copied().unwrap_or_default();
        let chunks = self.chunks.iter().skip(first);
        chunks.enumerate().flat_map(move |(index, chunk)| {
            let from = if index == 0 { within } else { 0 };
            let keys = chunk.keys.iter().skip(from);
            keys.copied().zip(chunk.ids.iter().skip(from).copied())
        })
    }

    /// The first entry that does not stand before a place.
    fn seek(&self, place: &Place<'_>, ids: &Ids) -> Seat {
        let chunk = self
            .chunks
            .partition_point(|chunk| chunk.ends_before(place, ids));
        let position = self.chunks.get(chunk);
        (chunk, position.map_or(0, |chunk| chunk.seek(place, ids)))
    }

    fn is_at(&self, (chunk, position): Seat, place: &Place<'_>, ids: &Ids) -> bool {
        let chunk = self.chunks.get(chunk);
        let found = chunk.and_then(|chunk| chunk.keys.get(position).zip(chunk.ids.get(position)));
        found.is_some_and(|(key, id)| *key == place.key && Some(ids.text(*id)) == place.profile_id)
    }
}

impl Chunk {
    fn insert(&mut self, position: usize, key: RankKey, id: IdNumber) {
        // By itself a vector would get room for as many again.
        if self.keys.len() == self.keys.capacity() {
            self.keys.reserve_exact(ROOM);
            self.ids.reserve_exact(ROOM);
        }
        self.keys.insert(position, key);
        self.ids.insert(position, id);
    }

    fn remove(&mut self, position: usize) -> IdNumber {
        self.keys.remove(position);
        let id = self.ids.remove(position);
        let length = self.keys.len();
        if self.keys.capacity() - length > 2 * ROOM {
            self.keys.shrink_to(length + ROOM);
            self.ids.shrink_to(length + ROOM);
        }
        id
    }

    fn append(&mut self, next: Self) {
        self.keys.reserve_exact(next.keys.len() + ROOM);
        self.ids.reserve_exact(next.ids.len() + ROOM);
        self.keys.extend(next.keys);
        self.ids.extend(next.ids);
    }

    fn split_off_half(&mut self) -> Self {
        let half = self.keys.len() / 2;
        let second = Self {
            keys: self.keys.split_off(half),
            ids: self.ids.split_off(half),
        };
        self.keys.shrink_to(half + ROOM);
        self.ids.shrink_to(half + ROOM);
        second
    }

    /// Whether all of it stands before a place.
    fn ends_before(&self, place: &Place<'_>, ids: &Ids) -> bool {
        match (self.keys.last(), self.ids.last()) {
            (Some(key), Some(id)) => match place.profile_id {
                Some(profile_id) if *key == place.key => ids.text(*id) < profile_id,
                None => *key >= place.key,
                Some(_) => *key > place.key,
            },
            _ => true,
        }
    }

    /// The first position that does not stand before a place.
    fn seek(&self, place: &Place<'_>, ids: &Ids) -> usize {
        let start = self.keys.partition_point(|key| *key > place.key);
        let equals = self.keys[start..].partition_point(|key| *key == place.key);
        let equals = &self.ids[start..start + equals];
        let before = place.profile_id.map_or(equals.len(), |profile_id| {
            equals.partition_point(|id| ids.text(*id) < profile_id)
        });
        start + before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few keys and ids, so that many are equal.
    const KEYS: u8 = 5;
    const IDS: u16 = 90;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u16),
        Remove(u8, u16),
        /// As many as a chunk has, from an id on.
        Fill(u8, u16),
        Empty(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (0..KEYS, 0..IDS).prop_map(|(key, id)| Step::Insert(key, id)),
            8 => (0..KEYS, 0..IDS).prop_map(|(key, id)| Step::Remove(key, id)),
            1 => (0..KEYS, 0..IDS).prop_map(|(key, id)| Step::Fill(key, id)),
            1 => (0..KEYS).prop_map(Step::Empty),
        ];
        prop::collection::vec(step, 0..60)
    }

    fn key(number: u8) -> RankKey {
        match number {
            0 => RankKey::NO_POINTS,
            number => RankKey::new(f64::from(number) - 2.5).unwrap(),
        }
    }

    fn id(number: u16) -> String {
        format!("p{number:04}")
    }

    /// A rank beside the entries that it should have, in page order.
    #[derive(Default)]
    struct Compared {
        rank: Rank,
        ids: Ids,
        model: Vec<(RankKey, String)>,
    }

    fn order(entry: &(RankKey, String)) -> (std::cmp::Reverse<RankKey>, &str) {
        (std::cmp::Reverse(entry.0), &entry.1)
    }

    impl Compared {
        fn insert(&mut self, entry: (RankKey, String)) {
            let number = self.ids.add(&entry.1).unwrap();
            let is_new = self.rank.insert(entry.0, number, &self.ids);
            match self
                .model
                .binary_search_by(|other| order(other).cmp(&order(&entry)))
            {
                Ok(_) => assert!(!is_new),
                Err(position) => {
                    assert!(is_new);
                    self.model.insert(position, entry);
                }
            }
        }

        fn remove(&mut self, entry: &(RankKey, String)) {
            let place = Place::of(entry.0, &entry.1);
            let removed = self.rank.remove(&place, &self.ids);
            match self
                .model
                .binary_search_by(|other| order(other).cmp(&order(entry)))
            {
                Ok(position) => {
                    assert_eq!(self.ids.text(removed.unwrap()), entry.1);
                    self.model.remove(position);
                }
                Err(_) => assert_eq!(removed, None),
            }
        }

        fn take(&mut self, step: &Step) {
            match *step {
                Step::Insert(number, profile) => self.insert((key(number), id(profile))),
                Step::Remove(number, profile) => self.remove(&(key(number), id(profile))),
                Step::Fill(number, first) => {
                    for profile in first..first + MAX_CHUNK as u16 {
                        self.insert((key(number), id(profile)));
                    }
                }
                Step::Empty(number) => {
                    let entries = self.model.clone().into_iter();
                    for entry in entries.filter(|entry| entry.0 == key(number)) {
                        self.remove(&entry);
                    }
                }
            }
        }

        fn check(&self) {
            let named = |(key, number)| (key, self.ids.text(number).to_owned());
            assert_eq!(self.rank.len(), self.model.len());
            for position in [0, 1, self.model.len() / 2, self.model.len()] {
                let entries: Vec<_> = self.rank.entries_from(position).map(named).collect();
                assert_eq!(entries, self.model.get(position..).unwrap_or_default());
            }
            let sizes: Vec<usize> = self.rank.ids().map(<[IdNumber]>::len).collect();
            assert!(sizes.iter().all(|size| (1..=MAX_CHUNK).contains(size)));
            let pairs = sizes.windows(2).map(|pair| pair.iter().sum::<usize>());
            assert!(
                pairs.min().is_none_or(|both| both > MAX_CHUNK / 2),
                "{sizes:?}"
            );
        }

        fn check_places(&self, profile: u16) {
            for number in 0..KEYS {
                let (key, id) = (key(number), id(profile));
                let before = |other: &&(RankKey, String)| order(other) <= order(&(key, id.clone()));
                let expected = self.model.iter().filter(before).count();
                let position = self.rank.position_after(&Place::of(key, &id), &self.ids);
                assert_eq!(position, expected);
                let expected = self.model.iter().filter(|entry| entry.0 >= key).count();
                let position = self.rank.position_after(&Place::end_of(key), &self.ids);
                assert_eq!(position, expected);
            }
        }
    }

    proptest! {
        #[test]
        fn a_rank_is_a_sorted_list(steps in steps(), profile in 0..IDS) {
            let mut compared = Compared::default();
            for step in &steps {
                compared.take(step);
            }
            compared.check();
            compared.check_places(profile);
        }

        #[test]
        fn a_rank_that_is_built_at_once_goes_on_as_any(
            count in 0..3 * MAX_CHUNK as u16,
            steps in steps(),
            profile in 0..IDS,
        ) {
            let mut compared = Compared::default();
            let mut entries = Vec::new();
            for number in 0..count {
                let entry = (key((number % u16::from(KEYS)) as u8), id(number));
                entries.push((entry.0, compared.ids.add(&entry.1).unwrap()));
                compared.model.push(entry);
            }
            entries.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
            compared.model.sort_by(|one, other| order(one).cmp(&order(other)));
            compared.rank = Rank::of(&entries);
            compared.check();
            for step in &steps {
                compared.take(step);
            }
            compared.check();
            compared.check_places(profile);
        }
    }
}
