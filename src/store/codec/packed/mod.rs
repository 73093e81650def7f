//! Records as they are stored: their parts in one order, each name once. What stands beside each
//! other here is written and read in the same steps, so that a part that is added is added twice.

mod answers;
mod attributes;
mod counts;
mod effects;
mod held;
mod memory;
mod reader;
mod writer;

use std::collections::BTreeMap;

use self::{
    answers::{read_answers, write_answers},
    attributes::{read_attributes, write_attributes},
    counts::{
        read_counted_keys, read_group, read_interests, read_seen_types, write_counted_keys,
        write_group, write_interests, write_seen_types,
    },
    effects::{
        read_caused, read_influence, read_touches, write_caused, write_influence, write_touches,
    },
    held::{read_held, write_held},
    memory::{read_effects, read_events, write_effects, write_events},
    reader::Reader,
    writer::Writer,
};
use super::{
    FORMAT, FORMAT_TAG,
    bounds::{after, check_ascending, corrupt, name, since},
};
use crate::{
    scoring::{EventMemory, Incarnation, Name, Record, RememberedEvent, Timestamp},
    store::StoreError,
};

const WAS_STATED: u8 = 1;
const HAS_FORGOTTEN_CAUSED: u8 = 2;

/// Bytes of a group of counts at least: its half-life, and how many counts it has.
const GROUP_BYTES: usize = 2;
/// Bytes of an event in quarantine at least: a hash, and nine parts of a byte or more.
const HELD_BYTES: usize = 17;

/// Some bytes, and behind them those of a record, which begin with the number of their format.
pub(super) fn pack(before: &[u8], record: &Record) -> Vec<u8> {
    let mut writer = Writer::after(before);
    let last = record.last_event_time;
    writer.byte(FORMAT_TAG);
    writer.byte(FORMAT as u8);
    writer.fixed(record.incarnation.0);
    let was_stated = u8::from(record.was_stated) * WAS_STATED;
    let has_forgotten = u8::from(record.has_forgotten_caused) * HAS_FORGOTTEN_CAUSED;
    writer.byte(was_stated | has_forgotten);
    writer.number(record.event_count);
    write_events(&record.memory, &mut writer);
    let (earliest, latest) = ends(&record.memory);
    writer.signed(since(earliest, record.first_seen_time));
    writer.signed(since(latest, last));
    write_attributes(&record.attributes, &mut writer);
    writer.list(record.counts.iter(), write_group);
    write_seen_types(&record.seen_types, &mut writer);
    write_interests(&record.interests, &mut writer);
    writer.list(record.last_counted.iter(), |writer, (signal, time)| {
        writer.name(signal);
        writer.signed(since(last, *time));
    });
    writer.list(record.counted_keys.iter(), |writer, (signal, keys)| {
        writer.name(signal);
        write_counted_keys(keys, last, writer);
    });
    write_touches(record, &mut writer);
    writer.names(&record.reached_stages);
    writer.list(record.kept_stages.iter(), |writer, (score, stage)| {
        writer.name(score);
        writer.name(stage);
    });
    write_answers(record, &mut writer);
    write_effects(&record.effects, &mut writer);
    write_caused(record, &mut writer);
    write_influence(record, &mut writer);
    writer.list(record.quarantine.iter(), write_held);
    writer.into_bytes()
}

/// The record of bytes that follow the number of the format; [`StoreError::Corrupt`] when they
/// are not one.
pub(super) fn unpack(bytes: &[u8]) -> Result<Record, StoreError> {
    let mut reader = Reader::new(bytes);
    let mut record = Record {
        incarnation: Incarnation(reader.fixed()?),
        ..Record::default()
    };
    let flags = reader.byte()?;
    if flags & !(WAS_STATED | HAS_FORGOTTEN_CAUSED) != 0 {
        return Err(corrupt(format!("it has unknown flags: {flags}")));
    }
    record.was_stated = flags & WAS_STATED != 0;
    record.has_forgotten_caused = flags & HAS_FORGOTTEN_CAUSED != 0;
    record.event_count = reader.number()?;
    record.memory = read_events(&mut reader)?;
    let (earliest, latest) = ends(&record.memory);
    record.first_seen_time = after(earliest, reader.signed()?)?;
    record.last_event_time = after(latest, reader.signed()?)?;
    let last = record.last_event_time;
    if record.first_seen_time > last {
        return Err(corrupt("its first event is later than its last"));
    }
    record.attributes = read_attributes(&mut reader)?;
    record.counts = reader.list(GROUP_BYTES, read_group)?;
    check_ascending(&record.counts, |group| group.half_life)?;
    record.seen_types = read_seen_types(&mut reader)?;
    record.interests = read_interests(&mut reader)?;
    record.last_counted = read_by_name(&mut reader, |reader| after(last, reader.signed()?))?;
    record.counted_keys = read_by_name(&mut reader, |reader| read_counted_keys(reader, last))?;
    record.touches = read_touches(&mut reader, &record)?;
    record.reached_stages = reader.names(name)?;
    record.kept_stages = read_by_name(&mut reader, |reader| name(reader.name()?))?;
    (record.stage_changes, record.matched, record.counted_values) =
        read_answers(&mut reader, &record.memory, last)?;
    record.effects = read_effects(&mut reader)?;
    record.caused = read_caused(&mut reader, last)?;
    (record.influence_time, record.influence) = read_influence(&mut reader, last)?;
    record.quarantine = reader.list(HELD_BYTES, read_held)?;
    reader.finish()?;
    Ok(record)
}

/// Entries of a signal or a score each, ascending by its name.
fn read_by_name<T>(
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, StoreError>,
) -> Result<BTreeMap<Name, T>, StoreError> {
    let entries = reader.list(2, |reader| Ok((name(reader.name()?)?, read(reader)?)))?;
    check_ascending(&entries, |(name, _)| name.as_str())?;
    Ok(entries.into_iter().collect())
}

/// The times of the first and of the last remembered event.
fn ends(memory: &EventMemory) -> (Timestamp, Timestamp) {
    let time = |event: Option<&RememberedEvent>| event.map_or(Timestamp::EPOCH, |event| event.time);
    (
        time(memory.remembered.first()),
        time(memory.remembered.last()),
    )
}
