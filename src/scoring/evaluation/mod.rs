//! Where a record stands under a model: what no clock changes, the points at the
//! record's reference instant, and from them every rank key, stage and segment.

mod clock_free;
mod condition;
mod context;
mod path;
mod ranges;
mod rank_entries;
#[cfg(test)]
mod reference_tests;

pub(crate) use condition::interest_points;
pub use condition::{Judged, Member};
pub(crate) use context::{EvalContext, EventContext};
pub(crate) use rank_entries::RankEntries;
pub use rank_entries::{index, moves};

use clock_free::ClockFreeEvaluation;

use typed_index_collections::TiVec;

use super::{
    Population, RankKey, Record, SegmentId, SignalCount, Timestamp,
    counts::{CountIndex, HalfLifeMigration},
    decay::decay_factor,
    limits::{BREADTH_SLACK, DUST_SHARE, NOISE_FLOOR},
    model::{Factor, Ladder, Model, QuarantineRuleId, RankId, ScoreId, SlotId, StageId},
};

/// What a model makes of a record, without a clock.
#[derive(Clone, Debug)]
pub(crate) struct Evaluation {
    /// What follows from what no clock changes.
    pub clock_free: ClockFreeEvaluation,
    /// Ascending by slot.
    counts: Vec<SlotCount>,
    /// Counts of the record that the model keeps with another half-life.
    pub(crate) migrations: Vec<HalfLifeMigration>,
    /// By position in `Model::scores`: points at the reference instant, before the floor at 0;
    /// 0 for a score that lacks breadth.
    pub points: TiVec<ScoreId, f64>,
    /// By position in `Model::scores`.
    keys: TiVec<ScoreId, ScoreKey>,
    /// The instant of `counts` and `points`.
    pub at: Timestamp,
    /// Among whom the record is ranked once anything counts; `None` for nobody.
    pub population: Option<Population>,
    /// See [`Record::is_counted`].
    pub is_counted: bool,
    /// By position in `Model::quarantine`: how many events the rule holds.
    pub held: TiVec<QuarantineRuleId, u32>,
    /// By position in `Model::kept_stages`: the highest stage that is kept.
    kept_stages: Vec<Option<StageId>>,
}

/// The key of a score.
#[derive(Clone, Copy, Debug)]
struct ScoreKey {
    /// However few the points are; `None` without any.
    exact: Option<RankKey>,
    /// `None` below the noise floor.
    shown: Option<RankKey>,
}

/// A count at the reference instant.
#[derive(Clone, Copy, Debug)]
struct SlotCount {
    /// Position in `Model::slots`.
    slot: SlotId,
    /// Where the record keeps it; `None` when it moves from another half-life.
    place: Option<CountIndex>,
    /// Over all keys.
    value: f64,
}

/// What of a record has changed, beside the values of its counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// What conditions read.
    pub clock_free: bool,
    /// Which counts there are.
    pub counts: bool,
}

impl Evaluation {
    pub(crate) fn of(model: &Model, population: Option<Population>, record: &Record) -> Self {
        let mut evaluation = Self {
            clock_free: ClockFreeEvaluation::of(model, record),
            counts: Vec::new(),
            migrations: Vec::new(),
            points: TiVec::with_capacity(model.scores.len()),
            keys: TiVec::with_capacity(model.scores.len()),
            at: record.last_event_time,
            population,
            is_counted: record.is_counted(),
            held: TiVec::new(),
            kept_stages: Vec::new(),
        };
        evaluation.read_kept_stages(model, record);
        evaluation.collect(model, record);
        evaluation.add_up(model, record);
        evaluation
    }

    /// Follows a change of the record.
    pub(crate) fn refresh(&mut self, model: &Model, record: &Record, changed: Changed) {
        if changed.clock_free {
            self.clock_free = ClockFreeEvaluation::of(model, record);
        }
        if changed.counts || !self.migrations.is_empty() {
            self.collect(model, record);
        } else {
            self.follow(record);
        }
        self.at = record.last_event_time;
        self.is_counted = record.is_counted();
        self.add_up(model, record);
    }

    /// Among whom the record is ranked; `None` for nobody.
    pub(crate) fn among(&self) -> Option<Population> {
        self.population.filter(|_| self.is_counted)
    }

    /// Whether the record is of a person.
    pub(crate) fn is_of_person(&self) -> bool {
        self.population == Some(Population::People)
    }

