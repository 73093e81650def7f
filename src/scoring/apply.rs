//! Counts events: the one place where a record changes.
//!
//! [`apply`] is deterministic: the same model, record, event and context give the same
//! outcome. Whatever the shell must look up comes in the [`Context`].

use super::{
    Attributes, Effect, EffectKind, Event, IdHash, Model, Profile, ProfileId, RankChange, RankKey,
    Recollection, Record, Subject, Timestamp, TopicShare,
    accounts::Sharing,
    counting::Match,
    explain::Detail,
    influence::InfluencePlace,
    model::{Facts, Happening},
    places::Places,
    standing::{Changed, Standing},
};

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

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum EventOutcome {
    /// It counted.
    Applied {
        /// The signals that counted, in the order of the model.
        matched_signals: Vec<String>,
        /// The move along the path to purchase, when there was one.
        stage_change: Option<StageChange>,
        /// The event's type, when the model names it nowhere and the event is on no topic: a
        /// slip, perhaps.
        unmatched_type: Option<String>,
    },
    /// It had counted before.
    Duplicate,
    /// It cannot be told whether it had counted before.
    TooOld,
    /// A quarantine rule holds it.
    Quarantined {
        /// The name of the rule.
        rule: String,
    },
}

/// A move along the path to purchase; `None` for no stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageChange {
    /// The stage just before the event, at the event's instant.
    pub from: Option<String>,
    /// The stage just after it.
    pub to: Option<String>,
}

/// What comes of counting: a record to write, and its effects.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The new record.
    pub record: Record,
    /// How the profile moves within ranks.
    pub ranks: Vec<RankChange>,
    /// Effects on others, to be committed before the record.
    pub effects: Vec<Effect>,
    /// Effects on others of events that had come before, for who has lost them; before `effects`.
    pub again: Vec<Effect>,
    /// Effects of events that had come before, of which nobody can tell any more whether they are
    /// missing.
    pub unsettled_effects: usize,
    /// What the record's new influence adds to the totals of its topics.
    pub totals: Vec<TopicShare>,
    /// The signals and quarantine rules whose expressions failed.
    pub failed_rules: Vec<String>,
    /// The quarantine rule of each event that was held.
    pub held_by: Vec<String>,
    /// How many held events were dropped for good, because there were too many.
    pub dropped_events: usize,
    /// Whether anything changed; when not, there is nothing to write.
    pub changed: bool,
}

impl Outcome {
    /// How many effects on others it has, those that are caused again included.
    pub fn effect_count(&self) -> usize {
        self.again.len() + self.effects.len()
    }
}

/// Counts one event.
pub fn apply(
    model: &Model,
    record: Record,
    event: &Event,
    context: &Context<'_>,
) -> (EventOutcome, Outcome) {
    let mut judgement = Judgement::new(model, event.profile_id.clone(), record);
    let outcome = judgement.apply(event, context);
    (outcome, judgement.finish())
}

/// What an event does, as far as it counts.
#[derive(Debug)]
pub(super) struct Deed<'e> {
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

impl Deed<'_> {
    /// What the event is known by within its profile, in one hash: its id, and its time as sent.
    pub fn hash(&self) -> IdHash {
        self.id.at(self.known_by)
    }
}

/// An event, seen before it counts.
pub(super) struct Observed<'e> {
    pub deed: Deed<'e>,
    /// The position of the quarantine rule that it falls under.
    pub rule: Option<usize>,
}

/// A record while events are counted on it, one after the other, for one write.
#[derive(Clone, Debug)]
pub struct Judgement<'m> {
    pub(super) model: &'m Model,
    pub(super) profile_id: ProfileId,
    pub(super) record: Record,
    pub(super) standing: Standing,
    old_places: Places<'m>,
    pub(super) old_influence_keys: Option<Vec<(InfluencePlace, RankKey)>>,
    pub(super) effects: Vec<Effect>,
    pub(super) again: Vec<Effect>,
    pub(super) unsettled_effects: usize,
    pub(super) totals: Vec<TopicShare>,
    failed_rules: Vec<String>,
    pub(super) held_by: Vec<String>,
    pub(super) dropped_events: usize,
    pub(super) changed: bool,
}

impl<'m> Judgement<'m> {
    /// Starts from a stored record.
    pub fn new(model: &'m Model, profile_id: ProfileId, mut record: Record) -> Self {
        let mut standing = Standing::of(model, profile_id.subject(), &record);
        let takeovers = std::mem::take(&mut standing.takeovers);
        if !takeovers.is_empty() {
            record.take_over(model, &takeovers);
            standing = Standing::of(model, profile_id.subject(), &record);
        }
        Self {
            old_places: standing.places(model),
            old_influence_keys: None,
            model,
            profile_id,
            standing,
            record,
            effects: Vec::new(),
            again: Vec::new(),
            unsettled_effects: 0,
            totals: Vec::new(),
            failed_rules: Vec::new(),
            held_by: Vec::new(),
            dropped_events: 0,
            changed: false,
        }
    }

    /// Starts from nothing: a profile that is not stored yet, and stands in no rank.
    pub fn new_profile(model: &'m Model, profile_id: ProfileId) -> Self {
        let mut judgement = Self::new(model, profile_id, Record::default());
        judgement.old_places = Places::default();
        judgement
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
        let (Observed { deed, rule }, from) = self.foresee(event, context);
        let memory = &mut self.record.memory;
        memory.remember(known_by, event.id, context.remembered_events);
        self.changed = true;
        if let Some(rule) = rule {
            self.hold(rule, deed, context.remembered_events);
            let rule = self.model.quarantine[rule].name.clone();
            return EventOutcome::Quarantined { rule };
        }
        let is_unmatched = deed.topics.is_empty() && !self.model.names_type(deed.event_type);
        let unmatched_type = is_unmatched.then(|| deed.event_type.to_owned());
        let (matched_signals, stage_change) = self.count(deed, from);
        EventOutcome::Applied {
            matched_signals,
            stage_change,
            unmatched_type,
        }
    }

