//! Who influences whom: touches, and the advances that follow them.
//!
//! Both are credits to authors. The id of an effect derives from the event that caused it, so
//! that whoever sends it again, it counts once.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    Credit, EffectKind, IdHash, InfluenceCell, Judgement, Model, ProfileId, RankChange, RankKey,
    RankName, Record, Timestamp, Touch,
    apply::Deed,
    limits::{
        MAX_INFLUENCE_CELLS, NOISE_FLOOR, PRIOR_TOUCHES, REMEMBERED_EFFECTS, REMEMBERED_TOUCHES,
    },
    retraction::without,
};

const MILLION: f64 = 1e6;

/// Distinguishes the effects of one event.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    Touch = 1,
    Advance = 2,
    Share = 3,
}

/// The id of an effect: the actor is part of it, because events are known within one profile
/// only.
pub(super) fn effect_id(cause: Cause, actor: &str, event: IdHash) -> IdHash {
    IdHash(xxh3_64_with_seed(actor.as_bytes(), event.0 ^ cause as u64))
}

/// Notes that an event engages with somebody else's content; the credit for the author.
pub(super) fn touch(
    model: &Model,
    record: &mut Record,
    actor: &ProfileId,
    deed: Deed<'_>,
    stage: String,
) -> Option<Credit> {
    let influence = model.influence.as_ref()?;
    let credit = *influence.credits.get(deed.event_type)?;
    let id = deed.hash();
    let (at, topics, author_id) = (deed.at, deed.topics, deed.author_id?);
    if author_id == *actor || topics.is_empty() {
        return None;
    }
    let touch = Touch {
        event: id,
        time: at,
        author_id: author_id.clone(),
        topics: topics.clone(),
        stage: stage.clone(),
    };
    let position = record.touches.partition_point(|other| other.time <= at);
    record.touches.insert(position, touch);
    if record.touches.len() > REMEMBERED_TOUCHES {
        record.touches.remove(0);
    }
    Some(Credit {
        id: effect_id(Cause::Touch, actor.as_str(), id),
        kind: EffectKind::Given,
        author_id,
        time: at,
        topics,
        stage,
        credit,
        touches: 1,
        advance_millionths: 0,
    })
}

/// Forgets a touch that is still remembered, and takes its credit back. What an advance has
/// used stays.
pub(super) fn take_back(
    model: &Model,
    record: &mut Record,
    actor: &ProfileId,
    deed: &Deed<'_>,
) -> Option<Credit> {
    let influence = model.influence.as_ref()?;
    let id = deed.hash();
    let position = record.touches.iter().position(|touch| touch.event == id)?;
    let touch = record.touches.remove(position);
    let credit = influence.credits.get(deed.event_type);
    Some(Credit {
        id: effect_id(Cause::Touch, actor.as_str(), id),
        kind: EffectKind::TakenBack,
        author_id: touch.author_id,
        time: touch.time,
        topics: touch.topics,
        stage: touch.stage,
        credit: credit.map_or(0.0, |credit| -credit),
        touches: -1,
        advance_millionths: 0,
    })
}

/// A profile that stands at a stage at an instant.
pub(super) struct Arrival<'a> {
    pub profile_id: &'a str,
    pub stage: Option<usize>,
    pub at: Timestamp,
}

