//! Takes back what an event counted, or keeps one that has not come from ever counting.

use super::{
    Context, Effect, EffectKind, Event, HalfLife, Judgement, NamedCount, Recollection, Record,
    SignalCount, Timestamp,
    accounts::Sharing,
    apply::Deed,
    counting::Match,
    model::Model,
    standing::{Changed, remaining},
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
                let changed = Changed::default();
                self.standing.refresh(self.model, &self.record, changed);
                let (deed, from) = self.deed_of(&held);
                self.withhold(deed, from);
            }
            None => self.take_back(event, context),
        }
        RetractionOutcome::Retracted
    }

    /// Keeps others from counting an event that has not counted here, and will not. Who began to
    /// count it may have come as far as its effects, and then have failed or be at it still.
    pub(super) fn withhold(&mut self, deed: Deed<'_>, from: Option<usize>) {
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
        let mut sharing = Sharing::of(&deed, now);
        for matched in &deed.matches {
            self.record
                .uncount(model, matched.clone(), deed.at, &mut sharing);
        }
        for topic in &deed.topics {
            self.record.uncount_interest(model, topic, deed.at);
        }
        let changed = Changed {
            facts: self.record.unsee(deed.event_type),
            counts: true,
        };
        self.record.event_count = self.record.event_count.saturating_sub(1);
        self.share(&deed, sharing, EffectKind::TakenBack);
        let credit = super::influence::take_back(model, &mut self.record, &self.profile_id, &deed);
        self.effects.extend(credit.map(Effect::Credit));
        self.standing.refresh(model, &self.record, changed);
        self.arrive(self.standing.stage(model, now), now);
    }
}

impl Record {
    /// Takes a match of an instant from the counts of its signal, none of them below 0, and tells
    /// what that changed.
    fn uncount(&mut self, model: &Model, mut matched: Match, at: Timestamp, shared: &mut Sharing) {
        let signal = &model.signals[matched.signal];
        let last = self.last_counted.get(&signal.name);
        let was_last = last == Some(&at);
        // Of two that are nearer than the cooldown only one has counted, and of all that replace
        // each other only the latest does.
        if (signal.keeps_latest || self.cools_down(signal, at)) && !was_last {
            return;
        }
        if signal.keeps_latest {
            return self.uncount_latest(model, &matched, at, shared);
        }
        self.forget_first_times(signal, &mut matched.keys, at);
        if signal.counts_once() {
            self.last_counted.remove(&signal.name);
        }
        for half_life in self.half_lives_of(&signal.name) {
            let value = matched.value * remaining(half_life, at, self.last_event_time);
            if signal.per.is_none() {
                self.count_of(half_life, &signal.name).drop_keys();
            }
            for key in matched.counted_keys(signal) {
                let taken = self.take(half_life, &signal.name, key, value);
                shared.note(half_life, &signal.name, key, -taken);
            }
        }
    }

    /// Takes the latest value of a signal, unless a greater one of the same instant has replaced
    /// it. What was the latest before it is not known any more.
    fn uncount_latest(
        &mut self,
        model: &Model,
        matched: &Match,
        at: Timestamp,
        shared: &mut Sharing,
    ) {
        let signal = &model.signals[matched.signal];
        let latest = matched.value.min(signal.limit.unwrap_or(f64::INFINITY));
        let is_replaced = signal.slots.iter().any(|slot| {
            let half_life = model.slots[*slot].half_life;
            let left = remaining(half_life, at, self.last_event_time);
            let kept = self.signal_count(half_life, &signal.name);
            kept.is_some_and(|kept| {
                // A limit that was lowered has not lowered what is kept.
                let is_above = without(kept.value, latest * left).is_some();
                let own = if is_above { matched.value } else { latest };
                without(kept.value, own * left).is_some()
            })
        });
        if is_replaced {
            return;
        }
        for half_life in self.half_lives_of(&signal.name) {
            let taken = self.take(half_life, &signal.name, "", f64::INFINITY);
            shared.note(half_life, &signal.name, "", -taken);
        }
        self.last_counted.remove(&signal.name);
    }

    /// The half-lives that the record counts a signal with: also those that the model has no
    /// more, lest what was taken back is taken over from them, or is there again with an old model.
    fn half_lives_of(&self, signal: &str) -> Vec<Option<HalfLife>> {
        let half_lives = self.counts.iter().map(|group| group.half_life);
        half_lives
            .filter(|half_life| self.signal_count(*half_life, signal).is_some())
            .collect()
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
        let Ok(place) = self.find(half_life, signal) else {
            return 0.0;
        };
        let counts = &mut self.counts[place.group].counts;
        let count = &mut counts[place.position];
        let mut taken = take_key(&mut count.keys, key, value);
        let missing = value - taken;
        if key.is_empty() || missing > value * ROUNDING {
            taken += take_value(count, missing);
        }
        // A count that another half-life has as well stays at 0, lest that one is taken over.
        let mut counts = self.counts.iter().flat_map(|group| &group.counts);
        if counts.all(|count| count.signal != signal || count.total() == 0.0) {
            for group in &mut self.counts {
                group.counts.retain(|count| count.signal != signal);
            }
        }
        self.counts.retain(|group| !group.counts.is_empty());
        taken
    }
}

/// Takes up to `value` from what is counted by a key. Returns what was taken.
fn take_key(keys: &mut Vec<NamedCount>, key: &str, value: f64) -> f64 {
    let Ok(position) = keys.binary_search_by(|count| count.name.as_str().cmp(key)) else {
        return 0.0;
    };
    let before = keys[position].value;
    match without(before, value) {
        Some(left) => keys[position].value = left,
        None => drop(keys.remove(position)),
    }
    value.min(before)
}

/// Takes up to `value` from what is not counted by key. Returns what was taken.
fn take_value(count: &mut SignalCount, value: f64) -> f64 {
    let before = count.value;
    count.value = without(before, value).unwrap_or(0.0);
    value.min(before)
}

/// What is left of a sum without one of its terms; `None` when that is nothing.
pub(super) fn without(sum: f64, term: f64) -> Option<f64> {
    let left = sum - term;
    (left > sum * ROUNDING).then_some(left)
}
