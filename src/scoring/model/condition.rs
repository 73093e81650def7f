//! Conditions and expressions in CEL: every name is resolved when the model is checked, so
//! that an evaluation only looks up what is there.

use std::{collections::HashMap, ops::Range, sync::Arc};

use cel::{
    Context, Env, ExecutionError, IdedExpr, Program, Value,
    common::{
        ast::{CallExpr, EntryExpr, Expr, IdedEntryExpr, LiteralValue, SourceInfo},
        types::{CelBool, CelDouble, CelString},
        value::CowVal,
    },
    context::VariableResolver,
    objects::{Key, Map},
};

use super::{
    mistake::suggestion,
    plain::{Fact, Plain},
};
use crate::scoring::{AttributeValue, Attributes, Event};

/// What an expression may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The event, what the profile states, and the profile's history.
    Event,
    /// Only what no clock can change: what the profile states and has been seen to do.
    Standing,
}

/// What expressions read, at one instant.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The event; `None` for what looks at the standing profile alone.
    pub event: Option<&'a Event>,
    /// The declared topics of the event.
    pub topics: &'a [String],
    /// What the profile states.
    pub attributes: &'a Attributes,
    /// The event types that have counted, ascending.
    pub seen_types: &'a [String],
    /// Points by position of the score in the model, just before the event.
    pub points: &'a [f64],
    /// The stage just before the event; empty for none.
    pub stage: &'a str,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    /// As it stands in the file.
    text: String,
    resolved: IdedExpr,
    plain: Plain,
    reads_history: bool,
    seen_types: Vec<String>,
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

    /// With every name resolved.
    #[cfg(test)]
    pub(super) fn resolved(&self) -> &IdedExpr {
        &self.resolved
    }

    /// Whether it reads scores or the stage.
    pub(crate) fn reads_history(&self) -> bool {
        self.reads_history
    }

    /// The event types that it asks `seen` for.
    pub(crate) fn seen_types(&self) -> &[String] {
        &self.seen_types
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
        let _ = root.add_function("get", get);
        let _ = root.add_function("number", number);
        Self { root }
    }

    /// Whether the condition holds.
    pub(crate) fn holds(&self, condition: &Expression, facts: &Facts<'_>) -> Result<bool, Failed> {
        condition.plain.holds(self, facts)
    }

    /// What the interpreter says.
    pub(super) fn holds_by_cel(
        &self,
        condition: &IdedExpr,
        facts: &Facts<'_>,
    ) -> Result<bool, Failed> {
        match self.evaluate(condition, facts) {
            Ok(Value::Bool(holds)) => Ok(holds),
            _ => Err(Failed),
        }
    }

    /// The number that the expression stands for.
    pub(crate) fn number(&self, value: &Expression, facts: &Facts<'_>) -> Result<f64, Failed> {
        if let Plain::Value(operand) = &value.plain {
            return match operand.read(facts)? {
                Fact::Number(number) => Ok(number),
                _ => Err(Failed),
            };
        }
        match self.evaluate(&value.resolved, facts) {
            Ok(Value::Float(number)) => Ok(number),
            Ok(Value::Int(number)) => Ok(number as f64),
            Ok(Value::UInt(number)) => Ok(number as f64),
            _ => Err(Failed),
        }
    }

    fn evaluate(&self, expression: &IdedExpr, facts: &Facts<'_>) -> Result<Value, ExecutionError> {
        let root: &Context<'_, '_> = &self.root;
        let mut scope = root.new_inner_scope();
        scope.set_variable_resolver(facts);
        Value::resolve(expression, &scope)
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

const EVENT_FIELDS: [&str; 8] = [
    "type",
    "channel",
    "attributes",
    "text",
    "topics",
    "sentiment",
    "author_id",
    "content_id",
];

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "profile.attributes" => owned(attributes_value(self.attributes)),
            "event.attributes" => owned(attributes_value(&self.event?.attributes)),
            "event.topics" => owned(Value::List(Arc::new(
                self.topics
                    .iter()
                    .map(|topic| topic.as_str().into())
                    .collect(),
            ))),
            _ => match self.fact(variable)? {
                Fact::Null => owned(Value::Null),
                Fact::Bool(value) => Some(CowVal::owned(CelBool::from(value))),
                Fact::Number(value) => Some(CowVal::owned(CelDouble::from(value))),
                Fact::Text(value) => Some(CowVal::owned(CelString::from(value))),
                Fact::Composite(value) => owned(attribute_value(value)),
            },
        }
    }
}

