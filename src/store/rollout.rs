//! Which models a tenant has: the one that answers, and the one whose ranks are being
//! built. Every change is a new epoch, and a commit of an earlier epoch is refused, so that
//! no commit leaves out a rank that somebody reads.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{LeftOver, Repartition};
use crate::scoring::{Fingerprint, RankName};

/// One building of the ranks of a model. Unique for ever, so that what is left of an earlier
/// building is never taken for part of a later one.
/// As text, the number and the fingerprint in hexadecimal digits: `2:00f1a3…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IndexGeneration {
    /// Random, not counted: a counter could repeat after a failover that lost its last step.
    pub number: u64,
    /// The model.
    pub model: Fingerprint,
}

impl fmt::Display for IndexGeneration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.number, self.model)
    }
}

impl From<IndexGeneration> for String {
    fn from(generation: IndexGeneration) -> Self {
        generation.to_string()
    }
}

impl TryFrom<String> for IndexGeneration {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = || {
            let (number, model) = text.split_once(':')?;
            Some(Self {
                number: number.parse().ok()?,
                model: Fingerprint(u64::from_str_radix(model, 16).ok()?),
            })
        };
        read().ok_or("a generation is a number, a colon and a fingerprint")
    }
}

/// The models of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// When the last change was made, in milliseconds since 1970, but later than that of the
    /// change before; 0 when the tenant never had a model.
    pub epoch: u64,
    /// The epoch of the rollout that this one was made from, and that it may replace.
    #[serde(default)]
    pub after: u64,
    /// The revision of the publication that it follows. One of an earlier revision is not
    /// followed any more, whoever still takes it for the latest.
    #[serde(default)]
    pub revision: u64,
    /// The generation that answers: its ranks are complete. `None` until the first one's are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<IndexGeneration>,
    /// The generation whose ranks are being built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<IndexGeneration>,
    /// Generations whose ranks nobody maintains any more and which are still to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discarded: Vec<IndexGeneration>,
    /// How many partitions the tenant has; `None` when as many as new ones in the store. Nothing to
    /// a store without partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// A change of that number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repartition: Option<Repartition>,
    /// Partitions that are still to be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_over: Option<LeftOver>,
}

impl Rollout {
    /// The generations whose ranks every commit maintains.
    pub fn maintained(&self) -> impl Iterator<Item = IndexGeneration> {
        self.active.into_iter().chain(self.candidate)
    }

    /// Whether the rollout may follow the last epoch that somebody has seen: it is that one, or
    /// was made knowing of it. One that maintains nothing may follow every earlier one.
    pub fn follows(&self, seen: u64) -> bool {
        let maintains = self.maintained().next().is_some();
        seen == self.epoch || seen <= self.after || (seen < self.epoch && !maintains)
    }

    /// Whether a store may have no fence yet that this rollout raises: it is the first one, or
    /// says that nothing of the ranks is complete. Under any other one, a fence that is missing
    /// means that a part of the store is gone.
    pub fn may_be_first(&self) -> bool {
        self.after == 0 || self.maintained().next().is_none()
    }

    /// Whether the tenant has begun with a model, and its fences may not be there yet.
    pub fn is_only_begun(&self) -> bool {
        self.after == 0 && self.active.is_some()
    }

    /// Notes that every fence of what was begun is there.
    pub fn establish(&self, at_millis: u64) -> Self {
        self.next(at_millis)
    }

    /// Begins to build the ranks of a model; a candidate that was not finished is discarded.
    pub fn propose(&self, generation: IndexGeneration, at_millis: u64) -> Self {
        let mut next = self.next(at_millis);
        let replaced = next.candidate.replace(generation);
        next.discarded.extend(replaced);
        next
    }

    /// Stays with the model that answers: the candidate is discarded.
    pub fn withdraw(&self, at_millis: u64) -> Self {
        let mut next = self.next(at_millis);
        let withdrawn = next.candidate.take();
        next.discarded.extend(withdrawn);
        next
    }

    /// The same, made to follow a publication of this revision.
    pub fn of_revision(self, revision: u64) -> Self {
        Self { revision, ..self }
    }

    /// Answers by the candidate, whose ranks are complete.
    pub fn promote(&self, at_millis: u64) -> Self {
        let mut next = self.next(at_millis);
        if let Some(candidate) = next.candidate.take() {
            let replaced = next.active.replace(candidate);
            next.discarded.extend(replaced);
        }
        next
    }

    /// Answers by a model: for a tenant that has no records. Commits are made once it is
    /// [established](Self::establish).
    pub fn begin(generation: IndexGeneration, at_millis: u64) -> Self {
        Self {
            active: Some(generation),
            ..Self::default().next(at_millis)
        }
    }

    /// Forgets all ranks, because records were written without them.
    pub fn reset(&self, at_millis: u64) -> Self {
        let mut next = self.next(at_millis);
        next.leave_copies();
        next.discarded.extend(self.maintained());
        next.active = None;
        next.candidate = None;
        next
    }