    fn add_up(&mut self, model: &Model, record: &Record) {
        self.points.clear();
        let scores = model.scores.iter();
        self.points
            .extend(scores.map(|score| self.clock_free.sum(score)));
        // From the side of what is counted: signals that never matched cost nothing.
        for count in &self.counts {
            for (score, weight) in &model.weights[count.slot] {
                self.points[*score] += weight * count.value;
            }
        }
        for (position, score) in model.scores.iter_enumerated() {
            let breadth = score.breadth.as_ref();
            if breadth.is_some_and(|breadth| self.breadth(model, position) < breadth.required) {
                self.points[position] = 0.0;
            }
        }
        let keys = model
            .scores
            .iter()
            .zip(&self.points)
            .map(|(score, points)| {
                let exact = score.slope.key(*points, self.at);
                let floor = score.slope.threshold_key(NOISE_FLOOR, self.at);
                ScoreKey {
                    exact,
                    shown: exact.filter(|key| *key >= floor),
                }
            });
        self.keys.clear();
        self.keys.extend(keys);
        self.held.clear();
        self.held.extend(record.held_by_rule(model));
        self.follow_scores(model, record);
    }

    /// What the terms of a score add up to at the reference instant, whatever its floor at 0 or
    /// missing breadth.
    pub(crate) fn sum(&self, model: &Model, score: ScoreId) -> f64 {
        let score = &model.scores[score];
        let terms = score.terms.iter();
        let terms = terms.map(|term| term.weight * self.count(term.slot));
        self.clock_free.sum(score) + terms.sum::<f64>()
    }

    /// Whether the points of a score are what rounding leaves of terms that cancel each other out.
    fn is_dust(&self, model: &Model, score: ScoreId) -> bool {
        let points = self.points[score];
        let score = &model.scores[score];
        let counts = score.terms.iter();
        let counts = counts.map(|term| term.weight * self.count(term.slot));
        let rules = score.rule_points.iter();
        let rules = rules.map(|(rule, points)| points * self.clock_free.rules[*rule]);
        let terms = counts.chain(rules).map(f64::abs);
        points < (score.base.abs() + terms.sum::<f64>()) * DUST_SHARE
    }

    fn slot_count(&self, slot: SlotId) -> Option<&SlotCount> {
        let found = self.counts.binary_search_by_key(&slot, |count| count.slot);
        found.ok().map(|position| &self.counts[position])
    }

    /// The count of a slot at the reference instant.
    pub(crate) fn count(&self, slot: SlotId) -> f64 {
        self.slot_count(slot).map_or(0.0, |count| count.value)
    }

    /// Where the record kept the count of a slot when the evaluation last followed it.
    pub(crate) fn count_index(&self, slot: SlotId) -> Option<CountIndex> {
        self.slot_count(slot)?.place
    }

