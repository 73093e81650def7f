//! What a record remembers of events and of effects.

use std::collections::BTreeMap;

use super::{
    super::{
        bounds::{after, check_ascending, corrupt, origin_id, since, subject_id, time},
        positions::{
            Pair, add_origin, add_subject, origins_of, positions_of, runs_of, subjects_of,
        },
    },
    reader::Reader,
    writer::Writer,
};
use crate::{
    scoring::{EffectMemory, EventMemory, IdHash, RememberedEvent, Timestamp, TypeMark},
    store::StoreError,
};

/// What times between events are counted in, in nanoseconds: the longest that all are whole
/// numbers of. Most events have times of whole milliseconds or seconds.
const UNITS: [u64; 4] = [1, 1_000, 1_000_000, 1_000_000_000];
/// Bytes of a remembered event and of a remembered effect at least: a time and a hash, and of an
/// event a mark.
const EVENT_BYTES: usize = 10;
const EFFECT_BYTES: usize = 9;

/// The events: the time of the first, the times between, each with the hash and the mark of the
/// event, then who sent them and the subjects that they counted for.
pub(super) fn write_events<'r>(memory: &'r EventMemory, writer: &mut Writer<'r>) {
    let events = &memory.remembered;
    writer.count(events.len());
    if let Some(first) = events.first() {
        let unit = unit_of(events);
        writer.byte(unit as u8);
        // Divided by numbers that the compiler knows, which is several times faster.
        let write = match unit {
            0 => write_pairs::<{ UNITS[0] }>,
            1 => write_pairs::<{ UNITS[1] }>,
            2 => write_pairs::<{ UNITS[2] }>,
            _ => write_pairs::<{ UNITS[3] }>,
        };
        writer.signed(first.time.nanos());
        write(events, writer);
    }
    write_horizon(memory.horizon, writer);
    writer.list(
        origins_of(memory).into_iter(),
        |writer, (origin, events)| {
            writer.name(origin.as_str());
            writer.list(events.iter(), |writer, event| {
                writer.number(u64::from(*event));
            });
        },
    );
    writer.count(memory.subjects.len());
    for (subject, events) in subjects_of(memory) {
        writer.name(subject.as_str());
        writer.list(runs_of(&events).iter(), |writer, run| {
            writer.number(u64::from(*run));
        });
    }
}

fn unit_of(events: &[RememberedEvent]) -> usize {
    let mut unit = UNITS.len() - 1;
    for pair in events.windows(2) {
        let between = nanos_between(&pair[0], &pair[1]);
        while unit > 0 && !between.is_multiple_of(UNITS[unit]) {
            unit -= 1;
        }
    }
    unit
}

/// Events ascend, so no time between two is below 0.
fn nanos_between(first: &RememberedEvent, second: &RememberedEvent) -> u64 {
    second.time.nanos().abs_diff(first.time.nanos())
}

fn write_pairs<const UNIT: u64>(events: &[RememberedEvent], writer: &mut Writer<'_>) {
    let mut previous = &events[0];
    for event in events {
        writer.number(nanos_between(previous, event) / UNIT);
        writer.fixed(event.id.0);
        writer.byte(event.type_mark.0);
        previous = event;
    }
}

pub(super) fn read_events(reader: &mut Reader<'_>) -> Result<EventMemory, StoreError> {
    let count = reader.count(EVENT_BYTES)?;
    // With room for what the record is mostly read for.
    let mut remembered: Vec<RememberedEvent> = Vec::with_capacity(count + 1);
    if count > 0 {
        let unit = UNITS.get(usize::from(reader.byte()?));
        let unit = *unit.ok_or_else(|| corrupt("it counts times in no known unit"))?;
        let mut previous = time(reader.signed()?)?;
        for _ in 0..count {
            previous = later(previous, reader.number()?, unit)?;
            remembered.push(RememberedEvent {
                time: previous,
                id: IdHash(reader.fixed()?),
                type_mark: TypeMark(reader.byte()?),
            });
        }
    }
    check_ascending(&remembered, RememberedEvent::pair)?;
    let mut memory = EventMemory {
        remembered,
        horizon: read_horizon(reader)?,
        origins: BTreeMap::new(),
        subjects: BTreeMap::new(),
    };
    for _ in 0..reader.count(2)? {
        let origin = origin_id(reader.name()?)?;
        let events = reader.list(1, Reader::small)?;
        add_origin(&mut memory, &origin, &events)?;
    }
    for _ in 0..reader.count(2)? {
        let subject = subject_id(reader.name()?)?;
        let runs = reader.list(1, Reader::small)?;
        let events = positions_of(&runs, memory.remembered.len())?;
        reader.refer(events.len() * size_of::<Pair>())?;
        add_subject(&mut memory, subject, &events)?;
    }
    Ok(memory)
}

fn later(from: Timestamp, units: u64, unit: u64) -> Result<Timestamp, StoreError> {
    let nanos = units
        .checked_mul(unit)
        .and_then(|nanos| nanos.try_into().ok());
    let nanos = nanos.and_then(|nanos| from.nanos().checked_add(nanos));
    time(nanos.ok_or_else(|| corrupt("it has an instant beyond the end of time"))?)
}

/// The effects, in order of arrival: the times between, each with the hash of the effect.
pub(super) fn write_effects(memory: &EffectMemory, writer: &mut Writer<'_>) {
    let mut previous = Timestamp::EPOCH;
    writer.list(memory.remembered.iter(), |writer, (time, id)| {
        writer.signed(since(previous, *time));
        writer.fixed(id.0);
        previous = *time;
    });
    write_horizon(memory.horizon, writer);
}

pub(super) fn read_effects(reader: &mut Reader<'_>) -> Result<EffectMemory, StoreError> {
    let mut previous = Timestamp::EPOCH;
    let remembered = reader.list(EFFECT_BYTES, |reader| {
        previous = after(previous, reader.signed()?)?;
        Ok((previous, IdHash(reader.fixed()?)))
    });
    Ok(EffectMemory {
        remembered: remembered?,
        horizon: read_horizon(reader)?,
    })
}

fn write_horizon(horizon: Option<Pair>, writer: &mut Writer<'_>) {
    writer.list(horizon.into_iter(), |writer, (time, id)| {
        writer.signed(time.nanos());
        writer.fixed(id.0);
    });
}

fn read_horizon(reader: &mut Reader<'_>) -> Result<Option<Pair>, StoreError> {
    match reader.byte()? {
        0 => Ok(None),
        1 => Ok(Some((time(reader.signed()?)?, IdHash(reader.fixed()?)))),
        _ => Err(corrupt("it has more than one horizon")),
    }
}
