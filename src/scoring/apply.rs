//! Counts events: the one place where a record changes.
//!
//! [`apply`] is deterministic: the same model, record, event and context give the same
//! outcome. Whatever the shell must look up comes in the [`Context`].

use super::{
    Attributes, Credit, Event, Model, Profile, ProfileId, RankChange, RankKey, Recollection,
    Record, Timestamp, TopicShare,
    counting::Match,
    explain::Detail,
    influence::{Arrival, InfluencePlace},
    model::{Facts, Happening},
    standing::{Places, Standing},
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
    },
    /// It had counted before.
    Duplicate,
    /// It cannot be told whether it had counted before.
    TooOld,
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
    pub credits: Vec<Credit>,
    /// What the record's new influence adds to the totals of its topics.
    pub totals: Vec<TopicShare>,
    /// The signals whose expressions failed.
    pub failed_rules: Vec<String>,
    /// Whether anything changed; when not, there is nothing to write.
    pub changed: bool,
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

/// A record while events are counted on it, one after the other, for one write.
#[derive(Debug)]
pub struct Judgement<'m> {
    model: &'m Model,
    profile_id: ProfileId,
    record: Record,
    standing: Standing,
    old_places: Places<'m>,
    old_influence_keys: Option<Vec<(InfluencePlace, RankKey)>>,
    credits: Vec<Credit>,
    totals: Vec<TopicShare>,
    failed_rules: Vec<String>,
    changed: bool,
}

impl<'m> Judgement<'m> {
    /// Starts from a stored record.
    pub fn new(model: &'m Model, profile_id: ProfileId, mut record: Record) -> Self {
        let mut standing = Standing::of(model, &record);
        record.take_over(model, &std::mem::take(&mut standing.takeovers));
        Self {
            old_places: standing.places(model),
            old_influence_keys: None,
            model,
            profile_id,
            standing,
            record,
            credits: Vec::new(),
            totals: Vec::new(),
            failed_rules: Vec::new(),
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
            Recollection::Known => return EventOutcome::Duplicate,
            Recollection::TooOld => return EventOutcome::TooOld,
            Recollection::New => {}
        }
        let now = context.at.max(self.record.last_event_time);
        let mentioned = self.model.words.find(&event.text);
        let topics = self.model.topics.find(&event.tags, &mentioned);
        let from = self.standing.stage(self.model, now);
        let matches = self.matches(event, &topics, &mentioned, from, context);

        let (model, record) = (self.model, &mut self.record);
        record.advance_to(model, now);
        let mut matched_signals = Vec::with_capacity(matches.len());
        let mut changes = Vec::with_capacity(matches.len());
        for matched in &matches {
            record.count(model, matched, context.at, &mut changes);
            matched_signals.push(model.signals[matched.signal].name.clone());
        }
        for topic in &topics {
            record.count_interest(model, topic, context.at);
        }
        let facts_changed = record.see(model, &event.event_type);
        if record.event_count == 0 || context.at < record.first_seen_time {
            record.first_seen_time = context.at;
        }
        record.event_count = record.event_count.saturating_add(1);
        record
            .memory
            .remember(known_by, event.id, context.remembered_events);
        self.changed = true;
        self.standing
            .refresh(self.model, &self.record, facts_changed);

        let to = self.standing.stage(self.model, now);
        self.arrive(to, now);
        self.touch(event, topics, from, context.at);
        let stage_change = (from != to).then(|| StageChange {
            from: from.map(|stage| self.stage_name(stage)),
            to: to.map(|stage| self.stage_name(stage)),
        });
        EventOutcome::Applied {
            matched_signals,
            stage_change,
        }
    }

    /// Replaces what the profile states.
    pub fn update(&mut self, attributes: Attributes) {
        self.record.attributes = attributes;
        self.changed = true;
        self.standing.refresh(self.model, &self.record, true);
        let at = self.record.last_event_time;
        self.arrive(self.standing.stage(self.model, at), at);
    }

