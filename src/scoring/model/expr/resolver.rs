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
    readable::{AS_OF, NO_CLOCK},
    scope::{ExpressionDiagnostic, Scope},
    variable::{Declared, Variable},
};
use crate::scoring::{model::slot::Slot, written::suggestion};

/// How deep the terms of an expression may nest, because the evaluator recurses: `a + b + c`
/// is two deep, `a || b || c` as well, and sixty more of these are only a few deeper.
pub(crate) const MAX_DEPTH: usize = 64;

pub(crate) fn depth(node: &IdedExpr) -> usize {
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
pub(crate) const ORDERED: &str = "@ordered";

/// Methods and functions that expressions may call, beside operators and macros.
const FUNCTIONS: [&str; 12] = [
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
    "domain",
];

/// Functions that are resolved to what they read.
const READERS: [&str; 4] = ["seen", "count", "rate", "completeness"];

/// Functions that only a call may use, beside the others, and of them what reads.
const FUNCTIONS_OF_A_CALL: [&str; 3] = ["timestamp", "duration", INTEREST];
const INTEREST: &str = "interest";

/// Functions of CEL, and others that people try, that work with instants.
const OF_THE_CLOCK: [&str; 13] = [
    "now",
    "today",
    "timestamp",
    "duration",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
];

/// What the parser makes of operators and macros.
const OPERATORS: [&str; 18] = [
    "_?_:_", "_&&_", "_||_", "!_", "_-_", "_+_", "_*_", "_/_", "_%_", "_==_", "_!=_", "_>=_",
    "_<=_", "_>_", "_<_", "-_", "_[_]", "@in",
];

/// The name in a resolved expression of the variable at a position; no name that a person could
/// write is like it.
pub(crate) fn name_of(position: usize) -> String {
    format!("#{position}")
}

/// The variable of a name in a resolved expression.
pub(crate) fn variable_of<'v>(variables: &'v [Variable], name: &str) -> Option<&'v Variable> {
    variables.get(name.strip_prefix('#')?.parse::<usize>().ok()?)
}

