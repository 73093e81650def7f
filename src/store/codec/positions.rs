//! Positions of remembered events, by which both forms of a record refer to them.

use std::collections::BTreeMap;

use super::bounds::{check_ascending, corrupt};
use crate::{
    scoring::{ChangeCause, EventMemory, IdHash, ProfileId, RememberedEvent, Timestamp},
    store::StoreError,
};

/// What an event or an effect is known by.
pub(super) type Pair = (Timestamp, IdHash);

/// Where a remembered event stands.
pub(super) fn position(memory: &EventMemory, event: Pair) -> u32 {
    let known = &memory.remembered;
    known.partition_point(|known| known.pair() < event) as u32
}

/// The remembered event at a position.
pub(super) fn event_at(memory: &EventMemory, position: u32) -> Result<Pair, StoreError> {
    let event = memory.remembered.get(position as usize);
    let event = event.ok_or_else(|| corrupt("it refers to an event that it does not remember"))?;
    Ok(event.pair())
}

/// 0 for a write, 1 for fading, and two more than the position of an event.
pub(super) fn cause(memory: &EventMemory, cause: ChangeCause) -> u32 {
    match cause {
        ChangeCause::Write(None) => 0,
        ChangeCause::Fading => 1,
        ChangeCause::Write(Some(event)) => position(memory, event) + 2,
    }
}

pub(super) fn cause_at(memory: &EventMemory, position: u32) -> Result<ChangeCause, StoreError> {
    Ok(match position {
        0 => ChangeCause::Write(None),
        1 => ChangeCause::Fading,
        position => ChangeCause::Write(Some(event_at(memory, position - 2)?)),
    })
}

/// The ids that remembered events were sent with, each with the positions of its events.
pub(super) fn origins_of(memory: &EventMemory) -> BTreeMap<&ProfileId, Vec<u32>> {
    let mut origins: BTreeMap<&ProfileId, Vec<u32>> = BTreeMap::new();
    for (event, origin) in &memory.origins {
        origins
            .entry(origin)
            .or_default()
            .push(position(memory, *event));
    }
    origins
}

/// Has a memory know with which id events were sent.
pub(super) fn add_origin(
    memory: &mut EventMemory,
    origin: &ProfileId,
    positions: &[u32],
) -> Result<(), StoreError> {
    for position in positions {
        let event = event_at(memory, *position)?;
        if memory.origins.insert(event, origin.clone()).is_some() {
            return Err(corrupt("it says twice who sent an event"));
        }
    }
    Ok(())
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

/// Has a memory know which events counted for a subject.
pub(super) fn add_subject(
    memory: &mut EventMemory,
    subject: ProfileId,
    positions: &[u32],
) -> Result<(), StoreError> {
    check_ascending(positions, |position| *position)?;
    let events = positions
        .iter()
        .map(|position| event_at(memory, *position))
        .collect::<Result<Vec<Pair>, _>>()?;
    if events.is_empty() || memory.subjects.insert(subject, events).is_some() {
        return Err(corrupt(
            "it names a subject of its events twice, or for none",
        ));
    }
    Ok(())
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
