//! Effects of a record's own events on others.

use super::{
    super::bounds::{
        amount_or_below, corrupt, effect_kind, effect_kind_number, event_type, half_life, key,
        name, name_or_empty, time, topic, touches,
    },
    names_of, texts_of,
};
use crate::{
    proto::record as proto,
    scoring::{CountDelta, Credit, Effect, HalfLife, IdHash, ProfileId, SubjectDelta},
    store::StoreError,
};

/// An effect whose names are written out.
pub(super) fn effect_to_proto(effect: &Effect) -> proto::CausedEffect {
    let common = proto::CausedEffect {
        kind: effect_kind_number(effect.kind()),
        subject_id: effect.subject_id().as_str().to_owned(),
        time: effect.time().nanos(),
        ..proto::CausedEffect::default()
    };
    match effect {
        Effect::SubjectDelta(delta) => proto::CausedEffect {
            hash: delta.id.0,
            topics: texts_of(&delta.topics),
            r#type: delta.event_type.to_string(),
            changes: delta.changes.iter().map(change_to_proto).collect(),
            ..common
        },
        Effect::Credit(credit) => proto::CausedEffect {
            hash: credit.id.0,
            topics: texts_of(&credit.topics),
            stage: credit.stage.to_string(),
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
        signal: change.signal.to_string(),
        key: change.key.to_string(),
        amount: change.amount + 0.0,
    }
}

/// The effect that was written out; a subject takes deltas, a person credits.
pub(super) fn effect(effect: proto::CausedEffect) -> Result<Effect, StoreError> {
    let (id, kind, time) = (
        IdHash(effect.hash),
        effect_kind(effect.kind)?,
        time(effect.time)?,
    );
    let subject_id = ProfileId::stored(effect.subject_id)
        .ok_or_else(|| corrupt("it acted on a malformed id"))?;
    let topics = names_of(effect.topics, topic)?;
    if !subject_id.is_person() {
        let changes = effect.changes.into_iter().map(change);
        return Ok(Effect::SubjectDelta(SubjectDelta {
            id,
            kind,
            subject_id,
            time,
            changes: changes.collect::<Result<_, _>>()?,
            topics,
            event_type: event_type(effect.r#type.into())?,
        }));
    }
    Ok(Effect::Credit(Credit {
        id,
        kind,
        author_id: subject_id,
        time,
        topics,
        stage: name_or_empty(effect.stage.into())?,
        credit: amount_or_below(effect.credit)?,
        touches: touches(i64::from(effect.touches))?,
        advance_millionths: effect.advance_millionths,
    }))
}

fn change(change: proto::CountDelta) -> Result<CountDelta, StoreError> {
    Ok(CountDelta {
        half_life: half_life(change.half_life)?,
        signal: name(change.signal.into())?,
        key: key(change.key.into())?,
        amount: amount_or_below(change.amount)?,
    })
}
