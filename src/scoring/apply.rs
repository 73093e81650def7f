//! Counts events: the one place where a record changes.
//!
//! [`apply`] is deterministic: the same model, record, event and context give the same
//! outcome. Whatever the shell must look up comes in the [`Context`].

use super::{
    Attributes, Effect, EffectKind, Event, EventOutcome, IdHash, Model, Outcome, Profile,
    ProfileId, RankKey, Recollection, Record, StageChange, Subject, Timestamp, TopicDelta,
    accounts::CountDeltas,
    counting::Match,
    evaluation::{Changed, Evaluation},
    explain::Detail,
    influence::InfluenceRank,
    model::{Budget, EvalContext, EventContext},
    rank_entries::RankEntries,
};

/// What stands for the conditions on what is stated, of rules, stages and segments, among the
/// rules that failed: they may take so many steps together.
const CLOCK_FREE_RULES: &str = "(what is stated)";

/// What the shell looked up for an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context<'a> {
    /// The instant that the event counts at: its own, or its arrival.
    pub at: Timestamp,
    /// How many events a record remembers.
    pub remembered_events: usize,
    /// What the author of the content states, when the model asks for it and it is known.
    pub author: Option<&'a Attributes>,
    /// The record of the account, when the model asks for its scores and it is known.
    pub account: Option<&'a Record>,
}

impl Context<'_> {
    /// Nothing looked up but the instant.
    pub fn at(at: Timestamp, remembered_events: usize) -> Self {
        Self {
            at,
            remembered_events,
            author: None,
            account: None,
        }
    }
}

/// Counts one event.
pub fn apply(
    model: &Model,
    record: Record,
    event: &Event,
    context: &Context<'_>,
) -> (EventOutcome, Outcome) {
    let mut edit = RecordEdit::new(model, event.profile_id.clone(), record);
    let outcome = edit.apply(event, context);
    (outcome, edit.finish())
}

/// What an event does, as far as it counts.
#[derive(Debug)]
pub(super) struct MatchedEvent<'e> {
    pub id: IdHash,
    /// The time that the event is known by.
    pub known_by: Timestamp,
    /// The instant that it counts at.
    pub at: Timestamp,
    pub event_type: &'e str,
    /// Declared topics.
    pub topics: Vec<String>,
    pub author_id: Option<ProfileId>,
    pub account_id: Option<ProfileId>,
    pub matches: Vec<Match>,
}

impl MatchedEvent<'_> {
    /// What the event is known by within its profile, in one hash: its id, and its time as sent.
    pub fn hash(&self) -> IdHash {
        self.id.at(self.known_by)
    }
}

/// An event, seen before it counts.
pub(super) struct EvaluatedEvent<'e> {
    pub matched_event: MatchedEvent<'e>,
    /// The position of the quarantine rule that it falls under.
    pub rule: Option<usize>,
}

/// A record while events are counted on it, one after the other, for one write.
#[derive(Clone, Debug)]
pub struct RecordEdit<'m> {
    pub(super) model: &'m Model,
    pub(super) profile_id: ProfileId,
    pub(super) record: Record,
    pub(super) evaluation: Evaluation,
    old_rank_entries: RankEntries<'m>,
    pub(super) old_influence_keys: Option<Vec<(InfluenceRank, RankKey)>>,
    pub(super) effects: Vec<Effect>,
    pub(super) again: Vec<Effect>,
    pub(super) unsettled_effects: usize,
    pub(super) totals: Vec<TopicDelta>,
    failed_rules: Vec<String>,
    pub(super) held_by: Vec<String>,
    pub(super) dropped_events: usize,
    pub(super) changed: bool,
    /// The steps that expressions took for events.
    steps: usize,
}

impl<'m> RecordEdit<'m> {
    /// Starts from a stored record.
    pub fn new(model: &'m Model, profile_id: ProfileId, mut record: Record) -> Self {
        let mut evaluation = Evaluation::of(model, profile_id.subject(), &record);
        let migrations = std::mem::take(&mut evaluation.migrations);
        if !migrations.is_empty() {
            record.migrate_half_lives(model, &migrations);
            evaluation = Evaluation::of(model, profile_id.subject(), &record);
        }
        Self {
            old_rank_entries: evaluation.rank_entries(model),
            old_influence_keys: None,
            model,
            profile_id,
            evaluation,
            record,
            effects: Vec::new(),
            again: Vec::new(),
            unsettled_effects: 0,
            totals: Vec::new(),
            failed_rules: Vec::new(),
            held_by: Vec::new(),
            dropped_events: 0,
            changed: false,
            steps: 0,
        }
    }

