//! Events in quarantine.

use super::{
    super::bounds::{
        amount, author, check_most, event_type, id_to_text, key, name, origin, subject_id, time,
        topic,
    },
    names_of, texts_of,
};
use crate::{
    proto::record as proto,
    scoring::{HeldEvent, HeldMatch, IdHash, limits::MAX_EVENT_SUBJECTS},
    store::StoreError,
};

pub(super) fn held_to_proto(held: &HeldEvent) -> proto::HeldEvent {
    let matches = held.matches.iter().map(|matched| proto::HeldMatch {
        signal: matched.signal.to_string(),
        value: matched.value,
        keys: texts_of(&matched.keys),
    });
    proto::HeldEvent {
        rule: held.rule.to_string(),
        hash: held.id.0,
        known_by: held.known_by.nanos(),
        time: held.time.nanos(),
        r#type: held.event_type.to_string(),
        matches: matches.collect(),
        topics: texts_of(&held.topics),
        author_id: id_to_text(held.author_id.as_ref()).to_owned(),
        subjects: held
            .subjects
            .iter()
            .map(|subject| subject.as_str().to_owned())
            .collect(),
        origin: id_to_text(held.origin.as_ref()).to_owned(),
    }
}

pub(super) fn held_event(held: proto::HeldEvent) -> Result<HeldEvent, StoreError> {
    check_most(
        "subjects of a held event",
        held.subjects.len(),
        MAX_EVENT_SUBJECTS,
    )?;
    Ok(HeldEvent {
        rule: name(held.rule.into())?,
        id: IdHash(held.hash),
        known_by: time(held.known_by)?,
        time: time(held.time)?,
        event_type: event_type(held.r#type.into())?,
        matches: held
            .matches
            .into_iter()
            .map(|matched| {
                Ok(HeldMatch {
                    signal: name(matched.signal.into())?,
                    value: amount(matched.value)?,
                    keys: names_of(matched.keys, key)?,
                })
            })
            .collect::<Result<_, StoreError>>()?,
        topics: names_of(held.topics, topic)?,
        author_id: (!held.author_id.is_empty())
            .then(|| author(held.author_id.into()))
            .transpose()?,
        subjects: held
            .subjects
            .into_iter()
            .map(|subject| subject_id(subject.into()))
            .collect::<Result<_, _>>()?,
        origin: origin(held.origin.into())?,
    })
}
