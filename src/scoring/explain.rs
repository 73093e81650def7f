//! What callers read of a record: points, stage, segments and interests at an instant, and
//! where the points come from.

use super::{
    Breadth, Contribution, ContributionKind, Influencer, KeyContribution, Model, Name, Profile,
    ProfileId, Ranked, Record, RecordEdit, Score, SegmentId, SegmentMembership, SignalCount,
    StageChange, StageExplanation, StageRequirement, Timestamp, TopicInterest,
    answers::push_bounded,
    decay::decay_factor,
    evaluation::{Evaluation, interest_points},
    influence::{influence_probability, on_topic},
    limits::REMEMBERED_STAGE_CHANGES,
    model::{ScoreId, StageId},
};

/// How much of a profile to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Points only.
    Points,
    /// Also the terms of each score, and why the profile stands at its stage.
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
    let evaluation = Evaluation::of(model, model.population_of(profile_id), record);
    profile(model, profile_id, record, &evaluation, at, detail)
}

/// A profile in the order of a segment, which is at that position in the model.
pub fn ranked(
    model: &Model,
    segment: SegmentId,
    profile_id: &ProfileId,
    record: &Record,
    at: Timestamp,
    detail: Detail,
) -> Ranked {
    let evaluation = Evaluation::of(model, model.population_of(profile_id), record);
    let SegmentMembership {
        points,
        probability,
        ..
    } = membership(model, &evaluation, segment, at);
    Ranked {
        profile: profile(model, profile_id, record, &evaluation, at, detail),
        points,
        probability,
    }
}

/// What a segment ranks by, and what that makes likely.
fn membership(
    model: &Model,
    evaluation: &Evaluation,
    segment: SegmentId,
    at: Timestamp,
) -> SegmentMembership {
    let segment = &model.segments[segment];
    let points = evaluation.rank_points(model, segment.rank, at);
    let calibration = segment.calibration.as_ref();
    SegmentMembership {
        segment: segment.name.clone(),
        points,
        probability: calibration.map(|calibration| calibration.probability(points)),
    }
}

impl RecordEdit<'_> {
    /// The profile as it stands now, at an instant not before its last event.
    pub fn profile(&self, at: Timestamp, detail: Detail) -> Profile {
        let Self {
            model,
            profile_id,
            record,
            evaluation,
            ..
        } = self;
        self::profile(model, profile_id, record, evaluation, at, detail)
    }
}

fn profile(
    model: &Model,
    profile_id: &ProfileId,
    record: &Record,
    evaluation: &Evaluation,
    at: Timestamp,
    detail: Detail,
) -> Profile {
    let is_explained = detail == Detail::Contributions;
    let is_person = profile_id.is_person();
    let scores = model.scores.iter_enumerated().map(|(position, score)| {
        let points = evaluation.points_at(model, position, at);
        let calibration = score.calibration.as_ref();
        let breadth = score.breadth.as_ref().filter(|_| is_explained);
        Score {
            name: score.name.clone(),
            points,
            base: if is_explained { score.base } else { 0.0 },
            percentile: None,
            contributions: if is_explained {
                contributions(model, record, evaluation, position, at)
            } else {
                Vec::new()
            },
            probability: calibration.map(|calibration| calibration.probability(points)),
            breadth: breadth.map(|breadth| Breadth {
                present: evaluation.breadth(model, position),
                required: breadth.required,
            }),
        }
    });
    let stage = evaluation.stage(model, at);
    let fallen = evaluation.fallen_stages(model, record, at);
    // An update or a retraction may have come after the instant that is asked for.
    let noted = || record.stage_changes.iter().filter(|noted| noted.time <= at);
    let last_change = fallen.last().or_else(|| noted().next_back());
    let stage_name = model.stage_name(stage);
    let entered = last_change.filter(|last| last.to_stage == stage_name);
    let segments = evaluation.segments(model, at).into_iter();
    let has_events = record.event_count > 0;
    Profile {
        profile_id: profile_id.clone(),
        exists: record.is_known(),
        scores: scores.collect(),
        stage_entered_time: entered.filter(|_| stage.is_some()).map(|last| last.time),
        stage: stage_name,
        stage_changes: if is_explained {
            let mut changes: Vec<StageChange> = noted().cloned().collect();
            for change in fallen {
                push_bounded(&mut changes, change, REMEMBERED_STAGE_CHANGES);
            }
            changes
        } else {
            Vec::new()
        },
        segments: segments
            .map(|segment| membership(model, evaluation, segment, at))
            .collect(),
        interests: interests(model, record, at),
        attributes: record.attributes.clone(),
        is_counted: evaluation.is_counted,
        event_count: record.event_count,
        first_seen_time: has_events.then_some(record.first_seen_time),
        last_event_time: has_events.then_some(record.last_event_time),
        identity_confidence: (!model.identity.is_empty())
            .then_some(evaluation.clock_free.identity_confidence),
        stage_explanation: (is_explained && !model.stages.is_empty() && is_person)
            .then(|| explain_stage(model, evaluation, stage, at)),
        quarantined: record.quarantined(model),
        as_of: at,
    }
}

