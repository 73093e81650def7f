//! What another model would change: who rises and falls, who moves between stages, who enters
//! and leaves segments.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use super::{
    Model, ModelChange, Name, ProfileId, Record, SegmentId, Timestamp,
    evaluation::Evaluation,
    model::{ScoreId, StageId},
    model_changes,
};

/// Two numbers of points within this share of the greater one are the same: the terms of a
/// score may be added up in another order.
const SAME: f64 = 1e-9;

/// Records evaluated by two models at one instant.
#[derive(Debug)]
pub struct Comparison {
    old: Arc<Model>,
    new: Arc<Model>,
    at: Timestamp,
    movers: usize,
    profiles: u64,
    scores: Vec<ScoreTally>,
    flows: BTreeMap<(Option<StageId>, Option<StageId>), u64>,
    segments: Vec<SegmentTally>,
}

/// What becomes of a score, by its positions in the two models.
#[derive(Debug)]
struct ScoreTally {
    name: Name,
    old: Option<ScoreId>,
    new: Option<ScoreId>,
    rising: u64,
    falling: u64,
    /// The least of the greatest moves first.
    movers: BinaryHeap<Mover>,
}

#[derive(Debug)]
struct SegmentTally {
    name: Name,
    old: Option<SegmentId>,
    new: Option<SegmentId>,
    before: u64,
    after: u64,
    entering: u64,
    leaving: u64,
}

/// A profile whose points on a score change.
#[derive(Clone, Debug, PartialEq)]
pub struct Mover {
    /// Whose.
    pub profile_id: ProfileId,
    /// Points by the old model.
    pub before: f64,
    /// Points by the new model.
    pub after: f64,
}

impl Eq for Mover {}

impl PartialOrd for Mover {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whoever moves farther comes first, equals by id.
impl Ord for Mover {
    fn cmp(&self, other: &Self) -> Ordering {
        let way = |mover: &Self| (mover.after - mover.before).abs();
        way(other)
            .total_cmp(&way(self))
            .then_with(|| self.profile_id.cmp(&other.profile_id))
    }
}

/// What becomes of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreMoves {
    /// The name in the models.
    pub score: Name,
    /// Profiles that have more points by the new model.
    pub rising: u64,
    /// Profiles that have fewer.
    pub falling: u64,
    /// Who moves farthest, farthest first.
    pub movers: Vec<Mover>,
}

/// Profiles that stand at one stage by the old model and at one by the new; `None` for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageFlow {
    /// By the old model.
    pub from: Option<Name>,
    /// By the new model.
    pub to: Option<Name>,
    /// How many.
    pub profiles: u64,
}

/// What becomes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentMoves {
    /// The name in the models.
    pub segment: Name,
    /// Members by the old model.
    pub before: u64,
    /// Members by the new model.
    pub after: u64,
    /// Members by the new model alone.
    pub entering: u64,
    /// Members by the old model alone.
    pub leaving: u64,
}

/// Everything that another model would change.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparisonReport {
    /// The instant that profiles were evaluated at, or their last event where that is later.
    pub at: Timestamp,
    /// Profiles that were evaluated, those left out that stand in no rank.
    pub profiles: u64,
    /// The scores of the new model, then those that it has no more.
    pub scores: Vec<ScoreMoves>,
    /// The stages of the old model, none first, each with where its people go, in the order of
    /// the new model.
    pub flows: Vec<StageFlow>,
    /// The segments of the new model, then those that it has no more.
    pub segments: Vec<SegmentMoves>,
    /// What differs between the files, and what each change acts on.
    pub changes: Vec<ModelChange>,
}

impl Comparison {
    /// Begins to compare two models, naming up to `movers` profiles for each score.
    pub fn new(old: Arc<Model>, new: Arc<Model>, at: Timestamp, movers: usize) -> Self {
        let scores = paired(old.score_names(), new.score_names());
        let scores = scores.map(|(name, old, new)| ScoreTally {
            name,
            old,
            new,
            rising: 0,
            falling: 0,
            movers: BinaryHeap::new(),
        });
        let segments = paired(old.segment_names(), new.segment_names());
        let segments = segments.map(|(name, old, new)| SegmentTally {
            name,
            old,
            new,
            before: 0,
            after: 0,
            entering: 0,
            leaving: 0,
        });
        Self {
            scores: scores.collect(),
            segments: segments.collect(),
            flows: BTreeMap::new(),
            profiles: 0,
            old,
            new,
            at,
            movers,
        }
    }

