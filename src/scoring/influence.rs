//! Who influences whom: what authors have earned, by topic and stage, and the ranks of it.

use std::collections::BTreeMap;

use super::{
    Credit, InfluenceCell, Model, RankChange, RankKey, Record,
    counts::without,
    limits::{MAX_INFLUENCE_CELLS, NOISE_FLOOR, PRIOR_TOUCHES},
    model::InfluenceRank,
};

pub(crate) const MILLION: f64 = 1e6;

impl Record {
    /// Adds a credit, as of the influence instant, to the cell of a topic; what is taken leaves
    /// nothing below 0. Returns how many touches more or fewer there are.
    pub(crate) fn credit(&mut self, topic: &str, credit: &Credit, added: f64) -> Option<i64> {
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
    pub(crate) fn influence_cell(
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
                    topic: topic.into(),
                    stage: stage.into(),
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
pub(crate) fn on_topic(record: &Record, topic: &str, stage: Option<&str>) -> TopicInfluence {
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

/// The keys of an author in the ranks of influence: each topic over all stages, and at
/// each stage. A topic or stage that the model does not have holds no rank.
pub(crate) fn keys(model: &Model, record: &Record) -> Vec<(InfluenceRank, RankKey)> {
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
            if let Some(stage) = model.stages.position(|stage| stage.name == cell.stage) {
                add((topic, Some(stage)), cell.credit);
            }
        }
    }
    keys
}

/// The moves from old keys to new ones.
pub(crate) fn changes(
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
        rank: model.influence_rank_at(place),
        old,
        new,
    });
    changes.collect()
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
