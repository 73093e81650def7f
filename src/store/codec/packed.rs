//! Records in the form that they are written in: every name once, and what follows from the
//! remembered events not again.

use super::{
    FORMAT,
    answers::{
        pack_counted_values, pack_matched, pack_stage_changes, unpack_counted_values,
        unpack_matched, unpack_stage_changes,
    },
    bounds::{
        after, amount, amount_or_below, attributes, author, check_ascending, check_lengths,
        check_touches, corrupt, half_life, key, name, name_or_empty, paired, since, topic,
    },
    counts::{counted_keys, seen_type},
    effects::{pack_effects, unpack_effect},
    held::{held_event, held_to_proto},
    memory::{
        Pairs as _, effect_memory, event_memory, horizon_to_proto, origin, origin_to_text,
        origins_of, positions_of, read_subjects, runs_of, subjects_of, type_marks_of,
    },
    names::{NamesRead, NamesWritten},
};
use crate::{
    proto::record as proto,
    scoring::{
        CountGroup, CountedKeys, Effect, EventMemory, HalfLife, IdHash, Incarnation, InfluenceCell,
        NamedCount, Record, SeenType, SignalCount, Timestamp, Touch,
    },
    store::StoreError,
};

/// A record without its attributes, packed.
pub(super) fn pack(record: &Record) -> proto::PackedRecord {
    let mut names = NamesWritten::default();
    let counts = record.counts.iter();
    let last = record.last_event_time;
    let (caused, caused_half_lives) = pack_effects(record, &mut names);
    let packed = proto::PackedRecord {
        format: FORMAT,
        incarnation: record.incarnation.0,
        attributes: None,
        event_count: record.event_count,
        first_seen_time: since(earliest(&record.memory), record.first_seen_time),
        last_event_time: since(latest(&record.memory), last),
        event_times: record.memory.times(),
        event_hashes: record.memory.hashes(),
        event_type_marks: type_marks_of(&record.memory),
        event_origins: origins_of(&record.memory)
            .into_iter()
            .map(|(origin, events)| proto::PackedOrigin {
                profile_id: names.position(origin.as_str()),
                events,
            })
            .collect(),
        event_subjects: subjects_of(&record.memory)
            .map(|(subject, events)| proto::PackedSubject {
                subject_id: names.position(subject.as_str()),
                runs: runs_of(&events),
            })
            .collect(),
        counts: counts.map(|group| pack_counts(group, &mut names)).collect(),
        seen_types: names.positions(record.seen_types.iter().map(|seen| seen.name.as_str())),
        seen_counts: record.seen_types.iter().map(|seen| seen.count).collect(),
        interests: names.positions(record.interests.iter().map(|topic| topic.name.as_str())),
        interest_values: record
            .interests
            .iter()
            .map(|topic| topic.value + 0.0)
            .collect(),
        touches: record
            .touches
            .iter()
            .map(|touch| pack_touch(touch, record, &mut names))
            .collect(),
        reached_stages: names.positions(record.reached_stages.iter().map(String::as_str)),
        last_counted: names.positions(record.last_counted.keys().map(String::as_str)),
        last_counted_times: record
            .last_counted
            .values()
            .map(|time| since(last, *time))
            .collect(),
        horizon: horizon_to_proto(record.memory.horizon),
        effect_hashes: record.effects.hashes(),
        influence: pack_influence(record, &mut names),
        quarantine: record.quarantine.iter().map(held_to_proto).collect(),
        counted_keys: record
            .counted_keys
            .iter()
            .map(|(signal, keys)| proto::PackedKeys {
                signal: names.position(signal),
                key_hashes: keys.keys().map(|key| key.0).collect(),
                times: keys.values().map(|time| since(last, *time)).collect(),
            })
            .collect(),
        effect_times: record.effects.times(),
        effect_horizon: horizon_to_proto(record.effects.horizon),
        caused,
        caused_half_lives,
        kept_scores: names.positions(record.kept_stages.keys().map(String::as_str)),
        kept_stages: names.positions(record.kept_stages.values().map(String::as_str)),
        stage_changes: pack_stage_changes(record, &mut names),
        matched: pack_matched(record, &mut names),
        counted_values: pack_counted_values(record, &mut names),
        was_stated: record.was_stated,
        has_forgotten_caused: record.has_forgotten_caused,
        names: String::new(),
        name_bytes: Vec::new(),
    };
    proto::PackedRecord {
        names: names.names,
        name_bytes: names.bytes,
        ..packed
    }
}