    /// Evaluates one record by both models.
    pub fn add(&mut self, profile_id: &ProfileId, record: &Record) {
        self.add_each(profile_id, record, record);
    }

    /// Evaluates what each model has counted of the same profile.
    pub fn add_each(&mut self, profile_id: &ProfileId, old: &Record, new: &Record) {
        let last_event = old.last_event_time.max(new.last_event_time);
        let at = self.at.max(last_event);
        let by_old = Evaluation::of(&self.old, self.old.population_of(profile_id), old);
        let by_new = Evaluation::of(&self.new, self.new.population_of(profile_id), new);
        // Who stands in no rank by either is in no answer that could differ but their own.
        if !by_old.is_counted && !by_new.is_counted {
            return;
        }
        // Subjects stand in segments of their own; scores and stages are told of people.
        if profile_id.is_person() {
            self.profiles += 1;
            for tally in &mut self.scores {
                let points = |evaluation: &Evaluation, model: &Model, score: Option<ScoreId>| {
                    score.map_or(0.0, |score| evaluation.points_at(model, score, at))
                };
                let before = points(&by_old, &self.old, tally.old);
                let after = points(&by_new, &self.new, tally.new);
                tally.add(profile_id, before, after, self.movers);
            }
            let stages = (by_old.stage(&self.old, at), by_new.stage(&self.new, at));
            *self.flows.entry(stages).or_default() += 1;
        }
        let (before, after) = (
            by_old.segments(&self.old, at),
            by_new.segments(&self.new, at),
        );
        for tally in &mut self.segments {
            let is_in = |segments: &[SegmentId], segment: Option<SegmentId>| {
                segment.is_some_and(|segment| segments.contains(&segment))
            };
            tally.add(is_in(&before, tally.old), is_in(&after, tally.new));
        }
    }

    /// What the new model would change.
    pub fn finish(self) -> ComparisonReport {
        let (old, new) = (&self.old, &self.new);
        let name = |model: &Model, stage: Option<StageId>| {
            stage.map(|stage| model.stages[stage].name.clone())
        };
        let flows = self.flows.iter().map(|((from, to), profiles)| StageFlow {
            from: name(old, *from),
            to: name(new, *to),
            profiles: *profiles,
        });
        let flows = flows.collect();
        let scores = self.scores.into_iter().map(|tally| ScoreMoves {
            score: tally.name,
            rising: tally.rising,
            falling: tally.falling,
            movers: tally.movers.into_sorted_vec(),
        });
        let segments = self.segments.into_iter().map(|tally| SegmentMoves {
            segment: tally.name,
            before: tally.before,
            after: tally.after,
            entering: tally.entering,
            leaving: tally.leaving,
        });
        ComparisonReport {
            at: self.at,
            profiles: self.profiles,
            scores: scores.collect(),
            flows,
            segments: segments.collect(),
            changes: model_changes(old, new),
        }
    }
}

impl ScoreTally {
    fn add(&mut self, profile_id: &ProfileId, before: f64, after: f64, movers: usize) {
        if (after - before).abs() <= SAME * before.abs().max(after.abs()) {
            return;
        }
        if after > before {
            self.rising += 1;
        } else {
            self.falling += 1;
        }
        self.movers.push(Mover {
            profile_id: profile_id.clone(),
            before,
            after,
        });
        if self.movers.len() > movers {
            self.movers.pop();
        }
    }
}

impl SegmentTally {
    fn add(&mut self, before: bool, after: bool) {
        self.before += u64::from(before);
        self.after += u64::from(after);
        self.entering += u64::from(after && !before);
        self.leaving += u64::from(before && !after);
    }
}

/// The same names in two lists with their positions: all of the new list, then what it has no
/// more.
fn paired<'a, Id: From<usize>>(
    old: impl Iterator<Item = &'a str>,
    new: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (Name, Option<Id>, Option<Id>)> {
    let old: Vec<&str> = old.collect();
    let new: Vec<&str> = new.collect();
    let id_of = |names: &[&str], name: &str| {
        let position = names.iter().position(|other| *other == name);
        position.map(Id::from)
    };
    let gone = old.iter().filter(|name| !new.contains(name));
    let names: Vec<&str> = new.iter().chain(gone).copied().collect();
    names
        .into_iter()
        .map(move |name| (name.into(), id_of(&old, name), id_of(&new, name)))
}
