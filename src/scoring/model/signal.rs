//! A signal: which events are a behaviour that counts, and what each adds.

use super::{Expression, Facts, Failed, Model};
use crate::scoring::limits::MAX_VALUE;

/// A behaviour that the model recognises.
#[derive(Debug)]
pub(crate) struct Signal {
    pub name: String,
    pub when: Option<Expression>,
    pub value: Value,
    pub limit: Option<f64>,
    pub cooldown_nanos: Option<i64>,
    pub slots: Vec<usize>,
}

/// What a match adds to a count.
#[derive(Debug)]
pub(crate) enum Value {
    Number(f64),
    Expression(Expression),
}

impl Signal {
    pub(crate) fn reads_history(&self) -> bool {
        let value = match &self.value {
            Value::Expression(expression) => expression.reads_history(),
            Value::Number(_) => false,
        };
        value || self.when.as_ref().is_some_and(|when| when.reads_history())
    }

    /// What a match adds; `None` when the event does not match.
    pub(crate) fn match_value(
        &self,
        model: &Model,
        facts: &Facts<'_>,
    ) -> Result<Option<f64>, Failed> {
        if let Some(when) = &self.when
            && !model.evaluator.holds(when, facts)?
        {
            return Ok(None);
        }
        let value = match &self.value {
            Value::Number(number) => *number,
            Value::Expression(expression) => model.evaluator.number(expression, facts)?,
        };
        Ok((value > 0.0).then(|| value.min(MAX_VALUE)))
    }

    /// The event types that it asks `seen` for.
    pub(super) fn seen_types(&self) -> Vec<String> {
        let value = match &self.value {
            Value::Expression(expression) => Some(expression),
            Value::Number(_) => None,
        };
        let expressions = self.when.iter().chain(value);
        expressions
            .flat_map(|expression| expression.seen_types().to_vec())
            .collect()
    }
}
