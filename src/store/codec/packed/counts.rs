//! Counts of signals, and what counts once.

use super::{
    super::bounds::{after, amount, check_ascending, corrupt, event_type, key, name, since, topic},
    reader::Reader,
    writer::Writer,
};
use crate::{
    scoring::{
        CountGroup, CountedKeys, IdHash, Name, NamedCount, SeenType, SignalCount, Timestamp,
    },
    store::StoreError,
};

/// Whether a limit has kept anything of a count from counting: the lowest bit of what tells how
/// many keys it has.
const IS_CAPPED: usize = 1;
/// Bytes of a count at least: a name and a value.
const COUNT_BYTES: usize = 9;

pub(super) fn write_group<'r>(writer: &mut Writer<'r>, group: &'r CountGroup) {
    writer.half_life(group.half_life);
    writer.list(group.counts.iter(), |writer, count| {
        let is_capped = count.capped != 0.0;
        writer.name(&count.signal);
        writer.decimal(count.value);
        writer.count(count.keys.len() << 1 | usize::from(is_capped));
        for key in &count.keys {
            write_named(writer, key);
        }
        if is_capped {
            writer.decimal(count.capped);
        }
    });
}

pub(super) fn read_group(reader: &mut Reader<'_>) -> Result<CountGroup, StoreError> {
    let half_life = reader.half_life()?;
    let counts = reader.list(COUNT_BYTES, read_count)?;
    check_ascending(&counts, |count| count.signal.as_str())?;
    Ok(CountGroup { half_life, counts })
}

fn read_count(reader: &mut Reader<'_>) -> Result<SignalCount, StoreError> {
    let signal = name(reader.name()?)?;
    let value = amount(reader.decimal()?)?;
    let told = reader.count(1)?;
    let mut keys = Vec::new();
    for _ in 0..told >> 1 {
        keys.push(read_named(reader, key)?);
    }
    check_ascending(&keys, |key: &NamedCount| key.name.as_str())?;
    let capped = match told & IS_CAPPED {
        0 => 0.0,
        _ => amount(reader.decimal()?)?,
    };
    Ok(SignalCount {
        signal,
        value,
        keys,
        capped,
    })
}

fn write_named<'r>(writer: &mut Writer<'r>, count: &'r NamedCount) {
    writer.name(&count.name);
    writer.decimal(count.value);
}

fn read_named(
    reader: &mut Reader<'_>,
    check: fn(Name) -> Result<Name, StoreError>,
) -> Result<NamedCount, StoreError> {
    Ok(NamedCount {
        name: check(reader.name()?)?,
        value: amount(reader.decimal()?)?,
    })
}

pub(super) fn write_interests<'r>(interests: &'r [NamedCount], writer: &mut Writer<'r>) {
    writer.list(interests.iter(), write_named);
}

pub(super) fn read_interests(reader: &mut Reader<'_>) -> Result<Vec<NamedCount>, StoreError> {
    let interests = reader.list(COUNT_BYTES, |reader| read_named(reader, topic))?;
    check_ascending(&interests, |interest| interest.name.as_str())?;
    Ok(interests)
}

pub(super) fn write_seen_types<'r>(seen: &'r [SeenType], writer: &mut Writer<'r>) {
    writer.list(seen.iter(), |writer, seen| {
        writer.name(&seen.name);
        writer.number(u64::from(seen.count));
    });
}

pub(super) fn read_seen_types(reader: &mut Reader<'_>) -> Result<Vec<SeenType>, StoreError> {
    let seen = reader.list(2, |reader| {
        let name = event_type(reader.name()?)?;
        match reader.small()? {
            0 => Err(corrupt("an event type was seen 0 times")),
            count => Ok(SeenType { name, count }),
        }
    })?;
    check_ascending(&seen, |seen| seen.name.as_str())?;
    Ok(seen)
}

/// Keys that count once, with their times from an instant on.
pub(super) fn write_counted_keys(keys: &CountedKeys, last: Timestamp, writer: &mut Writer<'_>) {
    writer.list(keys.iter(), |writer, (key, time)| {
        writer.fixed(key.0);
        writer.signed(since(last, *time));
    });
}

pub(super) fn read_counted_keys(
    reader: &mut Reader<'_>,
    last: Timestamp,
) -> Result<CountedKeys, StoreError> {
    let keys = reader.list(COUNT_BYTES, |reader| {
        let key = IdHash(reader.fixed()?);
        Ok((key, after(last, reader.signed()?)?))
    })?;
    check_ascending(&keys, |(key, _)| *key)?;
    Ok(keys.into_iter().collect())
}
