//! Where a record stands under a model: which conditions hold, the points at the record's
//! reference instant, and from them every rank key, stage and segment.

use std::collections::BTreeMap;

use super::{
    HalfLife, KeyRange, RankChange, RankKey, RankName, Record, Timestamp,
    limits::NOISE_FLOOR,
    model::{Facts, Ladder, Model},
};

/// What a model makes of a record, without a clock.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// By position in `Model::conditions`.
    pub conditions: Vec<bool>,
    /// Counts at the reference instant, with their positions in `Model::slots`, ascending.
    counts: Vec<(usize, f64)>,
    /// By position in `Model::scores`: points at the reference instant, before the floor at 0.
    pub points: Vec<f64>,
    /// By position in `Model::scores`: the key by this score; `None` at zero points.
    keys: Vec<Option<RankKey>>,
    /// The instant of `counts` and `points`.
    pub at: Timestamp,
}

impl Standing {
    pub(crate) fn of(model: &Model, record: &Record) -> Self {
        let mut standing = Self {
            conditions: evaluate_conditions(model, record),
            counts: Vec::new(),
            points: Vec::with_capacity(model.scores.len()),
            keys: Vec::with_capacity(model.scores.len()),
            at: record.last_event_time,
        };
        standing.add_up(model, record);
        standing
    }

    /// Follows a change of the record; conditions only when what they read has changed.
    pub(crate) fn refresh(&mut self, model: &Model, record: &Record, facts_changed: bool) {
        if facts_changed {
            self.conditions = evaluate_conditions(model, record);
        }
        self.at = record.last_event_time;
        self.add_up(model, record);
    }

    fn add_up(&mut self, model: &Model, record: &Record) {
        collect_counts(model, record, &mut self.counts);
        self.points.clear();
        self.points.extend(model.scores.iter().map(|score| {
            let rules = score.rule_points.iter();
            let holding = rules.filter(|(rule, _)| self.conditions[model.rules[*rule].condition]);
            score.base + holding.map(|(_, points)| points).sum::<f64>()
        }));
        // From the side of what is counted: signals that never matched cost nothing.
        for (slot, count) in &self.counts {
            for (score, weight) in &model.weights[*slot] {
                self.points[*score] += weight * count;
            }
        }
        let keys = model
            .scores
            .iter()
            .zip(&self.points)
            .map(|(score, points)| {
                let key = score.slope.key(*points, self.at);
                key.filter(|key| *key >= score.slope.line(NOISE_FLOOR, self.at))
            });
        self.keys.clear();
        self.keys.extend(keys);
    }

    /// The count of a slot at the reference instant.
    pub(crate) fn count(&self, slot: usize) -> f64 {
        let found = self.counts.binary_search_by_key(&slot, |(slot, _)| *slot);
        found.map_or(0.0, |position| self.counts[position].1)
    }

    /// The points of a score at an instant, as callers see them.
    pub(crate) fn points_at(&self, model: &Model, score: usize, at: Timestamp) -> f64 {
        match self.keys[score] {
            Some(key) if key >= model.scores[score].slope.line(NOISE_FLOOR, at) => {
                self.points[score] * remaining(model.scores[score].half_life, self.at, at)
            }
            _ => 0.0,
        }
    }

    /// The key in a rank of the model; `None` when the profile does not stand in it.
    pub(crate) fn rank_key(&self, model: &Model, rank: usize) -> Option<RankKey> {
        let rank = &model.ranks[rank];
        if rank
            .condition
            .is_some_and(|condition| !self.conditions[condition])
        {
            return None;
        }
        if let [score] = rank.scores.as_slice() {
            return self.keys[*score];
        }
        let mut product = 0.0;
        for score in &rank.scores {
            let slope = &model.scores[*score].slope;
            product += slope.key(self.points[*score], self.at)?.value();
        }
        let floor = rank.slope.line(NOISE_FLOOR, self.at);
        RankKey::new(product).filter(|key| *key >= floor)
    }

    /// The stages that are open to the profile, and its key among them.
    pub(crate) fn ladder<'m>(&self, model: &'m Model) -> (&'m Ladder, RankKey) {
        let mut combination = 0;
        for (bit, condition) in model.stage_conditions.iter().enumerate() {
            combination |= usize::from(self.conditions[*condition]) << bit;
        }
        let ladder = &model.ladders[combination];
        let key = ladder.score.and_then(|score| self.keys[score]);
        (ladder, key.unwrap_or(RankKey::NO_POINTS))
    }

    /// The position of the highest stage that holds at an instant.
    pub(crate) fn stage(&self, model: &Model, at: Timestamp) -> Option<usize> {
        let (ladder, key) = self.ladder(model);
        ladder.stage_of(model, key, at)
    }

    /// The positions of the segments that the profile belongs to at an instant.
    pub(crate) fn segments(&self, model: &Model, at: Timestamp) -> Vec<usize> {
        let belongs = |position: &usize| {
            let segment = &model.segments[*position];
            self.rank_key(model, segment.rank)
                .is_some_and(|key| model.segment_range(segment, at).contains(key))
        };
        (0..model.segments.len()).filter(belongs).collect()
    }

    /// The places of the profile in the ranks of the model and among its stages.
    pub(crate) fn places<'m>(&self, model: &'m Model) -> Places<'m> {
        let ranks = 0..model.ranks.len();
        Places {
            ranks: ranks.map(|rank| self.rank_key(model, rank)).collect(),
            stages: Some(self.ladder(model)),
        }
    }
}

/// Where a profile stands, by position, so that two standings are compared without names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places<'m> {
    /// By position in `Model::ranks`; empty for a profile that is not stored.
    ranks: Vec<Option<RankKey>>,
    /// The one rank of stages that holds the profile.
    stages: Option<(&'m Ladder, RankKey)>,
}

