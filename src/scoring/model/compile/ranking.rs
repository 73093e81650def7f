//! How profiles are ranked: the segments, and the ladders of stages.

use std::collections::HashSet;

use typed_index_collections::{TiSlice, TiVec};

use super::Compiler;
use crate::scoring::{
    RankName, Slope, Subject,
    limits::{MAX_STAGE_CONDITIONS, NOISE_FLOOR},
    model::{
        definition::{Ladder, Rank, Score, Segment, Stage},
        expr::Scope,
        file::{ModelFile, SegmentTable, Spanned},
        ids::{ConditionId, RankId, ScoreId, SegmentId, StageId},
    },
};

impl Compiler<'_> {
    pub(crate) fn segments(
        &mut self,
        file: &ModelFile,
        scores: &TiSlice<ScoreId, Score>,
        ranks: &mut TiVec<RankId, Rank>,
    ) -> TiVec<SegmentId, Segment> {
        let mut segments = TiVec::new();
        for table in &file.segments {
            let conditions = self.segment_conditions(file, table);
            let mut factors: Vec<ScoreId> = Vec::new();
            for name in &table.rank_by {
                if let Some(score) = self.factor(name) {
                    if factors.contains(&score) {
                        let message =
                            format!("{:?} stands twice; name each score once", name.value);
                        self.diagnostics.add(name.span.clone(), message);
                    }
                    factors.push(score);
                }
            }
            factors.sort_unstable();
            self.check_segment_bounds(table);
            let of = table.of.value;
            if of == Subject::Account && file.accounts.is_none() {
                let message = "the model has no accounts; add a table [accounts]";
                self.diagnostics.add(table.of.span.clone(), message);
            }
            let known = ranks.position(|rank| {
                rank.of == of && rank.conditions == conditions && rank.scores == factors
            });
            let rank = known.unwrap_or_else(|| {
                let half_lives = factors
                    .iter()
                    .filter_map(|factor| scores[*factor].half_life);
                let whose = match of {
                    Subject::Person => "",
                    Subject::Account => "account:",
                };
                ranks.push_and_get_key(Rank {
                    name: RankName::new(format!("{whose}segment:{}", table.name.value)),
                    of,
                    conditions,
                    slope: Slope(half_lives.collect()),
                    scores: factors,
                })
            });
            segments.push(Segment {
                name: table.name.value.clone(),
                rank,
                min: table.min.unwrap_or(NOISE_FLOOR),
                max: table.max.as_ref().map(|max| max.value),
                calibration: table.calibration.clone(),
            });
        }
        segments
    }

    /// A score that a segment is ranked by.
    fn factor(&mut self, name: &Spanned<String>) -> Option<ScoreId> {
        let is_operator = |character: char| "+-*/() ".contains(character);
        let mut parts = name
            .value
            .split(is_operator)
            .filter(|part| !part.is_empty());
        let is_operand = |part: &str| {
            part.parse::<f64>().is_ok() || self.score_names.iter().any(|score| score == part)
        };
        if name.value.contains(is_operator) && parts.all(is_operand) {
            let message = format!(
                "{:?} is a formula: a sum of scores that fade at different speeds changes its order while nothing happens, so it cannot be ranked; write a list for the product, rank_by = [\"interest\", \"fit\"], or one score, to which the signals of both give points",
                name.value
            );
            self.diagnostics.add(name.span.clone(), message);
            return None;
        }
        self.score(name)
    }

    /// What the members of a segment must meet beside its bounds.
    fn segment_conditions(&mut self, file: &ModelFile, table: &SegmentTable) -> Vec<ConditionId> {
        let mut conditions = Vec::new();
        if let Some(text) = &table.when {
            conditions.extend(self.condition(text, Scope::Members));
        }
        if let Some(least) = &table.min_confidence {
            if file.identity.is_empty() {
                let message = "the model says nothing of identity, so nobody would be in the segment; write [[identity]] with when = 'has(profile.attributes.crm_id)' and confidence = 0.9";
                self.diagnostics.add(least.span.clone(), message);
            }
            let condition = Spanned {
                value: format!("identity.confidence >= {:?}", least.value),
                span: least.span.clone(),
            };
            conditions.extend(self.condition(&condition, Scope::Members));
        }
        conditions.sort_unstable();
        conditions.dedup();
        conditions
    }

    fn check_segment_bounds(&mut self, table: &SegmentTable) {
        let min = table.min.unwrap_or(NOISE_FLOOR);
        if let Some(max) = &table.max
            && max.value <= min
        {
            let message =
                format!("max must be above min, which is {min}: nobody would be in the segment");
            self.diagnostics.add(max.span.clone(), message);
        }
    }

    /// The stages, the distinct conditions of them, and the ladders.
    pub(crate) fn ladders(
        &mut self,
        file: &ModelFile,
    ) -> (TiVec<StageId, Stage>, Vec<ConditionId>, Vec<Ladder>) {
        let mut stages = TiVec::new();
        let mut stage_conditions = Vec::new();
        let mut needs: TiVec<StageId, _> = TiVec::new();
        for table in &file.stages {
            let bounds = self.score_points(&table.min);
            if let Some((_, _, span)) = bounds.get(1) {
                let message = "a stage is bounded on one score at most, or the count of a stage would not be one range; bound a second stage, or a segment with rank_by of both";
                self.diagnostics.add(span.clone(), message);
            }
            let bit = match &table.when {
                None => None,
                Some(text) => {
                    let Some(condition) = self.condition(text, Scope::Members) else {
                        continue;
                    };
                    let known = stage_conditions
                        .iter()
                        .position(|known| *known == condition);
                    Some(known.unwrap_or_else(|| {
                        stage_conditions.push(condition);
                        stage_conditions.len() - 1
                    }))
                }
            };
            stages.push(Stage {
                name: table.name.value.clone(),
                condition: bit.map(|bit: usize| stage_conditions[bit]),
                bound: bounds.first().map(|(score, min, _)| (*score, *min)),
            });
            needs.push((bit, bounds.into_iter().next(), table.name.span.clone()));
        }
        if stage_conditions.len() > MAX_STAGE_CONDITIONS {
            let message = format!(
                "the stages have {} distinct conditions; at most {MAX_STAGE_CONDITIONS} are allowed, because each doubles the indexes of the funnel",
                stage_conditions.len()
            );
            self.diagnostics.add(0..0, message);
            return (stages, Vec::new(), Vec::new());
        }
        let mut ladders = Vec::new();
        let mut told = HashSet::new();
        for combination in 0_usize..1 << stage_conditions.len() {
            let mut ladder = Ladder {
                rank: RankName::new(format!("stages:{combination}")),
                floor: None,
                score: None,
                steps: Vec::new(),
            };
            for (stage, (bit, bound, span)) in needs.iter_enumerated() {
                if bit.is_some_and(|bit| combination >> bit & 1 == 0) {
                    continue;
                }
                match bound {
                    None => {
                        ladder.floor = Some(stage);
                        ladder.score = None;
                        ladder.steps.clear();
                    }
                    Some((score, min, _)) => {
                        if let Some(other) = ladder.score
                            && other != *score
                            && told.insert(stage)
                        {
                            let message = format!(
                                "this stage is bounded on {:?} and a lower one that may hold with it on {:?}; bound both on one score, or give one a `when`, which then also needs no bound",
                                self.score_names[usize::from(*score)],
                                self.score_names[usize::from(other)]
                            );
                            self.diagnostics.add(span.clone(), message);
                        }
                        ladder.score = Some(*score);
                        ladder.steps.push((stage, *min));
                    }
                }
            }
            ladders.push(ladder);
        }
        (stages, stage_conditions, ladders)
    }
}
