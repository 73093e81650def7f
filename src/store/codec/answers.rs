//! What a record remembers of the answers to events: changes of stage, matched signals, and values
//! that nobody could find again. All refer to a remembered event by its position.

use super::{
    bounds::{after, amount, check_lengths, corrupt, name, name_or_empty, paired, since, time},
    memory::Pair,
    names::{NamesRead, NamesWritten},
};
use crate::{
    proto::record as proto,
    scoring::{
        ChangeCause, CountedValue, EventMemory, MatchedSignals, Record, StageChange, Timestamp,
        limits::{REMEMBERED_MATCHES, REMEMBERED_STAGE_CHANGES, REMEMBERED_VALUES},
    },
    store::StoreError,
};

fn check_most(what: &str, count: usize, most: usize) -> Result<(), StoreError> {
    if count > most {
        return Err(corrupt(format!(
            "it has {count} {what}; at most {most} are kept"
        )));
    }
    Ok(())
}

fn position(memory: &EventMemory, event: Pair) -> u32 {
    memory
        .remembered
        .partition_point(|known| known.pair() < event) as u32
}

fn event_at(memory: &EventMemory, position: u32) -> Result<Pair, StoreError> {
    let event = memory.remembered.get(position as usize);
    let event = event.ok_or_else(|| corrupt("it answered an event that it does not remember"))?;
    Ok(event.pair())
}

/// 0 for a write, 1 for fading, and two more than the position of an event.
fn cause(memory: &EventMemory, cause: ChangeCause) -> u32 {
    match cause {
        ChangeCause::Write(None) => 0,
        ChangeCause::Fading => 1,
        ChangeCause::Write(Some(event)) => position(memory, event) + 2,
    }
}

fn cause_at(memory: &EventMemory, position: u32) -> Result<ChangeCause, StoreError> {
    Ok(match position {
        0 => ChangeCause::Write(None),
        1 => ChangeCause::Fading,
        position => ChangeCause::Write(Some(event_at(memory, position - 2)?)),
    })
}

fn stage(name: String) -> Result<Option<String>, StoreError> {
    let name = name_or_empty(name)?;
    Ok((!name.is_empty()).then_some(name))
}

fn name_of(stage: &Option<String>) -> &str {
    stage.as_deref().unwrap_or_default()
}

pub(super) fn pack_stage_changes<'r>(
    record: &'r Record,
    names: &mut NamesWritten<'r>,
) -> Option<proto::PackedStageChanges> {
    let changes = &record.stage_changes;
    let times = changes.iter().map(|change| {
        let event = change.event();
        since(
            event.map_or(record.last_event_time, |(time, _)| time),
            change.time,
        )
    });
    let causes = changes
        .iter()
        .map(|change| cause(&record.memory, change.cause));
    let mut stages = |of: fn(&StageChange) -> &Option<String>| {
        let stages = changes.iter().map(|change| name_of(of(change)));
        stages.map(|stage| names.optional(stage)).collect()
    };
    (!changes.is_empty()).then(|| proto::PackedStageChanges {
        from_stages: stages(|change| &change.from_stage),
        to_stages: stages(|change| &change.to_stage),
        causes: causes.collect(),
        times: times.collect(),
    })
}

pub(super) fn unpack_stage_changes(
    packed: Option<&proto::PackedStageChanges>,
    memory: &EventMemory,
    last: Timestamp,
    names: &NamesRead<'_>,
) -> Result<Vec<StageChange>, StoreError> {
    let Some(packed) = packed else {
        return Ok(Vec::new());
    };
    check_most(
        "changes of stage",
        packed.times.len(),
        REMEMBERED_STAGE_CHANGES,
    )?;
    let stages = paired("stages", &packed.from_stages, &packed.to_stages)?;
    let causes = paired("changes of stage", &packed.causes, &packed.times)?;
    check_lengths(
        "changes of stage",
        packed.causes.len(),
        packed.to_stages.len(),
    )?;
    let changes = stages
        .zip(causes)
        .map(|((from_stage, to_stage), (cause, time))| {
            let mut change = StageChange {
                from_stage: stage(names.optional(*from_stage)?)?,
                to_stage: stage(names.optional(*to_stage)?)?,
                time: last,
                cause: cause_at(memory, *cause)?,
            };
            change.time = after(change.event().map_or(last, |(time, _)| time), *time)?;
            Ok(change)
        });
    changes.collect()
}

pub(super) fn stage_changes_to_proto(record: &Record) -> Vec<proto::StageChange> {
    let changes = record.stage_changes.iter();
    let changes = changes.map(|change| proto::StageChange {
        from_stage: name_of(&change.from_stage).to_owned(),
        to_stage: name_of(&change.to_stage).to_owned(),
        time: change.time.nanos(),
        cause: cause(&record.memory, change.cause),
    });
    changes.collect()
}

pub(super) fn stage_changes(
    changes: Vec<proto::StageChange>,
    memory: &EventMemory,
) -> Result<Vec<StageChange>, StoreError> {
    check_most("changes of stage", changes.len(), REMEMBERED_STAGE_CHANGES)?;
    let changes = changes.into_iter().map(|change| {
        Ok(StageChange {
            from_stage: stage(change.from_stage)?,
            to_stage: stage(change.to_stage)?,
            time: time(change.time)?,
            cause: cause_at(memory, change.cause)?,
        })
    });
    changes.collect()
}