    /// Notes that the ranks of all discarded generations were deleted.
    pub fn forget_discarded(&self, at_millis: u64) -> Self {
        let mut next = self.next(at_millis);
        next.discarded.clear();
        next
    }

    /// By the time, so that it is later than a step that a failover has lost.
    pub(super) fn next(&self, at_millis: u64) -> Self {
        Self {
            epoch: at_millis.max(self.epoch + 1),
            after: self.epoch,
            ..self.clone()
        }
    }
}

/// A model as the store keeps it, so that every server can evaluate by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedModel {
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// The model file.
    pub source: String,
    /// Every rank that it may have entries in.
    pub ranks: Vec<RankName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Fingerprint = Fingerprint(1);
    const NEW: Fingerprint = Fingerprint(2);

    fn generation(number: u64, model: Fingerprint) -> IndexGeneration {
        IndexGeneration { number, model }
    }

    #[test]
    fn a_new_tenant_is_answered_at_once() {
        let rollout = Rollout::begin(generation(1, OLD), 0);
        assert_eq!(rollout.epoch, 1);
        assert_eq!(rollout.active, Some(generation(1, OLD)));
        assert_eq!(rollout.candidate, None);
    }

    #[test]
    fn only_a_first_rollout_or_one_without_ranks_may_find_no_fence() {
        let begun = Rollout::begin(generation(1, OLD), 5);
        assert!(begun.may_be_first() && begun.is_only_begun());
        let established = begun.establish(5);
        assert!(!established.may_be_first() && !established.is_only_begun());
        assert_eq!((established.epoch, established.after), (6, 5));
        assert!(established.reset(9).may_be_first());
        let first = Rollout::default().propose(generation(1, OLD), 5);
        assert!(first.may_be_first() && !first.is_only_begun());
        assert!(!first.promote(6).may_be_first());
    }

    #[test]
    fn a_promoted_candidate_discards_the_active_generation() {
        let proposed = Rollout::begin(generation(1, OLD), 0).propose(generation(2, NEW), 0);
        let both: Vec<_> = proposed.maintained().collect();
        assert_eq!(both, [generation(1, OLD), generation(2, NEW)]);
        let promoted = proposed.promote(0);
        assert_eq!(promoted.epoch, 3);
        assert_eq!(promoted.active, Some(generation(2, NEW)));
        assert_eq!(promoted.discarded, [generation(1, OLD)]);
        assert_eq!(promoted.forget_discarded(0).discarded, []);
    }

    #[test]
    fn a_rollout_follows_what_it_was_made_from_and_no_lost_branch() {
        let begun = Rollout::begin(generation(1, OLD), 5);
        let lost = begun.propose(generation(2, NEW), 6);
        let other = begun.propose(generation(3, NEW), 7);
        assert!(other.follows(0) && other.follows(5) && other.follows(7));
        assert!(!other.follows(lost.epoch) && !other.follows(8));
        let reset = other.reset(9);
        assert!(reset.follows(lost.epoch) && !reset.follows(10));
    }

    #[test]
    fn a_candidate_that_is_replaced_is_discarded() {
        let replaced = Rollout::begin(generation(1, OLD), 0)
            .propose(generation(2, NEW), 0)
            .propose(generation(3, Fingerprint(3)), 0);
        assert_eq!(replaced.candidate, Some(generation(3, Fingerprint(3))));
        assert_eq!(replaced.discarded, [generation(2, NEW)]);
        assert_eq!(replaced.active, Some(generation(1, OLD)));
    }

    #[test]
    fn a_candidate_that_is_withdrawn_is_discarded_and_the_active_generation_stays() {
        let proposed = Rollout::begin(generation(1, OLD), 0).propose(generation(2, NEW), 0);
        let withdrawn = proposed.withdraw(0).of_revision(9);
        assert_eq!(withdrawn.active, Some(generation(1, OLD)));
        assert_eq!(withdrawn.candidate, None);
        assert_eq!(withdrawn.discarded, [generation(2, NEW)]);
        assert_eq!((withdrawn.after, withdrawn.revision), (proposed.epoch, 9));
    }

    #[test]
    fn epochs_follow_the_time_and_never_stand_still() {
        let begun = Rollout::begin(generation(1, OLD), 5_000);
        assert_eq!(begun.epoch, 5_000);
        assert_eq!(begun.reset(7_000).epoch, 7_000);
        assert_eq!(begun.reset(5_000).epoch, 5_001);
        assert_eq!(begun.reset(4_000).epoch, 5_001);
    }

    #[test]
    fn a_rollout_reads_back_from_its_text() {
        let rollout = Rollout::begin(generation(1, OLD), 0)
            .propose(generation(2, NEW), 0)
            .promote(0)
            .propose(generation(u64::MAX, OLD), 0);
        let text = serde_json::to_string(&rollout).unwrap();
        assert_eq!(serde_json::from_str::<Rollout>(&text).unwrap(), rollout);
    }
}
