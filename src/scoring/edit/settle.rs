//! Effects of events on others: what a record takes of others' events, each once, and what it
//! remembers of its own, so that whoever has lost an effect takes it again.
//!
//! The id of an effect derives from the event that caused it. So an event that is sent again finds
//! what it has done, and what is missing since a failover that lost writes is done once more.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{RecordEdit, stated::stated_subjects};
use crate::scoring::{
    Effect, EffectKind, Event, IdHash, Model, ProfileId, Record, Timestamp,
    evaluation::Changed,
    limits::{MAX_CAUSED_CHANGES, REMEMBERED_CAUSED},
    model::Budget,
};

/// Distinguishes the effects of one event.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    Touch = 1,
    Advance = 2,
    SubjectDelta = 3,
}

/// The id of an effect. The id that the event was sent with is part of it: events are known within
/// one profile only, and whoever has several ids may send an event again with another one.
pub(super) fn effect_id(cause: Cause, origin: &ProfileId, event: IdHash) -> IdHash {
    IdHash(xxh3_64_with_seed(
        origin.as_str().as_bytes(),
        event.0 ^ cause as u64,
    ))
}

impl RecordEdit<'_> {
    /// Has an event of the profile act on somebody else.
    pub(super) fn cause(&mut self, effect: Effect) {
        self.record.note_caused(effect.clone());
        self.effects.push(effect);
    }

    /// Has an event that has come before act on others again, as far as the record knows how it
    /// did: whoever has not lost it takes nothing.
    pub(super) fn cause_again(&mut self, event: &Event, known_by: Timestamp) {
        let hash = event.id.at(known_by);
        let causes = [Cause::SubjectDelta, Cause::Touch, Cause::Advance];
        let origin = self.origin_of(event, known_by);
        let origin = origin.as_ref().unwrap_or(&self.profile_id);
        let ids = causes.map(|cause| effect_id(cause, origin, hash));
        let record = &self.record;
        let mut touches = record.touches.iter();
        let touch = touches.find(|touch| touch.event == hash);
        let touch = touch.map(|touch| Effect::Credit(touch.as_credit(&self.profile_id)));
        let is_new = |effect: &Effect| !self.again.iter().any(|known| known.is_same(effect));
        let caused = record.caused_with(&ids).filter(|effect| is_new(effect));
        let new: Vec<Effect> = caused.cloned().chain(touch.filter(is_new)).collect();
        self.again.extend(new);
        if self.record.has_forgotten_caused {
            self.unsettled_effects += self.forgotten_effects(event, known_by, &ids);
        }
    }

    /// Of how many effects of an event that has come before nobody knows any more what they were: those
    /// on its subjects and its author that are not remembered.
    fn forgotten_effects(&self, event: &Event, known_by: Timestamp, ids: &[IdHash]) -> usize {
        let (model, record) = (self.model, &self.record);
        let is_known = |is_of: &dyn Fn(&Effect) -> bool| {
            let mut again = self.again.iter();
            again.any(|effect| ids.contains(&effect.applied_id()) && is_of(effect))
        };
        let stated = stated_subjects(&record.memory, &record.attributes, event, known_by);
        let subjects = model.subjects_of(event, &stated, &Budget::new());
        let subjects = subjects.all.iter();
        let forgotten = subjects.filter(|id| !is_known(&|effect| effect.subject_id() == *id));
        let is_other = |author: &ProfileId| *author != self.profile_id;
        let is_touch =
            event.author_id.as_ref().is_some_and(is_other) && model.is_touch(&event.event_type);
        let is_credited = is_known(&|effect| matches!(effect, Effect::Credit(_)));
        forgotten.count() + usize::from(is_touch && !is_credited)
    }

    /// Has the record follow an effect of somebody else's event. Returns whether that changed it.
    pub fn apply_effect(&mut self, effect: &Effect) -> bool {
        self.settle(effect, false)
    }

    /// Has the record follow an effect of somebody else's event that had come before, if it is
    /// certain that it does not know the effect. Returns whether that changed it.
    pub fn apply_effect_again(&mut self, effect: &Effect) -> bool {
        self.settle(effect, true)
    }

    fn settle(&mut self, effect: &Effect, is_again: bool) -> bool {
        let counts = match effect {
            Effect::Credit(_) => self.model.influence.is_some(),
            Effect::SubjectDelta(_) => self.evaluation.population.is_some(),
        };
        let memory = &self.record.effects;
        let applied = effect.applied_id();
        let was_applied = memory.knows(applied);
        let was_reverted = memory.knows(applied.of_retraction());
        let is_done = was_reverted || (was_applied && effect.kind() == EffectKind::Apply);
        if !counts || is_done {
            return false;
        }
        let may_have_dropped = |id| memory.may_have_dropped(effect.time(), id);
        if is_again && may_have_dropped(effect.id()) {
            self.unsettled_effects += 1;
            return false;
        }
        let is_mark = match effect.kind() {
            EffectKind::Apply => false,
            EffectKind::Revert => !was_applied && !may_have_dropped(applied),
            EffectKind::Withhold => !was_applied,
        };
        let memory = &mut self.record.effects;
        memory.remember(effect.time(), effect.id());
        self.changed = true;
        if is_mark {
            return true;
        }
        let changed = match effect {
            Effect::Credit(credit) => {
                self.apply_credit(credit);
                Changed::default()
            }
            Effect::SubjectDelta(delta) => Changed {
                clock_free: self.apply_subject_delta(delta),
                counts: true,
            },
        };
        self.evaluation.refresh(self.model, &self.record, changed);
        true
    }
}

