//! Touches and other effects of a record's own events on others, and what others' events did to it
//! as an author.

use super::{
    super::{
        bounds::{
            after, amount, amount_or_below, author, check_ascending, check_touches, corrupt,
            effect_kind, effect_kind_number, event_type, id_to_text, key, name, name_or_empty,
            origin, since, topic, touches,
        },
        positions::{event_at, position},
    },
    reader::Reader,
    writer::Writer,
};
use crate::{
    scoring::{
        CountDelta, Credit, Effect, IdHash, InfluenceCell, ProfileId, Record, SubjectDelta,
        Timestamp, Touch,
    },
    store::StoreError,
};

/// Touches. One by an event that is remembered refers to it, any other tells what it is known by.
pub(super) fn write_touches<'r>(record: &'r Record, writer: &mut Writer<'r>) {
    writer.list(record.touches.iter(), |writer, touch| {
        match remembered_as(touch, record) {
            Some(position) => writer.number(u64::from(position) + 1),
            None => {
                writer.number(0);
                writer.fixed(touch.event.0);
                writer.signed(since(record.last_event_time, touch.time));
            }
        }
        writer.name(touch.author_id.as_str());
        writer.names(&touch.topics);
        writer.optional_name(&touch.stage);
        writer.decimal(touch.credit);
        writer.optional_name(id_to_text(touch.origin.as_ref()));
    });
}

/// The position of the remembered event that a touch came from.
fn remembered_as(touch: &Touch, record: &Record) -> Option<u32> {
    let first_of_then = position(&record.memory, (touch.time, IdHash(0)));
    let mut of_then = record.memory.remembered[first_of_then as usize..]
        .iter()
        .take_while(|event| event.time == touch.time);
    let found = of_then.position(|event| event.id.at(event.time) == touch.event)?;
    Some(first_of_then + found as u32)
}

pub(super) fn read_touches(
    reader: &mut Reader<'_>,
    record: &Record,
) -> Result<Vec<Touch>, StoreError> {
    let touches = reader.list(13, |reader| {
        let (time, event) = match reader.small()?.checked_sub(1) {
            None => {
                let event = IdHash(reader.fixed()?);
                (after(record.last_event_time, reader.signed()?)?, event)
            }
            Some(position) => {
                let (time, id) = event_at(&record.memory, position)?;
                (time, id.at(time))
            }
        };
        Ok(Touch {
            event,
            time,
            author_id: author(reader.name()?)?,
            topics: reader.names(topic)?,
            stage: name_or_empty(reader.optional_name()?)?,
            credit: amount_or_below(reader.decimal()?)?,
            origin: origin(reader.optional_name()?)?,
        })
    })?;
    check_touches(&touches)?;
    Ok(touches)
}

/// Effects that the record has caused; a subject takes deltas, a person credits.
pub(super) fn write_caused<'r>(record: &'r Record, writer: &mut Writer<'r>) {
    writer.list(record.caused.iter(), |writer, effect| {
        writer.name(effect.subject_id().as_str());
        writer.byte(effect_kind_number(effect.kind()) as u8);
        writer.signed(since(record.last_event_time, effect.time()));
        match effect {
            Effect::SubjectDelta(delta) => {
                writer.fixed(delta.id.0);
                writer.names(&delta.topics);
                writer.name(&delta.event_type);
                writer.list(delta.changes.iter(), |writer, change| {
                    writer.half_life(change.half_life);
                    writer.name(&change.signal);
                    writer.optional_name(&change.key);
                    writer.decimal(change.amount);
                });
            }
            Effect::Credit(credit) => {
                writer.fixed(credit.id.0);
                writer.names(&credit.topics);
                writer.optional_name(&credit.stage);
                writer.decimal(credit.credit);
                writer.signed(credit.touches);
                writer.number(credit.advance_millionths);
            }
        }
    });
}

pub(super) fn read_caused(
    reader: &mut Reader<'_>,
    last: Timestamp,
) -> Result<Vec<Effect>, StoreError> {
    reader.list(14, |reader| {
        let subject_id = ProfileId::stored(reader.name()?);
        let subject_id = subject_id.ok_or_else(|| corrupt("it acted on a malformed id"))?;
        let kind = effect_kind(u32::from(reader.byte()?))?;
        let time = after(last, reader.signed()?)?;
        let id = IdHash(reader.fixed()?);
        let topics = reader.names(topic)?;
        if !subject_id.is_person() {
            return Ok(Effect::SubjectDelta(SubjectDelta {
                id,
                kind,
                subject_id,
                time,
                topics,
                event_type: event_type(reader.name()?)?,
                changes: reader.list(11, read_change)?,
            }));
        }
        Ok(Effect::Credit(Credit {
            id,
            kind,
            author_id: subject_id,
            time,
            topics,
            stage: name_or_empty(reader.optional_name()?)?,
            credit: amount_or_below(reader.decimal()?)?,
            touches: touches(reader.signed()?)?,
            advance_millionths: reader.number()?,
        }))
    })
}

fn read_change(reader: &mut Reader<'_>) -> Result<CountDelta, StoreError> {
    Ok(CountDelta {
        half_life: reader.half_life()?,
        signal: name(reader.name()?)?,
        key: key(reader.optional_name()?)?,
        amount: amount_or_below(reader.decimal()?)?,
    })
}

/// What an author earned, and the instant that it is the value at.
pub(super) fn write_influence<'r>(record: &'r Record, writer: &mut Writer<'r>) {
    let is_author = record.influence_time != Timestamp::EPOCH || !record.influence.is_empty();
    writer.byte(u8::from(is_author));
    if !is_author {
        return;
    }
    writer.signed(since(record.last_event_time, record.influence_time));
    writer.list(record.influence.iter(), |writer, cell| {
        writer.name(&cell.topic);
        writer.optional_name(&cell.stage);
        writer.decimal(cell.credit);
        writer.number(cell.touches);
        writer.number(cell.advance_millionths);
    });
}

pub(super) type Influence = (Timestamp, Vec<InfluenceCell>);

pub(super) fn read_influence(
    reader: &mut Reader<'_>,
    last: Timestamp,
) -> Result<Influence, StoreError> {
    match reader.byte()? {
        0 => return Ok((Timestamp::EPOCH, Vec::new())),
        1 => {}
        other => return Err(corrupt(format!("it has influence {other} times"))),
    }
    let time = after(last, reader.signed()?)?;
    let cells = reader.list(12, |reader| {
        Ok(InfluenceCell {
            topic: topic(reader.name()?)?,
            stage: name_or_empty(reader.optional_name()?)?,
            credit: amount(reader.decimal()?)?,
            touches: reader.number()?,
            advance_millionths: reader.number()?,
        })
    })?;
    check_ascending(&cells, |cell| (cell.topic.as_str(), cell.stage.as_str()))?;
    Ok((time, cells))
}
