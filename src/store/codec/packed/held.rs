//! Events in quarantine.

use super::{
    super::bounds::{
        amount, author, check_most, event_type, id_to_text, key, name, origin, subject_id, time,
        topic,
    },
    reader::Reader,
    writer::Writer,
};
use crate::{
    scoring::{HeldEvent, HeldMatch, IdHash, ProfileId, limits::MAX_EVENT_SUBJECTS},
    store::StoreError,
};

pub(super) fn write_held<'r>(writer: &mut Writer<'r>, held: &'r HeldEvent) {
    writer.name(&held.rule);
    writer.fixed(held.id.0);
    writer.signed(held.known_by.nanos());
    writer.signed(held.time.nanos());
    writer.name(&held.event_type);
    writer.list(held.matches.iter(), |writer, matched| {
        writer.name(&matched.signal);
        writer.decimal(matched.value);
        writer.list(matched.keys.iter(), |writer, key| writer.optional_name(key));
    });
    writer.names(&held.topics);
    writer.optional_name(id_to_text(held.author_id.as_ref()));
    writer.list(held.subjects.iter().map(ProfileId::as_str), Writer::name);
    writer.optional_name(id_to_text(held.origin.as_ref()));
}

pub(super) fn read_held(reader: &mut Reader<'_>) -> Result<HeldEvent, StoreError> {
    let held = HeldEvent {
        rule: name(reader.name()?)?,
        id: IdHash(reader.fixed()?),
        known_by: time(reader.signed()?)?,
        time: time(reader.signed()?)?,
        event_type: event_type(reader.name()?)?,
        matches: reader.list(10, |reader| {
            Ok(HeldMatch {
                signal: name(reader.name()?)?,
                value: amount(reader.decimal()?)?,
                keys: reader.list(1, |reader| key(reader.optional_name()?))?,
            })
        })?,
        topics: reader.names(topic)?,
        author_id: match reader.optional_name()? {
            id if id.is_empty() => None,
            id => Some(author(id)?),
        },
        subjects: reader.list(1, |reader| subject_id(reader.name()?))?,
        origin: origin(reader.optional_name()?)?,
    };
    check_most(
        "subjects of a held event",
        held.subjects.len(),
        MAX_EVENT_SUBJECTS,
    )?;
    Ok(held)
}
