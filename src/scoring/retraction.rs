//! Takes back what an event counted, or keeps one that has not come from ever counting.

use super::{
    Context, Effect, EffectKind, Event, HalfLife, Judgement, Recollection, Record, SignalCount,
    Timestamp,
    apply::Deed,
    counting::{CountChange, Match, count_of, find},
    model::Model,
    standing::remaining,
};

/// What is left of a count after something was taken from it, as a share of that, when only
/// rounding left it.
const ROUNDING: f64 = 1e-12;

/// What became of a retraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetractionOutcome {
    /// What the event had counted was taken back, or what was held of it dropped.
    Retracted,
    /// The event had been retracted before.
    Duplicate,
    /// The event had not come, and will not count when it does.
    Forestalled,
    /// It cannot be told whether the event counted.
    TooOld,
}

impl Judgement<'_> {
    /// Takes back an event, as it was sent.
    pub fn retract(&mut self, event: &Event, context: &Context<'_>) -> RetractionOutcome {
        let known_by = event.time.unwrap_or(context.at);
        let retraction = event.id.of_retraction();
        let memory = &mut self.record.memory;
        let is_known = match (
            memory.recall(known_by, retraction),
            memory.recall(known_by, event.id),
        ) {
            (Recollection::Known, _) => return RetractionOutcome::Duplicate,
            (Recollection::TooOld, _) | (_, Recollection::TooOld) => {
                return RetractionOutcome::TooOld;
            }
            (Recollection::New, event) => event == Recollection::Known,
        };
        self.changed = true;
        memory.remember(known_by, event.id, context.remembered_events);
        memory.remember(known_by, retraction, context.remembered_events);
        if !is_known {
            let (observed, from) = self.foresee(event, context);
            self.withhold(observed.deed, from);
            return RetractionOutcome::Forestalled;
        }
        let mut held = self.record.quarantine.iter();
        match held.position(|held| held.id == event.id && held.known_by == known_by) {
            Some(position) => {
                let held = self.record.quarantine.remove(position);
                self.standing.refresh(self.model, &self.record, false);
                let (deed, from) = self.deed_of(&held);
                self.withhold(deed, from);
            }
            None => self.take_back(event, context),
        }
        RetractionOutcome::Retracted
    }

    /// Keeps others from counting an event that has not counted here, and will not. Who began to
    /// count it may have come as far as its effects, and then have failed or be at it still.
    fn withhold(&mut self, deed: Deed<'_>, from: Option<usize>) {
        let mut imagined = self.clone();
        imagined.effects.clear();
        imagined.count(deed, from);
        let effects = imagined.effects.into_iter();
        self.effects.extend(effects.filter_map(Effect::withheld));
    }

    /// Takes back an event that counted, as the model sees it now.
    fn take_back(&mut self, event: &Event, context: &Context<'_>) {
        let model = self.model;
        let now = self.record.last_event_time;
        // What counted is no later than the last event that did.
        let context = Context {
            at: context.at.min(now),
            ..*context
        };
        let stage = self.standing.stage_to_be(model, now);
        let deed = self.observe(event, stage, &context).deed;
        let mut changes = Vec::with_capacity(deed.matches.len());
        for matched in &deed.matches {
            self.record.uncount(model, matched, deed.at, &mut changes);
        }
        for topic in &deed.topics {
            self.record.uncount_interest(model, topic, deed.at);
        }
        let facts_changed = self.record.unsee(deed.event_type);
        self.record.event_count = self.record.event_count.saturating_sub(1);
        if let Some(account_id) = deed.account_id.clone() {
            self.share(&deed, account_id, &changes, EffectKind::TakenBack);
        }
        let credit = super::influence::take_back(model, &mut self.record, &self.profile_id, &deed);
        self.effects.extend(credit.map(Effect::Credit));
        self.standing.refresh(model, &self.record, facts_changed);
        self.arrive(self.standing.stage(model, now), now);
    }
}