    /// Starts from nothing: a profile that is not stored yet, and stands in no rank.
    pub fn new_profile(model: &'m Model, profile_id: ProfileId) -> Self {
        let mut edit = Self::new(model, profile_id, Record::default());
        edit.old_rank_entries = RankEntries::default();
        edit
    }

    /// Counts an event.
    pub fn apply(&mut self, event: &Event, context: &Context<'_>) -> EventOutcome {
        // As it was sent: what came from the future would count at another instant, and so
        // once more, when it is sent again.
        let known_by = event.time.unwrap_or(context.at);
        match self.record.memory.recall(known_by, event.id) {
            Recollection::Known => {
                self.cause_again(event, known_by);
                return EventOutcome::Duplicate;
            }
            Recollection::TooOld => {
                self.cause_again(event, known_by);
                return EventOutcome::TooOld;
            }
            Recollection::New => {}
        }
        let (
            EvaluatedEvent {
                matched_event,
                rule,
            },
            from,
        ) = self.evaluate_new(event, context);
        let memory = &mut self.record.memory;
        memory.remember(known_by, event.id, context.remembered_events);
        self.changed = true;
        if let Some(rule) = rule {
            self.hold(rule, matched_event, context.remembered_events);
            let rule = self.model.quarantine[rule].name.clone();
            return EventOutcome::Quarantined { rule };
        }
        let is_unmatched =
            matched_event.topics.is_empty() && !self.model.names_type(matched_event.event_type);
        let unmatched_type = is_unmatched.then(|| matched_event.event_type.to_owned());
        let (matched_signals, stage_change) = self.apply_matched_event(matched_event, from);
        EventOutcome::Applied {
            matched_signals,
            stage_change,
            unmatched_type,
        }
    }