    /// What a record counts for a slot, by key.
    pub(crate) fn parts<'r>(
        &self,
        model: &Model,
        record: &'r Record,
        slot: SlotId,
    ) -> Option<&'r SignalCount> {
        if let Some(place) = self.slot_count(slot)?.place {
            return Some(record.count_at(place));
        }
        let mut migrations = self.migrations.iter();
        let migration = migrations.find(|migration| migration.slot == slot)?;
        migration.count(model, record)
    }

    /// How many signals and rules give the share of the greatest one that the breadth of a
    /// score asks for. All terms of a score fade alike, so this changes with writes alone.
    pub(crate) fn breadth(&self, model: &Model, score: ScoreId) -> usize {
        let share = model.scores[score].breadth.as_ref();
        let share = share.map_or(0.0, |breadth| breadth.share);
        let greatest = self.positive_terms(model, score).fold(0.0, f64::max);
        let least = greatest * share * (1.0 - BREADTH_SLACK);
        let giving = self.positive_terms(model, score);
        giving.filter(|points| *points >= least).count()
    }

    /// The points above 0 that signals and rules give to a score at the reference instant.
    fn positive_terms(&self, model: &Model, score: ScoreId) -> impl Iterator<Item = f64> {
        let counted = self.counts.iter().flat_map(move |count| {
            let weights = model.weights[count.slot].iter();
            let own = weights.filter(move |(other, _)| *other == score);
            own.map(move |(_, weight)| weight * count.value)
        });
        let rules = model.scores[score].rule_points.iter();
        counted
            .chain(rules.map(|(rule, points)| points * self.clock_free.rules[*rule]))
            .filter(|points| *points > 0.0)
    }

    /// Takes the values of the same counts again.
    fn follow(&mut self, record: &Record) {
        for count in &mut self.counts {
            if let Some(place) = count.place {
                count.value = record.count_at(place).total();
            }
        }
    }

    /// Finds the counts of the model's slots, and what moves to the model's from other
    /// half-lives. Both sides are in one order.
    fn collect(&mut self, model: &Model, record: &Record) {
        self.counts.clear();
        let lengths = record.counts.iter().map(|group| group.counts.len());
        self.counts.reserve_exact(lengths.sum());
        let mut orphans = Vec::new();
        for (group, counts) in record.counts.iter().enumerate() {
            for (position, count) in counts.counts.iter().enumerate() {
                match model.slot(counts.half_life, &count.signal) {
                    Some(slot) => self.counts.push(SlotCount {
                        slot,
                        place: Some(CountIndex { group, position }),
                        value: count.total(),
                    }),
                    None => orphans.push((counts.half_life, count.signal.as_str())),
                }
            }
        }
        self.migrations =
            HalfLifeMigration::of(model, &orphans, |slot| self.slot_count(slot).is_some());
        for migration in &self.migrations {
            let taken = migration.count(model, record);
            let value = taken.map_or(0.0, SignalCount::total);
            let slot = migration.slot;
            let position = self.counts.partition_point(|count| count.slot < slot);
            let place = None;
            self.counts
                .insert(position, SlotCount { slot, place, value });
        }
    }

    /// The points of a score at an instant, as callers see them.
    pub(crate) fn points_at(&self, model: &Model, score: ScoreId, at: Timestamp) -> f64 {
        match self.keys[score].shown {
            Some(key) if key >= model.scores[score].slope.threshold_key(NOISE_FLOOR, at) => {
                self.points[score] * decay_factor(model.scores[score].half_life, self.at, at)
            }
            _ => 0.0,
        }
    }

    /// Whether a score has at least that many points at an instant.
    pub(crate) fn reaches(&self, model: &Model, score: ScoreId, min: f64, at: Timestamp) -> bool {
        self.keys[score]
            .shown
            .is_some_and(|key| key >= model.scores[score].slope.threshold_key(min, at))
    }

    /// The product or ratio that a rank is the order of, at an instant.
    pub(crate) fn rank_points(&self, model: &Model, rank: RankId, at: Timestamp) -> f64 {
        let Some(key) = self.rank_key(model, rank) else {
            return 0.0;
        };
        let rank = &model.ranks[rank];
        if !rank.is_ratio() && key < rank.slope.threshold_key(NOISE_FLOOR, at) {
            return 0.0;
        }
        let factors = rank.factors.iter();
        let factors = factors.map(|factor| factor.power(self.points[factor.score]));
        factors.product::<f64>() * rank.slope.decay_factor(self.at, at)
    }

    /// The key in a rank of the model; `None` when the profile does not stand in it.
    pub(crate) fn rank_key(&self, model: &Model, rank: RankId) -> Option<RankKey> {
        let rank = &model.ranks[rank];
        if self.among() != Some(rank.of) {
            return None;
        }
        let mut conditions = rank.conditions.iter();
        if !conditions.all(|condition| self.clock_free.conditions[*condition]) {
            return None;
        }
        if let [Factor { score, .. }] = rank.factors.as_slice() {
            return self.keys[*score].shown;
        }
        let mut product = 0.0;
        for factor in &rank.factors {
            let key = self.keys[factor.score].exact;
            let key = key.filter(|_| !rank.is_ratio() || !self.is_dust(model, factor.score))?;
            product += factor.log(key.value());
        }
        let key = RankKey::new(product)?;
        let floor = rank.slope.threshold_key(NOISE_FLOOR, self.at);
        (rank.is_ratio() || key >= floor).then_some(key)
    }

    /// The stages that are open to the profile, and its key among them.
    pub(crate) fn ladder<'m>(&self, model: &'m Model) -> (&'m Ladder, RankKey) {
        let mut combination = 0;
        for (bit, condition) in model.stage_conditions.iter().enumerate() {
            combination |= usize::from(self.clock_free.conditions[*condition]) << bit;
        }
        let ladders = &model.ladders[combination];
        let steps = ladders.first().map_or(&[][..], |ladder| &ladder.steps);
        let kept = steps.iter().filter(|(stage, _)| self.keeps(model, *stage));
        let ladder = &ladders[kept.count()];
        let key = ladder.score.and_then(|score| self.keys[score].shown);
        (ladder, key.unwrap_or(RankKey::NO_POINTS))
    }

    /// The position of the highest stage that a person stands at, at an instant.
    pub(crate) fn stage(&self, model: &Model, at: Timestamp) -> Option<StageId> {
        let is_ranked = self.among() == Some(Population::People);
        is_ranked.then(|| self.stage_to_be(model, at)).flatten()
    }

    /// The same, and for whom nothing has counted yet where the first event would find them.
    pub(crate) fn stage_to_be(&self, model: &Model, at: Timestamp) -> Option<StageId> {
        let (ladder, key) = self.ladder(model);
        ladder.stage_of(model, key, at)
    }

    /// The positions of the segments that the profile belongs to at an instant.
    pub(crate) fn segments(&self, model: &Model, at: Timestamp) -> Vec<SegmentId> {
        let belongs = |id: &SegmentId| {
            self.rank_key(model, model.segments[*id].rank)
                .is_some_and(|key| model.segment_range(*id, at).contains(key))
        };
        model.segments.keys().filter(belongs).collect()
    }
}