impl<'a> Facts<'a> {
    /// Whether [`Self::fact`] knows a variable, once it is there.
    pub(super) fn is_plain(variable: &str) -> bool {
        !matches!(
            variable,
            "profile.attributes" | "event.attributes" | "event.topics"
        )
    }

    /// What a variable stands for; `None` when it is not there.
    pub(super) fn fact(&self, variable: &str) -> Option<Fact<'a>> {
        if let Some(name) = variable.strip_prefix("event.attributes.") {
            return self.event?.attributes.get(name).map(Fact::from);
        }
        if let Some(name) = variable.strip_prefix("profile.attributes.") {
            return self.attributes.get(name).map(Fact::from);
        }
        if let Some(event_type) = variable.strip_prefix("seen ") {
            let seen = self
                .seen_types
                .binary_search_by(|seen| seen.as_str().cmp(event_type));
            return Some(Fact::Bool(seen.is_ok()));
        }
        if let Some(position) = variable.strip_prefix("scores ") {
            let points = self.points.get(position.parse::<usize>().ok()?)?;
            return Some(Fact::Number(*points));
        }
        if let Some(field) = variable.strip_prefix("has ") {
            return Some(Fact::Bool(self.has(field)));
        }
        if variable == "stage" {
            return Some(Fact::Text(self.stage));
        }
        let event = self.event?;
        match variable {
            "event.type" => Some(Fact::Text(&event.event_type)),
            "event.channel" => Some(Fact::Text(&event.channel)),
            "event.text" => Some(Fact::Text(&event.text)),
            "event.content_id" => Some(Fact::Text(&event.content_id)),
            "event.author_id" => {
                let author_id = event.author_id.as_ref();
                Some(Fact::Text(
                    author_id.map_or("", |author_id| author_id.as_str()),
                ))
            }
            "event.sentiment" => event.sentiment.map(Fact::Number),
            _ => None,
        }
    }

    fn has(&self, field: &str) -> bool {
        if let Some(name) = field.strip_prefix("profile.attributes.") {
            return self.attributes.contains_key(name);
        }
        let Some(event) = self.event else {
            return false;
        };
        if let Some(name) = field.strip_prefix("event.attributes.") {
            return event.attributes.contains_key(name);
        }
        match field {
            "event.channel" => !event.channel.is_empty(),
            "event.text" => !event.text.is_empty(),
            "event.content_id" => !event.content_id.is_empty(),
            "event.author_id" => event.author_id.is_some(),
            "event.sentiment" => event.sentiment.is_some(),
            "event.topics" => !self.topics.is_empty(),
            _ => true,
        }
    }
}

fn owned<'b>(value: Value) -> Option<CowVal<'b, 'b>> {
    value.try_into().ok().map(CowVal::Owned)
}

fn attribute_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Null => Value::Null,
        AttributeValue::Bool(value) => Value::Bool(*value),
        AttributeValue::Number(value) => Value::Float(*value),
        AttributeValue::String(value) => Value::from(value.as_str()),
        AttributeValue::List(values) => {
            Value::List(Arc::new(values.iter().map(attribute_value).collect()))
        }
        AttributeValue::Map(values) => attributes_value(values),
    }
}

fn attributes_value(values: &Attributes) -> Value {
    let map: HashMap<Key, Value> = values
        .iter()
        .map(|(name, value)| (Key::from(name.as_str()), attribute_value(value)))
        .collect();
    Value::Map(Map { map: Arc::new(map) })
}

/// A mistake within an expression, at a range of its text.
pub(super) type ExpressionMistake = (Range<usize>, String);

