//! Effects of a record's own events on others.

use super::{
    bounds::{
        amount_or_below, check_lengths, corrupt, event_type, half_life, key, name, name_or_empty,
        time, topic,
    },
    names::{NamesRead, NamesWritten},
};
use crate::{
    proto::record as proto,
    scoring::{
        CountDelta, Credit, Effect, EffectKind, HalfLife, IdHash, ProfileId, Record, SubjectDelta,
        Timestamp,
    },
    store::StoreError,
};

/// An effect whose names are written out.
pub(super) fn effect_to_proto(effect: &Effect) -> proto::CausedEffect {
    let common = proto::CausedEffect {
        kind: number_of(effect.kind()),
        subject_id: effect.subject_id().as_str().to_owned(),
        time: effect.time().nanos(),
        ..proto::CausedEffect::default()
    };
    match effect {
        Effect::SubjectDelta(delta) => proto::CausedEffect {
            hash: delta.id.0,
            topics: delta.topics.clone(),
            r#type: delta.event_type.clone(),
            changes: delta.changes.iter().map(change_to_proto).collect(),
            ..common
        },
        Effect::Credit(credit) => proto::CausedEffect {
            hash: credit.id.0,
            topics: credit.topics.clone(),
            stage: credit.stage.clone(),
            credit: credit.credit + 0.0,
            touches: credit.touches as i32,
            advance_millionths: credit.advance_millionths,
            ..common
        },
    }
}

fn change_to_proto(change: &CountDelta) -> proto::CountDelta {
    proto::CountDelta {
        half_life: change.half_life.map_or(0, HalfLife::nanos),
        signal: change.signal.clone(),
        key: change.key.clone(),
        amount: change.amount + 0.0,
    }
}

/// The effect that was written out; a subject takes deltas, a person credits.
pub(super) fn effect(effect: proto::CausedEffect) -> Result<Effect, StoreError> {
    let (id, kind, time) = (
        IdHash(effect.hash),
        kind_of(effect.kind)?,
        time(effect.time)?,
    );
    let subject_id = ProfileId::stored(&effect.subject_id)
        .ok_or_else(|| corrupt("it acted on a malformed id"))?;
    let topics = effect.topics.into_iter().map(topic);
    let topics: Vec<String> = topics.collect::<Result<_, _>>()?;
    if !subject_id.is_person() {
        let changes = effect.changes.into_iter().map(change);
        return Ok(Effect::SubjectDelta(SubjectDelta {
            id,
            kind,
            subject_id,
            time,
            changes: changes.collect::<Result<_, _>>()?,
            topics,
            event_type: event_type(effect.r#type)?,
        }));
    }
    if !(-1..=1).contains(&effect.touches) {
        return Err(corrupt(format!("{} is no touch", effect.touches)));
    }
    Ok(Effect::Credit(Credit {
        id,
        kind,
        author_id: subject_id,
        time,
        topics,
        stage: name_or_empty(effect.stage)?,
        credit: amount_or_below(effect.credit)?,
        touches: i64::from(effect.touches),
        advance_millionths: effect.advance_millionths,
    }))
}

fn change(change: proto::CountDelta) -> Result<CountDelta, StoreError> {
    Ok(CountDelta {
        half_life: half_life(change.half_life)?,
        signal: name(change.signal)?,
        key: key(change.key)?,
        amount: amount_or_below(change.amount)?,
    })
}

fn number_of(kind: EffectKind) -> u32 {
    match kind {
        EffectKind::Apply => 0,
        EffectKind::Revert => 1,
        EffectKind::Withhold => 2,
    }
}

fn kind_of(number: u32) -> Result<EffectKind, StoreError> {
    match number {
        0 => Ok(EffectKind::Apply),
        1 => Ok(EffectKind::Revert),
        2 => Ok(EffectKind::Withhold),
        other => Err(corrupt(format!("{other} is no kind of effect"))),
    }
}

/// The effects of a record, packed, and the half-lives that they refer to.
pub(super) fn pack_effects<'r>(
    record: &'r Record,
    names: &mut NamesWritten<'r>,
) -> (Vec<proto::PackedEffect>, Vec<i64>) {
    let mut half_lives: Vec<i64> = Vec::new();
    let packed = record.caused.iter().map(|effect| {
        let common = proto::PackedEffect {
            kind: number_of(effect.kind()),
            subject: names.position(effect.subject_id().as_str()),
            time: effect.time().nanos() - record.last_event_time.nanos(),
            ..proto::PackedEffect::default()
        };
        match effect {
            Effect::SubjectDelta(delta) => {
                pack_subject_delta(delta, common, names, &mut half_lives)
            }
            Effect::Credit(credit) => proto::PackedEffect {
                hash: credit.id.0,
                topics: names.positions(credit.topics.iter().map(String::as_str)),
                stage: names.optional(&credit.stage),
                credit: credit.credit + 0.0,
                touches: credit.touches as i32,
                advance_millionths: credit.advance_millionths,
                ..common
            },
        }
    });
    let packed = packed.collect();
    (packed, half_lives)
}