    /// What an event that has not counted would do now, and the stage just before it.
    pub(super) fn foresee<'e>(
        &mut self,
        event: &'e Event,
        context: &Context<'_>,
    ) -> (Observed<'e>, Option<usize>) {
        let now = context.at.max(self.record.last_event_time);
        let from = self.standing.stage_to_be(self.model, now);
        let mut observed = self.observe(event, from, context);
        observed.deed.matches.retain(|matched| {
            let signal = &self.model.signals[matched.signal];
            !self.record.cools_down(signal, context.at)
        });
        (observed, from)
    }

    /// Counts what an event does; the profile stood at stage `from` just before it. Returns the
    /// signals that counted, and the move along the path to purchase.
    pub(super) fn count(
        &mut self,
        deed: Deed<'_>,
        from: Option<usize>,
    ) -> (Vec<String>, Option<StageChange>) {
        let (model, record) = (self.model, &mut self.record);
        let now = deed.at.max(record.last_event_time);
        record.advance_to(model, now);
        let mut matched_signals = Vec::with_capacity(deed.matches.len());
        let mut sharing = Sharing::of(&deed, now);
        let mut changed = Changed::default();
        for matched in &deed.matches {
            changed.counts |= record.count(model, matched, deed.at, &self.standing, &mut sharing);
            matched_signals.push(model.signals[matched.signal].name.clone());
        }
        for topic in &deed.topics {
            record.count_interest(model, topic, deed.at);
        }
        changed.facts = record.see(model, deed.event_type);
        record.note_event(deed.at);
        self.share(&deed, sharing, EffectKind::Given);
        self.standing.refresh(model, &self.record, changed);

        let to = self.standing.stage(model, now);
        self.arrive(to, now);
        let stage = from.map_or_else(String::new, |stage| self.stage_name(stage));
        self.touch(deed, stage);
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
            facts: true,
            counts: false,
        };
        self.standing.refresh(self.model, &self.record, changed);
        let at = self.record.last_event_time;
        self.arrive(self.standing.stage(self.model, at), at);
    }

    /// The profile as it stands now, at an instant not before its last event.
    pub fn profile(&self, at: Timestamp) -> Profile {
        let Self {
            model,
            profile_id,
            record,
            standing,
            ..
        } = self;
        super::explain::profile(model, profile_id, record, standing, at, Detail::Points)
    }

    /// The effects on others so far, in the order in which they came.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
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
        let places = self.standing.places(self.model);
        let mut ranks = self.old_places.changes_to(&places, self.model);
        if let Some(old) = &self.old_influence_keys {
            let new = self.influence_keys();
            ranks.extend(super::influence::changes(self.model, old, &new));
        }
        Outcome {
            ranks,
            record: self.record,
            effects: self.effects,
            again: self.again,
            unsettled_effects: self.unsettled_effects,
            totals: self.totals,
            failed_rules: self.failed_rules,
            held_by: self.held_by,
            dropped_events: self.dropped_events,
            changed: self.changed,
        }
    }

    pub(super) fn influence_keys(&self) -> Vec<(InfluencePlace, RankKey)> {
        super::influence::keys(self.model, &self.record)
    }

    fn stage_name(&self, stage: usize) -> String {
        self.model.stages[stage].name.clone()
    }

    /// What an event does at an instant, and whether a rule keeps it apart: by the record just
    /// before it, whatever cools down.
    pub(super) fn observe<'e>(
        &mut self,
        event: &'e Event,
        stage: Option<usize>,
        context: &Context<'_>,
    ) -> Observed<'e> {
        let model = self.model;
        let mentioned = model.words.find(&event.text);
        let topics = model.topics.find(&event.tags, &mentioned);
        let candidates = model.signals_by_type.get(&event.event_type);
        let candidates = candidates.map_or(&[][..], Vec::as_slice);
        let account = context
            .account
            .filter(|_| model.reads_account(&event.event_type))
            .map(|account| Standing::of(model, Subject::Account, account));
        let facts = Facts {
            attributes: &self.record.attributes,
            seen_types: &self.record.seen_types,
            identity_confidence: self.standing.stated.identity_confidence,
            happening: Some(Happening {
                model,
                event,
                at: context.at,
                topics: &topics,
                record: &self.record,
                standing: &self.standing,
                stage: stage.map_or("", |stage| model.stages[stage].name.as_str()),
                author: context.author,
                account: account.as_ref(),
            }),
        };
        let rule = model.rule_against(&event.event_type, &facts, &mut self.failed_rules);
        let mut matches = Vec::with_capacity(candidates.len());
        for position in candidates {
            let signal = &model.signals[*position];
            match signal.match_event(model, &facts, &mentioned) {
                Ok(Some((value, keys))) => matches.push(Match {
                    signal: *position,
                    value,
                    keys,
                }),
                Ok(None) => {}
                Err(_) => self.failed_rules.push(signal.name.clone()),
            }
        }
        let deed = Deed {
            id: event.id,
            known_by: event.time.unwrap_or(context.at),
            at: context.at,
            event_type: &event.event_type,
            topics,
            author_id: event.author_id.clone(),
            account_id: model.account_of(event, &self.record.attributes),
            matches,
        };
        Observed { deed, rule }
    }
}
