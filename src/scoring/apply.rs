//! Counts events: the one place where a record changes.
//!
//! [`apply`] is deterministic: the same model, record, event and context give the same
//! outcome. Whatever the shell must look up comes in the [`Context`].

use super::{
    Attributes, Effect, EffectKind, Event, EventOutcome, IdHash, Model, Outcome, Profile,
    ProfileId, RankKey, Recollection, Record, StageChange, Subject, Timestamp, TopicShare,
    accounts::Sharing,
    counting::Match,
    explain::Detail,
    influence::{Arrival, InfluencePlace},
    limits::REMEMBERED_EFFECTS,
    model::{Budget, Facts, Happening},
    places::Places,
    standing::{Changed, Standing},
};

/// What stands for the conditions on what is stated, of rules, stages and segments, among the
/// rules that failed: they may take so many steps together.
const STANDING_RULES: &str = "(what is stated)";

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
    pub(super) totals: Vec<TopicShare>,
    failed_rules: Vec<String>,
    pub(super) held_by: Vec<String>,
    pub(super) dropped_events: usize,
    pub(super) changed: bool,
    /// The steps that expressions took for events.
    steps: usize,
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
            Recollection::Known => return EventOutcome::Duplicate,
            Recollection::TooOld => return EventOutcome::TooOld,
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
        observed.deed.matches.retain_mut(|matched| {
            let signal = &self.model.signals[matched.signal];
            !self.record.cools_down(signal, context.at)
                && self.record.leave_first_times(signal, &mut matched.keys)
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
        let credit =
            super::influence::touch(model, &mut self.record, &self.profile_id, deed, stage);
        self.effects.extend(credit.map(Effect::Credit));
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

    /// Has the record follow an effect of somebody else's event. Returns whether that changed it.
    pub fn take(&mut self, effect: &Effect) -> bool {
        let counts = match effect {
            Effect::Credit(_) => self.model.influence.is_some(),
            Effect::Share(_) => self.model.accounts.is_some(),
        };
        let is_known = |id: IdHash| self.record.effects.contains(&id);
        let was_given = is_known(effect.given_id());
        let was_taken = is_known(effect.given_id().of_retraction());
        let is_done = was_taken || (was_given && effect.kind() == EffectKind::Given);
        if !counts || is_done {
            return false;
        }
        // Who has forgotten nothing yet knows what was never given.
        let may_be_forgotten = self.record.effects.len() >= REMEMBERED_EFFECTS;
        let is_mark = match effect.kind() {
            EffectKind::Given => false,
            EffectKind::TakenBack => !was_given && !may_be_forgotten,
            EffectKind::Withheld => !was_given,
        };
        self.record.remember_effect(effect.id());
        self.changed = true;
        if is_mark {
            return true;
        }
        let changed = match effect {
            Effect::Credit(credit) => {
                self.take_credit(credit);
                Changed::default()
            }
            Effect::Share(share) => Changed {
                facts: self.take_share(share),
                counts: true,
            },
        };
        self.standing.refresh(self.model, &self.record, changed);
        true
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

    /// The steps that expressions have taken for events so far.
    pub fn steps(&self) -> usize {
        self.steps
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
        let mut failed_rules = self.failed_rules;
        if self.changed && self.standing.stated.is_cut_off {
            failed_rules.push(STANDING_RULES.to_owned());
        }
        Outcome {
            ranks,
            record: self.record,
            effects: self.effects,
            totals: self.totals,
            failed_rules,
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
        let budget = Budget::new();
        let facts = Facts {
            budget: &budget,
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
            match signal.match_event(&facts, &mentioned) {
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

    /// Notes the first arrival at a stage, and shares an advance among those who led there.
    pub(super) fn arrive(&mut self, stage: Option<usize>, at: Timestamp) {
        let arrival = Arrival {
            profile_id: self.profile_id.as_str(),
            stage,
            at,
        };
        let credits = arrival.note(self.model, &mut self.record).into_iter();
        self.effects.extend(credits.map(Effect::Credit));
    }
}
