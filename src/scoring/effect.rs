//! What an event does to another record: a credit to its author, a delta to a subject.

use super::{HalfLife, IdHash, Name, ProfileId, Timestamp};

/// An effect of one person's event on somebody else. It is derived from the event, and causes
/// nothing further.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// What an author earned.
    Credit(Credit),
    /// What a subject counts for a person's event.
    SubjectDelta(SubjectDelta),
}

/// What is to become of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectKind {
    /// It is applied: the event counts.
    Apply,
    /// It is reverted: the event had counted.
    Revert,
    /// It is kept from being applied, and reverted when it has been: the event has not counted
    /// and never will, but somebody may have begun to count it.
    Withhold,
}

impl Effect {
    /// What a record remembers the effect by, derived from the event that caused it, so that it
    /// never counts twice. Reverting it is remembered by itself.
    pub fn id(&self) -> IdHash {
        match self.kind() {
            EffectKind::Apply => self.applied_id(),
            EffectKind::Revert | EffectKind::Withhold => self.applied_id().of_retraction(),
        }
    }

    /// The id of the effect when it is applied.
    pub(crate) fn applied_id(&self) -> IdHash {
        match self {
            Self::Credit(credit) => credit.id,
            Self::SubjectDelta(delta) => delta.id,
        }
    }

    /// What is to become of it.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Credit(credit) => credit.kind,
            Self::SubjectDelta(delta) => delta.kind,
        }
    }

    /// What keeps an effect that would be applied from being applied; `None` for an advance, which
    /// stays whatever becomes of the events that led to it.
    pub(crate) fn withheld(self) -> Option<Self> {
        match self {
            Self::SubjectDelta(mut delta) => {
                delta.kind = EffectKind::Withhold;
                for change in &mut delta.changes {
                    change.amount = -change.amount;
                }
                Some(Self::SubjectDelta(delta))
            }
            Self::Credit(credit) => (credit.touches > 0).then(|| {
                Self::Credit(Credit {
                    kind: EffectKind::Withhold,
                    credit: -credit.credit,
                    touches: -credit.touches,
                    ..credit
                })
            }),
        }
    }

    /// The instant that it counts at.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Credit(credit) => credit.time,
            Self::SubjectDelta(delta) => delta.time,
        }
    }

    /// How many counts it changes.
    pub(crate) fn change_count(&self) -> usize {
        match self {
            Self::Credit(_) => 0,
            Self::SubjectDelta(delta) => delta.changes.len(),
        }
    }

    /// Whether it takes anything from the subject that it changes.
    pub(crate) fn takes(&self) -> bool {
        let Self::SubjectDelta(delta) = self else {
            return false;
        };
        let mut changes = delta.changes.iter();
        delta.kind != EffectKind::Apply || changes.any(|change| change.amount < 0.0)
    }

    /// Whether both are the same effect of the same event on the same record.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let known_by = |effect: &Self| (effect.id(), effect.kind(), effect.subject_id().clone());
        known_by(self) == known_by(other)
    }

    /// Whose record it changes.
    pub fn subject_id(&self) -> &ProfileId {
        match self {
            Self::Credit(credit) => &credit.author_id,
            Self::SubjectDelta(delta) => &delta.subject_id,
        }
    }
}

/// What an author earned.
#[derive(Clone, Debug, PartialEq)]
pub struct Credit {
    /// Derived from the touch that caused it; what reverts it has the same.
    pub id: IdHash,
    /// Whether it is applied or reverted.
    pub kind: EffectKind,
    /// Who earned it.
    pub author_id: ProfileId,
    /// When.
    pub time: Timestamp,
    /// The declared topics that it counts for.
    pub topics: Vec<Name>,
    /// The stage where the other person stood when touched; empty for none.
    pub stage: Name,
    /// What it adds to the faded credit of each topic; below 0 when a touch is reverted.
    pub credit: f64,
    /// What it adds to the touches of each topic: -1, 0 or 1.
    pub touches: i64,
    /// What it adds to the advances of each topic, in millionths.
    pub advance_millionths: u64,
}

/// What a subject counts for a person's event.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectDelta {
    /// Derived from the event, the same for all its subjects; what reverts it has the same.
    pub id: IdHash,
    /// Whether it is applied or reverted.
    pub kind: EffectKind,
    /// Whose, by [`ProfileId::of_subject`].
    pub subject_id: ProfileId,
    /// The instant of the event.
    pub time: Timestamp,
    /// What the event changed of the counts of the person.
    pub changes: Vec<CountDelta>,
    /// The declared topics of the event.
    pub topics: Vec<Name>,
    /// What was done.
    pub event_type: Name,
}

/// What an event changed of one count of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct CountDelta {
    /// How the count fades.
    pub half_life: Option<HalfLife>,
    /// The signal.
    pub signal: Name,
    /// The key that was counted; empty when the signal is not kept by key.
    pub key: Name,
    /// What was added, at the instant of the event; below 0 for what was taken.
    pub amount: f64,
}
