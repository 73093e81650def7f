//! What a model is known by: a hash of what its file says, whatever comments, blanks and
//! order of keys. It is the same in every version that gives the file the same meaning, so
//! that servers of two versions agree on the ranks that they share.

use std::fmt;

use toml::de::{DeTable, DeValue};
use xxhash_rust::xxh3::Xxh3;

/// Another one when ranks change that a file did not: their names, their keys, or what
/// stands in them.
const MEANING: u8 = 2;

/// A hash of what a model says. As text, 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl Fingerprint {
    /// The fingerprint of a file.
    pub(crate) fn of(file: &DeTable<'_>) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&[MEANING]);
        feed_table(&mut hash, file);
        Self(hash.digest())
    }
}

/// Every part goes in with its kind and its length, so that no two files read the same.
fn feed(hash: &mut Xxh3, value: &DeValue<'_>) {
    match value {
        DeValue::String(text) => feed_text(hash, b's', text),
        DeValue::Integer(number) => {
            hash.update(&number.radix().to_be_bytes());
            feed_text(hash, b'i', number.as_str());
        }
        DeValue::Float(number) => feed_text(hash, b'f', number.as_str()),
        DeValue::Boolean(boolean) => hash.update(&[b'b', u8::from(*boolean)]),
        DeValue::Datetime(datetime) => feed_text(hash, b'd', &datetime.to_string()),
        DeValue::Array(values) => {
            feed_length(hash, b'a', values.len());
            for value in values.iter() {
                feed(hash, value.get_ref());
            }
        }
        DeValue::Table(table) => feed_table(hash, table),
    }
}

fn feed_table(hash: &mut Xxh3, table: &DeTable<'_>) {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()))
        .collect();
    entries.sort_unstable_by_key(|(key, _): &(&str, _)| *key);
    feed_length(hash, b't', entries.len());
    for (key, value) in entries {
        feed_text(hash, b'k', key);
        feed(hash, value);
    }
}

fn feed_text(hash: &mut Xxh3, kind: u8, text: &str) {
    feed_length(hash, kind, text.len());
    hash.update(text.as_bytes());
}

fn feed_length(hash: &mut Xxh3, kind: u8, length: usize) {
    hash.update(&[kind]);
    hash.update(&(length as u64).to_be_bytes());
}
