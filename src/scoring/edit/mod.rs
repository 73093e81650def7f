//! Every verb that changes a record: `apply` an event, `hold` it in quarantine, `retract` it,
//! `credit` an author, follow a `subject_delta`, `settle` effects of others, `recount`.
//!
//! All of it is deterministic: the same model, record, event and context give the same outcome.
//! Whatever the shell must look up comes in the [`Context`].

mod apply;
mod credit;
mod hold;
mod matched_event;
mod path;
mod recount;
mod retract;
mod settle;
mod stated;
mod subject_delta;

pub use apply::apply;
pub use hold::Selection;
pub use retract::RetractionOutcome;

use super::{
    Attributes, Effect, Model, Name, Outcome, ProfileId, RankKey, Record, Timestamp, TopicDelta,
    evaluation::{Changed, Evaluation, RankEntries},
    influence,
    limits::MAX_SUBJECT_KINDS,
    model::InfluenceRank,
};

/// What stands for the conditions on what is stated, of rules, stages and segments, among the
/// rules that failed: they may take so many steps together.
const CLOCK_FREE_RULES: &str = "(what is stated)";

/// What the shell looked up for an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context<'a> {
    /// The instant that the event counts at: its own, or its arrival.
    pub at: Timestamp,
    /// The instant of the write.
    pub now: Timestamp,
    /// How many events a record remembers.
    pub remembered_events: usize,
    /// What the author of the content states, when the model asks for it and it is known.
    pub author: Option<&'a Attributes>,
    /// By kind of subjects: the record of the event's subject, when the model asks for it and it
    /// is known.
    pub subjects: [Option<&'a Record>; MAX_SUBJECT_KINDS],
}

impl Context<'_> {
    /// Nothing looked up but the instant, which is that of the write as well.
    pub fn at(at: Timestamp, remembered_events: usize) -> Self {
        Self {
            at,
            now: at,
            remembered_events,
            author: None,
            subjects: [None; MAX_SUBJECT_KINDS],
        }
    }
}

/// A record while events are counted on it, one after the other, for one write.
#[derive(Clone, Debug)]
pub struct RecordEdit<'m> {
    pub(super) model: &'m Model,
    pub(super) profile_id: ProfileId,
    pub(super) record: Record,
    pub(super) evaluation: Evaluation,
    old_rank_entries: RankEntries<'m>,
    old_influence_keys: Option<Vec<(InfluenceRank, RankKey)>>,
    effects: Vec<Effect>,
    again: Vec<Effect>,
    unsettled_effects: usize,
    totals: Vec<TopicDelta>,
    failed_rules: Vec<Name>,
    held_by: Vec<Name>,
    dropped_events: usize,
    changed: bool,
    /// Whether counts were taken over from other half-lives.
    is_migrated: bool,
    /// The steps that expressions took for events.
    steps: usize,
}

impl<'m> RecordEdit<'m> {
    /// Starts from a stored record.
    pub fn new(model: &'m Model, profile_id: ProfileId, mut record: Record) -> Self {
        let population = model.population_of(&profile_id);
        let mut evaluation = Evaluation::of(model, population, &record);
        let migrations = std::mem::take(&mut evaluation.migrations);
        let is_migrated = !migrations.is_empty();
        if is_migrated {
            record.migrate_half_lives(model, &migrations);
            evaluation = Evaluation::of(model, population, &record);
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
            is_migrated,
            steps: 0,
        }
    }

    /// Starts from a record when one is stored, else from nothing.
    pub fn begin(model: &'m Model, profile_id: ProfileId, stored: Option<Record>) -> Self {
        match stored {
            Some(record) => Self::new(model, profile_id, record),
            None => Self::new_profile(model, profile_id),
        }
    }

    /// Starts from nothing: a profile that is not stored yet, and stands in no rank.
    pub fn new_profile(model: &'m Model, profile_id: ProfileId) -> Self {
        let mut edit = Self::new(model, profile_id, Record::default());
        edit.old_rank_entries = RankEntries::default();
        edit
    }

    /// Replaces what the profile states, in a write at an instant.
    pub fn update(&mut self, attributes: Attributes, now: Timestamp) {
        // What is stated again changes no stage, and need not be noted.
        let changes = attributes != self.record.attributes;
        let noted = changes.then(|| {
            let noted = self.note_until(now.max(self.record.last_event_time));
            (noted, self.evaluation.stage(self.model, noted))
        });
        self.record.attributes = attributes;
        self.record.was_stated = true;
        self.changed = true;
        let changed = Changed {
            clock_free: true,
            counts: false,
        };
        self.evaluation.refresh(self.model, &self.record, changed);
        self.judge_kept_stages(self.record.last_event_time);
        if let Some((noted, from)) = noted {
            let to = self.evaluation.stage(self.model, noted);
            self.note_stages(from, to, noted, None);
        }
        let at = self.record.last_event_time;
        self.arrive(self.evaluation.stage(self.model, at), at);
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
            let new = influence::keys(self.model, &self.record);
            ranks.extend(influence::changes(self.model, old, &new));
        }
        let mut failed_rules = self.failed_rules;
        if self.changed && self.evaluation.clock_free.is_cut_off {
            failed_rules.push(CLOCK_FREE_RULES.into());
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
            is_as_stored: !self.changed && !self.is_migrated,
        }
    }
}
