//! Who influences whom: touches, and the advances that follow them. Both are credits to authors.

use std::collections::BTreeMap;

use super::{
    Credit, Effect, EffectKind, InfluenceCell, Model, ProfileId, RankChange, RankKey, RankName,
    Record, RecordEdit, Timestamp, Touch,
    apply::MatchedEvent,
    effects::{Cause, effect_id},
    limits::{MAX_INFLUENCE_CELLS, NOISE_FLOOR, PRIOR_TOUCHES, REMEMBERED_TOUCHES},
    retraction::without,
};

const MILLION: f64 = 1e6;

impl Touch {
    /// The credit that it gave.
    pub(super) fn applied(&self, actor: &ProfileId) -> Credit {
        Credit {
            id: effect_id(Cause::Touch, actor, self.event),
            kind: EffectKind::Apply,
            author_id: self.author_id.clone(),
            time: self.time,
            topics: self.topics.clone(),
            stage: self.stage.clone(),
            credit: self.credit,
            touches: 1,
            advance_millionths: 0,
        }
    }
}

impl RecordEdit<'_> {
    /// Notes that an event engages with somebody else's content, and credits the author.
    pub(super) fn touch(&mut self, matched_event: MatchedEvent<'_>, stage: String) {
        let Some(influence) = &self.model.influence else {
            return;
        };
        let Some(credit) = influence.credits.get(matched_event.event_type).copied() else {
            return;
        };
        let event = matched_event.hash();
        let (at, topics) = (matched_event.at, matched_event.topics);
        let Some(author_id) = matched_event
            .author_id
            .filter(|author| *author != self.profile_id)
        else {
            return;
        };
        if topics.is_empty() {
            return;
        }
        let touch = Touch {
            event,
            time: at,
            author_id,
            topics,
            stage,
            credit,
        };
        self.effects
            .push(Effect::Credit(touch.applied(&self.profile_id)));
        let touches = &mut self.record.touches;
        let position = touches.partition_point(|other| other.time <= at);
        touches.insert(position, touch);
        if touches.len() > REMEMBERED_TOUCHES {
            let first = touches.remove(0);
            self.stops_waiting(&first);
        }
    }

    /// Remembers among all effects the credit of a touch that is to wait no more.
    fn stops_waiting(&mut self, touch: &Touch) {
        let applied = Effect::Credit(touch.applied(&self.profile_id));
        self.record.note_caused(applied);
    }

    /// Forgets a touch that is still remembered, and takes its credit back. What an advance has
    /// used stays.
    pub(super) fn revert_touch(&mut self, matched_event: &MatchedEvent<'_>) {
        let event = matched_event.hash();
        let mut touches = self.record.touches.iter();
        let position = touches.position(|touch| touch.event == event);
        let Some(position) = position.filter(|_| self.model.influence.is_some()) else {
            return;
        };
        let touch = self.record.touches.remove(position);
        self.stops_waiting(&touch);
        let applied = touch.applied(&self.profile_id);
        self.cause(Effect::Credit(Credit {
            kind: EffectKind::Revert,
            credit: -applied.credit,
            touches: -1,
            ..applied
        }));
    }

    /// Notes the stage where the profile stands at an instant. When it is higher than any that was
    /// reached before, shares one advance over the remembered touches, and forgets them.
    pub(super) fn arrive(&mut self, stage: Option<usize>, at: Timestamp) {
        let (model, record) = (self.model, &mut self.record);
        let Some(stage) = stage else {
            return;
        };
        let reached = |position: usize, record: &Record| {
            record.reached_stages.contains(&model.stages[position].name)
        };
        let higher_reached = (stage..model.stages.len()).any(|stage| reached(stage, record));
        if !reached(stage, record) {
            record.reached_stages.push(model.stages[stage].name.clone());
        }
        let Some(influence) = model.influence.as_ref().filter(|_| !higher_reached) else {
            return;
        };
        let touches = std::mem::take(&mut record.touches);
        let weights: Vec<f64> = touches
            .iter()
            .map(|touch| {
                let since = touch.time.min(at);
                influence.attribution_half_life.decay_factor(since, at)
            })
            .collect();
        let total: f64 = weights.iter().sum();
        for (touch, weight) in touches.into_iter().zip(weights) {
            self.stops_waiting(&touch);
            self.advance(touch, weight / total, at, influence.advance);
        }
    }

    fn advance(&mut self, touch: Touch, share: f64, at: Timestamp, credit: f64) {
        // All weights vanish when every touch is older than a thousand half-lives.
        let advance_millionths = (share * MILLION).round() as u64;
        if advance_millionths == 0 {
            return;
        }
        self.cause(Effect::Credit(Credit {
            id: effect_id(Cause::Advance, &self.profile_id, touch.event),
            kind: EffectKind::Apply,
            author_id: touch.author_id,
            time: at,
            topics: touch.topics,
            stage: touch.stage,
            credit: credit * advance_millionths as f64 / MILLION,
            touches: 0,
            advance_millionths,
        }));
    }

    /// Gives an author what a touch or an advance earned, or takes a touch back.
    pub(super) fn apply_credit(&mut self, credit: &Credit) {
        let Some(influence) = &self.model.influence else {
            return;
        };
        if self.old_influence_keys.is_none() {
            self.old_influence_keys = Some(self.influence_keys());
        }
        let record = &mut self.record;
        let now = credit.time.max(record.influence_time);
        let fading = influence.half_life.decay_factor(record.influence_time, now);
        for cell in &mut record.influence {
            cell.credit *= fading;
        }
        record.influence_time = now;
        let added = credit.credit * influence.half_life.decay_factor(credit.time, now);
        for topic in &credit.topics {
            if let Some(touches) = record.credit(topic, credit, added) {
                let advances = i64::try_from(credit.advance_millionths).unwrap_or(i64::MAX);
                self.totals.push((topic.clone(), touches, advances));
            }
        }
    }
}

impl Record {
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
pub(super) type InfluenceRank = (usize, Option<usize>);

/// The keys of an author in the ranks of influence: each topic over all stages, and at
/// each stage. A topic or stage that the model does not have holds no rank.
pub(super) fn keys(model: &Model, record: &Record) -> Vec<(InfluenceRank, RankKey)> {
    let Some(influence) = &model.influence else {
        return Vec::new();
    };
    let floor = influence
        .slope
        .threshold_key(NOISE_FLOOR, record.influence_time);
    let mut keys = Vec::new();
    let mut add = |place: InfluenceRank, credit: f64| {
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
    old: &[(InfluenceRank, RankKey)],
    new: &[(InfluenceRank, RankKey)],
) -> Vec<RankChange> {
    let mut moves: BTreeMap<InfluenceRank, (Option<RankKey>, Option<RankKey>)> = BTreeMap::new();
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
pub(super) fn rank_at(model: &Model, (topic, stage): InfluenceRank) -> RankName {
    let stage = stage.map(|stage| model.stages[stage].name.as_str());
    Model::influence_rank(&model.topics.names()[topic], stage)
}

/// Every rank of influence that an author may stand in.
pub(super) fn rank_names(model: &Model) -> impl Iterator<Item = RankName> {
    let topics = 0..model.topics.names().len();
    let rank_entries = topics.flat_map(|topic| {
        let stages = (0..model.stages.len()).map(Some);
        std::iter::once(None)
            .chain(stages)
            .map(move |stage| (topic, stage))
    });
    rank_entries
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
