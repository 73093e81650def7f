//! What a stored record may say: whatever else is refused.

use crate::{
    scoring::{
        IdHash, Timestamp,
        limits::{MAX_COUNT, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_TAG_BYTES, MAX_TYPE_BYTES},
    },
    store::StoreError,
};

pub(super) fn remembered(
    times: &[i64],
    hashes: &[u64],
) -> Result<Vec<(Timestamp, IdHash)>, StoreError> {
    if times.len() != hashes.len() {
        return Err(corrupt(format!(
            "it remembers {} times for {} events",
            times.len(),
            hashes.len()
        )));
    }
    let mut previous = 0_i64;
    // With room for the event that the record is mostly read for.
    let mut pairs = Vec::with_capacity(times.len() + 1);
    for (&difference, &hash) in times.iter().zip(hashes) {
        previous = previous
            .checked_add(difference)
            .ok_or_else(|| corrupt("it remembers an event beyond the end of time"))?;
        pairs.push((time(previous)?, IdHash(hash)));
    }
    check_ascending(&pairs, |pair| *pair)?;
    Ok(pairs)
}

pub(super) fn check_ascending<'a, T, K: PartialOrd>(
    items: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> Result<(), StoreError> {
    if items.is_sorted_by(|first, second| key(first) < key(second)) {
        Ok(())
    } else {
        Err(corrupt("its entries are not in order"))
    }
}

pub(super) fn name(text: String) -> Result<String, StoreError> {
    bounded(text, MAX_NAME_BYTES)
}

pub(super) fn key(text: String) -> Result<String, StoreError> {
    if text.is_empty() {
        Ok(text)
    } else {
        bounded(text, MAX_KEY_BYTES)
    }
}

pub(super) fn name_or_empty(text: String) -> Result<String, StoreError> {
    if text.is_empty() {
        Ok(text)
    } else {
        name(text)
    }
}

pub(super) fn topic(text: String) -> Result<String, StoreError> {
    bounded(text, MAX_TAG_BYTES)
}

pub(super) fn event_type(text: String) -> Result<String, StoreError> {
    bounded(text, MAX_TYPE_BYTES)
}

fn bounded(text: String, max_bytes: usize) -> Result<String, StoreError> {
    if text.is_empty() || text.len() > max_bytes {
        return Err(corrupt(format!(
            "it has a name of {} bytes; 1 to {max_bytes} are allowed",
            text.len()
        )));
    }
    Ok(text)
}

/// A count or a credit.
pub(super) fn amount(value: f64) -> Result<f64, StoreError> {
    if (0.0..=MAX_COUNT).contains(&value) {
        Ok(value + 0.0)
    } else {
        Err(corrupt(format!("{value} is no count")))
    }
}

pub(super) fn time(nanos: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanos(nanos).ok_or_else(|| corrupt("it has an instant before 1970"))
}

pub(super) fn corrupt(reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a record cannot be read: {reason}"))
}

/// Two lists of the same length.
pub(super) fn paired<'a, A, B>(
    what: &str,
    first: &'a [A],
    second: &'a [B],
) -> Result<impl Iterator<Item = (&'a A, &'a B)>, StoreError> {
    check_lengths(what, first.len(), second.len())?;
    Ok(first.iter().zip(second))
}

/// Whether it is told of as many items as are listed.
pub(super) fn check_lengths(what: &str, listed: usize, told: usize) -> Result<(), StoreError> {
    if listed == told {
        Ok(())
    } else {
        Err(corrupt(format!(
            "it lists {listed} {what} and tells of {told}"
        )))
    }
}
