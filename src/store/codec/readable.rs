//! Records in the form that can be read: what is exported and imported.

use super::{
    FORMAT,
    answers::{
        counted_values, counted_values_to_proto, matched, matched_to_proto, stage_changes,
        stage_changes_to_proto,
    },
    bounds::{
        amount, amount_or_below, attributes, author, check_ascending, check_touches, corrupt, name,
        name_or_empty, time, topic,
    },
    check_format,
    counts::{
        count_groups, counted_keys, named_counts, named_counts_to_proto, seen_types,
        signal_counts_to_proto,
    },
    effects::{effect, effect_to_proto},
    held::{held_event, held_to_proto},
    memory::{
        Pairs as _, effect_memory, event_memory, horizon_to_proto, origin, origin_to_text,
        origins_of, read_subjects, subjects_of, type_marks_of,
    },
};
use crate::{
    proto::{attributes::to_struct, record as proto},
    scoring::{HalfLife, IdHash, Incarnation, InfluenceCell, Record, Timestamp, Touch},
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
                signal: signal.clone(),
                time: time.nanos(),
            })
            .collect(),
        seen_types: record
            .seen_types
            .iter()
            .map(|seen| seen.name.clone())
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
                topics: touch.topics.clone(),
                stage: touch.stage.clone(),
                credit: touch.credit + 0.0,
                origin: origin_to_text(touch.origin.as_ref()).to_owned(),
            })
            .collect(),
        reached_stages: record.reached_stages.clone(),
        influence: (record.influence_time != Timestamp::EPOCH || !record.influence.is_empty())
            .then(|| proto::Influence {
                time: record.influence_time.nanos(),
                cells: record.influence.iter().map(cell_to_proto).collect(),
            }),
        kept_stages: record
            .kept_stages
            .iter()
            .map(|(score, stage)| proto::KeptStage {
                score: score.clone(),
                stage: stage.clone(),
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
                signal: signal.clone(),
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
    let mut memory = event_memory(
        &message.event_times,
        &message.event_hashes,
        message
            .event_type_marks
            .into_iter()
            .map(|mark| u8::try_from(mark).ok()),
        message
            .event_origins
            .into_iter()
            .map(|origin| Ok((origin.profile_id, origin.events))),
        message.horizon,
    )?;
    let subjects = message.event_subjects.into_iter();
    let subjects = subjects.map(|subject| Ok((subject.subject_id, subject.events)));
    read_subjects(&mut memory, subjects)?;
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
            .map(|counted| Ok((name(counted.signal)?, time(counted.time)?)))
            .collect::<Result<_, StoreError>>()?,
        counted_keys: message
            .counted_keys
            .into_iter()
            .map(|keys| {
                let counted = counted_keys(&keys.key_hashes, &keys.times, time)?;
                Ok((name(keys.signal)?, counted))
            })
            .collect::<Result<_, StoreError>>()?,
        seen_types: seen_types(message.seen_types, &message.seen_counts)?,
        interests: named_counts(message.interests, topic)?,
        kept_stages: message
            .kept_stages
            .into_iter()
            .map(|kept| Ok((name(kept.score)?, name(kept.stage)?)))
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
        reached_stages: message
            .reached_stages
            .into_iter()
            .map(name)
            .collect::<Result<_, _>>()?,
        influence_time,
        influence,
        quarantine: message
            .quarantine
            .into_iter()
            .map(held_event)
            .collect::<Result<_, _>>()?,
    })
}

fn cell_to_proto(cell: &InfluenceCell) -> proto::InfluenceCell {
    proto::InfluenceCell {
        topic: cell.topic.clone(),
        stage: cell.stage.clone(),
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
                author_id: author(&touch.author_id)?,
                topics: touch
                    .topics
                    .into_iter()
                    .map(topic)
                    .collect::<Result<_, _>>()?,
                stage: name_or_empty(touch.stage)?,
                credit: amount_or_below(touch.credit)?,
                origin: origin(&touch.origin)?,
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
                topic: topic(cell.topic)?,
                stage: name_or_empty(cell.stage)?,
                credit: amount(cell.credit)?,
                touches: cell.touches,
                advance_millionths: cell.advance_millionths,
            })
        })
        .collect()
}
