//! The remembered events, which both forms of a record say alike: times as differences, and hashes.

use super::bounds::{check_ascending, check_lengths, corrupt, time};
use crate::{
    proto::record as proto,
    scoring::{EventMemory, IdHash, Timestamp},
    store::StoreError,
};

pub(super) fn event_times(memory: &EventMemory) -> Vec<i64> {
    let mut previous = 0;
    let times = memory.remembered.iter().map(|(time, _)| time.nanos());
    times
        .map(|time| time - std::mem::replace(&mut previous, time))
        .collect()
}

pub(super) fn event_hashes(memory: &EventMemory) -> Vec<u64> {
    memory.remembered.iter().map(|(_, id)| id.0).collect()
}

pub(super) fn horizon_to_proto(memory: &EventMemory) -> Option<proto::RememberedEvent> {
    memory.horizon.map(|(time, id)| proto::RememberedEvent {
        time: time.nanos(),
        hash: id.0,
    })
}

/// The memory of what the three say.
pub(super) fn memory(
    times: &[i64],
    hashes: &[u64],
    horizon: Option<proto::RememberedEvent>,
) -> Result<EventMemory, StoreError> {
    let horizon = horizon.map(|event| Ok((time(event.time)?, IdHash(event.hash))));
    Ok(EventMemory {
        remembered: remembered(times, hashes)?,
        horizon: horizon.transpose()?,
    })
}

fn remembered(times: &[i64], hashes: &[u64]) -> Result<Vec<(Timestamp, IdHash)>, StoreError> {
    check_lengths("times of remembered events", times.len(), hashes.len())?;
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