    /// What an event that has not counted would do now, and the stage just before it.
    pub(super) fn evaluate_new<'e>(
        &mut self,
        event: &'e Event,
        context: &Context<'_>,
    ) -> (EvaluatedEvent<'e>, Option<usize>) {
        let now = context.at.max(self.record.last_event_time);
        let from = self.evaluation.stage_to_be(self.model, now);
        let mut evaluated = self.evaluate(event, from, context);
        evaluated.matched_event.matches.retain_mut(|matched| {
            let signal = &self.model.signals[matched.signal];
            !self.record.cools_down(signal, context.at)
                && self.record.leave_first_times(signal, &mut matched.keys)
        });
        (evaluated, from)
    }

    /// Counts what an event does; the profile stood at stage `from` just before it. Returns the
    /// signals that counted, and the move along the path to purchase.
    pub(super) fn apply_matched_event(
        &mut self,
        matched_event: MatchedEvent<'_>,
        from: Option<usize>,
    ) -> (Vec<String>, Option<StageChange>) {
        let (model, record) = (self.model, &mut self.record);
        let now = matched_event.at.max(record.last_event_time);
        record.advance_to(model, now);
        let mut matched_signals = Vec::with_capacity(matched_event.matches.len());
        let mut deltas = CountDeltas::of(&matched_event, now);
        let mut changed = Changed::default();
        for matched in &matched_event.matches {
            changed.counts |= record.apply_match(
                model,
                matched,
                matched_event.at,
                &self.evaluation,
                &mut deltas,
            );
            matched_signals.push(model.signals[matched.signal].name.clone());
        }
        for topic in &matched_event.topics {
            record.apply_interest(model, topic, matched_event.at);
        }
        changed.clock_free = record.apply_seen(model, matched_event.event_type);
        record.note_event(matched_event.at);
        self.cause_account_delta(&matched_event, deltas, EffectKind::Apply);
        self.evaluation.refresh(model, &self.record, changed);

        let to = self.evaluation.stage(model, now);
        self.arrive(to, now);
        let stage = from.map_or_else(String::new, |stage| self.stage_name(stage));
        self.touch(matched_event, stage);
        let stage_change = (from != to).then(|| StageChange {
            from: from.map(|stage| self.stage_name(stage)),
            to: to.map(|stage| self.stage_name(stage)),
        });
        (matched_signals, stage_change)
    }

    /// Replaces what the profile states.
    pub fn update(&mut self, attributes: Attributes) {
        self.record.attributes = attributes;
        self.changed = true;
        let changed = Changed {
            clock_free: true,
            counts: false,
        };
        self.evaluation.refresh(self.model, &self.record, changed);
        let at = self.record.last_event_time;
        self.arrive(self.evaluation.stage(self.model, at), at);
    }

    /// The profile as it stands now, at an instant not before its last event.
    pub fn profile(&self, at: Timestamp) -> Profile {
        let Self {
            model,
            profile_id,
            record,
            evaluation,
            ..
        } = self;
        super::explain::profile(model, profile_id, record, evaluation, at, Detail::Points)
    }

    /// The effects on others so far, in the order in which they came.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// The steps that expressions have taken for events so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The effects on others so far of events that had come before.
    pub fn again(&self) -> &[Effect] {
        &self.again
    }

    /// The record as it stands now.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What is to be written.
    pub fn finish(self) -> Outcome {
        let rank_entries = self.evaluation.rank_entries(self.model);
        let mut ranks = self.old_rank_entries.changes_to(&rank_entries, self.model);
        if let Some(old) = &self.old_influence_keys {
            let new = self.influence_keys();
            ranks.extend(super::influence::changes(self.model, old, &new));
        }
        let mut failed_rules = self.failed_rules;
        if self.changed && self.evaluation.clock_free.is_cut_off {
            failed_rules.push(CLOCK_FREE_RULES.to_owned());
        }
        Outcome {
            ranks,
            record: self.record,
            effects: self.effects,
            again: self.again,
            unsettled_effects: self.unsettled_effects,
            totals: self.totals,
            failed_rules,
            held_by: self.held_by,
            dropped_events: self.dropped_events,
            changed: self.changed,
        }
    }

    pub(super) fn influence_keys(&self) -> Vec<(InfluenceRank, RankKey)> {
        super::influence::keys(self.model, &self.record)
    }

    fn stage_name(&self, stage: usize) -> String {
        self.model.stages[stage].name.clone()
    }

    /// What an event does at an instant, and whether a rule keeps it apart: by the record just
    /// before it, whatever cools down.
    pub(super) fn evaluate<'e>(
        &mut self,
        event: &'e Event,
        stage: Option<usize>,
        context: &Context<'_>,
    ) -> EvaluatedEvent<'e> {
        let model = self.model;
        let mentioned = model.phrases.find(&event.text);
        let topics = model.topics.find(&event.tags, &mentioned);
        let candidates = model.signals_by_type.get(&event.event_type);
        let candidates = candidates.map_or(&[][..], Vec::as_slice);
        let account = context
            .account
            .filter(|_| model.reads_account(&event.event_type))
            .map(|account| Evaluation::of(model, Subject::Account, account));
        let budget = Budget::new();
        let eval_context = EvalContext {
            budget: &budget,
            attributes: &self.record.attributes,
            seen_types: &self.record.seen_types,
            identity_confidence: self.evaluation.clock_free.identity_confidence,
            event_context: Some(EventContext {
                model,
                event,
                at: context.at,
                topics: &topics,
                record: &self.record,
                evaluation: &self.evaluation,
                stage: stage.map_or("", |stage| model.stages[stage].name.as_str()),
                author: context.author,
                account: account.as_ref(),
            }),
        };
        let rule = model.rule_against(&event.event_type, &eval_context, &mut self.failed_rules);
        let mut matches = Vec::with_capacity(candidates.len());
        for position in candidates {
            let signal = &model.signals[*position];
            match signal.match_event(&eval_context, &mentioned) {
                Ok(Some((value, keys))) => matches.push(Match {
                    signal: *position,
                    value,
                    keys,
                }),
                Ok(None) => {}
                Err(_) => self.failed_rules.push(signal.name.clone()),
            }
        }
        self.steps += budget.taken();
        let matched_event = MatchedEvent {
            id: event.id,
            known_by: event.time.unwrap_or(context.at),
            at: context.at,
            event_type: &event.event_type,
            topics,
            author_id: event.author_id.clone(),
            account_id: model.account_of(event, &self.record.attributes),
            matches,
        };
        EvaluatedEvent {
            matched_event,
            rule,
        }
    }
}
