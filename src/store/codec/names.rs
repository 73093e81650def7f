//! The names of a packed record, each of them once.

use std::cell::Cell;

use rustc_hash::FxHashMap;

use super::{MAX_RECORD_BYTES, bounds::corrupt};
use crate::store::StoreError;

/// Names by their position, while a record is packed.
#[derive(Debug, Default)]
pub(super) struct NamesWritten<'r> {
    positions: FxHashMap<&'r str, u32>,
    pub names: String,
    pub bytes: Vec<u32>,
}

impl<'r> NamesWritten<'r> {
    /// The position of a name, which is added when it is new.
    pub fn position(&mut self, name: &'r str) -> u32 {
        let next = self.bytes.len() as u32;
        let position = *self.positions.entry(name).or_insert(next);
        if position == next {
            self.names.push_str(name);
            self.bytes.push(name.len() as u32);
        }
        position
    }

    /// The positions of several names.
    pub fn positions(&mut self, names: impl IntoIterator<Item = &'r str>) -> Vec<u32> {
        let names = names.into_iter();
        names.map(|name| self.position(name)).collect()
    }

    /// One more than the position of a name; 0 for the empty one.
    pub fn optional(&mut self, name: &'r str) -> u32 {
        match name {
            "" => 0,
            name => self.position(name) + 1,
        }
    }
}

/// What the names that a record refers to may take in memory together: what refers to one takes
/// a byte, and the name many.
const MAX_REFERRED_BYTES: usize = 4 * MAX_RECORD_BYTES;

/// Names by their position, while a packed record is read.
#[derive(Debug)]
pub(super) struct NamesRead<'r> {
    names: Vec<&'r str>,
    referred_bytes: Cell<usize>,
}

impl<'r> NamesRead<'r> {
    /// The names that stand one after the other, of so many bytes each.
    pub fn new(names: &'r str, bytes: &[u32]) -> Result<Self, StoreError> {
        let mut rest = names;
        let mut found = Vec::with_capacity(bytes.len().min(names.len()));
        for length in bytes {
            let (name, others) = rest
                .split_at_checked(*length as usize)
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| corrupt(format!("it has no name of {length} bytes")))?;
            found.push(name);
            rest = others;
        }
        if rest.is_empty() {
            Ok(Self {
                names: found,
                referred_bytes: Cell::new(0),
            })
        } else {
            Err(corrupt("its names have no end"))
        }
    }

    /// The name at a position.
    pub fn at(&self, position: u32) -> Result<String, StoreError> {
        let count = self.names.len();
        let name = self.names.get(position as usize);
        let name =
            name.ok_or_else(|| corrupt(format!("it refers to name {position} of {count}")))?;
        let bytes = self.referred_bytes.get() + size_of::<String>() + name.len();
        self.referred_bytes.set(bytes);
        if bytes > MAX_REFERRED_BYTES {
            return Err(corrupt("it refers to more names than any record has"));
        }
        Ok((*name).to_owned())
    }

    /// The name at one less than a position; the empty one at 0.
    pub fn optional(&self, position: u32) -> Result<String, StoreError> {
        match position.checked_sub(1) {
            None => Ok(String::new()),
            Some(position) => self.at(position),
        }
    }
}
