//! Values that are read and reckoned with without the interpreter: what variables stand for,
//! literals, numbers made of numbers, and the functions that marketers need. They fail where CEL
//! fails.

use std::borrow::Cow;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue},
};

use super::{
    condition::{Failed, domain},
    facts::{Fact, Named},
    names::variable_of,
    plain::Plain,
    variable::Variable,
};
use crate::scoring::AttributeValue;

/// A value that is cheap to read.
#[derive(Debug)]
pub(super) enum Operand {
    Literal(AttributeValue),
    /// Of literals.
    List(Vec<AttributeValue>),
    Variable(Variable),
    /// What the loop around is at.
    Element,
    Calculation(Box<Operand>, Calculation, Box<Operand>),
    Negative(Box<Operand>),
    /// `number()`.
    Number(Box<Operand>),
    /// `double(size())`, which is what a size is resolved to.
    Size(Box<Operand>),
    Lower(Box<Operand>),
    Domain(Box<Operand>),
    /// What a map has by a name, and what `get()` says when it has not.
    Get(Box<Operand>, String, Option<Box<Operand>>),
    /// `condition ? a : b`.
    Choice(Box<(Plain, Operand, Operand)>),
}

/// How a number is made of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calculation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Least,
    Greatest,
}

impl Operand {
    pub(super) fn of(node: &IdedExpr, variables: &[Variable]) -> Option<Self> {
        if let Some(literal) = literal(node) {
            return Some(Self::Literal(literal));
        }
        match &node.expr {
            Expr::Ident(name) => {
                let variable = variable_of(variables, name).cloned();
                Some(variable.map_or(Self::Element, Self::Variable))
            }
            Expr::List(list) if list.optional_indices.is_empty() => {
                let literals: Option<_> = list.elements.iter().map(literal).collect();
                literals.map(Self::List)
            }
            Expr::Select(select) if !select.test => {
                let map = Box::new(Self::of(&select.operand, variables)?);
                Some(Self::Get(map, select.field.clone(), None))
            }
            Expr::Call(call) if call.func_name == "_?_:_" => match Plain::of(node, variables) {
                Plain::Value(operand) => Some(operand),
                _ => None,
            },
            Expr::Call(call) if call.target.is_none() => Self::of_call(call, variables),
            _ => None,
        }
    }