pub(super) fn pack_matched<'r>(
    record: &'r Record,
    names: &mut NamesWritten<'r>,
) -> Option<proto::PackedMatchedSignals> {
    let matched = &record.matched;
    let events = matched.iter().map(|of| position(&record.memory, of.event));
    let signals = matched.iter().flat_map(|of| &of.signals);
    let has_several = matched.iter().any(|of| of.signals.len() != 1);
    let counts = matched.iter().filter(|_| has_several);
    (!matched.is_empty()).then(|| proto::PackedMatchedSignals {
        events: events.collect(),
        signal_counts: counts.map(|of| of.signals.len() as u32).collect(),
        signals: names.positions(signals.map(String::as_str)),
    })
}

pub(super) fn unpack_matched(
    packed: Option<&proto::PackedMatchedSignals>,
    memory: &EventMemory,
    names: &NamesRead<'_>,
) -> Result<Vec<MatchedSignals>, StoreError> {
    let Some(packed) = packed else {
        return Ok(Vec::new());
    };
    check_most("matched events", packed.events.len(), REMEMBERED_MATCHES)?;
    let mut rest = packed.signals.as_slice();
    let mut matched = Vec::with_capacity(packed.events.len());
    if !packed.signal_counts.is_empty() {
        check_lengths(
            "matched events",
            packed.events.len(),
            packed.signal_counts.len(),
        )?;
    }
    let mut counts = packed.signal_counts.iter();
    for event in &packed.events {
        let count = counts.next().map_or(1, |count| *count as usize);
        let own = rest.split_off(..count);
        let own = own.ok_or_else(|| corrupt("it lacks a matched signal"))?;
        let signals = own.iter().map(|position| name(names.at(*position)?));
        matched.push(MatchedSignals {
            event: event_at(memory, *event)?,
            signals: signals.collect::<Result<_, StoreError>>()?,
        });
    }
    if rest.is_empty() {
        Ok(matched)
    } else {
        Err(corrupt("it has matched signals of no event"))
    }
}

pub(super) fn matched_to_proto(record: &Record) -> Vec<proto::MatchedSignals> {
    let matched = record.matched.iter();
    let matched = matched.map(|matched| proto::MatchedSignals {
        remembered: position(&record.memory, matched.event),
        signals: matched.signals.clone(),
    });
    matched.collect()
}

pub(super) fn matched(
    matched: Vec<proto::MatchedSignals>,
    memory: &EventMemory,
) -> Result<Vec<MatchedSignals>, StoreError> {
    check_most("matched events", matched.len(), REMEMBERED_MATCHES)?;
    let matched = matched.into_iter().map(|matched| {
        let signals = matched.signals.into_iter().map(name);
        Ok(MatchedSignals {
            event: event_at(memory, matched.remembered)?,
            signals: signals.collect::<Result<_, StoreError>>()?,
        })
    });
    matched.collect()
}

pub(super) fn pack_counted_values<'r>(
    record: &'r Record,
    names: &mut NamesWritten<'r>,
) -> Option<proto::PackedCountedValues> {
    let counted = &record.counted_values;
    let events = counted.iter().map(|of| position(&record.memory, of.event));
    let signals = counted.iter().map(|of| of.signal.as_str());
    (!counted.is_empty()).then(|| proto::PackedCountedValues {
        events: events.collect(),
        signals: names.positions(signals),
        values: counted.iter().map(|of| of.value).collect(),
    })
}

pub(super) fn unpack_counted_values(
    packed: Option<&proto::PackedCountedValues>,
    memory: &EventMemory,
    names: &NamesRead<'_>,
) -> Result<Vec<CountedValue>, StoreError> {
    let Some(packed) = packed else {
        return Ok(Vec::new());
    };
    check_most("counted values", packed.events.len(), REMEMBERED_VALUES)?;
    check_lengths("counted values", packed.events.len(), packed.values.len())?;
    let counted = paired("counted values", &packed.events, &packed.signals)?.zip(&packed.values);
    let counted = counted.map(|((event, signal), value)| {
        Ok(CountedValue {
            event: event_at(memory, *event)?,
            signal: name(names.at(*signal)?)?,
            value: amount(*value)?,
        })
    });
    counted.collect()
}

pub(super) fn counted_values_to_proto(record: &Record) -> Vec<proto::CountedValue> {
    let counted = record.counted_values.iter();
    let counted = counted.map(|counted| proto::CountedValue {
        remembered: position(&record.memory, counted.event),
        signal: counted.signal.clone(),
        value: counted.value,
    });
    counted.collect()
}

pub(super) fn counted_values(
    counted: Vec<proto::CountedValue>,
    memory: &EventMemory,
) -> Result<Vec<CountedValue>, StoreError> {
    check_most("counted values", counted.len(), REMEMBERED_VALUES)?;
    let counted = counted.into_iter().map(|counted| {
        Ok(CountedValue {
            event: event_at(memory, counted.remembered)?,
            signal: name(counted.signal)?,
            value: amount(counted.value)?,
        })
    });
    counted.collect()
}