impl Places<'_> {
    /// The moves from here to `new`.
    pub(crate) fn changes_to(&self, new: &Places<'_>, model: &Model) -> Vec<RankChange> {
        let mut changes = Vec::new();
        let mut note = |rank: &RankName, old: Option<RankKey>, new: Option<RankKey>| {
            if old != new {
                let rank = rank.clone();
                changes.push(RankChange { rank, old, new });
            }
        };
        for (position, rank) in model.ranks.iter().enumerate() {
            let key = |places: &Places<'_>| places.ranks.get(position).copied().flatten();
            note(&rank.name, key(self), key(new));
        }
        match (self.stages, new.stages) {
            (Some((from, old)), Some((to, new))) if from.rank == to.rank => {
                note(&to.rank, Some(old), Some(new));
            }
            (old, new) => {
                if let Some((from, key)) = old {
                    note(&from.rank, Some(key), None);
                }
                if let Some((to, key)) = new {
                    note(&to.rank, None, Some(key));
                }
            }
        }
        changes
    }

    fn named(&self, model: &Model) -> Vec<(RankName, RankKey)> {
        let ranks = model.ranks.iter().zip(&self.ranks);
        ranks
            .filter_map(|(rank, key)| Some((rank.name.clone(), (*key)?)))
            .chain(self.stages.map(|(ladder, key)| (ladder.rank.clone(), key)))
            .collect()
    }
}

/// What a record adds to the totals of a topic: the topic, touches, and millionths of
/// advances.
pub type TopicShare = (String, u64, u64);

/// Where a stored record stands: its rank keys under a model.
pub fn index(model: &Model, record: &Record) -> Vec<(RankName, RankKey)> {
    let mut keys = Standing::of(model, record).places(model).named(model);
    let influence = super::influence::keys(model, record).into_iter();
    keys.extend(influence.map(|(place, key)| (super::influence::rank_at(model, place), key)));
    keys
}

/// The moves from where one record of a profile stands under a model to where another does,
/// those that lead to the same key too. `None` stands nowhere.
pub fn moves(model: &Model, old: Option<&Record>, new: Option<&Record>) -> Vec<RankChange> {
    let keys =
        |record: Option<&Record>| record.map_or_else(Vec::new, |record| index(model, record));
    let mut moves: BTreeMap<RankName, (Option<RankKey>, Option<RankKey>)> = BTreeMap::new();
    for (rank, key) in keys(old) {
        moves.entry(rank).or_default().0 = Some(key);
    }
    for (rank, key) in keys(new) {
        moves.entry(rank).or_default().1 = Some(key);
    }
    let changes = moves
        .into_iter()
        .map(|(rank, (old, new))| RankChange { rank, old, new });
    changes.collect()
}

impl Record {
    /// What the record adds to the totals of topics.
    pub fn topic_shares(&self) -> impl Iterator<Item = TopicShare> {
        self.influence
            .iter()
            .map(|cell| (cell.topic.clone(), cell.touches, cell.advance_millionths))
    }
}

/// What is left of 1 after the time from `from` to `to`; all of it without half-life.
pub(crate) fn remaining(half_life: Option<HalfLife>, from: Timestamp, to: Timestamp) -> f64 {
    half_life.map_or(1.0, |half_life| half_life.remaining(from, to))
}

fn evaluate_conditions(model: &Model, record: &Record) -> Vec<bool> {
    let facts = Facts {
        event: None,
        topics: &[],
        attributes: &record.attributes,
        seen_types: &record.seen_types,
        points: &[],
        stage: "",
    };
    model
        .conditions
        .iter()
        .map(|condition| model.evaluator.holds(condition, &facts) == Ok(true))
        .collect()
}

/// The counts of the model's slots; both sides are in one order.
fn collect_counts(model: &Model, record: &Record, counts: &mut Vec<(usize, f64)>) {
    counts.clear();
    let mut next = 0;
    for group in &record.counts {
        for count in &group.counts {
            let wanted = (group.half_life, count.signal.as_str());
            let slots = &model.slots[next..];
            // Neighbours in a record are often neighbours in the model.
            let found = match slots.first() {
                Some(slot) if slot.key() == wanted => Ok(0),
                _ => slots.binary_search_by(|slot| slot.key().cmp(&wanted)),
            };
            next += match found {
                Ok(position) => {
                    counts.push((next + position, count.value));
                    position + 1
                }
                Err(position) => position,
            };
        }
    }
}

impl Ladder {
    /// The position of the highest stage that a key reaches at an instant.
    pub(crate) fn stage_of(&self, model: &Model, key: RankKey, at: Timestamp) -> Option<usize> {
        let reached = self.steps.iter().rev().find(|(_, min)| {
            self.score
                .is_some_and(|score| key >= model.scores[score].slope.line(*min, at))
        });
        reached.map(|(stage, _)| *stage).or(self.floor)
    }

    /// The keys of every stage that is open, and of those below all of them (`None`): each
    /// key of the ladder lies in exactly one range.
    pub(crate) fn ranges(&self, model: &Model, at: Timestamp) -> Vec<(Option<usize>, KeyRange)> {
        let mut ranges = Vec::with_capacity(self.steps.len() + 1);
        let mut below = None;
        for (stage, min) in self.steps.iter().rev() {
            let Some(score) = self.score else { break };
            let from = model.scores[score].slope.line(*min, at);
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
    pub(crate) fn segment_range(&self, segment: &super::model::Segment, at: Timestamp) -> KeyRange {
        let slope = &self.ranks[segment.rank].slope;
        KeyRange {
            from: slope.line(segment.min, at),
            below: segment.max.map(|max| slope.line(max, at)),
        }
    }
}
