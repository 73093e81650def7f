//! What a record remembers of the answers to events: changes of stage, matched signals, and values
//! that nobody could find again. All refer to a remembered event by its position.

use super::{
    super::{
        bounds::{amount, check_most, name, stage, time},
        positions::{cause, cause_at, event_at, position},
    },
    names_of, texts_of,
};
use crate::{
    proto::record as proto,
    scoring::{
        CountedValue, EventMemory, MatchedSignals, Name, Record, StageChange,
        limits::{REMEMBERED_MATCHES, REMEMBERED_STAGE_CHANGES, REMEMBERED_VALUES},
    },
    store::StoreError,
};

fn text_of(stage: Option<&Name>) -> String {
    stage.map(Name::to_string).unwrap_or_default()
}

pub(super) fn stage_changes_to_proto(record: &Record) -> Vec<proto::StageChange> {
    let changes = record.stage_changes.iter();
    let changes = changes.map(|change| proto::StageChange {
        from_stage: text_of(change.from_stage.as_ref()),
        to_stage: text_of(change.to_stage.as_ref()),
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
            from_stage: stage(change.from_stage.into())?,
            to_stage: stage(change.to_stage.into())?,
            time: time(change.time)?,
            cause: cause_at(memory, change.cause)?,
        })
    });
    changes.collect()
}

pub(super) fn matched_to_proto(record: &Record) -> Vec<proto::MatchedSignals> {
    let matched = record.matched.iter();
    let matched = matched.map(|matched| proto::MatchedSignals {
        remembered: position(&record.memory, matched.event),
        signals: texts_of(&matched.signals),
    });
    matched.collect()
}

pub(super) fn matched(
    matched: Vec<proto::MatchedSignals>,
    memory: &EventMemory,
) -> Result<Vec<MatchedSignals>, StoreError> {
    check_most("matched events", matched.len(), REMEMBERED_MATCHES)?;
    let matched = matched.into_iter().map(|matched| {
        Ok(MatchedSignals {
            event: event_at(memory, matched.remembered)?,
            signals: names_of(matched.signals, name)?,
        })
    });
    matched.collect()
}

pub(super) fn counted_values_to_proto(record: &Record) -> Vec<proto::CountedValue> {
    let counted = record.counted_values.iter();
    let counted = counted.map(|counted| proto::CountedValue {
        remembered: position(&record.memory, counted.event),
        signal: counted.signal.to_string(),
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
            signal: name(counted.signal.into())?,
            value: amount(counted.value)?,
        })
    });
    counted.collect()
}