/// The record that was packed; [`StoreError::Corrupt`] when it is not one.
pub(super) fn unpack(packed: proto::PackedRecord) -> Result<Record, StoreError> {
    let names = NamesRead::new(&packed.names, &packed.name_bytes)?;
    let origins = packed.event_origins.into_iter();
    let mut memory = event_memory(
        &packed.event_times,
        &packed.event_hashes,
        packed.event_type_marks.into_iter().map(Some),
        origins.map(|origin| Ok((names.at(origin.profile_id)?, origin.events))),
        packed.horizon,
    )?;
    let end = memory.remembered.len();
    let subjects = packed.event_subjects.into_iter();
    let subjects = subjects.map(|subject| {
        let events = positions_of(&subject.runs, end)?;
        Ok((names.at(subject.subject_id)?, events))
    });
    read_subjects(&mut memory, subjects)?;
    let first_seen_time = after(earliest(&memory), packed.first_seen_time)?;
    let last = after(latest(&memory), packed.last_event_time)?;
    if first_seen_time > last {
        return Err(corrupt("its first event is later than its last"));
    }
    let groups = packed.counts.iter();
    let groups = groups.map(|group| unpack_counts(group, &names));
    let counts: Vec<CountGroup> = groups.collect::<Result<_, _>>()?;
    let seen = paired("event types", &packed.seen_types, &packed.seen_counts)?
        .map(|(position, count)| seen_type(names.at(*position)?, *count));
    let seen_types: Vec<SeenType> = seen.collect::<Result<_, StoreError>>()?;
    let interests = paired("topics", &packed.interests, &packed.interest_values)?;
    let interests =
        interests.map(|(position, value)| named_count(topic(names.at(*position)?)?, *value));
    let interests: Vec<NamedCount> = interests.collect::<Result<_, StoreError>>()?;
    let counted = paired("signals", &packed.last_counted, &packed.last_counted_times)?
        .map(|(position, time)| Ok((name(names.at(*position)?)?, after(last, *time)?)));
    let counted: Vec<(String, Timestamp)> = counted.collect::<Result<_, StoreError>>()?;
    let once = packed.counted_keys.iter().map(|keys| {
        let time = |difference| after(last, difference);
        let counted = counted_keys(&keys.key_hashes, &keys.times, time)?;
        Ok((name(names.at(keys.signal)?)?, counted))
    });
    let once: Vec<(String, CountedKeys)> = once.collect::<Result<_, StoreError>>()?;
    check_ascending(&once, |(signal, _)| signal.as_str())?;
    let touches = packed.touches.into_iter();
    let touches = touches.map(|touch| unpack_touch(touch, &memory, last, &names));
    let touches: Vec<Touch> = touches.collect::<Result<_, _>>()?;
    check_touches(&touches)?;
    check_ascending(&counts, |group| group.half_life)?;
    check_ascending(&counted, |(signal, _)| signal.as_str())?;
    check_ascending(&seen_types, |seen| seen.name.as_str())?;
    check_ascending(&interests, |interest| interest.name.as_str())?;
    let caused = packed.caused.iter();
    let caused =
        caused.map(|effect| unpack_effect(effect, &packed.caused_half_lives, last, &names));
    let caused: Vec<Effect> = caused.collect::<Result<_, _>>()?;
    let stages = packed.reached_stages.into_iter();
    let kept = paired("kept stages", &packed.kept_scores, &packed.kept_stages)?
        .map(|(score, stage)| Ok((name(names.at(*score)?)?, name(names.at(*stage)?)?)));
    let kept: Vec<(String, String)> = kept.collect::<Result<_, StoreError>>()?;
    check_ascending(&kept, |(score, _)| score.as_str())?;
    let stage_changes = unpack_stage_changes(packed.stage_changes.as_ref(), &memory, last, &names)?;
    let matched = unpack_matched(packed.matched.as_ref(), &memory, &names)?;
    let counted_values = unpack_counted_values(packed.counted_values.as_ref(), &memory, &names)?;
    let (influence_time, influence) = match packed.influence {
        None => (Timestamp::EPOCH, Vec::new()),
        Some(influence) => unpack_influence(&influence, last, &names)?,
    };
    Ok(Record {
        incarnation: Incarnation(packed.incarnation),
        attributes: attributes(packed.attributes)?,
        event_count: packed.event_count,
        first_seen_time,
        last_event_time: last,
        counts,
        last_counted: counted.into_iter().collect(),
        counted_keys: once.into_iter().collect(),
        seen_types,
        interests,
        memory,
        effects: effect_memory(
            &packed.effect_times,
            &packed.effect_hashes,
            packed.effect_horizon,
        )?,
        caused,
        touches,
        reached_stages: stages
            .map(|position| name(names.at(position)?))
            .collect::<Result<_, _>>()?,
        kept_stages: kept.into_iter().collect(),
        stage_changes,
        matched,
        counted_values,
        was_stated: packed.was_stated,
        has_forgotten_caused: packed.has_forgotten_caused,
        influence_time,
        influence,
        quarantine: packed
            .quarantine
            .into_iter()
            .map(held_event)
            .collect::<Result<_, _>>()?,
    })
}

