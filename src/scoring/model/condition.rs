//! Conditions and expressions in CEL, compiled once and evaluated on facts.

use std::{ops::Range, sync::Arc};

use cel::{Context, Env, ExecutionError, IdedExpr, Program, Value, objects::Key};

use super::{
    Slot,
    facts::{Fact, Facts, Named},
    names::{MAX_DEPTH, Names, ORDERED, depth},
    plain::Plain,
    variable::{Declared, Variable},
};
use crate::scoring::limits::{MAX_KEY_BYTES, MAX_KEYS};

/// What an expression may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The event, what the profile states, and the profile's history.
    Event,
    /// Only what no clock can change: what the profile states and has been seen to do, and how
    /// sure it is who it is.
    Standing,
    /// The same for who is in a segment or at a stage, beside which bounds of scores stand.
    Members,
    /// What the confidence of identity is made of: as `Standing`, without that confidence.
    Identity,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    /// As it stands in the file.
    text: String,
    resolved: IdedExpr,
    /// What the names in `resolved` stand for.
    variables: Vec<Variable>,
    plain: Plain,
}

/// Evaluates expressions: CEL's standard functions and what marketers need beside them.
pub(crate) struct Evaluator {
    root: Context<'static, 'static>,
}

/// An expression could not be evaluated, say for a missing attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

impl Expression {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn named<'a, 'f>(&'f self, evaluator: &'f Evaluator, facts: &'f Facts<'a>) -> Named<'a, 'f> {
        Named {
            evaluator,
            facts,
            variables: &self.variables,
            element: None,
        }
    }

    /// What the interpreter says, whatever is plain.
    #[cfg(test)]
    pub(super) fn holds_by_cel(
        &self,
        evaluator: &Evaluator,
        facts: &Facts<'_>,
    ) -> Result<bool, Failed> {
        evaluator.holds_by_cel(&self.resolved, &self.named(evaluator, facts))
    }

    #[cfg(test)]
    pub(super) fn plain(&self) -> &Plain {
        &self.plain
    }

    /// Whether it reads what the author of the event states.
    pub(super) fn reads_author(&self) -> bool {
        self.variables.iter().any(Variable::is_of_author)
    }

    /// Whether it reads scores of the account of the event.
    pub(super) fn reads_account(&self) -> bool {
        let mut variables = self.variables.iter();
        variables.any(|variable| matches!(variable, Variable::AccountScore(_)))
    }

    /// The event types that it asks `seen` for.
    pub(crate) fn seen_types(&self) -> impl Iterator<Item = &String> {
        self.variables.iter().filter_map(|variable| match variable {
            Variable::Seen(event_type) => Some(event_type),
            _ => None,
        })
    }
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Evaluator")
    }
}

impl Evaluator {
    pub(super) fn new() -> Self {
        let mut root = Context::with_env(Arc::new(Env::stdlib()));
        // A name that the standard library has cannot be added; it then serves as it is.
        let _ = root.add_function("min", |a: f64, b: f64| a.min(b));
        let _ = root.add_function("max", |a: f64, b: f64| a.max(b));
        let _ = root.add_function("lower", |text: Arc<String>| text.to_lowercase());
        let _ = root.add_function("domain", |text: Arc<String>| domain(&text));
        let _ = root.add_function(ORDERED, ordered);
        let _ = root.add_function("get", get);
        let _ = root.add_function("number", number);
        Self { root }
    }

    /// Whether the condition holds.
    pub(crate) fn holds(&self, condition: &Expression, facts: &Facts<'_>) -> Result<bool, Failed> {
        condition.plain.holds(&condition.named(self, facts))
    }

    /// What the interpreter says.
    pub(super) fn holds_by_cel(
        &self,
        condition: &IdedExpr,
        named: &Named<'_, '_>,
    ) -> Result<bool, Failed> {
        match self.evaluate(condition, named) {
            Ok(Value::Bool(holds)) => Ok(holds),
            _ => Err(Failed),
        }
    }

    /// The number that the expression stands for.
    pub(crate) fn number(&self, value: &Expression, facts: &Facts<'_>) -> Result<f64, Failed> {
        let named = value.named(self, facts);
        if let Plain::Value(operand) = &value.plain {
            return operand.number(&named);
        }
        match self.evaluate(&value.resolved, &named) {
            Ok(Value::Float(number)) => Ok(number),
            Ok(Value::Int(number)) => Ok(number as f64),
            Ok(Value::UInt(number)) => Ok(number as f64),
            _ => Err(Failed),
        }
    }

