//! The bytes of a packed record, as they are written.
//!
//! Numbers take as many bytes as they need, seven bits in each, the lowest first. A name is written
//! where it stands first, and a number refers to it wherever it stands again.

use rustc_hash::FxHashMap;

use crate::scoring::{HalfLife, Name};

/// What stands for no name, and for one that follows; a greater number less this is the position
/// of a name that was written before.
pub(super) const NO_NAME: u64 = 0;
pub(super) const NEW_NAME: u64 = 1;
pub(super) const FIRST_NAME: u64 = 2;

/// Names of a typical record, and the bytes that it takes.
const NAMES: usize = 32;
const BYTES: usize = 1_024;

/// Bytes that are written one after the other.
pub(super) struct Writer<'r> {
    bytes: Vec<u8>,
    names: FxHashMap<&'r str, u64>,
}

impl<'r> Writer<'r> {
    /// What is written stands behind these bytes.
    pub fn after(before: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(before.len() + BYTES);
        bytes.extend_from_slice(before);
        Self {
            bytes,
            names: FxHashMap::with_capacity_and_hasher(NAMES, Default::default()),
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Eight bytes: a hash, or what is as random.
    pub fn fixed(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// Eight bytes; negative zero becomes zero.
    pub fn decimal(&mut self, number: f64) {
        self.fixed((number + 0.0).to_bits());
    }

    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// A number that may be below 0: small ones of either sign are short.
    pub fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    /// Zero for what does not fade.
    pub fn half_life(&mut self, half_life: Option<HalfLife>) {
        self.number(half_life.map_or(0, HalfLife::nanos).unsigned_abs());
    }

    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A name, which is not empty.
    pub fn name(&mut self, name: &'r str) {
        let next = FIRST_NAME + self.names.len() as u64;
        let position = *self.names.entry(name).or_insert(next);
        if position == next {
            self.number(NEW_NAME);
            self.text(name);
        } else {
            self.number(position);
        }
    }

    /// A name that may be empty.
    pub fn optional_name(&mut self, name: &'r str) {
        match name {
            "" => self.number(NO_NAME),
            name => self.name(name),
        }
    }

    /// How many items there are, and each of them.
    pub fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.count(items.len());
        for item in items {
            write(self, item);
        }
    }

    pub fn names(&mut self, names: &'r [Name]) {
        self.list(names.iter(), |writer, name| writer.name(name));
    }
}
