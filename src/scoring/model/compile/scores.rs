//! The scores of a model: where they start, how fast they fade, and how broad the evidence
//! must be.

use typed_index_collections::{TiSlice, TiVec};

use super::Compiler;
use crate::scoring::{
    RankName, Slope,
    limits::DEFAULT_BREADTH_SHARE,
    model::{
        definition::{Breadth, Score},
        file::ModelFile,
        ids::{RankId, ScoreId, SubjectKindId},
        rank::{Factor, Rank},
        subjects::{Population, SubjectKind},
    },
};

impl Compiler<'_> {
    pub(crate) fn scores(
        &mut self,
        file: &ModelFile,
        kinds: &TiSlice<SubjectKindId, SubjectKind>,
        ranks: &mut TiVec<RankId, Rank>,
    ) -> TiVec<ScoreId, Score> {
        let mut scores: TiVec<ScoreId, Score> = TiVec::new();
        for table in &file.scores {
            let base = table.base.as_ref().map_or(0.0, |base| base.value);
            if let (Some(span), Some(_)) = (&table.base, table.half_life)
                && base != 0.0
            {
                let message = "a fading score starts from 0, because a base would not fade with it; give the base to a score without half_life and multiply the two in rank_by";
                self.diagnostics.add(span.span.clone(), message);
            }
            if let (None, Some(share)) = (&table.breadth, &table.breadth_share) {
                let message = "\"breadth_share\" is what a signal must give to count for \"breadth\"; write how many there must be, such as breadth = 3, or leave it out";
                self.diagnostics.add(share.span.clone(), message);
            }
            let slope = Slope::of(table.half_life);
            let rank = ranks.push_and_get_key(Rank {
                name: RankName::new(format!("score:{}", table.name.value)),
                of: Population::People,
                conditions: Vec::new(),
                factors: vec![Factor::of(scores.next_key())],
                slope: slope.clone(),
            });
            let share = table.breadth_share.as_ref();
            scores.push(Score {
                name: table.name.value.as_str().into(),
                half_life: table.half_life,
                base,
                terms: Vec::new(),
                rule_points: Vec::new(),
                breadth: table.breadth.as_ref().map(|required| Breadth {
                    required: required.value as usize,
                    share: share.map_or(DEFAULT_BREADTH_SHARE, |share| share.value),
                }),
                calibration: table.calibration.clone(),
                slope,
                rank,
                subject_ranks: TiVec::new(),
            });
        }
        for (kind, declared) in kinds.iter_enumerated() {
            for (id, score) in scores.iter_mut_enumerated() {
                let name = format!("subject:{}:score:{}", declared.name, score.name);
                let rank = ranks.push_and_get_key(Rank {
                    name: RankName::new(name),
                    of: Population::Subjects(kind),
                    conditions: Vec::new(),
                    factors: vec![Factor::of(id)],
                    slope: score.slope.clone(),
                });
                score.subject_ranks.push(rank);
            }
        }
        scores
    }

    /// Tells the breadths that nobody could reach.
    pub(crate) fn check_breadths(&mut self, file: &ModelFile, scores: &TiSlice<ScoreId, Score>) {
        for (table, score) in file.scores.iter().zip(scores) {
            let Some(required) = &table.breadth else {
                continue;
            };
            if required.value.fract() != 0.0 {
                let message = "\"breadth\" must be a whole number: so many different signals";
                self.diagnostics.add(required.span.clone(), message);
            }
            let signals = score.terms.iter().filter(|term| term.weight > 0.0).count();
            let rules = score.rule_points.iter().filter(|(_, points)| *points > 0.0);
            let giving = signals + rules.count();
            if (giving as f64) < required.value {
                let (who, instead) = match giving {
                    0 => (
                        "no signal or attribute rule gives",
                        "leave \"breadth\" out".to_owned(),
                    ),
                    1 => (
                        "only 1 signal or attribute rule gives",
                        "leave \"breadth\" out".to_owned(),
                    ),
                    _ => (
                        "only so many signals and attribute rules give",
                        format!("ask for at most {giving}"),
                    ),
                };
                let message = format!(
                    "{who} points to {:?}, so nobody would ever have any; {instead}, or give it points from more",
                    score.name
                );
                self.diagnostics.add(required.span.clone(), message);
            }
        }
    }
}
