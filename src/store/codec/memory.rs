//! What a record remembers of events and of effects, which both forms of a record say alike: times,
//! each but the first as the difference to the one before, and hashes; and the pair that was
//! dropped last.

use std::collections::BTreeMap;

use super::bounds::{check_ascending, check_lengths, corrupt, time};
use crate::{
    proto::record as proto,
    scoring::{EffectMemory, EventMemory, IdHash, ProfileId, RememberedEvent, Timestamp, TypeMark},
    store::StoreError,
};

/// What an event or an effect is known by.
pub(super) type Pair = (Timestamp, IdHash);

/// Events or effects, each by what it is known by.
pub(super) trait Pairs {
    fn pairs(&self) -> impl Iterator<Item = Pair>;

    fn times(&self) -> Vec<i64> {
        let mut previous = 0;
        let times = self.pairs().map(|(time, _)| time.nanos());
        times
            .map(|time| time - std::mem::replace(&mut previous, time))
            .collect()
    }

    fn hashes(&self) -> Vec<u64> {
        self.pairs().map(|(_, id)| id.0).collect()
    }
}

impl Pairs for EventMemory {
    fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.remembered.iter().map(RememberedEvent::pair)
    }
}

impl Pairs for EffectMemory {
    fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.remembered.iter().copied()
    }
}

/// A byte for each remembered event.
pub(super) fn type_marks_of<N: From<u8>>(memory: &EventMemory) -> Vec<N> {
    let events = memory.remembered.iter();
    events.map(|event| event.type_mark.0.into()).collect()
}

/// The ids that remembered events were sent with, each with the positions of its events.
pub(super) fn origins_of(memory: &EventMemory) -> BTreeMap<&ProfileId, Vec<u32>> {
    let mut origins: BTreeMap<&ProfileId, Vec<u32>> = BTreeMap::new();
    for (pair, origin) in &memory.origins {
        let position = memory
            .remembered
            .partition_point(|event| event.pair() < *pair);
        origins.entry(origin).or_default().push(position as u32);
    }
    origins
}

/// The subjects that remembered events counted for, each with the positions of its events.
pub(super) fn subjects_of(memory: &EventMemory) -> impl Iterator<Item = (&ProfileId, Vec<u32>)> {
    memory.subjects.iter().map(|(subject, events)| {
        let mut remembered = memory.remembered.iter().map(RememberedEvent::pair);
        let mut next = 0;
        let positions = events.iter().filter_map(|event| {
            let skipped = remembered.position(|pair| pair == *event)?;
            next += skipped + 1;
            Some((next - 1) as u32)
        });
        (subject, positions.collect())
    })
}

/// Ascending positions as runs: how many are not among them, then how many are, and so on by turns.
pub(super) fn runs_of(positions: &[u32]) -> Vec<u32> {
    let mut runs: Vec<u32> = Vec::new();
    let mut next = 0;
    for position in positions {
        match runs.last_mut() {
            Some(run) if next == *position => *run += 1,
            _ => runs.extend([position - next, 1]),
        }
        next = position + 1;
    }
    runs
}

/// The positions that runs say, all below `end`.
pub(super) fn positions_of(runs: &[u32], end: usize) -> Result<Vec<u32>, StoreError> {
    let mut positions = Vec::new();
    let mut next = 0_u64;
    for (turn, run) in runs.iter().enumerate() {
        let after = next + u64::from(*run);
        if after > end as u64 {
            return Err(corrupt(
                "it has subjects of events that it does not remember",
            ));
        }
        if turn % 2 == 1 {
            positions.extend((next..after).map(|position| position as u32));
        }
        next = after;
    }
    Ok(positions)
}

/// Has a memory know which subjects events counted for, by the positions of the events.
pub(super) fn read_subjects(
    memory: &mut EventMemory,
    subjects: impl Iterator<Item = Result<(String, Vec<u32>), StoreError>>,
) -> Result<(), StoreError> {
    for subject in subjects {
        let (id, positions) = subject?;
        let id = subject_id(&id)?;
        check_ascending(&positions, |position| *position)?;
        let events = positions.iter().map(|position| {
            let event = memory.remembered.get(*position as usize);
            let event = event.map(RememberedEvent::pair);
            event.ok_or_else(|| corrupt("it has subjects of events that it does not remember"))
        });
        let events: Vec<Pair> = events.collect::<Result<_, _>>()?;
        if events.is_empty() || memory.subjects.insert(id, events).is_some() {
            return Err(corrupt(
                "it names a subject of its events twice, or for none",
            ));
        }
    }
    Ok(())
}