impl Arrival<'_> {
    /// Notes the stage. When it is higher than any that was reached before, shares one
    /// advance over the remembered touches, and forgets them.
    pub(super) fn note(&self, model: &Model, record: &mut Record) -> Vec<Credit> {
        let Some(stage) = self.stage else {
            return Vec::new();
        };
        let reached = |position: usize, record: &Record| {
            record.reached_stages.contains(&model.stages[position].name)
        };
        let higher_reached = (stage..model.stages.len()).any(|stage| reached(stage, record));
        if !reached(stage, record) {
            record.reached_stages.push(model.stages[stage].name.clone());
        }
        match &model.influence {
            Some(_) if higher_reached => Vec::new(),
            Some(influence) => {
                let touches = std::mem::take(&mut record.touches);
                let weights: Vec<f64> = touches
                    .iter()
                    .map(|touch| {
                        let since = touch.time.min(self.at);
                        influence.attribution_half_life.remaining(since, self.at)
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                let shares = touches.into_iter().zip(weights);
                shares
                    .filter_map(|(touch, weight)| {
                        let share = weight / total;
                        self.advance(touch, share, influence.advance)
                    })
                    .collect()
            }
            None => Vec::new(),
        }
    }

    fn advance(&self, touch: Touch, share: f64, credit: f64) -> Option<Credit> {
        // All weights vanish when every touch is older than a thousand half-lives.
        let advance_millionths = (share * MILLION).round() as u64;
        (advance_millionths > 0).then(|| Credit {
            id: effect_id(Cause::Advance, self.profile_id, touch.event),
            kind: EffectKind::Given,
            author_id: touch.author_id,
            time: self.at,
            topics: touch.topics,
            stage: touch.stage,
            credit: credit * advance_millionths as f64 / MILLION,
            touches: 0,
            advance_millionths,
        })
    }
}

impl Judgement<'_> {
    /// Gives an author what a touch or an advance earned, or takes a touch back.
    pub(super) fn take_credit(&mut self, credit: &Credit) {
        let Some(influence) = &self.model.influence else {
            return;
        };
        if self.old_influence_keys.is_none() {
            self.old_influence_keys = Some(self.influence_keys());
        }
        let record = &mut self.record;
        let now = credit.time.max(record.influence_time);
        let fading = influence.half_life.remaining(record.influence_time, now);
        for cell in &mut record.influence {
            cell.credit *= fading;
        }
        record.influence_time = now;
        let added = credit.credit * influence.half_life.remaining(credit.time, now);
        for topic in &credit.topics {
            if let Some(touches) = record.credit(topic, credit, added) {
                let advances = i64::try_from(credit.advance_millionths).unwrap_or(i64::MAX);
                self.totals.push((topic.clone(), touches, advances));
            }
        }
    }
}

impl Record {
    /// Remembers an effect, and forgets the one that arrived first beyond the capacity.
    pub(super) fn remember_effect(&mut self, id: IdHash) {
        self.effects.push(id);
        let excess = self.effects.len().saturating_sub(REMEMBERED_EFFECTS);
        self.effects.drain(..excess);
    }

    /// Adds a credit, as of the influence instant, to the cell of a topic; what is taken leaves
    /// nothing below 0. Returns how many touches more or fewer there are.
    fn credit(&mut self, topic: &str, credit: &Credit, added: f64) -> Option<i64> {
        if credit.touches >= 0 {
            let cell = self.influence_cell(topic, &credit.stage)?;
            cell.credit += added;
            cell.touches = cell.touches.saturating_add_signed(credit.touches);
            cell.advance_millionths = cell
                .advance_millionths
                .saturating_add(credit.advance_millionths);
            return Some(credit.touches);
        }
        let mut cells = self.influence.iter();
        let position = cells
            .position(|cell| (&*cell.topic, &*cell.stage) == (topic, credit.stage.as_str()))?;
        let cell = &mut self.influence[position];
        cell.credit = without(cell.credit, -added).unwrap_or(0.0);
        let before = cell.touches;
        cell.touches = before.saturating_add_signed(credit.touches);
        let taken = before.abs_diff(cell.touches).try_into().unwrap_or(i64::MAX);
        if cell.touches == 0 && cell.advance_millionths == 0 && cell.credit == 0.0 {
            self.influence.remove(position);
        }
        Some(-taken)
    }

    /// The cell of a topic and a stage, made when it is missing; `None` when there are too
    /// many already.
    pub(super) fn influence_cell(
        &mut self,
        topic: &str,
        stage: &str,
    ) -> Option<&mut InfluenceCell> {
        let found = self.influence.binary_search_by(|cell| {
            (cell.topic.as_str(), cell.stage.as_str()).cmp(&(topic, stage))
        });
        let position = match found {
            Ok(position) => position,
            Err(_) if self.influence.len() >= MAX_INFLUENCE_CELLS => return None,
            Err(position) => {
                let cell = InfluenceCell {
                    topic: topic.to_owned(),
                    stage: stage.to_owned(),
                    credit: 0.0,
                    touches: 0,
                    advance_millionths: 0,
                };
                self.influence.insert(position, cell);
                position
            }
        };
        self.influence.get_mut(position)
    }
}

