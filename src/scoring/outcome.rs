//! What comes of events: for their callers, and for what is written.

use super::{Effect, Name, RankChange, Record, StageChange, TopicDelta};

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum EventOutcome {
    /// It counted.
    Applied {
        /// The signals that counted, in the order of the model.
        matched_signals: Vec<Name>,
        /// The move along the path to purchase, when there was one.
        stage_change: Option<StageChange>,
        /// The event's type, when the model names it nowhere and the event is on no topic: a
        /// slip, perhaps.
        unmatched_type: Option<String>,
        /// The subjects that it says it is for, and did not count for.
        ignored_subjects: IgnoredSubjects,
    },
    /// It had counted before.
    Duplicate {
        /// The signals that counted then, as long as the record knows them.
        matched_signals: Vec<Name>,
        /// The move along the path to purchase then, as long as the record knows it.
        stage_change: Option<StageChange>,
    },
    /// It cannot be told whether it had counted before.
    TooOld,
    /// A quarantine rule holds it.
    Quarantined {
        /// The name of the rule.
        rule: Name,
    },
}

impl EventOutcome {
    /// Whether the event had counted before.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate { .. })
    }
}

/// The subjects of an event that it does not count for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredSubjects {
    /// The kinds that the event names and the model does not declare, each once.
    pub undeclared_kinds: Vec<String>,
    /// How many there are beyond what one event counts for.
    pub left_out: usize,
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
    pub totals: Vec<TopicDelta>,
    /// The signals and quarantine rules whose expressions failed.
    pub failed_rules: Vec<Name>,
    /// The quarantine rule of each event that was held.
    pub held_by: Vec<Name>,
    /// How many held events were dropped for good, because there were too many.
    pub dropped_events: usize,
    /// Whether anything changed; when not, there is nothing to write.
    pub changed: bool,
    /// Whether the record is what was stored: nothing changed, and no count was taken over from
    /// another half-life.
    pub is_as_stored: bool,
}

impl Outcome {
    /// The effects on others, those that are caused again included.
    pub fn all_effects(&self) -> impl Iterator<Item = &Effect> {
        self.again.iter().chain(&self.effects)
    }
}
