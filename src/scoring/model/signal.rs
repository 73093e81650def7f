//! A signal: which events are a behaviour that counts, and what each adds.

use super::{Expression, Facts, Failed, Model};
use crate::scoring::limits::MAX_VALUE;

/// A behaviour that the model recognises.
#[derive(Debug)]
pub(crate) struct Signal {
    pub name: String,
    pub when: Option<Expression>,
    pub value: Value,
    /// What it is counted by, one count for each key.
    pub per: Option<Expression>,
    /// How many keys a record keeps.
    pub max_keys: usize,
    pub limit: Option<f64>,
    pub cooldown_nanos: Option<i64>,
    /// Positions in `Model::slots` of the counts that a match adds to.
    pub slots: Vec<usize>,
}

/// What a match adds to a count.
#[derive(Debug)]
pub(crate) enum Value {
    Number(f64),
    Expression(Expression),
}

impl Signal {
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let value = match &self.value {
            Value::Expression(expression) => Some(expression),
            Value::Number(_) => None,
        };
        self.when.iter().chain(value).chain(&self.per)
    }

    pub(crate) fn reads_history(&self) -> bool {
        self.expressions().any(Expression::reads_history)
    }

    /// What a match adds, and under which keys; `None` when the event does not match.
    pub(crate) fn match_event(
        &self,
        model: &Model,
        facts: &Facts<'_>,
    ) -> Result<Option<(f64, Vec<String>)>, Failed> {
        if let Some(when) = &self.when
            && !model.evaluator.holds(when, facts)?
        {
            return Ok(None);
        }
        let value = match &self.value {
            Value::Number(number) => *number,
            Value::Expression(expression) => model.evaluator.number(expression, facts)?,
        };
        let keys = match &self.per {
            Some(per) => model.evaluator.keys(per, facts)?,
            None => Vec::new(),
        };
        let counts = value > 0.0 && (self.per.is_none() || !keys.is_empty());
        Ok(counts.then(|| (value.min(MAX_VALUE), keys)))
    }

    /// The event types that it asks `seen` for.
    pub(super) fn seen_types(&self) -> Vec<String> {
        self.expressions()
            .flat_map(|expression| expression.seen_types().to_vec())
            .collect()
    }
}
