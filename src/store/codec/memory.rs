//! What a record remembers of events and of effects, which both forms of a record say alike: times,
//! each but the first as the difference to the one before, and hashes; and the pair that was
//! dropped last.

use super::bounds::{check_ascending, check_lengths, corrupt, time};
use crate::{
    proto::record as proto,
    scoring::{EffectMemory, EventMemory, IdHash, Timestamp},
    store::StoreError,
};

type Pair = (Timestamp, IdHash);

pub(super) fn times_of(pairs: &[Pair]) -> Vec<i64> {
    let mut previous = 0;
    let times = pairs.iter().map(|(time, _)| time.nanos());
    times
        .map(|time| time - std::mem::replace(&mut previous, time))
        .collect()
}

pub(super) fn hashes_of(pairs: &[Pair]) -> Vec<u64> {
    pairs.iter().map(|(_, id)| id.0).collect()
}

pub(super) fn horizon_to_proto(horizon: Option<Pair>) -> Option<proto::RememberedEvent> {
    horizon.map(|(time, id)| proto::RememberedEvent {
        time: time.nanos(),
        hash: id.0,
    })
}

/// The memory of events that the three say.
pub(super) fn event_memory(
    times: &[i64],
    hashes: &[u64],
    horizon: Option<proto::RememberedEvent>,
) -> Result<EventMemory, StoreError> {
    let remembered = pairs("times of remembered events", times, hashes)?;
    check_ascending(&remembered, |pair| *pair)?;
    Ok(EventMemory {
        remembered,
        horizon: pair(horizon)?,
    })
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
    // With room for what the record is mostly read for.
    let mut pairs = Vec::with_capacity(times.len() + 1);
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
