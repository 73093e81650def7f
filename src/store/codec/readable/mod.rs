//! Records in the form that can be read: what is exported and imported.

mod answers;
mod counts;
mod effects;
mod held;
mod memory;

use pbjson_types::Struct;

use self::{
    answers::{
        counted_values, counted_values_to_proto, matched, matched_to_proto, stage_changes,
        stage_changes_to_proto,
    },
    counts::{
        count_groups, counted_keys, named_counts, named_counts_to_proto, seen_types,
        signal_counts_to_proto,
    },
    effects::{effect, effect_to_proto},
    held::{held_event, held_to_proto},
    memory::{Pairs as _, effect_memory, event_memory, horizon_to_proto, type_marks_of},
};
use super::{
    FORMAT,
    bounds::{
        amount, amount_or_below, author, check_ascending, check_touches, corrupt, id_to_text, name,
        name_or_empty, origin, time, topic,
    },
    check_format,
    positions::{origins_of, subjects_of},
};
use crate::{
    proto::{
        attributes::{from_struct, to_struct},
        record as proto,
    },
    scoring::{
        Attributes, HalfLife, IdHash, Incarnation, InfluenceCell, Name, Record, Timestamp, Touch,
    },
    store::StoreError,
};

/// The form of a record that can be read, for an export.
pub fn to_proto(record: &Record) -> proto::Record {
    proto::Record {
        format: FORMAT,
        incarnation: record.incarnation.0,
        attributes: (!record.attributes.is_empty()).then(|| to_struct(record.attributes.clone())),
        event_count: record.event_count,
        first_seen_time: record.first_seen_time.nanos(),
        last_event_time: record.last_event_time.nanos(),
        counts: record
            .counts
            .iter()
            .map(|group| proto::CountGroup {
                half_life: group.half_life.map_or(0, HalfLife::nanos),
                counts: group
                    .counts
                    .iter()
                    .flat_map(signal_counts_to_proto)
                    .collect(),
            })
            .collect(),
        last_counted: record
            .last_counted
            .iter()
            .map(|(signal, time)| proto::LastCounted {
                signal: signal.to_string(),
                time: time.nanos(),
            })
            .collect(),
        seen_types: record
            .seen_types
            .iter()
            .map(|seen| seen.name.to_string())
            .collect(),
        seen_counts: record.seen_types.iter().map(|seen| seen.count).collect(),
        interests: named_counts_to_proto(&record.interests),
        event_times: record.memory.times(),
        event_hashes: record.memory.hashes(),
        event_type_marks: type_marks_of(&record.memory),
        event_origins: origins_of(&record.memory)
            .into_iter()
            .map(|(origin, events)| proto::EventOrigin {
                profile_id: origin.as_str().to_owned(),
                events,
            })
            .collect(),
        event_subjects: subjects_of(&record.memory)
            .map(|(subject, events)| proto::EventSubject {
                subject_id: subject.as_str().to_owned(),
                events,
            })
            .collect(),
        horizon: horizon_to_proto(record.memory.horizon),
        effect_hashes: record.effects.hashes(),
        effect_times: record.effects.times(),
        effect_horizon: horizon_to_proto(record.effects.horizon),
        caused: record.caused.iter().map(effect_to_proto).collect(),
        touches: record
            .touches
            .iter()
            .map(|touch| proto::Touch {
                event_hash: touch.event.0,
                time: touch.time.nanos(),
                author_id: touch.author_id.as_str().to_owned(),
                topics: texts_of(&touch.topics),
                stage: touch.stage.to_string(),
                credit: touch.credit + 0.0,
                origin: id_to_text(touch.origin.as_ref()).to_owned(),
            })
            .collect(),
        reached_stages: texts_of(&record.reached_stages),
        influence: (record.influence_time != Timestamp::EPOCH || !record.influence.is_empty())
            .then(|| proto::Influence {
                time: record.influence_time.nanos(),
                cells: record.influence.iter().map(cell_to_proto).collect(),
            }),
        kept_stages: record
            .kept_stages
            .iter()
            .map(|(score, stage)| proto::KeptStage {
                score: score.to_string(),
                stage: stage.to_string(),
            })
            .collect(),
        stage_changes: stage_changes_to_proto(record),
        matched: matched_to_proto(record),
        counted_values: counted_values_to_proto(record),
        was_stated: record.was_stated,
        has_forgotten_caused: record.has_forgotten_caused,
        quarantine: record.quarantine.iter().map(held_to_proto).collect(),
        counted_keys: record
            .counted_keys
            .iter()
            .map(|(signal, keys)| proto::CountedKeys {
                signal: signal.to_string(),
                key_hashes: keys.keys().map(|key| key.0).collect(),
                times: keys.values().map(|time| time.nanos()).collect(),
            })
            .collect(),
    }
}

