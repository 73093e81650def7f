//! The path to purchase: its stages, and the ladders that they make for each combination of
//! conditions and kept stages.

use std::{collections::HashSet, ops::Range};

use typed_index_collections::TiVec;

use super::Compiler;
use crate::scoring::{
    RankName,
    limits::{MAX_STAGE_CONDITIONS, MAX_STAGE_RANKS},
    model::{
        definition::{KeptStages, Ladder, Stage, StageBound},
        expr::Scope,
        file::{ModelFile, StageTable},
        ids::{ConditionId, StageId},
    },
};

/// The path to purchase.
#[derive(Default)]
pub(crate) struct Path {
    pub stages: TiVec<StageId, Stage>,
    /// The distinct conditions of stages.
    pub conditions: Vec<ConditionId>,
    pub ladders: Vec<Vec<Ladder>>,
    pub kept: Vec<KeptStages>,
}

/// Where a stage stands in the file, and which of the distinct conditions it has.
type Placed = (Option<usize>, Range<usize>);

impl Compiler<'_> {
    pub(crate) fn path(&mut self, file: &ModelFile) -> Path {
        let mut path = Path::default();
        let mut placed: TiVec<StageId, Placed> = TiVec::new();
        for table in &file.stages {
            let bound = self.stage_bound(table);
            let condition = match &table.when {
                None => None,
                Some(text) => match self.condition(text, Scope::Members) {
                    None => continue,
                    condition => condition,
                },
            };
            let bit = condition.map(|condition| {
                let known = path.conditions.iter().position(|known| *known == condition);
                known.unwrap_or_else(|| {
                    path.conditions.push(condition);
                    path.conditions.len() - 1
                })
            });
            path.stages.push(Stage {
                name: table.name.value.as_str().into(),
                condition,
                bound,
            });
            placed.push((bit, table.name.span.clone()));
        }
        let conditions = path.conditions.len();
        if conditions > MAX_STAGE_CONDITIONS {
            let message = format!(
                "the stages have {conditions} distinct conditions; at most {MAX_STAGE_CONDITIONS} are allowed, because each doubles the indexes of the funnel"
            );
            self.diagnostics.add(0..0, message);
            path.conditions.clear();
            return path;
        }
        path.kept = self.kept_stages(&path.stages, &placed);
        let mut told = HashSet::new();
        for combination in 0_usize..1 << conditions {
            let ladder = self.ladder(combination, &path.stages, &placed, &mut told);
            path.ladders.push(variants(ladder, &path.stages));
        }
        let ranks: usize = path.ladders.iter().map(Vec::len).sum();
        if ranks > MAX_STAGE_RANKS {
            let message = format!(
                "the stages need {ranks} indexes; at most {MAX_STAGE_RANKS} are allowed: each distinct `when` doubles them, and each `keep` adds one for each combination; leave out some of either"
            );
            self.diagnostics.add(0..0, message);
        }
        path
    }

    fn stage_bound(&mut self, table: &StageTable) -> Option<StageBound> {
        let bounds = self.score_points(&table.min);
        if let Some((_, _, span)) = bounds.get(1) {
            let message = "a stage is bounded on one score at most, or the count of a stage would not be one range; bound a second stage, or a segment with rank_by of both";
            self.diagnostics.add(span.clone(), message);
        }
        let kept = self.score_points(&table.keep);
        let bound = bounds.first().map(|(score, min, _)| (*score, *min));
        let mut keep = None;
        for (score, points, span) in kept {
            match bound {
                Some((bounded, min)) if bounded == score && points < min => keep = Some(points),
                Some((bounded, min)) if bounded == score => {
                    let message = format!(
                        "keep must be below min, which is {min}: whoever has reached the stage stays until the points fall below keep; write less, or leave it out"
                    );
                    self.diagnostics.add(span, message);
                }
                _ => {
                    let message = "keep is on another score than min; name the score of min, such as min = { interest = 20 } with keep = { interest = 12 }";
                    self.diagnostics.add(span, message);
                }
            }
        }
        bound.map(|(score, min)| StageBound { score, min, keep })
    }

    /// The scores with a stage that is easier to keep than to reach. Neither bound may fall along
    /// the path there: who keeps a stage keeps those below it.
    fn kept_stages(
        &mut self,
        stages: &TiVec<StageId, Stage>,
        placed: &TiVec<StageId, Placed>,
    ) -> Vec<KeptStages> {
        let mut kept: Vec<KeptStages> = Vec::new();
        for (stage, bound) in bounds(stages) {
            match kept.iter_mut().find(|kept| kept.score == bound.score) {
                Some(kept) => kept.stages.push((stage, bound)),
                None => kept.push(KeptStages {
                    score: bound.score,
                    stages: vec![(stage, bound)],
                }),
            }
        }
        let is_kept = |kept: &KeptStages| kept.stages.iter().any(|(_, bound)| bound.keep.is_some());
        kept.retain(is_kept);
        for pair in kept.iter().flat_map(|kept| kept.stages.windows(2)) {
            let [(lower, below), (higher, above)] = pair else {
                continue;
            };
            let keep = |bound: &StageBound| bound.keep.unwrap_or(bound.min);
            if above.min < below.min || keep(above) < keep(below) {
                let message = format!(
                    "this stage asks for less than {:?} below it, to reach it or to keep it; where a stage has keep, neither min nor keep may fall along the path",
                    stages[*lower].name
                );
                self.diagnostics.add(placed[*higher].1.clone(), message);
            }
        }
        kept
    }

    /// The ladder of a combination of conditions, for those who keep no stage.
    fn ladder(
        &mut self,
        combination: usize,
        stages: &TiVec<StageId, Stage>,
        placed: &TiVec<StageId, Placed>,
        told: &mut HashSet<StageId>,
    ) -> Ladder {
        let mut ladder = Ladder {
            rank: RankName::new(format!("stages:{combination}")),
            floor: None,
            score: None,
            steps: Vec::new(),
        };
        for (id, stage) in stages.iter_enumerated() {
            let (bit, span) = &placed[id];
            if bit.is_some_and(|bit| combination >> bit & 1 == 0) {
                continue;
            }
            let Some(StageBound { score, min, .. }) = stage.bound else {
                ladder.floor = Some(id);
                ladder.score = None;
                ladder.steps.clear();
                continue;
            };
            if let Some(other) = ladder.score
                && other != score
                && told.insert(id)
            {
                let message = format!(
                    "this stage is bounded on {:?} and a lower one that may hold with it on {:?}; bound both on one score, or give one a `when`, which then also needs no bound",
                    self.score_names[usize::from(score)],
                    self.score_names[usize::from(other)]
                );
                self.diagnostics.add(span.clone(), message);
            }
            ladder.score = Some(score);
            ladder.steps.push((id, min));
        }
        ladder
    }
}

fn bounds(stages: &TiVec<StageId, Stage>) -> impl Iterator<Item = (StageId, StageBound)> {
    let stages = stages.iter_enumerated();
    stages.filter_map(|(id, stage)| Some((id, stage.bound?)))
}

/// A ladder, then the same for those who keep the lowest stage that is easier to keep, and so on.
fn variants(ladder: Ladder, stages: &TiVec<StageId, Stage>) -> Vec<Ladder> {
    let mut variants = vec![ladder];
    let steps = variants[0].steps.clone();
    for (position, (stage, _)) in steps.iter().enumerate() {
        let Some(keep) = stages[*stage].keep() else {
            continue;
        };
        let Some(last) = variants.last() else { break };
        let rank = format!("{}:{}", variants[0].rank, variants.len());
        let mut kept = Ladder {
            rank: RankName::new(rank),
            floor: last.floor,
            score: last.score,
            steps: last.steps.clone(),
        };
        kept.steps[position].1 = keep;
        variants.push(kept);
    }
    variants
}
