//! Conditions and expressions in the language of CEL, compiled once and evaluated on `Variables`.

use std::borrow::Cow;

#[cfg(test)]
use cel::IdedExpr;
use cel::Program;

use super::{
    cost::Inputs,
    inference,
    native_expr::NativeExpr,
    native_value::NativeValue,
    reading::{Reading, Variables},
    resolver::{MAX_DEPTH, Resolver, depth},
    scope::{ExpressionDiagnostic, Failed, Scope, Wanted},
    variable::{Declared, Variable},
};
use crate::scoring::{
    Name,
    limits::{MAX_EXPRESSION_STEPS, MAX_KEY_BYTES, MAX_KEYS},
    model::{ids::SubjectKindId, slot::Slot},
};

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    /// As it stands in the file.
    text: String,
    code: NativeExpr,
    /// What it reads.
    variables: Vec<Variable>,
    /// The steps that an evaluation takes on the smallest event, at most.
    pub(crate) least_steps: usize,
    /// The same on the largest event that is allowed.
    pub(crate) most_steps: usize,
    /// For a second opinion.
    #[cfg(test)]
    pub(crate) resolved: IdedExpr,
}

impl Expression {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it reads.
    pub(crate) fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Whether the condition holds.
    pub(crate) fn holds(&self, context: &dyn Variables) -> Result<bool, Failed> {
        match self.read(context)? {
            NativeValue::Bool(holds) => Ok(holds),
            _ => Err(Failed),
        }
    }

    /// The number that it stands for.
    pub(crate) fn number(&self, context: &dyn Variables) -> Result<f64, Failed> {
        match self.read(context)? {
            NativeValue::Number(number) => Ok(number),
            _ => Err(Failed),
        }
    }

    /// The keys that it stands for: a text, a number, or a list of these.
    pub(crate) fn keys(&self, context: &dyn Variables) -> Result<Vec<Name>, Failed> {
        let mut keys = Vec::new();
        let value = self.read(context)?;
        if value.length().is_none() {
            add_key(&value, MAX_KEY_BYTES, &mut keys)?;
        } else if let Some(elements) = value.into_elements() {
            for element in elements.take(MAX_KEYS) {
                add_key(&element, MAX_KEY_BYTES, &mut keys)?;
            }
        }
        Ok(keys)
    }

    /// The key of at most so many bytes that it stands for, a text or a number; `None` for one that
    /// is empty or longer.
    pub(crate) fn key(
        &self,
        context: &dyn Variables,
        max_bytes: usize,
    ) -> Result<Option<Name>, Failed> {
        let mut keys = Vec::new();
        add_key(&self.read(context)?, max_bytes, &mut keys)?;
        Ok(keys.pop())
    }

    fn read<'a>(&'a self, context: &'a dyn Variables) -> Result<NativeValue<'a>, Failed> {
        let element = None;
        let read = self.code.read(&Reading { context, element });
        // Whatever made up for the part that was cut off.
        read.and_then(|value| {
            (!context.budget().is_spent())
                .then_some(value)
                .ok_or(Failed)
        })
    }

    /// Whether it reads what the author of the event states.
    pub(crate) fn reads_author(&self) -> bool {
        self.variables.iter().any(Variable::is_of_author)
    }

    /// Whether it reads what the profile states.
    pub(crate) fn reads_profile(&self) -> bool {
        self.variables.iter().any(Variable::is_of_profile)
    }

    /// The kinds of subjects of the event that it reads.
    pub(crate) fn subject_kinds(&self) -> impl Iterator<Item = SubjectKindId> {
        self.variables.iter().filter_map(Variable::subject_kind)
    }

    /// Whether it reads what other events have made of somebody, so that it follows their order.
    pub(crate) fn follows_arrival(&self) -> bool {
        self.variables.iter().any(Variable::follows_arrival)
    }

    /// Whether it reads scores.
    pub(crate) fn reads_scores(&self) -> bool {
        let mut variables = self.variables.iter();
        variables.any(|variable| matches!(variable, Variable::Score(_)))
    }

    /// The event types that it asks `seen` for.
    pub(crate) fn seen_types(&self) -> impl Iterator<Item = &String> {
        self.variables.iter().filter_map(|variable| match variable {
            Variable::Seen(event_type) => Some(event_type),
            _ => None,
        })
    }
}

/// Adds a key to others, unless it is there already, or empty, or too long to be kept.
fn add_key(value: &NativeValue<'_>, max_bytes: usize, keys: &mut Vec<Name>) -> Result<(), Failed> {
    let key = match value {
        NativeValue::Text(text) => text.clone(),
        NativeValue::Number(number) => Cow::Owned(number.to_string()),
        _ => return Err(Failed),
    };
    if (1..=max_bytes).contains(&key.len()) && !keys.iter().any(|known| *known == *key) {
        keys.push(key.into());
    }
    Ok(())
}

/// Compiles an expression: resolves every name in it, and tells what can never be right.
pub(crate) fn compile(
    source: &str,
    scope: Scope,
    wanted: Wanted,
    declared: &Declared<'_>,
    asked: &mut Vec<Slot>,
) -> Result<Expression, Vec<ExpressionDiagnostic>> {
    let program = parse(source)?;
    let mut resolved = program.expression().clone();
    let mut resolver = Resolver::new(scope, declared, asked, program.source_info());
    resolver.resolve(&mut resolved);
    let (variables, mut diagnostics) = (resolver.variables, resolver.diagnostics);
    if !declared.is_unchecked {
        diagnostics.extend(inference::check(
            &resolved,
            wanted,
            &variables,
            program.source_info(),
        ));
    }
    let code = NativeExpr::of(&resolved, &variables);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let not_known =
        "has something that is no part of conditions; docs/model.md lists what they see";
    let code = code.ok_or_else(|| vec![(0..source.len(), not_known.to_owned())])?;
    let topics = declared.topics.len();
    let most_steps = code.steps(Inputs::Greatest { topics });
    if most_steps > MAX_EXPRESSION_STEPS {
        return Err(vec![(0..source.len(), too_long(most_steps))]);
    }
    Ok(Expression {
        text: source.to_owned(),
        least_steps: code.steps(Inputs::Least),
        most_steps,
        code,
        variables,
        #[cfg(test)]
        resolved,
    })
}

fn too_long(steps: usize) -> String {
    format!(
        "takes up to {steps} steps for the largest event that is taken, and may take {MAX_EXPRESSION_STEPS}; put no long texts together, in a loop compare each element with what is short, and find words in the text of an event by phrases"
    )
}

fn parse(source: &str) -> Result<Program, Vec<ExpressionDiagnostic>> {
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
    Ok(program)
}

/// What the parser says, among other things, of nesting that is too deep for it.
const PARSER_DEPTH: &str = "Recursion limit";

fn too_deep(source: &str) -> ExpressionDiagnostic {
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
