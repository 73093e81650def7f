//! Touches, and the advances that follow them: both are credits to authors.

use super::{
    RecordEdit,
    matched_event::MatchedEvent,
    settle::{Cause, effect_id},
};
use crate::scoring::{
    Credit, Effect, EffectKind, IdHash, Name, ProfileId, Record, Timestamp, Touch,
    influence::{self, MILLION},
    limits::REMEMBERED_TOUCHES,
    model::StageId,
};

impl Touch {
    /// The credit that it gave, of a profile.
    pub(super) fn as_credit(&self, profile_id: &ProfileId) -> Credit {
        Credit {
            id: self.effect_id(Cause::Touch, profile_id),
            kind: EffectKind::Apply,
            author_id: self.author_id.clone(),
            time: self.time,
            topics: self.topics.clone(),
            stage: self.stage.clone(),
            credit: self.credit,
            touches: 1,
            advance_millionths: 0,
        }
    }

    fn effect_id(&self, cause: Cause, profile_id: &ProfileId) -> IdHash {
        effect_id(
            cause,
            self.origin.as_ref().unwrap_or(profile_id),
            self.event,
        )
    }
}

impl RecordEdit<'_> {
    /// Notes that an event engages with somebody else's content, and credits the author.
    pub(super) fn touch(&mut self, matched_event: MatchedEvent<'_>, stage: Name) {
        let Some(influence) = &self.model.influence else {
            return;
        };
        let Some(credit) = influence.credits.get(matched_event.event_type).copied() else {
            return;
        };
        let event = matched_event.hash();
        let (at, topics) = (matched_event.at, matched_event.topics);
        let Some(author_id) = matched_event
            .author_id
            .filter(|author| *author != self.profile_id)
        else {
            return;
        };
        if topics.is_empty() {
            return;
        }
        let touch = Touch {
            event,
            time: at,
            author_id,
            topics,
            stage,
            credit,
            origin: matched_event.origin,
        };
        self.effects
            .push(Effect::Credit(touch.as_credit(&self.profile_id)));
        let touches = &mut self.record.touches;
        let position = touches.partition_point(|other| other.time <= at);
        touches.insert(position, touch);
        if touches.len() > REMEMBERED_TOUCHES {
            let first = touches.remove(0);
            self.stops_waiting(&first);
        }
    }

    /// Remembers among all effects the credit of a touch that is to wait no more.
    fn stops_waiting(&mut self, touch: &Touch) {
        let applied = Effect::Credit(touch.as_credit(&self.profile_id));
        self.record.note_caused(applied);
    }

    /// Forgets a touch that is still remembered, and takes its credit back. What an advance has
    /// used stays.
    pub(super) fn revert_touch(&mut self, matched_event: &MatchedEvent<'_>) {
        let event = matched_event.hash();
        let mut touches = self.record.touches.iter();
        let position = touches.position(|touch| touch.event == event);
        let Some(position) = position.filter(|_| self.model.influence.is_some()) else {
            return;
        };
        let touch = self.record.touches.remove(position);
        self.stops_waiting(&touch);
        let applied = touch.as_credit(&self.profile_id);
        self.cause(Effect::Credit(Credit {
            kind: EffectKind::Revert,
            credit: -applied.credit,
            touches: -1,
            ..applied
        }));
    }

    /// Notes the stage where the profile stands at an instant. When it is higher than any that was
    /// reached before, shares one advance over the remembered touches, and forgets them.
    pub(super) fn arrive(&mut self, stage: Option<StageId>, at: Timestamp) {
        let (model, record) = (self.model, &mut self.record);
        let Some(stage) = stage else {
            return;
        };
        let reached = |position: StageId, record: &Record| {
            record.reached_stages.contains(&model.stages[position].name)
        };
        let higher_reached = model.stages_from(stage).any(|stage| reached(stage, record));
        if !reached(stage, record) {
            record.reached_stages.push(model.stages[stage].name.clone());
        }
        let Some(influence) = model.influence.as_ref().filter(|_| !higher_reached) else {
            return;
        };
        let touches = std::mem::take(&mut record.touches);
        let weights: Vec<f64> = touches
            .iter()
            .map(|touch| {
                let since = touch.time.min(at);
                influence.attribution_half_life.decay_factor(since, at)
            })
            .collect();
        let total: f64 = weights.iter().sum();
        for (touch, weight) in touches.into_iter().zip(weights) {
            self.stops_waiting(&touch);
            self.advance(touch, weight / total, at, influence.advance);
        }
    }

    fn advance(&mut self, touch: Touch, share: f64, at: Timestamp, credit: f64) {
        // All weights vanish when every touch is older than a thousand half-lives.
        let advance_millionths = (share * MILLION).round() as u64;
        if advance_millionths == 0 {
            return;
        }
        self.cause(Effect::Credit(Credit {
            id: touch.effect_id(Cause::Advance, &self.profile_id),
            kind: EffectKind::Apply,
            author_id: touch.author_id,
            time: at,
            topics: touch.topics,
            stage: touch.stage,
            credit: credit * advance_millionths as f64 / MILLION,
            touches: 0,
            advance_millionths,
        }));
    }

    /// Gives an author what a touch or an advance earned, or takes a touch back.
    pub(super) fn apply_credit(&mut self, credit: &Credit) {
        let Some(influence) = &self.model.influence else {
            return;
        };
        if self.old_influence_keys.is_none() {
            self.old_influence_keys = Some(influence::keys(self.model, &self.record));
        }
        let record = &mut self.record;
        let now = credit.time.max(record.influence_time);
        let fading = influence.half_life.decay_factor(record.influence_time, now);
        for cell in &mut record.influence {
            cell.credit *= fading;
        }
        record.influence_time = now;
        let added = credit.credit * influence.half_life.decay_factor(credit.time, now);
        for topic in &credit.topics {
            if let Some(touches) = record.credit(topic, credit, added) {
                let advances = i64::try_from(credit.advance_millionths).unwrap_or(i64::MAX);
                self.totals.push((topic.clone(), touches, advances));
            }
        }
    }
}
