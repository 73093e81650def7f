//! What a model makes of what no clock changes in a record: what the profile states and has been
//! seen to do, and the scores that do not fade.

use typed_index_collections::{TiSlice, TiVec};

use super::{EvalContext, Evaluation};
use crate::scoring::{
    Record,
    limits::{CONFIDENCE_STEPS, MAX_VALUE},
    model::{Budget, ConditionId, Expression, Model, RuleId, Score, ScoreId},
};

/// What conditions read of a score is rounded to one in so many points: a sum of 0.7 and 0.1 is
/// the 0.8 that a model compares with, in whichever order they came. Less than that is noise.
const POINT_STEPS: f64 = 1e6;

/// The conditions of a model on what no clock changes, and what follows from them.
#[derive(Clone, Debug)]
pub(crate) struct ClockFreeEvaluation {
    /// By position in `Model::conditions`. Those that read scores hold once these are known.
    pub conditions: TiVec<ConditionId, bool>,
    /// From 0 to 1: how sure it is who this is.
    pub identity_confidence: f64,
    /// By position in `Model::rules`: how often the rule counts; 0 when it does not hold.
    pub rules: TiVec<RuleId, f64>,
    /// Whether it took more steps than it may: then the last conditions and rules do not hold.
    pub is_cut_off: bool,
    /// What is left to the conditions that read scores.
    budget: Budget,
}

impl ClockFreeEvaluation {
    pub(crate) fn of(model: &Model, record: &Record) -> Self {
        let budget = Budget::new();
        let mut context = EvalContext {
            budget: &budget,
            attributes: &record.attributes,
            seen_types: &record.seen_types,
            identity_confidence: 0.0,
            evaluation: None,
            event_context: None,
        };
        let mut conditions = TiVec::with_capacity(model.conditions.len());
        let (of_identity, others) = model.conditions.raw.split_at(model.identity_conditions);
        let holds = |condition: &Expression, context: &EvalContext<'_>| {
            condition.holds(context) == Ok(true)
        };
        conditions.extend(
            of_identity
                .iter()
                .map(|condition| holds(condition, &context)),
        );
        context.identity_confidence = confidence(model, &conditions, &context);
        conditions.extend(
            others
                .iter()
                .map(|condition| !condition.reads_scores() && holds(condition, &context)),
        );
        let rules = model.rules.iter().map(|rule| {
            let holds = rule.condition.is_none_or(|condition| conditions[condition]);
            let value = holds.then(|| rule.value.read(&context));
            match value {
                Some(Ok(value)) if value > 0.0 => value.min(MAX_VALUE),
                _ => 0.0,
            }
        });
        Self {
            rules: rules.collect(),
            identity_confidence: context.identity_confidence,
            is_cut_off: budget.is_spent(),
            conditions,
            budget,
        }
    }
}

impl Evaluation {
    /// Evaluates the conditions that read scores, once the points are known.
    pub(super) fn follow_scores(&mut self, model: &Model, record: &Record) {
        if model.conditions_on_scores.is_empty() {
            return;
        }
        let budget = self.clock_free.budget.clone();
        let context = EvalContext {
            budget: &budget,
            attributes: &record.attributes,
            seen_types: &record.seen_types,
            identity_confidence: self.clock_free.identity_confidence,
            evaluation: Some(self),
            event_context: None,
        };
        let holds: Vec<bool> = model
            .conditions_on_scores
            .iter()
            .map(|condition| model.conditions[*condition].holds(&context) == Ok(true))
            .collect();
        for (condition, holds) in model.conditions_on_scores.iter().zip(holds) {
            self.clock_free.conditions[*condition] = holds;
        }
        self.clock_free.is_cut_off = budget.is_spent();
    }

    /// The points of a score that does not fade, as conditions read them.
    pub(super) fn unfading_points(&self, score: ScoreId) -> f64 {
        let points = self.keys[score].shown.map_or(0.0, |_| self.points[score]);
        (points * POINT_STEPS).round() / POINT_STEPS
    }
}

impl ClockFreeEvaluation {
    /// What a score has without any event: its base, and the points of the rules that hold.
    pub(crate) fn sum(&self, score: &Score) -> f64 {
        let rules = score.rule_points.iter();
        let points = rules.map(|(rule, points)| points * self.rules[*rule]);
        score.base + points.sum::<f64>()
    }
}

/// What the evidence that holds makes together: each piece leaves its share of the doubt.
fn confidence(
    model: &Model,
    conditions: &TiSlice<ConditionId, bool>,
    context: &EvalContext<'_>,
) -> f64 {
    let evidence = model.identity.iter();
    let holding = evidence.filter(|evidence| conditions[evidence.condition]);
    let doubt: f64 = holding
        .filter_map(|evidence| evidence.confidence.read(context).ok())
        .filter(|confidence| !confidence.is_nan())
        .map(|confidence| 1.0 - confidence.clamp(0.0, 1.0))
        .product();
    // Without the rounding of binary numbers: 0.8 and 0.3 are the 0.86 that a model compares
    // with.
    ((1.0 - doubt) * CONFIDENCE_STEPS).round() / CONFIDENCE_STEPS
}
