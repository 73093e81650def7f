//! The journal as the engine writes it, read without the engine, which takes the first thing
//! that it cannot read for the end and cuts off the rest.
//!
//! A journal file is batches one after the other, then zeros. A batch is a start (its number and
//! how many items), items, and an end with a checksum of the items. Numbers grow from batch to
//! batch and from file to file, and no batch begins before the sync of the one before has
//! returned: the engine writes and syncs each under one lock, and takes no more after a failure.
//! So what a crash leaves unfinished has nothing behind it, and an intact batch behind what cannot
//! be read proves damage.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_64;

use super::keys;
use crate::scoring::{ProfileId, Tenant};

const EXTENSION: &str = "jnl";
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const END_OF_BATCH: [u8; 4] = *b"FJL\x03";
/// Where a batch has its number, behind the start and how many items it has.
const NUMBER: Range<usize> = 5..13;
/// A value, and the two ways in which a key is removed.
const KINDS_OF_ITEM: Range<u8> = 0..3;
/// As it is, and packed.
const COMPRESSIONS: Range<u8> = 0..2;
/// The engine keeps greater numbers for itself.
const MAX_NUMBER: u64 = i64::MAX as u64;
/// Bytes read at once.
const READ_BYTES: usize = 1024 * 1024;

/// A file of the journal with what it says, but for the zeros at its end, which the engine puts
/// there in advance.
pub struct Journal {
    /// Which one of the journal's files, ascending.
    pub id: u64,
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// An intact batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where it stands in its file.
    pub range: Range<usize>,
    /// Its number.
    pub number: u64,
}

/// What a file of the journal says, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// An intact batch.
    Batch(Batch),
    /// What is none.
    Unreadable(Range<usize>),
}

impl Part {
    /// Which bytes of the file.
    pub fn range(&self) -> Range<usize> {
        match self {
            Self::Batch(batch) => batch.range.clone(),
            Self::Unreadable(range) => range.clone(),
        }
    }
}

impl Journal {
    /// Every file of the journal in a directory, ascending.
    pub fn all(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut files = Vec::new();
        for entry in directory.read_dir()? {
            let path = entry?.path();
            if is_journal(&path) {
                let id = path
                    .file_stem()
                    .and_then(|name| name.to_str()?.parse().ok());
                files.push((id.ok_or(io::ErrorKind::InvalidFilename)?, path));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Where a file stands in a directory.
    pub fn path(directory: &Path, id: u64) -> PathBuf {
        directory.join(format!("{id}.{EXTENSION}"))
    }

    /// Reads a file.
    pub fn read(id: u64, path: PathBuf) -> io::Result<Self> {
        let bytes = read_without_zeros(&mut File::open(&path)?)?;
        Ok(Self { id, path, bytes })
    }

    /// Where a batch stands next, at an offset or behind it.
    fn next_batch(&self, from: usize) -> Option<Batch> {
        let starts = (from..self.bytes.len()).filter(|at| self.bytes[*at] == START);
        starts.filter_map(|at| batch_at(&self.bytes, at)).next()
    }

    /// What it says, part by part, without a gap.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let next = self.next_batch(at);
            let end_of_gap = next
                .as_ref()
                .map_or(self.bytes.len(), |batch| batch.range.start);
            if at < end_of_gap {
                parts.push(Part::Unreadable(at..end_of_gap));
            }
            at = end_of_gap;
            if let Some(batch) = next {
                at = batch.range.end;
                parts.push(Part::Batch(batch));
            }
        }
        parts
    }

    /// The bytes of a batch, with this number, which its checksum does not cover.
    pub fn numbered(&self, batch: &Batch, number: u64) -> Vec<u8> {
        let mut bytes = self.bytes[batch.range.clone()].to_vec();
        bytes[NUMBER].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// The profiles whose keys can be read in a part of it.
    pub fn profiles(&self, range: Range<usize>) -> Vec<(Tenant, ProfileId)> {
        let bytes = &self.bytes[range];
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let item = item_at(bytes, at);
            let profile = item
                .as_ref()
                .and_then(|item| keys::parse_key(&bytes[item.key.clone()]).ok());
            // What is no item of a profile may hold one.
            at = match (&profile, item) {
                (Some(_), Some(item)) => item.end,
                _ => at + 1,
            };
            found.extend(profile);
        }
        found
    }
}

/// Whether a file of the engine is one of the journal.
pub fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|name| name == EXTENSION)
}

