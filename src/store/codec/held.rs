//! Events in quarantine.

use super::{
    bounds::{amount, author, corrupt, event_type, key, name, time, topic},
    memory::{origin, subject_id},
};
use crate::{
    proto::record as proto,
    scoring::{HeldEvent, HeldMatch, IdHash, ProfileId, limits::MAX_EVENT_SUBJECTS},
    store::StoreError,
};

pub(super) fn held_to_proto(held: &HeldEvent) -> proto::HeldEvent {
    let id_of = |id: &Option<ProfileId>| {
        id.as_ref()
            .map_or_else(String::new, |id| id.as_str().to_owned())
    };
    let matches = held.matches.iter().map(|matched| proto::HeldMatch {
        signal: matched.signal.clone(),
        value: matched.value,
        keys: matched.keys.clone(),
    });
    proto::HeldEvent {
        rule: held.rule.clone(),
        hash: held.id.0,
        known_by: held.known_by.nanos(),
        time: held.time.nanos(),
        r#type: held.event_type.clone(),
        matches: matches.collect(),
        topics: held.topics.clone(),
        author_id: id_of(&held.author_id),
        subjects: held
            .subjects
            .iter()
            .map(|subject| subject.as_str().to_owned())
            .collect(),
        origin: id_of(&held.origin),
    }
}

pub(super) fn held_event(held: proto::HeldEvent) -> Result<HeldEvent, StoreError> {
    if held.subjects.len() > MAX_EVENT_SUBJECTS {
        return Err(corrupt("an event in quarantine has too many subjects"));
    }
    Ok(HeldEvent {
        rule: name(held.rule)?,
        id: IdHash(held.hash),
        known_by: time(held.known_by)?,
        time: time(held.time)?,
        event_type: event_type(held.r#type)?,
        matches: held
            .matches
            .into_iter()
            .map(|matched| {
                Ok(HeldMatch {
                    signal: name(matched.signal)?,
                    value: amount(matched.value)?,
                    keys: matched
                        .keys
                        .into_iter()
                        .map(key)
                        .collect::<Result<_, _>>()?,
                })
            })
            .collect::<Result<_, StoreError>>()?,
        topics: held
            .topics
            .into_iter()
            .map(topic)
            .collect::<Result<_, _>>()?,
        author_id: (!held.author_id.is_empty())
            .then(|| author(&held.author_id))
            .transpose()?,
        subjects: held
            .subjects
            .iter()
            .map(|subject| subject_id(subject))
            .collect::<Result<_, _>>()?,
        origin: origin(&held.origin)?,
    })
}