fn named_count(name: String, value: f64) -> Result<NamedCount, StoreError> {
    let value = amount(value)?;
    Ok(NamedCount { name, value })
}

fn pack_counts<'r>(group: &'r CountGroup, names: &mut NamesWritten<'r>) -> proto::PackedCounts {
    let counts = &group.counts;
    let keys = || counts.iter().flat_map(|count| &count.keys);
    let has_keys = keys().next().is_some();
    let key_counts = counts.iter().filter(|_| has_keys);
    let is_capped = counts.iter().any(|count| count.capped != 0.0);
    let capped = counts.iter().filter(|_| is_capped);
    proto::PackedCounts {
        half_life: group.half_life.map_or(0, HalfLife::nanos),
        signals: names.positions(counts.iter().map(|count| count.signal.as_str())),
        values: counts.iter().map(|count| count.value + 0.0).collect(),
        key_counts: key_counts.map(|count| count.keys.len() as u32).collect(),
        keys: names.positions(keys().map(|key| key.name.as_str())),
        key_values: keys().map(|key| key.value + 0.0).collect(),
        capped: capped.map(|count| count.capped + 0.0).collect(),
    }
}

fn unpack_counts(
    group: &proto::PackedCounts,
    names: &NamesRead<'_>,
) -> Result<CountGroup, StoreError> {
    let half_life = half_life(group.half_life)?;
    let mut keys = paired("keys", &group.keys, &group.key_values)?;
    if !group.key_counts.is_empty() {
        check_lengths("signals", group.signals.len(), group.key_counts.len())?;
    }
    if !group.capped.is_empty() {
        check_lengths("signals", group.signals.len(), group.capped.len())?;
    }
    let mut key_counts = group.key_counts.iter();
    let mut capped = group.capped.iter();
    let mut counts = Vec::with_capacity(group.signals.len());
    for (position, value) in paired("signals", &group.signals, &group.values)? {
        let key_count = key_counts.next().map_or(0, |count| *count as usize);
        let own = keys.by_ref().take(key_count);
        let own = own.map(|(position, value)| named_count(key(names.at(*position)?)?, *value));
        let own: Vec<NamedCount> = own.collect::<Result<_, StoreError>>()?;
        check_ascending(&own, |key| key.name.as_str())?;
        if own.len() < key_count || own.iter().any(|key| key.name.is_empty()) {
            return Err(corrupt("it lacks a key"));
        }
        counts.push(SignalCount {
            signal: name(names.at(*position)?)?,
            value: amount(*value)?,
            keys: own,
            capped: amount(capped.next().copied().unwrap_or(0.0))?,
        });
    }
    if keys.next().is_some() {
        return Err(corrupt("it has keys of no signal"));
    }
    check_ascending(&counts, |count| count.signal.as_str())?;
    Ok(CountGroup { half_life, counts })
}

