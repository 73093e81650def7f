//! How profiles are ranked by segments.

use typed_index_collections::{TiSlice, TiVec};

use super::Compiler;
use crate::scoring::{
    RankName, Slope, Subject,
    limits::NOISE_FLOOR,
    model::{
        definition::Score,
        expr::Scope,
        file::{ModelFile, SegmentTable, Spanned},
        ids::{ConditionId, RankId, ScoreId, SegmentId},
        rank::{Rank, Segment},
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
}