/// The bytes of a file without the zeros at its end.
fn read_without_zeros(file: &mut File) -> io::Result<Vec<u8>> {
    let zeros = vec![0; READ_BYTES];
    let mut chunk = vec![0; READ_BYTES];
    let mut bytes = Vec::new();
    let mut position = 0;
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        if chunk[..count] != zeros[..count] {
            bytes.resize(position, 0);
            bytes.extend_from_slice(&chunk[..count]);
        }
        position += count;
    }
    // The last bytes of a batch are no zeros.
    let end = bytes.iter().rposition(|byte| *byte != 0);
    bytes.truncate(end.map_or(0, |last| last + 1));
    Ok(bytes)
}

/// The batch that begins at an offset, when it is intact.
fn batch_at(bytes: &[u8], start: usize) -> Option<Batch> {
    let mut at = start;
    if take::<1>(bytes, &mut at)? != [START] {
        return None;
    }
    let items = u32::from_le_bytes(take(bytes, &mut at)?);
    let number = u64::from_le_bytes(take(bytes, &mut at)?);
    if items == 0 || number > MAX_NUMBER {
        return None;
    }
    let first = at;
    for _ in 0..items {
        at = match *bytes.get(at)? {
            ITEM => item_at(bytes, at)?.end,
            CLEAR => at.checked_add(1 + size_of::<u64>())?,
            _ => return None,
        };
    }
    let last = at;
    if take::<1>(bytes, &mut at)? != [END] {
        return None;
    }
    let checksum = u64::from_le_bytes(take(bytes, &mut at)?);
    let is_intact =
        take(bytes, &mut at)? == END_OF_BATCH && xxh3_64(&bytes[first..last]) == checksum;
    is_intact.then_some(Batch {
        range: start..at,
        number,
    })
}

/// A key with its value.
struct Item {
    key: Range<usize>,
    end: usize,
}

/// The item that begins at an offset, when there is one.
fn item_at(bytes: &[u8], mut at: usize) -> Option<Item> {
    let [tag, kind, compression] = take(bytes, &mut at)?;
    if tag != ITEM || !KINDS_OF_ITEM.contains(&kind) || !COMPRESSIONS.contains(&compression) {
        return None;
    }
    let _table: [u8; size_of::<u64>()] = take(bytes, &mut at)?;
    let key_bytes = usize::from(u16::from_le_bytes(take(bytes, &mut at)?));
    let _unpacked_bytes: [u8; size_of::<u32>()] = take(bytes, &mut at)?;
    let value_bytes = u32::from_le_bytes(take(bytes, &mut at)?) as usize;
    let key = at..at.checked_add(key_bytes)?;
    let end = key.end.checked_add(value_bytes)?;
    (end <= bytes.len()).then_some(Item { key, end })
}

fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> Option<[u8; N]> {
    let taken = bytes.get(*at..)?.first_chunk::<N>()?;
    *at += N;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// Bytes of every kind that begin something, so that some of them do.
        #[test]
        fn any_bytes_are_taken_apart_without_a_gap(
            bytes in vec(prop_oneof![0..5_u8, any::<u8>()], 0..300)
        ) {
            let journal = Journal { id: 0, path: PathBuf::new(), bytes };
            let mut end = 0;
            for part in journal.parts() {
                let range = part.range();
                prop_assert!(range.start == end && range.end > end);
                end = range.end;
                let _ = journal.profiles(range);
            }
            prop_assert_eq!(end, journal.bytes.len());
        }
    }
}