/// The id of a subject.
pub(super) fn subject_id(id: &str) -> Result<ProfileId, StoreError> {
    let id = ProfileId::stored(id).filter(|id| !id.is_person());
    id.ok_or_else(|| corrupt("an event counts for a malformed subject"))
}

pub(super) fn horizon_to_proto(horizon: Option<Pair>) -> Option<proto::RememberedEvent> {
    horizon.map(|(time, id)| proto::RememberedEvent {
        time: time.nanos(),
        hash: id.0,
    })
}

/// The memory of events that the five say: for each id that events were sent with, their
/// positions.
pub(super) fn event_memory(
    times: &[i64],
    hashes: &[u64],
    type_marks: impl ExactSizeIterator<Item = Option<u8>>,
    origins: impl Iterator<Item = Result<(String, Vec<u32>), StoreError>>,
    horizon: Option<proto::RememberedEvent>,
) -> Result<EventMemory, StoreError> {
    check_lengths("types of remembered events", times.len(), type_marks.len())?;
    let pairs = pairs("times of remembered events", times, hashes)?;
    check_ascending(&pairs, |pair| *pair)?;
    // With room for what the record is mostly read for.
    let mut remembered = Vec::with_capacity(pairs.len() + 1);
    for ((time, id), mark) in pairs.into_iter().zip(type_marks) {
        let mark = mark.ok_or_else(|| corrupt("the type of an event takes more than a byte"))?;
        remembered.push(RememberedEvent {
            time,
            id,
            type_mark: TypeMark(mark),
        });
    }
    let mut memory = EventMemory {
        remembered,
        horizon: pair(horizon)?,
        origins: BTreeMap::new(),
        subjects: BTreeMap::new(),
    };
    for origin in origins {
        let (id, positions) = origin?;
        let id = origin_id(&id)?;
        for position in positions {
            let event = memory.remembered.get(position as usize);
            let event = event
                .ok_or_else(|| corrupt("it says who sent an event that it does not remember"))?;
            if memory.origins.insert(event.pair(), id.clone()).is_some() {
                return Err(corrupt("it says twice who sent an event"));
            }
        }
    }
    Ok(memory)
}

/// An id that an event was sent with.
pub(super) fn origin_id(id: &str) -> Result<ProfileId, StoreError> {
    ProfileId::new(id).ok_or_else(|| corrupt("an event was sent with a malformed profile id"))
}

/// The same; empty for the id of the record.
pub(super) fn origin(id: &str) -> Result<Option<ProfileId>, StoreError> {
    (!id.is_empty()).then(|| origin_id(id)).transpose()
}

pub(super) fn origin_to_text(origin: Option<&ProfileId>) -> &str {
    origin.map_or("", ProfileId::as_str)
}

/// The memory of effects that the three say, in order of arrival.
pub(super) fn effect_memory(
    times: &[i64],
    hashes: &[u64],
    horizon: Option<proto::RememberedEvent>,
) -> Result<EffectMemory, StoreError> {
    Ok(EffectMemory {
        remembered: pairs("times of remembered effects", times, hashes)?,
        horizon: pair(horizon)?,
    })
}

fn pairs(what: &str, times: &[i64], hashes: &[u64]) -> Result<Vec<Pair>, StoreError> {
    check_lengths(what, times.len(), hashes.len())?;
    let mut previous = 0_i64;
    let mut pairs = Vec::with_capacity(times.len());
    for (&difference, &hash) in times.iter().zip(hashes) {
        let next = previous.checked_add(difference);
        previous =
            next.ok_or_else(|| corrupt(format!("of its {what} one is beyond the end of time")))?;
        pairs.push((time(previous)?, IdHash(hash)));
    }
    Ok(pairs)
}

fn pair(remembered: Option<proto::RememberedEvent>) -> Result<Option<Pair>, StoreError> {
    let pair = remembered.map(|pair| Ok((time(pair.time)?, IdHash(pair.hash))));
    pair.transpose()
}