/// The terms of a score that are not zero, in the order of the model.
fn contributions(
    model: &Model,
    record: &Record,
    evaluation: &Evaluation,
    score: ScoreId,
    at: Timestamp,
) -> Vec<Contribution> {
    let score = &model.scores[score];
    let factor = decay_factor(score.half_life, evaluation.at, at);
    // What a subject counts has been limited already, person by person.
    let is_person = evaluation.is_of_person();
    let terms = score.terms.iter().map(|term| {
        let signal = &model.signals[term.signal];
        let count = evaluation.count(term.slot) * factor;
        let parts = evaluation.parts(model, record, term.slot);
        let by_key = parts.filter(|parts| signal.per.is_some() || !parts.keys.is_empty());
        Contribution {
            name: signal.name.clone(),
            kind: ContributionKind::Signal,
            count,
            weight: term.weight,
            points: count * term.weight,
            limit: signal.limit.filter(|_| is_person),
            capped_count: parts.map_or(0.0, |parts| parts.capped) * factor,
            keys: by_key.map_or_else(Vec::new, |parts| keys_of(parts, factor, term.weight)),
        }
    });
    let rules = score.rule_points.iter().map(|(rule, points)| {
        let count = evaluation.clock_free.rules[*rule];
        Contribution {
            name: model.rules[*rule].name.clone(),
            kind: ContributionKind::AttributeRule,
            count,
            weight: *points,
            points: count * points,
            limit: None,
            capped_count: 0.0,
            keys: Vec::new(),
        }
    });
    terms
        .chain(rules)
        .filter(|term| term.count != 0.0)
        .collect()
}

/// The parts of a count, most first, equals by key; what dropped keys had under the empty key.
fn keys_of(parts: &SignalCount, factor: f64, weight: f64) -> Vec<KeyContribution> {
    let mut keys: Vec<KeyContribution> = parts
        .parts()
        .map(|(key, value)| KeyContribution {
            key: key.into(),
            count: value * factor,
            points: value * factor * weight,
        })
        .collect();
    keys.sort_by(|a, b| b.count.total_cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
    keys
}

fn explain_stage(
    model: &Model,
    evaluation: &Evaluation,
    current: Option<StageId>,
    at: Timestamp,
) -> StageExplanation {
    let next = model.stage_after(current);
    let requirement = |position: StageId| {
        let stage = &model.stages[position];
        let score = stage.bound.map(|bound| bound.score);
        let least = evaluation.least_points(model, position).unwrap_or(0.0);
        let points = score.map_or(0.0, |score| evaluation.points_at(model, score, at));
        let is_met = score.is_none_or(|score| evaluation.reaches(model, score, least, at));
        let missing = score.filter(|_| !is_met);
        let missing_points = missing.map(|score| {
            let factor = decay_factor(model.scores[score].half_life, evaluation.at, at);
            least - evaluation.sum(model, score) * factor
        });
        let missing_signals = missing.and_then(|score| {
            let required = model.scores[score].breadth.as_ref()?.required;
            Some(required.saturating_sub(evaluation.breadth(model, score)))
        });
        StageRequirement {
            stage: stage.name.clone(),
            when: stage.condition.map_or_else(String::new, |condition| {
                model.conditions[condition].text().to_owned()
            }),
            when_holds: stage
                .condition
                .is_none_or(|condition| evaluation.clock_free.conditions[condition]),
            score: score.map_or_else(Name::default, |score| model.scores[score].name.clone()),
            min: stage.bound.map_or(0.0, |bound| bound.min),
            keep: stage.keep(),
            points,
            missing_points: missing_points.unwrap_or(0.0).max(0.0),
            missing_signals: missing_signals.unwrap_or(0),
        }
    };
    StageExplanation {
        current: current.map(requirement),
        next: next.map(requirement),
    }
}

/// The declared topics that a profile cares about at an instant, most first, equals by name.
pub fn interests(model: &Model, record: &Record, at: Timestamp) -> Vec<TopicInterest> {
    let mut interests: Vec<TopicInterest> = record
        .interests
        .iter()
        .filter(|interest| model.topics.contains(&interest.name))
        .map(|interest| TopicInterest {
            topic: interest.name.clone(),
            points: interest_points(model, record, interest, at),
        })
        .filter(|interest| interest.points > 0.0)
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
        influence: own.credit * decay_factor(half_life, record.influence_time, question.at),
        reach: stated.unwrap_or(0.0),
        touches: own.touches,
        advances: own.advance_millionths as f64 / 1e6,
        influence_probability: influence_probability(
            (own.touches, own.advance_millionths),
            question.totals,
        ),
    }
}
