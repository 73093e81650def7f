//! Resolves every name of an expression when the model is checked, and turns each into one
//! variable, so that an evaluation only looks up what is there.

use cel::{
    IdedExpr,
    common::{
        ast::{CallExpr, EntryExpr, Expr, IdedEntryExpr, LiteralValue, SourceInfo},
        types::CelDouble,
    },
};

use super::{
    condition::{ExpressionMistake, Scope},
    mistake::suggestion,
};

const EVENT_FIELDS: [&str; 9] = [
    "type",
    "channel",
    "attributes",
    "text",
    "topics",
    "tags",
    "sentiment",
    "author_id",
    "content_id",
];

/// How deep the terms of an expression may nest, because the evaluator recurses: `a + b + c`
/// is two deep, `a || b || c` as well, and sixty more of these are only a few deeper.
pub(super) const MAX_DEPTH: usize = 64;

pub(super) fn depth(node: &IdedExpr) -> usize {
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
            parts.into_iter().map(depth).max()
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => None,
    };
    1 + deepest.unwrap_or(0)
}

/// Puts what a loop goes through in order.
pub(super) const ORDERED: &str = "@ordered";

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

pub(super) struct Names<'a> {
    scope: Scope,
    scores: &'a [&'a str],
    stages: &'a [&'a str],
    source_info: &'a SourceInfo,
    locals: Vec<String>,
    /// Whether scores or the stage are read.
    pub reads_history: bool,
    /// The event types that `seen` is asked for.
    pub seen_types: Vec<String>,
    /// The names that there are not, and the like.
    pub mistakes: Vec<ExpressionMistake>,
}

impl<'a> Names<'a> {
    pub(super) fn new(
        scope: Scope,
        scores: &'a [&'a str],
        stages: &'a [&'a str],
        source_info: &'a SourceInfo,
    ) -> Self {
        Self {
            scope,
            scores,
            stages,
            source_info,
            locals: Vec::new(),
            reads_history: false,
            seen_types: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    fn mistake(&mut self, id: u64, message: String) {
        let (start, stop) = self.source_info.offset_for(id).unwrap_or((0, 0));
        self.mistakes.push((start as usize..stop as usize, message));
    }

    pub(super) fn resolve(&mut self, node: &mut IdedExpr) {
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
            Expr::Comprehension(comprehension) if comprehension.iter_var2.is_some() => {
                let message = "has a loop with two variables; loop over the names with one, and read the values with get()";
                self.mistake(node.id, message.to_owned());
            }
            Expr::Comprehension(comprehension) => {
                self.resolve(&mut comprehension.iter_range);
                // The names of a map have no order by themselves, and a condition must give one
                // answer whenever it is asked.
                let range = std::mem::take(&mut comprehension.iter_range);
                comprehension.iter_range = IdedExpr {
                    id: range.id,
                    expr: Expr::Call(CallExpr {
                        func_name: ORDERED.to_owned(),
                        target: None,
                        args: vec![range],
                    }),
                };
                let outer = self.locals.len();
                self.locals.push(comprehension.iter_var.clone());
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
            ["event", ..] if self.scope != Scope::Event => {
                let message = "reads the event; here only profile.attributes and seen() can be read, because the condition must hold between events";
                return self.mistake(id, message.to_owned());
            }
            ["scores" | "stage", ..] if self.scope != Scope::Event => {
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
            ["identity", "confidence"] if self.scope == Scope::Identity => {
                let message = "reads the confidence that it is a part of; read profile.attributes and seen() here";
                return self.mistake(id, message.to_owned());
            }
            ["identity", "confidence"] if is_test => {
                let message = "tests identity.confidence, which is always there";
                return self.mistake(id, message.to_owned());
            }
            ["identity", "confidence"] => 2,
            ["identity", ..] => {
                let message = format!("has no {}; write identity.confidence", names.join("."));
                return self.mistake(id, message);
            }
            [root, ..] => {
                let roots = [
                    "event",
                    "profile.attributes",
                    "scores",
                    "stage",
                    "identity.confidence",
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
