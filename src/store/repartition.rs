//! How a tenant comes to another number of partitions while it is served, as its rollout says it.
//! The copies are made beside the partitions that answer, and answer from one step on; every step
//! is a new epoch, so that no commit that leaves out a copy is taken.

use serde::{Deserialize, Serialize};

use super::rollout::{IndexGeneration, Rollout};

/// A change of the number of partitions that is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repartition {
    /// How many there are going to be.
    pub partitions: u32,
    /// How far it is.
    pub phase: RepartitionPhase,
}

/// How far a change of the number of partitions is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepartitionPhase {
    /// Records are copied. Every commit notes what it writes, so that it is copied again.
    Copying,
    /// The last of what was written is copied. Nobody commits meanwhile.
    Switching,
}

/// Partitions that nobody reads and which are still to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOver {
    /// How many there are.
    pub partitions: u32,
    /// Whose ranks they have.
    pub generation: IndexGeneration,
}

impl Rollout {
    /// Whether no commit may be made now, but may be soon.
    pub fn is_switching(&self) -> bool {
        self.repartition
            .is_some_and(|repartition| repartition.phase == RepartitionPhase::Switching)
    }

    /// Whether nothing is going on, and nothing is left to do.
    pub fn is_at_rest(&self) -> bool {
        self.active.is_some()
            && self.candidate.is_none()
            && self.discarded.is_empty()
            && !self.is_repartitioned()
    }

    /// Whether a repartition goes on, or has left something over.
    pub fn is_repartitioned(&self) -> bool {
        self.repartition.is_some() || self.left_over.is_some()
    }

    /// Has records copied into so many partitions: begins with it, goes on with it, or goes back
    /// to it from switching.
    pub fn copy(&self, partitions: u32, at_millis: u64) -> Self {
        self.at_phase(partitions, RepartitionPhase::Copying, at_millis)
    }

    /// Has nobody commit, so that the last of what was written can be copied.
    pub fn switch(&self, partitions: u32, at_millis: u64) -> Self {
        self.at_phase(partitions, RepartitionPhase::Switching, at_millis)
    }

    fn at_phase(&self, partitions: u32, phase: RepartitionPhase, at_millis: u64) -> Self {
        Self {
            repartition: Some(Repartition { partitions, phase }),
            ..self.next(at_millis)
        }
    }

    /// Goes back from switching to copying, so that commits are made again; `None` when it is not
    /// switching.
    pub fn reopen(&self, at_millis: u64) -> Option<Self> {
        let repartition = self.repartition.filter(|_| self.is_switching())?;
        Some(self.copy(repartition.partitions, at_millis))
    }

    /// Answers from the copies, which are complete; `left` partitions are left.
    pub fn move_to_copies(&self, left: u32, at_millis: u64) -> Self {
        let mut next = self.next(at_millis);
        if let Some(repartition) = next.repartition.take() {
            next.partitions = Some(repartition.partitions);
            next.left_over = next.left_behind(left);
        }
        next
    }

    /// Stays with the partitions that answer: the copies are left.
    pub fn cancel_repartition(&self, at_millis: u64) -> Self {
        let mut next = self.next(at_millis);
        next.leave_copies();
        next
    }

    /// Notes that what was left over is deleted.
    pub fn forget_left_over(&self, at_millis: u64) -> Self {
        Self {
            left_over: None,
            ..self.next(at_millis)
        }
    }

    /// Gives up copies that are being made.
    pub(super) fn leave_copies(&mut self) {
        if let Some(repartition) = self.repartition.take() {
            self.left_over = self.left_behind(repartition.partitions);
        }
    }

    /// Nothing is copied unless a model answers, so that its ranks are the only ones there.
    fn left_behind(&self, partitions: u32) -> Option<LeftOver> {
        self.active.map(|generation| LeftOver {
            partitions,
            generation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Fingerprint;

    const GENERATION: IndexGeneration = IndexGeneration {
        number: 1,
        model: Fingerprint(7),
    };

    fn rested() -> Rollout {
        Rollout::begin(GENERATION, 5).establish(6)
    }

    #[test]
    fn a_repartition_copies_switches_and_moves_by_epochs_that_follow_each_other() {
        let rested = rested();
        assert!(rested.is_at_rest());
        let copying = rested.copy(7, 10);
        assert!(!copying.is_at_rest() && !copying.is_switching());
        assert_eq!(copying.partitions, None, "the old ones answer");
        let switching = copying.switch(7, 10);
        assert!(switching.is_switching());
        let moved = switching.move_to_copies(16, 10);
        assert_eq!((moved.partitions, moved.repartition), (Some(7), None));
        let left = LeftOver {
            partitions: 16,
            generation: GENERATION,
        };
        assert_eq!(moved.left_over, Some(left));
        assert!(!moved.is_at_rest());
        assert!(moved.forget_left_over(10).is_at_rest());
        for (before, after) in [
            (&rested, &copying),
            (&copying, &switching),
            (&switching, &moved),
        ] {
            assert_eq!(after.after, before.epoch);
            assert!(after.follows(before.epoch) && !before.follows(after.epoch));
            let maintained: Vec<_> = after.maintained().collect();
            assert_eq!(maintained, [GENERATION]);
        }
    }

    #[test]
    fn a_switch_goes_back_to_copying_and_nothing_else_does() {
        let copying = rested().copy(7, 10);
        assert_eq!(rested().reopen(11), None);
        assert_eq!(copying.reopen(11), None);
        let switching = copying.switch(7, 11);
        let reopened = switching.reopen(12).unwrap();
        assert!(!reopened.is_switching());
        assert_eq!(reopened.repartition, copying.repartition);
        // Whoever would have finished the switch is too late.
        assert!(!switching.move_to_copies(16, 13).follows(reopened.epoch));
    }

    #[test]
    fn what_is_cancelled_leaves_its_copies() {
        let cancelled = rested().copy(7, 10).cancel_repartition(11);
        assert_eq!((cancelled.partitions, cancelled.repartition), (None, None));
        assert_eq!(cancelled.left_over.map(|left| left.partitions), Some(7));
        let reset = rested().copy(7, 10).switch(7, 11).reset(12);
        assert_eq!((reset.partitions, reset.repartition), (None, None));
        let left = reset
            .left_over
            .map(|left| (left.partitions, left.generation));
        assert_eq!(left, Some((7, GENERATION)));
    }

    #[test]
    fn another_model_keeps_the_number_of_partitions() {
        let moved = rested().copy(7, 10).switch(7, 11).move_to_copies(16, 12);
        let other = IndexGeneration {
            number: 2,
            ..GENERATION
        };
        let promoted = moved.propose(other, 13).promote(14);
        assert_eq!(promoted.partitions, Some(7));
        assert_eq!(promoted.reset(15).partitions, Some(7));
    }

    #[test]
    fn a_rollout_of_before_reads_as_one_without_repartition() {
        let text = r#"{"epoch":5,"active":"1:7"}"#;
        let rollout: Rollout = serde_json::from_str(text).unwrap();
        assert!(rollout.is_at_rest() && rollout.partitions.is_none());
        let copying = rested().copy(7, 10).switch(7, 11).move_to_copies(16, 12);
        let text = serde_json::to_string(&copying).unwrap();
        assert_eq!(serde_json::from_str::<Rollout>(&text).unwrap(), copying);
    }
}
