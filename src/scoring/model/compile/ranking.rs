//! How profiles are ranked by segments.

use typed_index_collections::{TiSlice, TiVec};

use super::Compiler;
use crate::scoring::{
    RankName, Slope,
    limits::NOISE_FLOOR,
    model::{
        definition::Score,
        expr::Scope,
        file::{ModelFile, SegmentTable},
        ids::{ConditionId, RankId, ScoreId, SegmentId, SubjectKindId},
        rank::{Factor, Rank, Segment},
        subjects::{Population, SubjectKind},
    },
    written::Spanned,
};

const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;

fn is_operator(character: char) -> bool {
    "+-*/() ".contains(character)
}

/// What stands above and below the line of a ratio of two names; `None` for anything else.
fn ratio_of(text: &Spanned<String>) -> Option<[Spanned<String>; 2]> {
    let (above, below) = text.value.split_once('/')?;
    let parts = [above.trim(), below.trim()];
    let is_name = |part: &&str| !part.is_empty() && !part.contains(is_operator);
    parts.iter().all(is_name).then(|| {
        parts.map(|part| Spanned {
            value: part.to_owned(),
            span: text.span.clone(),
        })
    })
}

impl Compiler<'_> {
    pub(crate) fn segments(
        &mut self,
        file: &ModelFile,
        scores: &TiSlice<ScoreId, Score>,
        kinds: &TiSlice<SubjectKindId, SubjectKind>,
        ranks: &mut TiVec<RankId, Rank>,
    ) -> TiVec<SegmentId, Segment> {
        let mut segments = TiVec::new();
        for table in &file.segments {
            let conditions = self.segment_conditions(file, table);
            let factors = self.factors(table, scores);
            self.check_segment_bounds(table);
            let of = self.population(&table.of).unwrap_or(Population::People);
            let known = ranks.position(|rank| {
                rank.of == of && rank.conditions == conditions && rank.factors == factors
            });
            let rank = known.unwrap_or_else(|| {
                let half_lives = |is_divisor| {
                    let own = factors
                        .iter()
                        .filter(move |factor| factor.is_divisor == is_divisor);
                    own.filter_map(|factor| scores[factor.score].half_life)
                };
                let whose = match of {
                    Population::People => String::new(),
                    Population::Subjects(kind) => format!("subject:{}:", kinds[kind].name),
                };
                ranks.push_and_get_key(Rank {
                    name: RankName::new(format!("{whose}segment:{}", table.name.value)),
                    of,
                    conditions,
                    slope: Slope::of(half_lives(false)).over(half_lives(true)),
                    factors,
                })
            });
            segments.push(Segment {
                name: table.name.value.as_str().into(),
                rank,
                min: table.min.unwrap_or(NOISE_FLOOR),
                max: table.max.as_ref().map(|max| max.value),
                calibration: table.calibration.clone(),
            });
        }
        segments
    }

    /// What the scores are multiplied and divided by that a segment is ranked by.
    fn factors(&mut self, table: &SegmentTable, scores: &TiSlice<ScoreId, Score>) -> Vec<Factor> {
        let mut factors: Vec<Factor> = Vec::new();
        for name in &table.rank_by {
            let own = match ratio_of(name) {
                None => self.factor(name).map(Factor::of).into_iter().collect(),
                Some([above, below]) => self.ratio(&above, &below, scores),
            };
            for factor in own {
                if factors.iter().any(|other| other.score == factor.score) {
                    let score = &scores[factor.score].name;
                    let message = format!("{score:?} stands twice; name each score once");
                    self.diagnostics.add(name.span.clone(), message);
                }
                factors.push(factor);
            }
        }
        factors.sort_unstable();
        factors
    }

    /// The two scores of a ratio, which must fall while nothing happens.
    fn ratio(
        &mut self,
        above: &Spanned<String>,
        below: &Spanned<String>,
        scores: &TiSlice<ScoreId, Score>,
    ) -> Vec<Factor> {
        let (Some(upper), Some(lower)) = (self.score(above), self.score(below)) else {
            return Vec::new();
        };
        let span = above.span.clone();
        let half_lives = (scores[upper].half_life, scores[lower].half_life);
        let (above, below) = (&above.value, &below.value);
        match half_lives {
            _ if upper == lower => {}
            (Some(upper), Some(lower)) if upper < lower => {}
            (Some(_), None) => {}
            (upper, lower) if upper == lower => {
                let message = format!(
                    "{above:?} and {below:?} fade alike, so their ratio would stay as it is for whoever falls silent; give {above:?} a shorter half_life"
                );
                self.diagnostics.add(span.clone(), message);
            }
            _ => {
                let message = format!(
                    "this ratio grows while nothing happens, because {below:?} fades faster than {above:?}; write \"{below} / {above}\""
                );
                self.diagnostics.add(span.clone(), message);
            }
        }
        if half_lives
            .0
            .is_some_and(|half_life| half_life.nanos() < NANOS_PER_DAY)
        {
            let message = format!(
                "{above:?} fades to its half in less than a day: of whoever is silent for months so little is left of it that nobody is in the segment any more; a half_life of a day or more lasts for years"
            );
            self.warnings.add(span, message);
        }
        vec![Factor::of(upper), Factor::below_the_line(lower)]
    }

    /// A score that a segment is ranked by.
    fn factor(&mut self, name: &Spanned<String>) -> Option<ScoreId> {
        let mut parts = name
            .value
            .split(is_operator)
            .filter(|part| !part.is_empty());
        let is_operand = |part: &str| {
            part.parse::<f64>().is_ok() || self.score_names.iter().any(|score| score == part)
        };
        if name.value.contains(is_operator) && parts.all(is_operand) {
            let message = format!(
                "{:?} is a formula: a sum of scores that fade at different speeds changes its order while nothing happens, so it cannot be ranked; write a list for the product, rank_by = [\"interest\", \"fit\"], the ratio of two, rank_by = \"lately / habit\", or one score, to which the signals of both give points",
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