/// Compiles an expression and resolves every name in it.
pub(super) fn compile(
    source: &str,
    scope: Scope,
    scores: &[&str],
    stages: &[&str],
) -> Result<Expression, Vec<ExpressionMistake>> {
    let program = Program::compile(source).map_err(|errors| {
        let mistakes = errors.errors.iter().map(|error| {
            let offset = offset_of(source, error.pos);
            (
                offset..source.len(),
                format!("is no CEL expression: {}", error.msg),
            )
        });
        mistakes.collect::<Vec<_>>()
    })?;
    if depth(program.expression()) > MAX_DEPTH {
        let message = format!("is nested deeper than {MAX_DEPTH}; split it into simpler rules");
        return Err(vec![(0..source.len(), message)]);
    }
    let mut resolved = program.expression().clone();
    let mut names = Names {
        scope,
        scores,
        stages,
        source_info: program.source_info(),
        locals: Vec::new(),
        reads_history: false,
        seen_types: Vec::new(),
        mistakes: Vec::new(),
    };
    names.resolve(&mut resolved);
    if names.mistakes.is_empty() {
        Ok(Expression {
            text: source.to_owned(),
            reads_history: names.reads_history,
            seen_types: names.seen_types,
            plain: Plain::of(&resolved),
            resolved,
        })
    } else {
        Err(names.mistakes)
    }
}

/// How deep the terms of an expression may nest, because the evaluator recurses: `a + b + c`
/// is two deep, `a || b || c` as well, and sixty more of these are only a few deeper.
const MAX_DEPTH: usize = 64;

fn depth(node: &IdedExpr) -> usize {
    let entry_depth = |entry: &IdedEntryExpr| match &entry.expr {
        EntryExpr::MapEntry(entry) => depth(&entry.key).max(depth(&entry.value)),
        EntryExpr::StructField(field) => depth(&field.value),
    };
    let deepest = match &node.expr {
        Expr::Call(call) => {
            let target = call.target.iter().map(|target| depth(target));
            target.chain(call.args.iter().map(depth)).max()
        }
        Expr::List(list) => list.elements.iter().map(depth).max(),
        Expr::Map(map) => map.entries.iter().map(entry_depth).max(),
        Expr::Struct(message) => message.entries.iter().map(entry_depth).max(),
        Expr::Select(select) => Some(depth(&select.operand)),
        Expr::Comprehension(comprehension) => {
            let parts = [
                &comprehension.iter_range,
                &comprehension.accu_init,
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ];
            parts.into_iter().map(|part| depth(part)).max()
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => None,
    };
    1 + deepest.unwrap_or(0)
}

fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line_start: usize = source
        .split_inclusive('\n')
        .take(usize::try_from(line - 1).unwrap_or(0))
        .map(str::len)
        .sum();
    (line_start + usize::try_from(column - 1).unwrap_or(0)).min(source.len())
}

/// Methods and functions that expressions may call, beside operators and macros.
const FUNCTIONS: [&str; 11] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "string",
    "double",
    "min",
    "max",
    "get",
    "number",
    "lower",
];

/// What the parser makes of operators and macros.
const OPERATORS: [&str; 18] = [
    "_?_:_", "_&&_", "_||_", "!_", "_-_", "_+_", "_*_", "_/_", "_%_", "_==_", "_!=_", "_>=_",
    "_<=_", "_>_", "_<_", "-_", "_[_]", "@in",
];

struct Names<'a> {
    scope: Scope,
    scores: &'a [&'a str],
    stages: &'a [&'a str],
    source_info: &'a SourceInfo,
    locals: Vec<String>,
    reads_history: bool,
    seen_types: Vec<String>,
    mistakes: Vec<ExpressionMistake>,
}

