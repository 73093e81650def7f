//! Which keys a stage or a segment takes at an instant.

use crate::scoring::{
    KeyRange, RankKey, SegmentId, Timestamp,
    model::{Ladder, Model, StageId},
};

impl Ladder {
    /// The position of the highest stage that a key reaches at an instant.
    pub(crate) fn stage_of(&self, model: &Model, key: RankKey, at: Timestamp) -> Option<StageId> {
        let reached = self.steps.iter().rev().find(|(_, min)| {
            self.score
                .is_some_and(|score| key >= model.scores[score].slope.threshold_key(*min, at))
        });
        reached.map(|(stage, _)| *stage).or(self.floor)
    }

    /// The keys of every stage that is open, and of those below all of them (`None`): each
    /// key of the ladder lies in exactly one range.
    pub(crate) fn ranges(&self, model: &Model, at: Timestamp) -> Vec<(Option<StageId>, KeyRange)> {
        let mut ranges = Vec::with_capacity(self.steps.len() + 1);
        let mut below = None;
        for (stage, min) in self.steps.iter().rev() {
            let Some(score) = self.score else { break };
            let from = model.scores[score].slope.threshold_key(*min, at);
            // A higher stage with a lower bound leaves nobody to this one.
            if below.is_none_or(|below| from < below) {
                ranges.push((Some(*stage), KeyRange { from, below }));
                below = Some(from);
            }
        }
        let rest = KeyRange {
            below,
            ..KeyRange::ALL
        };
        ranges.push((self.floor, rest));
        ranges
    }
}

impl Model {
    /// The keys of the members of a segment at an instant.
    pub(crate) fn segment_range(&self, segment: SegmentId, at: Timestamp) -> KeyRange {
        let segment = &self.segments[segment];
        let slope = &self.ranks[segment.rank].slope;
        KeyRange {
            from: slope.threshold_key(segment.min, at),
            below: segment.max.map(|max| slope.threshold_key(max, at)),
        }
    }
}
