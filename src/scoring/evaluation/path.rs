//! The way of a profile along the path to purchase: which stages it keeps, of those that are easier
//! to keep than to reach, and which it loses while nothing happens.

use super::Evaluation;
use crate::scoring::{
    ChangeCause, Record, StageChange, Timestamp,
    model::{KeptStages, Model, ScoreId, StageBound, StageId},
};

impl StageBound {
    /// The least points of somebody who keeps the stage, or has to reach it.
    fn least(self, is_kept: bool) -> f64 {
        self.keep.filter(|_| is_kept).unwrap_or(self.min)
    }
}

impl Record {
    /// The instant of what is found after what is noted of the stages already.
    pub(crate) fn noted_after(&self, at: Timestamp) -> Timestamp {
        let noted = self.stage_changes.last();
        noted.map_or(at, |noted| noted.time.max(at))
    }
}

impl Evaluation {
    /// Reads the stages that a record keeps. A stage that the model has no more is not kept.
    pub(crate) fn read_kept_stages(&mut self, model: &Model, record: &Record) {
        self.kept_stages.clear();
        let kept = model.kept_stages.iter().map(|of_score| {
            let kept = record.kept_stages.get(&model.scores[of_score.score].name)?;
            let mut stages = of_score.stages.iter().map(|(stage, _)| *stage);
            stages.find(|stage| model.stages[*stage].name == *kept)
        });
        self.kept_stages.extend(kept);
    }

    /// The highest kept stage of those that are bounded on a score.
    fn kept_stage(&self, model: &Model, score: ScoreId) -> Option<StageId> {
        let position = model
            .kept_stages
            .iter()
            .position(|kept| kept.score == score);
        *self.kept_stages.get(position?)?
    }

    /// Whether a stage that is easier to keep than to reach is kept.
    pub(super) fn keeps(&self, model: &Model, stage: StageId) -> bool {
        let bound = model.stages[stage].bound;
        let bound = bound.filter(|bound| bound.keep.is_some());
        bound.is_some_and(|bound| Some(stage) <= self.kept_stage(model, bound.score))
    }

    /// The least points that a stage asks of a profile.
    pub(crate) fn least_points(&self, model: &Model, stage: StageId) -> Option<f64> {
        let bound = model.stages[stage].bound?;
        Some(bound.least(self.keeps(model, stage)))
    }

    /// The highest stage of a score that is kept from an instant on, when `kept` was before.
    pub(crate) fn kept_from(
        &self,
        model: &Model,
        of_score: &KeptStages,
        kept: Option<StageId>,
        at: Timestamp,
    ) -> Option<StageId> {
        let mut highest_first = of_score.stages.iter().rev();
        let reached = highest_first.find(|(stage, bound)| {
            let least = bound.least(Some(*stage) <= kept);
            self.reaches(model, of_score.score, least, at)
        });
        reached.map(|(stage, _)| *stage)
    }

    /// The same by position, as it was read.
    pub(crate) fn kept_at(&self, position: usize) -> Option<StageId> {
        self.kept_stages.get(position).copied().flatten()
    }

    /// The stages that the profile falls to by fading alone, from the last change that the record
    /// remembers up to an instant.
    pub(crate) fn fallen_stages(
        &self,
        model: &Model,
        record: &Record,
        until: Timestamp,
    ) -> Vec<StageChange> {
        let mut changes = Vec::new();
        let mut time = record.noted_after(self.at);
        if until <= time {
            return changes;
        }
        let mut stage = self.stage(model, time);
        while let Some(lost) = self.loss_of_stage(model, stage, time, until) {
            let next = self.stage(model, lost);
            changes.push(StageChange {
                from_stage: model.stage_name(stage),
                to_stage: model.stage_name(next),
                time: lost,
                cause: ChangeCause::Fading,
            });
            (time, stage) = (lost, next);
        }
        changes
    }

    /// The first instant after `from` and up to `until` at which the profile no longer stands at a
    /// stage where it stood at `from`.
    fn loss_of_stage(
        &self,
        model: &Model,
        stage: Option<StageId>,
        from: Timestamp,
        until: Timestamp,
    ) -> Option<Timestamp> {
        if until <= from || self.stage(model, until) == stage {
            return None;
        }
        // By the one test of a bound, so that this never disagrees with a stage.
        let (mut kept, mut lost) = (from.nanos(), until.nanos());
        while lost - kept > 1 {
            let middle = kept + (lost - kept) / 2;
            let at = Timestamp::from_nanos(middle)?;
            match self.stage(model, at) == stage {
                true => kept = middle,
                false => lost = middle,
            }
        }
        Timestamp::from_nanos(lost)
    }
}