impl Names<'_> {
    fn mistake(&mut self, id: u64, message: String) {
        let (start, stop) = self.source_info.offset_for(id).unwrap_or((0, 0));
        self.mistakes.push((start as usize..stop as usize, message));
    }

    fn resolve(&mut self, node: &mut IdedExpr) {
        if let Some(path) = path_of(node)
            && !self.locals.contains(&path.segments[0].to_owned())
        {
            return self.resolve_path(node);
        }
        match &mut node.expr {
            Expr::Literal(literal) => {
                let number = match literal {
                    LiteralValue::Int(int) => Some(*int.inner() as f64),
                    LiteralValue::UInt(uint) => Some(*uint.inner() as f64),
                    _ => None,
                };
                if let Some(number) = number {
                    *literal = LiteralValue::Double(CelDouble::from(number));
                }
            }
            Expr::Call(_) => self.resolve_call(node),
            Expr::List(list) => list
                .elements
                .iter_mut()
                .for_each(|inner| self.resolve(inner)),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.resolve(&mut entry.key);
                        self.resolve(&mut entry.value);
                    }
                }
            }
            Expr::Select(select) => self.resolve(&mut select.operand),
            Expr::Comprehension(_) if !self.locals.is_empty() => {
                let message = "has a loop within a loop, which long lists could keep busy for ever; write `x in list` for the inner one, or a signal for each";
                self.mistake(node.id, message.to_owned());
            }
            Expr::Comprehension(comprehension) => {
                self.resolve(&mut comprehension.iter_range);
                let outer = self.locals.len();
                self.locals.push(comprehension.iter_var.clone());
                self.locals.extend(comprehension.iter_var2.clone());
                self.locals.push(comprehension.accu_var.clone());
                self.resolve(&mut comprehension.accu_init);
                self.resolve(&mut comprehension.loop_cond);
                self.resolve(&mut comprehension.loop_step);
                self.resolve(&mut comprehension.result);
                self.locals.truncate(outer);
            }
            Expr::Ident(_) => {}
            Expr::Struct(_) | Expr::Unspecified => {
                self.mistake(node.id, "makes a message; conditions have none".to_owned());
            }
        }
    }

    fn resolve_call(&mut self, node: &mut IdedExpr) {
        let id = node.id;
        let Expr::Call(call) = &mut node.expr else {
            return;
        };
        if call.func_name == "seen" {
            return self.resolve_seen(node);
        }
        let known = OPERATORS.contains(&call.func_name.as_str())
            || FUNCTIONS.contains(&call.func_name.as_str())
            || call.func_name.starts_with('@');
        if !known {
            let message = if call.func_name == "now" {
                "reads the clock; use a score with a half-life, which fades by itself".to_owned()
            } else {
                let hint = suggestion(&call.func_name, FUNCTIONS.into_iter().chain(["seen"]));
                format!("has no function {:?}; {hint}", call.func_name)
            };
            self.mistake(id, message);
        }
        if let Some(target) = &mut call.target {
            self.resolve(target);
        }
        let is_index = call.func_name == "_[_]";
        for (position, argument) in call.args.iter_mut().enumerate() {
            // A list is indexed by a whole number.
            if !(is_index && position == 1 && matches!(argument.expr, Expr::Literal(_))) {
                self.resolve(argument);
            }
        }
        if call.func_name == "size" {
            // A size is a number like any other: all numbers are doubles here.
            let size = std::mem::take(node);
            node.id = id;
            node.expr = Expr::Call(CallExpr {
                func_name: "double".to_owned(),
                target: None,
                args: vec![size],
            });
        } else {
            self.check_stage_name(node);
        }
    }

    /// `stage == "x"` with an unknown x would never hold.
    fn check_stage_name(&mut self, node: &IdedExpr) {
        let Expr::Call(call) = &node.expr else {
            return;
        };
        if !matches!(call.func_name.as_str(), "_==_" | "_!=_") {
            return;
        }
        let reads_stage = call
            .args
            .iter()
            .any(|argument| matches!(&argument.expr, Expr::Ident(name) if name == "stage"));
        for argument in &call.args {
            if let Expr::Literal(LiteralValue::String(name)) = &argument.expr {
                let known = name.inner().is_empty() || self.stages.contains(&name.inner());
                if reads_stage && !known {
                    let hint = suggestion(name.inner(), self.stages.iter().copied());
                    self.mistake(
                        argument.id,
                        format!("has no stage {:?}; {hint}", name.inner()),
                    );
                }
            }
        }
    }

    fn resolve_seen(&mut self, node: &mut IdedExpr) {
        let Expr::Call(call) = &node.expr else {
            return;
        };
        let event_type = match call.args.as_slice() {
            [
                IdedExpr {
                    expr: Expr::Literal(LiteralValue::String(name)),
                    ..
                },
            ] => Some(name.inner().to_owned()),
            _ => None,
        };
        match event_type {
            Some(event_type) if call.target.is_none() => {
                node.expr = Expr::Ident(format!("seen {event_type}"));
                self.seen_types.push(event_type);
            }
            _ => self.mistake(
                node.id,
                "calls seen() otherwise than with one event type in quotes, as in seen(\"purchase\")"
                    .to_owned(),
            ),
        }
    }

    /// Turns `event.attributes.x` into one variable.
    fn resolve_path(&mut self, node: &mut IdedExpr) {
        let Some(path) = path_of(node) else {
            return;
        };
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|&segment| segment.to_owned())
            .collect();
        let is_test = path.is_test;
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        let id = path.root;
        let wanted = match names.as_slice() {
            ["event", ..] if self.scope == Scope::Standing => {
                let message = "reads the event; here only profile.attributes and seen() can be read, because the condition must hold between events";
                return self.mistake(id, message.to_owned());
            }
            ["scores" | "stage", ..] if self.scope == Scope::Standing => {
                let message = "reads what fades with time; here only profile.attributes and seen() can be read: bound a score with min and max instead";
                return self.mistake(id, message.to_owned());
            }
            ["event", "attributes", _, ..] | ["profile", "attributes", _, ..] => 3,
            ["event", field, ..] if EVENT_FIELDS.contains(field) => 2,
            ["event", field, ..] => {
                let hint = suggestion(field, EVENT_FIELDS);
                let message = if *field == "time" {
                    "reads the time of the event; scores with a half-life take care of it"
                        .to_owned()
                } else {
                    format!("has no event.{field}; {hint}")
                };
                return self.mistake(id, message);
            }
            ["profile", "attributes"] => 2,
            ["profile", ..] | ["event"] => {
                let message = format!(
                    "has no {}; write profile.attributes.NAME or event.FIELD",
                    names.join(".")
                );
                return self.mistake(id, message);
            }
            ["scores", name] => {
                self.reads_history = true;
                match self.scores.iter().position(|score| score == name) {
                    Some(position) if !is_test => {
                        node.expr = Expr::Ident(format!("scores {position}"))
                    }
                    Some(_) => self.mistake(id, "tests a score, which is always there".to_owned()),
                    None => {
                        let hint = suggestion(name, self.scores.iter().copied());
                        self.mistake(id, format!("has no score {name:?}; {hint}"));
                    }
                }
                return;
            }
            ["stage"] => {
                self.reads_history = true;
                1
            }
            [root, ..] => {
                let roots = [
                    "event",
                    "profile.attributes",
                    "scores",
                    "stage",
                    "seen(\"type\")",
                ];
                let message = format!("has no {root:?}; {}", suggestion(root, roots));
                return self.mistake(id, message);
            }
            [] => return,
        };
        replace_prefix(
            node,
            names.len() - wanted,
            is_test,
            names[..wanted].join("."),
        );
    }
}

/// Replaces the first segments of a path, below `depth` further selections, by one variable.
fn replace_prefix(node: &mut IdedExpr, depth: usize, is_test: bool, variable: String) {
    if depth == 0 {
        let prefix = if is_test { "has " } else { "" };
        node.expr = Expr::Ident(format!("{prefix}{variable}"));
        return;
    }
    if let Expr::Select(select) = &mut node.expr {
        replace_prefix(&mut select.operand, depth - 1, false, variable);
    }
}

struct Path<'a> {
    segments: Vec<&'a str>,
    is_test: bool,
    /// The node of the first segment.
    root: u64,
}

/// `a.b.c` as segments; `has(a.b)` is a test.
fn path_of(node: &IdedExpr) -> Option<Path<'_>> {
    let mut segments = Vec::new();
    let mut is_test = false;
    let mut current = node;
    loop {
        match &current.expr {
            Expr::Ident(name) => {
                segments.push(name.as_str());
                segments.reverse();
                return Some(Path {
                    segments,
                    is_test,
                    root: current.id,
                });
            }
            Expr::Select(select) => {
                is_test |= select.test;
                segments.push(select.field.as_str());
                current = &select.operand;
            }
            _ => return None,
        }
    }
}
