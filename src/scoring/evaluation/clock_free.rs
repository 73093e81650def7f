//! What a model makes of what no clock changes in a record: what the
//! profile states and has been seen to do.

use typed_index_collections::{TiSlice, TiVec};

use super::EvalContext;
use crate::scoring::{
    Record,
    limits::{CONFIDENCE_STEPS, MAX_VALUE},
    model::{Budget, ConditionId, Expression, Model, RuleId, Score},
};

/// The conditions of a model on what no clock changes, and what follows from them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockFreeEvaluation {
    /// By position in `Model::conditions`.
    pub conditions: TiVec<ConditionId, bool>,
    /// From 0 to 1: how sure it is who this is.
    pub identity_confidence: f64,
    /// By position in `Model::rules`: how often the rule counts; 0 when it does not hold.
    pub rules: TiVec<RuleId, f64>,
    /// Whether it took more steps than it may: then the last conditions and rules do not hold.
    pub is_cut_off: bool,
}

impl ClockFreeEvaluation {
    pub(crate) fn of(model: &Model, record: &Record) -> Self {
        let budget = Budget::new();
        let mut context = EvalContext {
            budget: &budget,
            attributes: &record.attributes,
            seen_types: &record.seen_types,
            identity_confidence: 0.0,
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
        conditions.extend(others.iter().map(|condition| holds(condition, &context)));
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
        }
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
