//! Counts, the event types that have counted, and the keys that count once.

use super::super::bounds::{
    amount, check_ascending, check_lengths, corrupt, event_type, half_life, key, name, paired,
};
use crate::{
    proto::record as proto,
    scoring::{
        CountGroup, CountedKeys, IdHash, Name, NamedCount, SeenType, SignalCount, Timestamp,
    },
    store::StoreError,
};

/// The keys that have counted, with their times as they are read by `time`.
pub(super) fn counted_keys(
    hashes: &[u64],
    times: &[i64],
    time: impl Fn(i64) -> Result<Timestamp, StoreError>,
) -> Result<CountedKeys, StoreError> {
    check_ascending(hashes, |hash| *hash)?;
    let keys = paired("counted keys", hashes, times)?;
    keys.map(|(hash, at)| Ok((IdHash(*hash), time(*at)?)))
        .collect()
}

pub(super) fn signal_counts_to_proto(
    count: &SignalCount,
) -> impl Iterator<Item = proto::SignalCount> {
    let mut capped = count.capped;
    count.parts().map(move |(key, value)| proto::SignalCount {
        name: count.signal.to_string(),
        value,
        key: key.to_owned(),
        capped: std::mem::take(&mut capped),
    })
}

pub(super) fn named_counts_to_proto(counts: &[NamedCount]) -> Vec<proto::NamedCount> {
    counts
        .iter()
        .map(|count| proto::NamedCount {
            name: count.name.to_string(),
            value: count.value,
        })
        .collect()
}

pub(super) fn count_groups(groups: Vec<proto::CountGroup>) -> Result<Vec<CountGroup>, StoreError> {
    let mut decoded: Vec<CountGroup> = Vec::with_capacity(groups.len());
    for group in groups {
        let half_life = half_life(group.half_life)?;
        let counts = signal_counts(group.counts)?;
        decoded.push(CountGroup { half_life, counts });
    }
    check_ascending(&decoded, |group| group.half_life)?;
    Ok(decoded)
}

pub(super) fn named_counts(
    counts: Vec<proto::NamedCount>,
    name: fn(Name) -> Result<Name, StoreError>,
) -> Result<Vec<NamedCount>, StoreError> {
    check_ascending(&counts, |count| count.name.as_str())?;
    counts
        .into_iter()
        .map(|count| {
            Ok(NamedCount {
                name: name(count.name.into())?,
                value: amount(count.value)?,
            })
        })
        .collect()
}

fn signal_counts(counts: Vec<proto::SignalCount>) -> Result<Vec<SignalCount>, StoreError> {
    check_ascending(&counts, |count| (count.name.as_str(), count.key.as_str()))?;
    let mut decoded: Vec<SignalCount> = Vec::new();
    for count in counts {
        let value = amount(count.value)?;
        if decoded.last().is_none_or(|last| last.signal != *count.name) {
            decoded.push(SignalCount {
                signal: name(count.name.into())?,
                value: 0.0,
                keys: Vec::new(),
                capped: amount(count.capped)?,
            });
        }
        if let Some(last) = decoded.last_mut() {
            match key(count.key.into())? {
                key if key.is_empty() => last.value = value,
                name => last.keys.push(NamedCount { name, value }),
            }
        }
    }
    Ok(decoded)
}

/// The event types that have counted, each at least once.
pub(super) fn seen_types(names: Vec<String>, counts: &[u32]) -> Result<Vec<SeenType>, StoreError> {
    check_lengths("event types", names.len(), counts.len())?;
    let types = names.into_iter().zip(counts);
    types
        .map(|(name, count)| seen_type(name.into(), *count))
        .collect()
}

fn seen_type(name: Name, count: u32) -> Result<SeenType, StoreError> {
    if count == 0 {
        return Err(corrupt("an event type was seen 0 times"));
    }
    Ok(SeenType {
        name: event_type(name)?,
        count,
    })
}
