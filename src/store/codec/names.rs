//! The names of a packed record, each of them once.

use rustc_hash::FxHashMap;

use super::bounds::corrupt;
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

/// Names by their position, while a packed record is read.
#[derive(Debug)]
pub(super) struct NamesRead<'r>(Vec<&'r str>);

impl<'r> NamesRead<'r> {
    /// The names that stand one after the other, of so many bytes each.
    pub fn new(names: &'r str, bytes: &[u32]) -> Result<Self, StoreError> {
        let mut rest = names;
        let mut found = Vec::with_capacity(bytes.len());
        for length in bytes {
            let (name, others) = rest
                .split_at_checked(*length as usize)
                .ok_or_else(|| corrupt(format!("it has no name of {length} bytes")))?;
            found.push(name);
            rest = others;
        }
        if rest.is_empty() {
            Ok(Self(found))
        } else {
            Err(corrupt("its names have no end"))
        }
    }

    /// The name at a position.
    pub fn at(&self, position: u32) -> Result<String, StoreError> {
        let name = self.0.get(position as usize);
        name.map(|name| (*name).to_owned())
            .ok_or_else(|| corrupt(format!("it refers to name {position} of {}", self.0.len())))
    }

    /// The name at one less than a position; the empty one at 0.
    pub fn optional(&self, position: u32) -> Result<String, StoreError> {
        match position.checked_sub(1) {
            None => Ok(String::new()),
            Some(position) => self.at(position),
        }
    }
}
