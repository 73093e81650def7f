//! A signal: which events are a behaviour that counts, and what each adds.

use super::{
    expr::{Expression, Failed, Variables},
    ids::SlotId,
};
use crate::scoring::{Name, limits::MAX_VALUE};

/// A behaviour that the model recognises.
#[derive(Debug)]
pub(crate) struct Signal {
    pub name: Name,
    /// The owner in `Model::phrases` of phrases of which one must stand in the text.
    pub phrases: Option<usize>,
    pub when: Option<Expression>,
    pub value: Value,
    /// What it is counted by, one count for each key.
    pub per: Option<Expression>,
    /// How many keys a record keeps.
    pub max_keys: usize,
    pub limit: Option<f64>,
    /// How near two matches may be; `i64::MAX` when only the first ever counts.
    pub cooldown_nanos: Option<i64>,
    /// For a signal that counts each of its keys once.
    pub once_per_key: Option<OncePerKey>,
    /// Whether the count is the value of the latest match, not the sum of all.
    pub keeps_latest: bool,
    /// Positions in `Model::slots` of the counts that a match changes.
    pub slots: Vec<SlotId>,
}

/// How a signal counts each of its keys once.
#[derive(Debug)]
pub(crate) struct OncePerKey {
    /// How many keys a record remembers to have counted.
    pub most: usize,
    /// Whether other keys count, however often, when there is no room for them.
    pub counts_beyond: bool,
}

/// What a match adds to a count.
#[derive(Debug)]
pub(crate) enum Value {
    Number(f64),
    Expression(Expression),
}

impl Signal {
    /// Whether only the first match ever counts.
    pub(crate) fn counts_once(&self) -> bool {
        self.cooldown_nanos == Some(i64::MAX)
    }

    /// Whether what a match adds follows the order of arrival.
    pub(crate) fn value_follows_arrival(&self) -> bool {
        let value = self.value.expression();
        value.is_some_and(Expression::follows_arrival)
    }

    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.when
            .iter()
            .chain(self.value.expression())
            .chain(&self.per)
    }

    /// What a match adds, and under which keys; `None` when the event does not match. The text
    /// of the event holds phrases of `mentioned`.
    pub(crate) fn match_event(
        &self,
        context: &dyn Variables,
        mentioned: &[usize],
    ) -> Result<Option<(f64, Vec<Name>)>, Failed> {
        if let Some(phrases) = &self.phrases
            && mentioned.binary_search(phrases).is_err()
        {
            return Ok(None);
        }
        if let Some(when) = &self.when
            && !when.holds(context)?
        {
            return Ok(None);
        }
        let value = self.value.read(context)?;
        let keys = match &self.per {
            Some(per) => per.keys(context)?,
            None => Vec::new(),
        };
        let counts = value > 0.0 && (self.per.is_none() || !keys.is_empty());
        Ok(counts.then(|| (value.min(MAX_VALUE), keys)))
    }
}

impl Value {
    /// The number that it stands for.
    pub(crate) fn read(&self, context: &dyn Variables) -> Result<f64, Failed> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Expression(expression) => expression.number(context),
        }
    }

    pub(crate) fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Number(_) => None,
            Self::Expression(expression) => Some(expression),
        }
    }
}