    fn of_call(call: &CallExpr, variables: &[Variable]) -> Option<Self> {
        let of = |node: &IdedExpr| Self::of(node, variables).map(Box::new);
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("-_", [number]) => Some(Self::Negative(of(number)?)),
            ("number", [value]) => Some(Self::Number(of(value)?)),
            ("lower", [text]) => Some(Self::Lower(of(text)?)),
            ("domain", [text]) => Some(Self::Domain(of(text)?)),
            ("get", [map, name, default]) => match literal(name)? {
                AttributeValue::String(name) => Some(Self::Get(of(map)?, name, Some(of(default)?))),
                _ => None,
            },
            ("_[_]", [map, name]) => match literal(name)? {
                AttributeValue::String(name) => Some(Self::Get(of(map)?, name, None)),
                _ => None,
            },
            ("double", [size]) => match &size.expr {
                Expr::Call(size) if size.func_name == "size" => {
                    let measured = size.target.as_deref().or(size.args.first())?;
                    Some(Self::Size(of(measured)?))
                }
                _ => None,
            },
            (operator, [a, b]) => {
                let calculation = Calculation::of(operator)?;
                let (a, b) = (of(a)?, of(b)?);
                // Texts and lists may be added, but not to numbers.
                let adds_numbers = a.is_number() || b.is_number();
                (calculation != Calculation::Add || adds_numbers).then_some(Self::Calculation(
                    a,
                    calculation,
                    b,
                ))
            }
            _ => None,
        }
    }

    /// Whether it is a number, unless it fails.
    fn is_number(&self) -> bool {
        match self {
            Self::Literal(literal) => matches!(literal, AttributeValue::Number(_)),
            Self::Variable(variable) => variable.is_number(),
            Self::Calculation(..) | Self::Negative(_) | Self::Number(_) | Self::Size(_) => true,
            Self::Choice(choice) => choice.1.is_number() && choice.2.is_number(),
            Self::List(_) | Self::Element | Self::Lower(_) | Self::Domain(_) | Self::Get(..) => {
                false
            }
        }
    }

    pub(super) fn read<'a>(&'a self, named: &Named<'a, '_>) -> Result<Fact<'a>, Failed> {
        match self {
            Self::Literal(value) => Ok(value.into()),
            Self::List(values) => Ok(Fact::List(values)),
            Self::Variable(variable) => named.facts.fact(variable).ok_or(Failed),
            Self::Element => {
                let element = named.element.as_ref();
                element.map(|(_, element)| element.clone()).ok_or(Failed)
            }
            Self::Choice(choice) => {
                let (condition, a, b) = &**choice;
                if condition.holds(named)? {
                    a.read(named)
                } else {
                    b.read(named)
                }
            }
            Self::Calculation(a, calculation, b) => {
                let (a, b) = (a.number(named)?, b.number(named)?);
                Ok(Fact::Number(calculation.of_numbers(a, b)))
            }
            Self::Negative(number) => number.number(named).map(|number| Fact::Number(-number)),
            Self::Number(value) => match value.read(named)? {
                Fact::Number(number) => Ok(Fact::Number(number)),
                Fact::Bool(yes) => Ok(Fact::Number(f64::from(u8::from(yes)))),
                Fact::Text(text) => {
                    let number = text.trim().parse().map_err(|_| Failed)?;
                    Ok(Fact::Number(number))
                }
                _ => Err(Failed),
            },
            Self::Size(value) => {
                let size = match value.read(named)? {
                    Fact::Text(text) => text.chars().count(),
                    Fact::List(values) => values.len(),
                    Fact::Texts(texts) => texts.len(),
                    Fact::Map(values) => values.len(),
                    _ => return Err(Failed),
                };
                Ok(Fact::Number(size as f64))
            }
            Self::Lower(text) => text.text(named, |text| text.to_lowercase()),
            Self::Domain(text) => text.text(named, domain),
            Self::Get(map, name, default) => {
                // CEL reads all arguments before it calls a function.
                let map = map.read(named)?;
                let default = default.as_ref().map(|default| default.read(named));
                let default = default.transpose()?;
                let found = match map {
                    Fact::Map(values) => values.get(name).map(Fact::from),
                    _ => None,
                };
                found.or(default).ok_or(Failed)
            }
        }
    }

    /// The number that it stands for.
    pub(super) fn number(&self, named: &Named<'_, '_>) -> Result<f64, Failed> {
        match self.read(named)? {
            Fact::Number(number) => Ok(number),
            _ => Err(Failed),
        }
    }

    fn text<'a>(
        &'a self,
        named: &Named<'a, '_>,
        change: impl FnOnce(&str) -> String,
    ) -> Result<Fact<'a>, Failed> {
        match self.read(named)? {
            Fact::Text(text) => Ok(Fact::Text(Cow::Owned(change(&text)))),
            _ => Err(Failed),
        }
    }
}

impl Calculation {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "_+_" => Self::Add,
            "_-_" => Self::Subtract,
            "_*_" => Self::Multiply,
            "_/_" => Self::Divide,
            "min" => Self::Least,
            "max" => Self::Greatest,
            _ => return None,
        })
    }

    fn of_numbers(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Least => a.min(b),
            Self::Greatest => a.max(b),
        }
    }
}

/// A literal number, text, truth or null.
pub(super) fn literal(node: &IdedExpr) -> Option<AttributeValue> {
    match &node.expr {
        Expr::Literal(LiteralValue::Double(number)) => Some(AttributeValue::Number(**number)),
        Expr::Literal(LiteralValue::String(text)) => {
            Some(AttributeValue::String(text.inner().to_owned()))
        }
        Expr::Literal(LiteralValue::Boolean(truth)) => Some(AttributeValue::Bool(**truth)),
        Expr::Literal(LiteralValue::Null) => Some(AttributeValue::Null),
        Expr::Call(call) if call.func_name == "-_" => match literal(call.args.first()?)? {
            AttributeValue::Number(number) => Some(AttributeValue::Number(-number)),
            _ => None,
        },
        _ => None,
    }
}