    /// Gives an author what a touch or an advance earned. Returns whether it counted.
    pub fn credit(&mut self, credit: &Credit) -> bool {
        if self.record.credits.contains(&credit.id) {
            return false;
        }
        let Some(influence) = &self.model.influence else {
            return false;
        };
        if self.old_influence_keys.is_none() {
            self.old_influence_keys = Some(self.influence_keys());
        }
        self.record.remember_credit(credit.id);
        let now = credit.time.max(self.record.influence_time);
        let fading = influence
            .half_life
            .remaining(self.record.influence_time, now);
        for cell in &mut self.record.influence {
            cell.credit *= fading;
        }
        self.record.influence_time = now;
        let added = credit.credit * influence.half_life.remaining(credit.time, now);
        for topic in &credit.topics {
            let Some(cell) = self.record.influence_cell(topic, &credit.stage) else {
                continue;
            };
            cell.credit += added;
            cell.touches = cell.touches.saturating_add(credit.touches);
            cell.advance_millionths = cell
                .advance_millionths
                .saturating_add(credit.advance_millionths);
            self.totals
                .push((topic.clone(), credit.touches, credit.advance_millionths));
        }
        self.changed = true;
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
            credits: self.credits,
            totals: self.totals,
            failed_rules: self.failed_rules,
            changed: self.changed,
        }
    }

    fn influence_keys(&self) -> Vec<(InfluencePlace, RankKey)> {
        super::influence::keys(self.model, &self.record)
    }

    fn stage_name(&self, stage: usize) -> String {
        self.model.stages[stage].name.clone()
    }

    /// The signals that the event matches, in the order of the model. Its text holds phrases of
    /// `mentioned`.
    fn matches(
        &mut self,
        event: &Event,
        topics: &[String],
        mentioned: &[usize],
        stage: Option<usize>,
        context: &Context<'_>,
    ) -> Vec<Match> {
        let model = self.model;
        let Some(candidates) = model.signals_by_type.get(&event.event_type) else {
            return Vec::new();
        };
        let account = context
            .account
            .filter(|_| model.reads_account(&event.event_type))
            .map(|account| Standing::of(model, account));
        let facts = Facts {
            attributes: &self.record.attributes,
            seen_types: &self.record.seen_types,
            identity_confidence: self.standing.stated.identity_confidence,
            happening: Some(Happening {
                model,
                event,
                at: context.at,
                topics,
                record: &self.record,
                standing: &self.standing,
                stage: stage.map_or("", |stage| model.stages[stage].name.as_str()),
                author: context.author,
                account: account.as_ref(),
            }),
        };
        let mut matches = Vec::new();
        for position in candidates {
            let signal = &model.signals[*position];
            match signal.match_event(model, &facts, mentioned) {
                Ok(Some((value, keys))) if !self.record.cools_down(signal, context.at) => {
                    matches.push(Match {
                        signal: *position,
                        value,
                        keys,
                    });
                }
                Ok(_) => {}
                Err(_) => self.failed_rules.push(signal.name.clone()),
            }
        }
        matches
    }

    /// Notes the first arrival at a stage, and shares an advance among those who led there.
    fn arrive(&mut self, stage: Option<usize>, at: Timestamp) {
        let arrival = Arrival {
            profile_id: self.profile_id.as_str(),
            stage,
            at,
        };
        let credits = arrival.note(self.model, &mut self.record);
        self.credits.extend(credits);
    }

    fn touch(&mut self, event: &Event, topics: Vec<String>, from: Option<usize>, at: Timestamp) {
        let stage = from.map_or_else(String::new, |stage| self.stage_name(stage));
        let credit =
            super::influence::touch(self.model, &mut self.record, event, topics, stage, at);
        self.credits.extend(credit);
    }
}

impl Record {
    /// What the profile states after an update. `mask` names the attributes to set, or to
    /// remove when they are absent; an empty mask merges.
    pub fn attributes_after(&self, attributes: &Attributes, mask: &[String]) -> Attributes {
        let mut stated = self.attributes.clone();
        if mask.is_empty() {
            stated.extend(attributes.clone());
        }
        for name in mask {
            match attributes.get(name) {
                Some(value) => stated.insert(name.clone(), value.clone()),
                None => stated.remove(name),
            };
        }
        stated
    }
}