impl Record {
    /// Takes a match of an instant from the counts of its signal, none of them below 0, and adds
    /// what that changed to `changes`.
    fn uncount<'m>(
        &mut self,
        model: &'m Model,
        matched: &Match,
        at: Timestamp,
        changes: &mut Vec<CountChange<'m>>,
    ) {
        let signal = &model.signals[matched.signal];
        let last = self.last_counted.get(&signal.name);
        let was_last = last == Some(&at);
        // Of two that are nearer than the cooldown only one has counted, and of all that replace
        // each other only the latest does.
        if (signal.keeps_latest || self.cools_down(signal, at)) && !was_last {
            return;
        }
        if signal.keeps_latest {
            return self.uncount_latest(model, matched, at, changes);
        }
        if signal.counts_once() {
            self.last_counted.remove(&signal.name);
        }
        for slot in &signal.slots {
            let slot = &model.slots[*slot];
            let value = matched.value * remaining(slot.half_life, at, self.last_event_time);
            let mut uncount = |key: &str| {
                let taken = self.take(slot.half_life, &slot.signal, key, value);
                changes.push(CountChange {
                    half_life: slot.half_life,
                    signal: &slot.signal,
                    key: key.to_owned(),
                    change: -taken,
                });
            };
            match signal.per {
                None => uncount(""),
                Some(_) => matched.keys.iter().for_each(|key| uncount(key)),
            }
        }
    }

    /// Takes the latest value of a signal, unless a greater one of the same instant has replaced
    /// it. What was the latest before it is not known any more.
    fn uncount_latest<'m>(
        &mut self,
        model: &'m Model,
        matched: &Match,
        at: Timestamp,
        changes: &mut Vec<CountChange<'m>>,
    ) {
        let signal = &model.signals[matched.signal];
        let latest = matched.value.min(signal.limit.unwrap_or(f64::INFINITY));
        for slot in &signal.slots {
            let slot = &model.slots[*slot];
            let value = latest * remaining(slot.half_life, at, self.last_event_time);
            let kept = self.take(slot.half_life, &slot.signal, "", f64::INFINITY);
            if without(kept, value).is_some() {
                *count_of(self.counts_of(slot.half_life), &slot.signal, "") = kept;
                return;
            }
            changes.push(CountChange {
                half_life: slot.half_life,
                signal: &slot.signal,
                key: String::new(),
                change: -kept,
            });
        }
        self.last_counted.remove(&signal.name);
    }

    /// Takes up to `value` from the count of a signal and a key, and what is missing from the
    /// keys that were dropped. Returns what was taken.
    pub(super) fn take(
        &mut self,
        half_life: Option<HalfLife>,
        signal: &str,
        key: &str,
        value: f64,
    ) -> f64 {
        let mut groups = self.counts.iter_mut();
        let Some(group) = groups.find(|group| group.half_life == half_life) else {
            return 0.0;
        };
        let mut taken = take_from(&mut group.counts, signal, key, value);
        let missing = value - taken;
        if !key.is_empty() && missing > value * ROUNDING {
            taken += take_from(&mut group.counts, signal, "", missing);
        }
        self.counts.retain(|group| !group.counts.is_empty());
        taken
    }

    /// Takes 1 from a topic, as of an instant.
    pub(super) fn uncount_interest(&mut self, model: &Model, topic: &str, at: Timestamp) {
        let half_life = model.interests_half_life;
        let value = half_life.remaining(at, self.last_event_time);
        let interests = &mut self.interests;
        let found = interests.binary_search_by(|interest| interest.name.as_str().cmp(topic));
        if let Ok(position) = found {
            match without(interests[position].value, value) {
                Some(left) => interests[position].value = left,
                None => drop(interests.remove(position)),
            }
        }
    }

    /// Forgets that one event of this type has counted. Returns whether that was the last.
    pub(super) fn unsee(&mut self, event_type: &str) -> bool {
        let seen = &mut self.seen_types;
        let found = seen.binary_search_by(|seen| seen.name.as_str().cmp(event_type));
        let Ok(position) = found else {
            return false;
        };
        let count = &mut seen[position].count;
        match *count {
            // How often is not known.
            0 => false,
            1 => {
                seen.remove(position);
                true
            }
            _ => {
                *count -= 1;
                false
            }
        }
    }
}

fn take_from(counts: &mut Vec<SignalCount>, signal: &str, key: &str, value: f64) -> f64 {
    let Ok(position) = find(counts, signal, key) else {
        return 0.0;
    };
    let before = counts[position].value;
    match without(before, value) {
        Some(left) => counts[position].value = left,
        None => drop(counts.remove(position)),
    }
    value.min(before)
}

/// What is left of a sum without one of its terms; `None` when that is nothing.
pub(super) fn without(sum: f64, term: f64) -> Option<f64> {
    let left = sum - term;
    (left > sum * ROUNDING).then_some(left)
}