    /// The keys that the expression stands for: a text, a number, or a list of these.
    pub(crate) fn keys(&self, per: &Expression, facts: &Facts<'_>) -> Result<Vec<String>, Failed> {
        let mut keys = Vec::new();
        let named = per.named(self, facts);
        if let Plain::Value(operand) = &per.plain {
            match operand.read(&named)? {
                Fact::Texts(texts) => {
                    let texts = texts.iter().take(MAX_KEYS);
                    texts.for_each(|text| add_key(text, &mut keys));
                }
                Fact::List(values) => {
                    for value in values.iter().take(MAX_KEYS) {
                        add_fact(&Fact::from(value), &mut keys)?;
                    }
                }
                fact => add_fact(&fact, &mut keys)?,
            }
            return Ok(keys);
        }
        match self.evaluate(&per.resolved, &named) {
            Ok(Value::List(values)) => {
                for value in values.iter().take(MAX_KEYS) {
                    add_value(value, &mut keys)?;
                }
            }
            Ok(value) => add_value(&value, &mut keys)?,
            Err(_) => return Err(Failed),
        }
        Ok(keys)
    }

    fn evaluate(
        &self,
        expression: &IdedExpr,
        named: &Named<'_, '_>,
    ) -> Result<Value, ExecutionError> {
        let root: &Context<'_, '_> = &self.root;
        let mut scope = root.new_inner_scope();
        scope.set_variable_resolver(named);
        Value::resolve(expression, &scope)
    }
}

/// What stands behind the last `@` of an address, in lower case; empty without one.
pub(super) fn domain(address: &str) -> String {
    let domain = address.rsplit_once('@').map(|(_, domain)| domain);
    domain.unwrap_or_default().to_lowercase()
}

/// Adds a key to others, unless it is there already, or empty, or too long to be kept.
fn add_key(key: &str, keys: &mut Vec<String>) {
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && !keys.iter().any(|known| known == key) {
        keys.push(key.to_owned());
    }
}

fn add_fact(fact: &Fact<'_>, keys: &mut Vec<String>) -> Result<(), Failed> {
    match fact {
        Fact::Text(text) => add_key(text, keys),
        Fact::Number(number) => add_key(&number.to_string(), keys),
        _ => return Err(Failed),
    }
    Ok(())
}

fn add_value(value: &Value, keys: &mut Vec<String>) -> Result<(), Failed> {
    match value {
        Value::String(text) => add_key(text, keys),
        Value::Float(number) => add_key(&number.to_string(), keys),
        _ => return Err(Failed),
    }
    Ok(())
}

/// The names of a map in order; a list as it is.
fn ordered(range: Value) -> Value {
    match range {
        Value::Map(map) => {
            let mut names: Vec<Key> = map.map.keys().cloned().collect();
            names.sort();
            Value::List(Arc::new(names.into_iter().map(Value::from).collect()))
        }
        other => other,
    }
}

fn get(map: Value, key: Arc<String>, default: Value) -> Value {
    match map {
        Value::Map(map) => map.get(&Key::String(key)).cloned().unwrap_or(default),
        _ => default,
    }
}

fn number(value: Value) -> Result<f64, ExecutionError> {
    let parsed = match &value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| ExecutionError::function_error("number", "not a number"))
}

/// A mistake within an expression, at a range of its text.
pub(super) type ExpressionMistake = (Range<usize>, String);

/// Compiles an expression and resolves every name in it.
pub(super) fn compile(
    source: &str,
    scope: Scope,
    declared: &Declared<'_>,
    asked: &mut Vec<Slot>,
) -> Result<Expression, Vec<ExpressionMistake>> {
    let program = Program::compile(source).map_err(|errors| {
        if errors
            .errors
            .iter()
            .any(|error| error.msg.contains(PARSER_DEPTH))
        {
            return vec![too_deep(source)];
        }
        // What follows the first one mostly follows from it.
        let first = errors.errors.first().map(|error| {
            let offset = offset_of(source, error.pos);
            let message = format!("is no CEL expression: {}", error.msg);
            (offset..source.len(), message)
        });
        first.into_iter().collect::<Vec<_>>()
    })?;
    if depth(program.expression()) > MAX_DEPTH {
        return Err(vec![too_deep(source)]);
    }
    let mut resolved = program.expression().clone();
    let mut names = Names::new(scope, declared, asked, program.source_info());
    names.resolve(&mut resolved);
    if names.mistakes.is_empty() {
        Ok(Expression {
            text: source.to_owned(),
            plain: Plain::of(&resolved, &names.variables),
            variables: names.variables,
            resolved,
        })
    } else {
        Err(names.mistakes)
    }
}

/// What the parser says, among other things, of nesting that is too deep for it.
const PARSER_DEPTH: &str = "Recursion limit";

fn too_deep(source: &str) -> ExpressionMistake {
    let message = format!("is nested deeper than {MAX_DEPTH}; split it into simpler rules");
    (0..source.len(), message)
}

fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line_start: usize = source
        .split_inclusive('\n')
        .take(usize::try_from(line - 1).unwrap_or(0))
        .map(str::len)
        .sum();
    (line_start + usize::try_from(column - 1).unwrap_or(0)).min(source.len())
}
