//! What a record remembers of the answers to events: changes of stage, matched signals, and values
//! that nobody could find again.

use super::{
    super::{
        bounds::{after, amount, check_most, name, since, stage},
        positions::{cause, cause_at, event_at, position},
    },
    reader::Reader,
    writer::Writer,
};
use crate::{
    scoring::{
        CountedValue, EventMemory, MatchedSignals, Record, StageChange, Timestamp,
        limits::{REMEMBERED_MATCHES, REMEMBERED_STAGE_CHANGES, REMEMBERED_VALUES},
    },
    store::StoreError,
};

pub(super) fn write_answers<'r>(record: &'r Record, writer: &mut Writer<'r>) {
    let memory = &record.memory;
    writer.list(record.stage_changes.iter(), |writer, change| {
        let of_event = change.event().map(|(time, _)| time);
        writer.optional_name(change.from_stage.as_deref().unwrap_or_default());
        writer.optional_name(change.to_stage.as_deref().unwrap_or_default());
        writer.number(u64::from(cause(memory, change.cause)));
        writer.signed(since(
            of_event.unwrap_or(record.last_event_time),
            change.time,
        ));
    });
    writer.list(record.matched.iter(), |writer, matched| {
        writer.number(u64::from(position(memory, matched.event)));
        writer.names(&matched.signals);
    });
    writer.list(record.counted_values.iter(), |writer, counted| {
        writer.number(u64::from(position(memory, counted.event)));
        writer.name(&counted.signal);
        writer.decimal(counted.value);
    });
}

pub(super) type Answers = (Vec<StageChange>, Vec<MatchedSignals>, Vec<CountedValue>);

pub(super) fn read_answers(
    reader: &mut Reader<'_>,
    memory: &EventMemory,
    last: Timestamp,
) -> Result<Answers, StoreError> {
    let stage_changes = reader.list(4, |reader| {
        let from_stage = stage(reader.optional_name()?)?;
        let to_stage = stage(reader.optional_name()?)?;
        let cause = cause_at(memory, reader.small()?)?;
        let mut change = StageChange {
            from_stage,
            to_stage,
            time: last,
            cause,
        };
        let of_event = change.event().map(|(time, _)| time);
        change.time = after(of_event.unwrap_or(last), reader.signed()?)?;
        Ok(change)
    })?;
    check_most(
        "changes of stage",
        stage_changes.len(),
        REMEMBERED_STAGE_CHANGES,
    )?;
    let matched = reader.list(2, |reader| {
        let event = event_at(memory, reader.small()?)?;
        let signals = reader.names(name)?;
        Ok(MatchedSignals { event, signals })
    })?;
    check_most("matched events", matched.len(), REMEMBERED_MATCHES)?;
    let counted_values = reader.list(10, |reader| {
        Ok(CountedValue {
            event: event_at(memory, reader.small()?)?,
            signal: name(reader.name()?)?,
            value: amount(reader.decimal()?)?,
        })
    })?;
    check_most("counted values", counted_values.len(), REMEMBERED_VALUES)?;
    Ok((stage_changes, matched, counted_values))
}
