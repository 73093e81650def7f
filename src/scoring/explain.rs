//! What callers read of a record: points, stage, segments and interests at an instant, and
//! where the points come from.

use super::{
    Contribution, Influencer, Model, Profile, ProfileId, RankKey, Record, Score, Timestamp,
    TopicInterest,
    influence::{influence_probability, on_topic},
    limits::NOISE_FLOOR,
    standing::{Standing, remaining},
};

/// How much of a profile to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Points only.
    Points,
    /// Also the terms of each score.
    Contributions,
}

/// The profile of a record at an instant not before its last event.
pub fn explain(
    model: &Model,
    profile_id: &ProfileId,
    record: &Record,
    at: Timestamp,
    detail: Detail,
) -> Profile {
    let standing = Standing::of(model, profile_id.subject(), record);
    profile(model, profile_id, record, &standing, at, detail)
}

pub(super) fn profile(
    model: &Model,
    profile_id: &ProfileId,
    record: &Record,
    standing: &Standing,
    at: Timestamp,
    detail: Detail,
) -> Profile {
    let scores = (0..model.scores.len()).map(|position| Score {
        name: model.scores[position].name.clone(),
        points: standing.points_at(model, position, at),
        base: match detail {
            Detail::Points => 0.0,
            Detail::Contributions => model.scores[position].base,
        },
        percentile: None,
        contributions: match detail {
            Detail::Points => Vec::new(),
            Detail::Contributions => contributions(model, standing, position, at),
        },
    });
    let stage = standing.stage(model, at);
    let segments = standing.segments(model, at).into_iter();
    let has_events = record.event_count > 0;
    Profile {
        profile_id: profile_id.clone(),
        scores: scores.collect(),
        stage: stage.map(|stage| model.stages[stage].name.clone()),
        segments: segments
            .map(|segment| model.segments[segment].name.clone())
            .collect(),
        topics: interests(model, record, at),
        attributes: record.attributes.clone(),
        event_count: record.event_count,
        first_seen_time: has_events.then_some(record.first_seen_time),
        last_event_time: has_events.then_some(record.last_event_time),
        quarantined: record.quarantined(model),
        as_of: at,
    }
}

/// The terms of a score that are not zero, in the order of the model.
fn contributions(
    model: &Model,
    standing: &Standing,
    position: usize,
    at: Timestamp,
) -> Vec<Contribution> {
    let score = &model.scores[position];
    let factor = remaining(score.half_life, standing.at, at);
    let terms = score.terms.iter().map(|term| {
        let count = standing.count(term.slot) * factor;
        (&model.signals[term.signal].name, count, term.weight)
    });
    let rules = score.rule_points.iter().map(|(rule, points)| {
        let rule = &model.rules[*rule];
        let holds = standing.conditions[rule.condition];
        (&rule.name, f64::from(u8::from(holds)), *points)
    });
    terms
        .chain(rules)
        .filter(|(_, count, _)| *count != 0.0)
        .map(|(signal, count, weight)| Contribution {
            signal: signal.clone(),
            count,
            weight,
            points: count * weight,
        })
        .collect()
}

/// The declared topics that the profile cares about, most first, equals by name.
fn interests(model: &Model, record: &Record, at: Timestamp) -> Vec<TopicInterest> {
    let factor = model
        .interests_half_life
        .remaining(record.last_event_time, at);
    let mut interests: Vec<TopicInterest> = record
        .interests
        .iter()
        .filter(|interest| model.topics.contains(&interest.name))
        .map(|interest| TopicInterest {
            topic: interest.name.clone(),
            points: interest.value * factor,
        })
        .filter(|interest| interest.points >= NOISE_FLOOR)
        .collect();
    interests.sort_by(|a, b| {
        b.points
            .total_cmp(&a.points)
            .then_with(|| a.topic.cmp(&b.topic))
    });
    interests
}

/// What an author means for a topic, with people at a stage or at all of them.
#[derive(Clone, Copy, Debug)]
pub struct InfluenceQuestion<'a> {
    /// A declared topic.
    pub topic: &'a str,
    /// `None` for all stages.
    pub stage: Option<&'a str>,
    /// Touches and millionths of advances of all authors on the topic.
    pub totals: (u64, u64),
    /// The instant.
    pub at: Timestamp,
}

/// The influence of an author.
pub fn influencer(
    model: &Model,
    profile_id: &ProfileId,
    record: &Record,
    question: &InfluenceQuestion<'_>,
) -> Influencer {
    let own = on_topic(record, question.topic, question.stage);
    let influence = model.influence.as_ref();
    let half_life = influence.map(|influence| influence.half_life);
    let reach = influence.and_then(|influence| influence.reach.as_ref());
    let stated = reach.and_then(|reach| match record.attributes.get(reach) {
        Some(super::AttributeValue::Number(reach)) => Some(*reach),
        _ => None,
    });
    Influencer {
        profile: explain(model, profile_id, record, question.at, Detail::Points),
        influence: own.credit * remaining(half_life, record.influence_time, question.at),
        reach: stated.unwrap_or(0.0),
        touches: own.touches,
        advances: own.advance_millionths as f64 / 1e6,
        influence_probability: influence_probability(
            (own.touches, own.advance_millionths),
            question.totals,
        ),
    }
}

impl Model {
    /// The lowest key of somebody with influence at an instant.
    pub(crate) fn influence_floor(&self, at: Timestamp) -> Option<RankKey> {
        let influence = self.influence.as_ref()?;
        Some(influence.slope.line(NOISE_FLOOR, at))
    }
}
