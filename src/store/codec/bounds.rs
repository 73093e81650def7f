//! What a stored record may say: whatever else is refused.

use crate::{
    scoring::{
        EffectKind, HalfLife, Name, ProfileId, Timestamp, Touch,
        limits::{MAX_COUNT, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_TAG_BYTES, MAX_TYPE_BYTES},
    },
    store::StoreError,
};

/// Zero is of counts that do not fade.
pub(super) fn half_life(nanos: i64) -> Result<Option<HalfLife>, StoreError> {
    match nanos {
        0 => Ok(None),
        nanos => HalfLife::from_nanos(nanos)
            .map(Some)
            .ok_or_else(|| corrupt(format!("{nanos} ns is no half-life"))),
    }
}

pub(super) fn check_touches(touches: &[Touch]) -> Result<(), StoreError> {
    if touches.is_sorted_by_key(|touch| touch.time) {
        Ok(())
    } else {
        Err(corrupt("its touches are not in order"))
    }
}

fn person(id: Name) -> Option<ProfileId> {
    ProfileId::stored(id).filter(ProfileId::is_person)
}

pub(super) fn author(id: Name) -> Result<ProfileId, StoreError> {
    person(id).ok_or_else(|| corrupt("it was touched by a malformed profile id"))
}

/// An id that an event was sent with.
pub(super) fn origin_id(id: Name) -> Result<ProfileId, StoreError> {
    person(id).ok_or_else(|| corrupt("an event was sent with a malformed profile id"))
}

/// The same; empty for the id of the record.
pub(super) fn origin(id: Name) -> Result<Option<ProfileId>, StoreError> {
    (!id.is_empty()).then(|| origin_id(id)).transpose()
}

/// An id, or nothing.
pub(super) fn id_to_text(id: Option<&ProfileId>) -> &str {
    id.map_or("", ProfileId::as_str)
}

/// The id of a subject.
pub(super) fn subject_id(id: Name) -> Result<ProfileId, StoreError> {
    let id = ProfileId::stored(id).filter(|id| !id.is_person());
    id.ok_or_else(|| corrupt("an event counts for a malformed subject"))
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

pub(super) fn name(text: Name) -> Result<Name, StoreError> {
    bounded(text, MAX_NAME_BYTES)
}

pub(super) fn key(text: Name) -> Result<Name, StoreError> {
    if text.is_empty() {
        Ok(text)
    } else {
        bounded(text, MAX_KEY_BYTES)
    }
}

pub(super) fn name_or_empty(text: Name) -> Result<Name, StoreError> {
    if text.is_empty() {
        Ok(text)
    } else {
        name(text)
    }
}

pub(super) fn topic(text: Name) -> Result<Name, StoreError> {
    bounded(text, MAX_TAG_BYTES)
}

pub(super) fn event_type(text: Name) -> Result<Name, StoreError> {
    bounded(text, MAX_TYPE_BYTES)
}

fn bounded(text: Name, max_bytes: usize) -> Result<Name, StoreError> {
    if text.is_empty() || text.len() > max_bytes {
        return Err(corrupt(format!(
            "it has a name of {} bytes; 1 to {max_bytes} are allowed",
            text.len()
        )));
    }
    Ok(text)
}

/// A stage; empty for none.
pub(super) fn stage(text: Name) -> Result<Option<Name>, StoreError> {
    let stage = name_or_empty(text)?;
    Ok((!stage.is_empty()).then_some(stage))
}

/// What an effect adds to touches.
pub(super) fn touches(number: i64) -> Result<i64, StoreError> {
    if (-1..=1).contains(&number) {
        Ok(number)
    } else {
        Err(corrupt(format!("{number} is no touch")))
    }
}

pub(super) fn effect_kind_number(kind: EffectKind) -> u32 {
    match kind {
        EffectKind::Apply => 0,
        EffectKind::Revert => 1,
        EffectKind::Withhold => 2,
    }
}

pub(super) fn effect_kind(number: u32) -> Result<EffectKind, StoreError> {
    match number {
        0 => Ok(EffectKind::Apply),
        1 => Ok(EffectKind::Revert),
        2 => Ok(EffectKind::Withhold),
        other => Err(corrupt(format!("{other} is no kind of effect"))),
    }
}

pub(super) fn check_most(what: &str, count: usize, most: usize) -> Result<(), StoreError> {
    if count > most {
        return Err(corrupt(format!(
            "it has {count} {what}; at most {most} are kept"
        )));
    }
    Ok(())
}

/// A count or a credit.
pub(super) fn amount(value: f64) -> Result<f64, StoreError> {
    if (0.0..=MAX_COUNT).contains(&value) {
        Ok(value + 0.0)
    } else {
        Err(corrupt(format!("{value} is no count")))
    }
}

/// What is added to a count or a credit, or taken from it.
pub(super) fn amount_or_below(value: f64) -> Result<f64, StoreError> {
    amount(value.abs())?;
    Ok(value + 0.0)
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

/// Nanoseconds from one instant to another.
pub(super) fn since(from: Timestamp, time: Timestamp) -> i64 {
    time.nanos() - from.nanos()
}

/// The instant that is so many nanoseconds after another.
pub(super) fn after(from: Timestamp, difference: i64) -> Result<Timestamp, StoreError> {
    let nanos = from.nanos().checked_add(difference);
    time(nanos.ok_or_else(|| corrupt("it has an instant beyond the end of time"))?)
}