/// The influence of an author on a topic, over all stages or at one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TopicInfluence {
    /// Faded credit at the record's influence instant.
    pub credit: f64,
    /// How many touches.
    pub touches: u64,
    /// How many millionths of advances.
    pub advance_millionths: u64,
}

/// Adds up the cells of a topic; `stage` `None` is all of them.
pub(super) fn on_topic(record: &Record, topic: &str, stage: Option<&str>) -> TopicInfluence {
    let mut sum = TopicInfluence::default();
    for cell in &record.influence {
        if cell.topic == topic && stage.is_none_or(|stage| cell.stage == stage) {
            sum.credit += cell.credit;
            sum.touches = sum.touches.saturating_add(cell.touches);
            sum.advance_millionths = sum
                .advance_millionths
                .saturating_add(cell.advance_millionths);
        }
    }
    sum
}

/// A rank of influence by positions in the model: a topic, and a stage or all of them.
pub(super) type InfluencePlace = (usize, Option<usize>);

/// The keys of an author in the ranks of influence: each topic over all stages, and at
/// each stage. A topic or stage that the model does not have holds no rank.
pub(super) fn keys(model: &Model, record: &Record) -> Vec<(InfluencePlace, RankKey)> {
    let Some(influence) = &model.influence else {
        return Vec::new();
    };
    let floor = influence.slope.line(NOISE_FLOOR, record.influence_time);
    let mut keys = Vec::new();
    let mut add = |place: InfluencePlace, credit: f64| {
        let key = influence.slope.key(credit, record.influence_time);
        keys.extend(key.filter(|key| *key >= floor).map(|key| (place, key)));
    };
    for cells in record.influence.chunk_by(|a, b| a.topic == b.topic) {
        let Some(topic) = model.topics.position(&cells[0].topic) else {
            continue;
        };
        add((topic, None), cells.iter().map(|cell| cell.credit).sum());
        for cell in cells {
            let mut stages = model.stages.iter();
            if let Some(stage) = stages.position(|stage| stage.name == cell.stage) {
                add((topic, Some(stage)), cell.credit);
            }
        }
    }
    keys
}

/// The moves from old keys to new ones.
pub(super) fn changes(
    model: &Model,
    old: &[(InfluencePlace, RankKey)],
    new: &[(InfluencePlace, RankKey)],
) -> Vec<RankChange> {
    let mut moves: BTreeMap<InfluencePlace, (Option<RankKey>, Option<RankKey>)> = BTreeMap::new();
    for (place, key) in old {
        moves.entry(*place).or_default().0 = Some(*key);
    }
    for (place, key) in new {
        moves.entry(*place).or_default().1 = Some(*key);
    }
    let moves = moves.into_iter().filter(|(_, (old, new))| old != new);
    let changes = moves.map(|(place, (old, new))| RankChange {
        rank: rank_at(model, place),
        old,
        new,
    });
    changes.collect()
}

/// The rank of a place.
pub(super) fn rank_at(model: &Model, (topic, stage): InfluencePlace) -> RankName {
    let stage = stage.map(|stage| model.stages[stage].name.as_str());
    Model::influence_rank(&model.topics.names()[topic], stage)
}

/// Every rank of influence that an author may stand in.
pub(super) fn rank_names(model: &Model) -> impl Iterator<Item = RankName> {
    let topics = 0..model.topics.names().len();
    let places = topics.flat_map(|topic| {
        let stages = (0..model.stages.len()).map(Some);
        std::iter::once(None)
            .chain(stages)
            .map(move |stage| (topic, stage))
    });
    places
        .filter(|_| model.influence.is_some())
        .map(|place| rank_at(model, place))
}

/// The probability that a touch is followed by an advance, shrunk toward the mean of the
/// topic: `(advances + 10 mean) / (touches + 10)`.
pub fn influence_probability(own: (u64, u64), topic: (u64, u64)) -> f64 {
    let (touches, advances) = (own.0 as f64, own.1 as f64 / MILLION);
    let mean = if topic.0 == 0 {
        0.0
    } else {
        topic.1 as f64 / MILLION / topic.0 as f64
    };
    (advances + PRIOR_TOUCHES * mean) / (touches + PRIOR_TOUCHES)
}