fn pack_subject_delta<'r>(
    delta: &'r SubjectDelta,
    common: proto::PackedEffect,
    names: &mut NamesWritten<'r>,
    half_lives: &mut Vec<i64>,
) -> proto::PackedEffect {
    let changes = &delta.changes;
    let mut half_life = |change: &CountDelta| {
        let nanos = change.half_life.map_or(0, HalfLife::nanos);
        let known = half_lives.iter().position(|known| *known == nanos);
        let position = known.unwrap_or_else(|| {
            half_lives.push(nanos);
            half_lives.len() - 1
        });
        position as u32
    };
    let has_keys = changes.iter().any(|change| !change.key.is_empty());
    let keys = changes.iter().filter(|_| has_keys);
    proto::PackedEffect {
        hash: delta.id.0,
        topics: names.positions(delta.topics.iter().map(String::as_str)),
        r#type: names.position(&delta.event_type),
        half_lives: changes.iter().map(&mut half_life).collect(),
        signals: names.positions(changes.iter().map(|change| change.signal.as_str())),
        keys: keys.map(|change| names.optional(&change.key)).collect(),
        amounts: changes.iter().map(|change| change.amount + 0.0).collect(),
        ..common
    }
}

/// The effect that was packed.
pub(super) fn unpack_effect(
    packed: &proto::PackedEffect,
    half_lives: &[i64],
    last: Timestamp,
    names: &NamesRead<'_>,
) -> Result<Effect, StoreError> {
    let nanos = last.nanos().checked_add(packed.time);
    let listed = packed.signals.len();
    check_lengths("signals", listed, packed.half_lives.len())?;
    check_lengths("signals", listed, packed.amounts.len())?;
    if !packed.keys.is_empty() {
        check_lengths("signals", listed, packed.keys.len())?;
    }
    let changes = (0..listed).map(|change| {
        let half_life = half_lives.get(packed.half_lives[change] as usize);
        Ok(proto::CountDelta {
            half_life: *half_life.ok_or_else(|| corrupt("it refers to no half-life"))?,
            signal: names.at(packed.signals[change])?,
            key: names.optional(packed.keys.get(change).copied().unwrap_or(0))?,
            amount: packed.amounts[change],
        })
    });
    let changes = changes.collect::<Result<Vec<_>, StoreError>>()?;
    let subject_id = names.at(packed.subject)?;
    let is_delta = ProfileId::stored(&subject_id).is_some_and(|id| !id.is_person());
    let topics = packed.topics.iter().map(|position| names.at(*position));
    effect(proto::CausedEffect {
        hash: packed.hash,
        kind: packed.kind,
        subject_id,
        time: nanos.ok_or_else(|| corrupt("it has an instant beyond the end of time"))?,
        topics: topics.collect::<Result<_, _>>()?,
        r#type: if is_delta {
            names.at(packed.r#type)?
        } else {
            String::new()
        },
        changes,
        stage: names.optional(packed.stage)?,
        credit: packed.credit,
        touches: packed.touches,
        advance_millionths: packed.advance_millionths,
    })
}
