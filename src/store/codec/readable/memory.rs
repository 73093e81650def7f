//! What a record remembers of events and of effects, which both forms of a record say alike: times,
//! each but the first as the difference to the one before, and hashes; and the pair that was
//! dropped last.

use std::collections::BTreeMap;

use super::super::{
    bounds::{check_ascending, check_lengths, corrupt, origin_id, subject_id, time},
    positions::{Pair, add_origin, add_subject},
};
use crate::{
    proto::record as proto,
    scoring::{EffectMemory, EventMemory, IdHash, RememberedEvent, TypeMark},
    store::StoreError,
};

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
pub(super) fn type_marks_of(memory: &EventMemory) -> Vec<u32> {
    let events = memory.remembered.iter();
    events.map(|event| event.type_mark.0.into()).collect()
}

pub(super) fn horizon_to_proto(horizon: Option<Pair>) -> Option<proto::RememberedEvent> {
    horizon.map(|(time, id)| proto::RememberedEvent {
        time: time.nanos(),
        hash: id.0,
    })
}

/// The memory of events that the six say: for each id that events were sent with and each subject
/// that they counted for, the positions of the events.
pub(super) fn event_memory(
    times: &[i64],
    hashes: &[u64],
    type_marks: &[u32],
    origins: Vec<proto::EventOrigin>,
    subjects: Vec<proto::EventSubject>,
    horizon: Option<proto::RememberedEvent>,
) -> Result<EventMemory, StoreError> {
    check_lengths("types of remembered events", times.len(), type_marks.len())?;
    let pairs = pairs("times of remembered events", times, hashes)?;
    check_ascending(&pairs, |pair| *pair)?;
    // With room for what the record is mostly read for.
    let mut remembered = Vec::with_capacity(pairs.len() + 1);
    for ((time, id), mark) in pairs.into_iter().zip(type_marks) {
        let mark = u8::try_from(*mark)
            .map_err(|_| corrupt("the type of an event takes more than a byte"))?;
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
        let id = origin_id(origin.profile_id.into())?;
        add_origin(&mut memory, &id, &origin.events)?;
    }
    for subject in subjects {
        let id = subject_id(subject.subject_id.into())?;
        add_subject(&mut memory, id, &subject.events)?;
    }
    Ok(memory)
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