impl Record {
    /// The remembered effects of an event, by the ids of what it applies. Once a subject has lost
    /// something, whatever came before goes along, in its order: what a retraction reverts is not
    /// always what the event gave, because of limits, and nothing falls below 0. A credit is
    /// reverted as it was given.
    fn caused_with(&self, ids: &[IdHash]) -> impl Iterator<Item = &Effect> {
        let is_own = |effect: &Effect| ids.contains(&effect.applied_id());
        let is_delta = |effect: &Effect| matches!(effect, Effect::SubjectDelta(_));
        // By subject, where its last delta of the event stands, when order matters up to there.
        let mut last: BTreeMap<&ProfileId, usize> = BTreeMap::new();
        for (position, effect) in self.caused.iter().enumerate() {
            if is_delta(effect) && is_own(effect) {
                last.insert(effect.subject_id(), position);
            }
        }
        last.retain(|subject_id, last| {
            let before = self.caused[..=*last].iter();
            let mut own = before.filter(|effect| effect.subject_id() == *subject_id);
            own.any(Effect::takes)
        });
        let goes_along = move |(position, effect): &(usize, &Effect)| {
            let is_ordered = last
                .get(effect.subject_id())
                .is_some_and(|last| position <= last);
            is_own(effect) || is_ordered
        };
        let caused = self.caused.iter().enumerate();
        caused.filter(goes_along).map(|(_, effect)| effect)
    }

    /// Remembers an effect on somebody else, and forgets the one that came first beyond the
    /// capacity.
    pub(super) fn note_caused(&mut self, effect: Effect) {
        self.caused.push(effect);
        let mut changes = 0;
        let kept = self.caused.iter().rev().enumerate();
        let kept = kept.take_while(|(position, effect)| {
            changes += effect.change_count();
            let has_room = *position < REMEMBERED_CAUSED && changes <= MAX_CAUSED_CHANGES;
            *position == 0 || has_room
        });
        let excess = self.caused.len() - kept.count();
        self.has_forgotten_caused |= excess > 0;
        self.caused.drain(..excess);
    }
}

impl Model {
    /// Whether events of a type are touches.
    fn is_touch(&self, event_type: &str) -> bool {
        let influence = self.influence.as_ref();
        influence.is_some_and(|influence| influence.credits.contains_key(event_type))
    }
}