/// The record of a form that can be read; [`StoreError::Corrupt`] when it is not one.
pub fn from_proto(message: proto::Record) -> Result<Record, StoreError> {
    check_format(message.format)?;
    let (influence_time, influence) = match message.influence {
        None => (Timestamp::EPOCH, Vec::new()),
        Some(influence) => (time(influence.time)?, influence_cells(influence.cells)?),
    };
    if message.first_seen_time > message.last_event_time {
        return Err(corrupt("its first event is later than its last"));
    }
    check_ascending(&message.last_counted, |counted| counted.signal.as_str())?;
    check_ascending(&message.seen_types, String::as_str)?;
    check_ascending(&message.kept_stages, |kept| kept.score.as_str())?;
    check_ascending(&message.counted_keys, |keys| keys.signal.as_str())?;
    let memory = event_memory(
        &message.event_times,
        &message.event_hashes,
        &message.event_type_marks,
        message.event_origins,
        message.event_subjects,
        message.horizon,
    )?;
    Ok(Record {
        incarnation: Incarnation(message.incarnation),
        attributes: attributes(message.attributes)?,
        event_count: message.event_count,
        first_seen_time: time(message.first_seen_time)?,
        last_event_time: time(message.last_event_time)?,
        counts: count_groups(message.counts)?,
        last_counted: message
            .last_counted
            .into_iter()
            .map(|counted| Ok((name(counted.signal.into())?, time(counted.time)?)))
            .collect::<Result<_, StoreError>>()?,
        counted_keys: message
            .counted_keys
            .into_iter()
            .map(|keys| {
                let counted = counted_keys(&keys.key_hashes, &keys.times, time)?;
                Ok((name(keys.signal.into())?, counted))
            })
            .collect::<Result<_, StoreError>>()?,
        seen_types: seen_types(message.seen_types, &message.seen_counts)?,
        interests: named_counts(message.interests, topic)?,
        kept_stages: message
            .kept_stages
            .into_iter()
            .map(|kept| Ok((name(kept.score.into())?, name(kept.stage.into())?)))
            .collect::<Result<_, StoreError>>()?,
        stage_changes: stage_changes(message.stage_changes, &memory)?,
        matched: matched(message.matched, &memory)?,
        counted_values: counted_values(message.counted_values, &memory)?,
        was_stated: message.was_stated,
        has_forgotten_caused: message.has_forgotten_caused,
        memory,
        effects: effect_memory(
            &message.effect_times,
            &message.effect_hashes,
            message.effect_horizon,
        )?,
        caused: message
            .caused
            .into_iter()
            .map(effect)
            .collect::<Result<_, _>>()?,
        touches: touches(message.touches)?,
        reached_stages: names_of(message.reached_stages, name)?,
        influence_time,
        influence,
        quarantine: message
            .quarantine
            .into_iter()
            .map(held_event)
            .collect::<Result<_, _>>()?,
    })
}

fn attributes(stated: Option<Struct>) -> Result<Attributes, StoreError> {
    match stated {
        None => Ok(Attributes::new()),
        Some(stated) => {
            from_struct(stated).map_err(|mistake| corrupt(format!("its attributes: {mistake}")))
        }
    }
}

fn texts_of(names: &[Name]) -> Vec<String> {
    names.iter().map(Name::to_string).collect()
}

/// Names that pass a check.
fn names_of(
    texts: Vec<String>,
    check: fn(Name) -> Result<Name, StoreError>,
) -> Result<Vec<Name>, StoreError> {
    texts.into_iter().map(|text| check(text.into())).collect()
}

fn cell_to_proto(cell: &InfluenceCell) -> proto::InfluenceCell {
    proto::InfluenceCell {
        topic: cell.topic.to_string(),
        stage: cell.stage.to_string(),
        credit: cell.credit,
        touches: cell.touches,
        advance_millionths: cell.advance_millionths,
    }
}

fn touches(touches: Vec<proto::Touch>) -> Result<Vec<Touch>, StoreError> {
    let decoded = touches
        .into_iter()
        .map(|touch| {
            Ok(Touch {
                event: IdHash(touch.event_hash),
                time: time(touch.time)?,
                author_id: author(touch.author_id.into())?,
                topics: names_of(touch.topics, topic)?,
                stage: name_or_empty(touch.stage.into())?,
                credit: amount_or_below(touch.credit)?,
                origin: origin(touch.origin.into())?,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    check_touches(&decoded)?;
    Ok(decoded)
}

fn influence_cells(cells: Vec<proto::InfluenceCell>) -> Result<Vec<InfluenceCell>, StoreError> {
    check_ascending(&cells, |cell| (cell.topic.as_str(), cell.stage.as_str()))?;
    cells
        .into_iter()
        .map(|cell| {
            Ok(InfluenceCell {
                topic: topic(cell.topic.into())?,
                stage: name_or_empty(cell.stage.into())?,
                credit: amount(cell.credit)?,
                touches: cell.touches,
                advance_millionths: cell.advance_millionths,
            })
        })
        .collect()
}