pub(crate) struct Resolver<'a> {
    scope: Scope,
    declared: &'a Declared<'a>,
    /// The counts that expressions ask for.
    asked: &'a mut Vec<Slot>,
    source_info: &'a SourceInfo,
    locals: Vec<String>,
    /// What the names in the resolved expression stand for, see [`name_of`].
    pub variables: Vec<Variable>,
    /// The names that there are not, and the like.
    pub diagnostics: Vec<ExpressionDiagnostic>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(
        scope: Scope,
        declared: &'a Declared<'a>,
        asked: &'a mut Vec<Slot>,
        source_info: &'a SourceInfo,
    ) -> Self {
        Self {
            scope,
            declared,
            asked,
            source_info,
            locals: Vec::new(),
            variables: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    fn diagnostic(&mut self, id: u64, message: String) {
        let (start, stop) = self.source_info.offset_for(id).unwrap_or((0, 0));
        self.diagnostics
            .push((start as usize..stop as usize, message));
    }

    pub(crate) fn resolve(&mut self, node: &mut IdedExpr) {
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
                self.diagnostic(node.id, message.to_owned());
            }
            Expr::Comprehension(comprehension) if comprehension.iter_var2.is_some() => {
                let message = "has a loop with two variables; loop over the names with one, and read the values with get()";
                self.diagnostic(node.id, message.to_owned());
            }
            Expr::Comprehension(comprehension) if comprehension.iter_var.starts_with('.') => {
                let message =
                    "has a loop over a name with a dot before it; write it without the dot";
                self.diagnostic(node.id, message.to_owned());
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
                self.diagnostic(node.id, "makes a message; conditions have none".to_owned());
            }
        }
    }

    fn resolve_call(&mut self, node: &mut IdedExpr) {
        let id = node.id;
        let Expr::Call(call) = &mut node.expr else {
            return;
        };
        let name = call.func_name.as_str();
        let of_a_call = FUNCTIONS_OF_A_CALL.iter().filter(|_| self.scope.is_call());
        let is_of_a_call = of_a_call.clone().any(|known| *known == name);
        if READERS.contains(&name) || (is_of_a_call && name == INTEREST) {
            return self.resolve_reader(node);
        }
        let known = OPERATORS.contains(&name)
            || FUNCTIONS.contains(&name)
            || is_of_a_call
            || name.starts_with('@');
        if !known {
            let message = if OF_THE_CLOCK.contains(&name) {
                let instead = if self.scope.is_call() {
                    AS_OF
                } else {
                    NO_CLOCK
                };
                format!("calls {name}(): {instead}")
            } else {
                let known = FUNCTIONS.into_iter().chain(READERS);
                let hint = suggestion(name, known.chain(of_a_call.copied()));
                format!("has no function {name:?}; {hint}")
            };
            // No other mistake follows from it.
            call.func_name.insert(0, '@');
            self.diagnostic(id, message);
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
        let reads_stage = call.args.iter().any(|argument| {
            matches!(&argument.expr, Expr::Ident(name)
                if variable_of(&self.variables, name) == Some(&Variable::Stage))
        });
        for argument in &call.args {
            if let Expr::Literal(LiteralValue::String(name)) = &argument.expr {
                let stages = self.declared.stages.iter().map(String::as_str);
                let known = name.inner().is_empty() || stages.clone().any(|s| s == name.inner());
                if reads_stage && !known {
                    let hint = suggestion(name.inner(), stages);
                    self.diagnostic(
                        argument.id,
                        format!("has no stage {:?}; {hint}", name.inner()),
                    );
                }
            }
        }
    }

    /// Turns `seen("x")` and the like into one variable.
    fn resolve_reader(&mut self, node: &mut IdedExpr) {
        let Expr::Call(call) = &node.expr else {
            return;
        };
        let arguments = match call.args.as_slice() {
            _ if call.target.is_some() => None,
            [
                IdedExpr {
                    expr: Expr::List(list),
                    ..
                },
            ] if call.func_name == "completeness" => texts(&list.elements),
            arguments if call.func_name != "completeness" => texts(arguments),
            _ => None,
        };
        let variable = Variable::of_call(
            &call.func_name,
            arguments.as_deref(),
            self.scope,
            self.declared,
            self.asked,
        );
        match variable {
            Some(Ok(variable)) => node.expr = self.name(variable),
            Some(Err(message)) => self.diagnostic(node.id, message),
            None => {}
        }
    }

    /// Turns `event.attributes.x` into one variable.
    fn resolve_path(&mut self, node: &mut IdedExpr) {
        let Some(path) = path_of(node) else {
            return;
        };
        let found = Variable::of_path(&path.segments, path.is_test, self.scope, self.declared);
        match found {
            Ok((variable, taken)) => {
                let depth = path.segments.len() - taken;
                let name = self.name(variable);
                replace_prefix(node, depth, name);
            }
            Err(message) => {
                let root = path.root;
                self.diagnostic(root, message);
            }
        }
    }

    fn name(&mut self, variable: Variable) -> Expr {
        let known = self.variables.iter().position(|known| *known == variable);
        let position = known.unwrap_or_else(|| {
            self.variables.push(variable);
            self.variables.len() - 1
        });
        Expr::Ident(name_of(position))
    }
}

/// The texts of literals; `None` when one is no text.
fn texts(nodes: &[IdedExpr]) -> Option<Vec<&str>> {
    let texts = nodes.iter().map(|node| match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    });
    texts.collect()
}

/// Replaces the first segments of a path, below `depth` further selections, by one variable.
fn replace_prefix(node: &mut IdedExpr, depth: usize, variable: Expr) {
    if depth == 0 {
        node.expr = variable;
        return;
    }
    if let Expr::Select(select) = &mut node.expr {
        replace_prefix(&mut select.operand, depth - 1, variable);
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