fn pack_touch<'r>(
    touch: &'r Touch,
    record: &Record,
    names: &mut NamesWritten<'r>,
) -> proto::PackedTouch {
    let memory = &record.memory.remembered;
    let from = memory.partition_point(|event| event.time < touch.time);
    let same_time = memory[from..]
        .iter()
        .take_while(|event| event.time == touch.time);
    let found = same_time
        .enumerate()
        .find(|(_, event)| event.id.at(event.time) == touch.event);
    let common = proto::PackedTouch {
        author_id: touch.author_id.as_str().to_owned(),
        topics: names.positions(touch.topics.iter().map(String::as_str)),
        stage: names.optional(&touch.stage),
        credit: touch.credit + 0.0,
        origin: names.optional(origin_to_text(touch.origin.as_ref())),
        ..proto::PackedTouch::default()
    };
    match found {
        Some((offset, _)) => proto::PackedTouch {
            remembered: (from + offset + 1) as u32,
            ..common
        },
        None => proto::PackedTouch {
            event_hash: touch.event.0,
            time: since(record.last_event_time, touch.time),
            ..common
        },
    }
}

fn unpack_touch(
    touch: proto::PackedTouch,
    memory: &EventMemory,
    last: Timestamp,
    names: &NamesRead<'_>,
) -> Result<Touch, StoreError> {
    let (time, event) = match touch.remembered.checked_sub(1) {
        None => (after(last, touch.time)?, IdHash(touch.event_hash)),
        Some(position) => {
            let remembered = memory.remembered.get(position as usize);
            let event = remembered
                .ok_or_else(|| corrupt("it was touched by an event that it does not remember"))?;
            (event.time, event.id.at(event.time))
        }
    };
    let topics = touch.topics.into_iter();
    Ok(Touch {
        event,
        time,
        author_id: author(&touch.author_id)?,
        topics: topics
            .map(|position| topic(names.at(position)?))
            .collect::<Result<_, _>>()?,
        stage: name_or_empty(names.optional(touch.stage)?)?,
        credit: amount_or_below(touch.credit)?,
        origin: origin(&names.optional(touch.origin)?)?,
    })
}

fn pack_influence<'r>(
    record: &'r Record,
    names: &mut NamesWritten<'r>,
) -> Option<proto::PackedInfluence> {
    let cells = &record.influence;
    if record.influence_time == Timestamp::EPOCH && cells.is_empty() {
        return None;
    }
    let stages = cells.iter();
    Some(proto::PackedInfluence {
        time: since(record.last_event_time, record.influence_time),
        topics: names.positions(cells.iter().map(|cell| cell.topic.as_str())),
        stages: stages.map(|cell| names.optional(&cell.stage)).collect(),
        credits: cells.iter().map(|cell| cell.credit + 0.0).collect(),
        touches: cells.iter().map(|cell| cell.touches).collect(),
        advance_millionths: cells.iter().map(|cell| cell.advance_millionths).collect(),
    })
}

fn unpack_influence(
    influence: &proto::PackedInfluence,
    last: Timestamp,
    names: &NamesRead<'_>,
) -> Result<(Timestamp, Vec<InfluenceCell>), StoreError> {
    let listed = influence.topics.len();
    for told in [
        influence.stages.len(),
        influence.credits.len(),
        influence.touches.len(),
        influence.advance_millionths.len(),
    ] {
        check_lengths("cells of influence", listed, told)?;
    }
    let cells = (0..listed).map(|cell| {
        Ok(InfluenceCell {
            topic: topic(names.at(influence.topics[cell])?)?,
            stage: name_or_empty(names.optional(influence.stages[cell])?)?,
            credit: amount(influence.credits[cell])?,
            touches: influence.touches[cell],
            advance_millionths: influence.advance_millionths[cell],
        })
    });
    let cells: Vec<InfluenceCell> = cells.collect::<Result<_, StoreError>>()?;
    check_ascending(&cells, |cell| (cell.topic.as_str(), cell.stage.as_str()))?;
    Ok((after(last, influence.time)?, cells))
}

fn earliest(memory: &EventMemory) -> Timestamp {
    let first = memory.remembered.first();
    first.map_or(Timestamp::EPOCH, |event| event.time)
}

fn latest(memory: &EventMemory) -> Timestamp {
    let last = memory.remembered.last();
    last.map_or(Timestamp::EPOCH, |event| event.time)
}
