//! An expression as it is evaluated: a tree of what it reads and how that is put together. It is
//! made of what the parser of CEL makes of the text, once every name is resolved; `reading`
//! evaluates it, and `cost` says what that takes at most.

use std::collections::BTreeMap;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue},
};

use super::{
    resolver::{ORDERED, variable_of},
    variable::Variable,
};
use crate::scoring::AttributeValue;

/// A part of an expression.
#[derive(Debug)]
pub(crate) enum NativeExpr {
    Literal(AttributeValue),
    List(Vec<NativeExpr>),
    Variable(Variable),
    /// What the loop around is at.
    Element,
    And(Box<[NativeExpr; 2]>),
    Or(Box<[NativeExpr; 2]>),
    Not(Box<NativeExpr>),
    If(Box<[NativeExpr; 3]>),
    Loop(Box<Loop>),
    Compare(Comparison, Box<[NativeExpr; 2]>),
    IsAmong(Box<[NativeExpr; 2]>),
    Test(TextTest, Box<[NativeExpr; 2]>),
    Calculate(Calculation, Box<[NativeExpr; 2]>),
    Change(Change, Box<NativeExpr>),
    /// What a map has by a name.
    Field(Box<NativeExpr>, String),
    /// Whether a map has a name.
    HasField(Box<NativeExpr>, String),
    /// What a map has by a name, or a list at a position from 0.
    Index(Box<[NativeExpr; 2]>),
    /// What a map has by a name, and what it is taken for when it has not.
    Get(Box<[NativeExpr; 3]>),
}

/// What is asked or made of each element of a list, or of each name of a map in order.
#[derive(Debug)]
pub(crate) struct Loop {
    pub over: NativeExpr,
    pub each: Each,
}

#[derive(Debug)]
pub(crate) enum Each {
    /// `exists` (decided by true) and `all` (decided by false).
    Decides(bool, NativeExpr),
    /// `exists_one`.
    IsTheOne(NativeExpr),
    /// `map`, and `filter`: what is made of those that the condition holds for.
    Gives(Option<NativeExpr>, NativeExpr),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What one text may be to another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

/// How a value is made of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calculation {
    /// Of texts and lists too.
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Least,
    Greatest,
}

/// How a value is made of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Negative,
    /// `number()`.
    Number,
    /// `double()`, which a size is wrapped in.
    Double,
    /// `string()`.
    Text,
    Size,
    Lower,
    Domain,
    /// `timestamp()`.
    Timestamp,
    /// `duration()`.
    Duration,
}

impl NativeExpr {
    /// Of a resolved expression; `None` when there is something in it that is never evaluated,
    /// which `inference` tells.
    pub(crate) fn of(node: &IdedExpr, variables: &[Variable]) -> Option<Self> {
        if let Some(literal) = literal(node) {
            return Some(Self::Literal(literal));
        }
        let of = |node: &IdedExpr| Self::of(node, variables);
        match &node.expr {
            Expr::Ident(name) => {
                let variable = variable_of(variables, name).cloned();
                Some(variable.map_or(Self::Element, Self::Variable))
            }
            Expr::List(list) if list.optional_indices.is_empty() => {
                let elements: Option<_> = list.elements.iter().map(of).collect();
                elements.map(Self::List)
            }
            Expr::Select(select) => {
                let map = Box::new(of(&select.operand)?);
                let name = select.field.clone();
                Some(if select.test {
                    Self::HasField(map, name)
                } else {
                    Self::Field(map, name)
                })
            }
            Expr::Comprehension(comprehension) => {
                Loop::of(comprehension, variables).map(|inner| Self::Loop(Box::new(inner)))
            }
            Expr::Call(call) => Self::of_call(call, variables),
            _ => None,
        }
    }

    fn of_call(call: &CallExpr, variables: &[Variable]) -> Option<Self> {
        let of = |node: &IdedExpr| Self::of(node, variables);
        let two = |a, b| Some(Box::new([of(a)?, of(b)?]));
        let three = |a, b, c| Some(Box::new([of(a)?, of(b)?, of(c)?]));
        let name = call.func_name.as_str();
        let arguments: Vec<&IdedExpr> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect();
        match (name, arguments.as_slice()) {
            (ORDERED, [range]) => of(range),
            ("_&&_", [a, b]) => Some(Self::And(two(a, b)?)),
            ("_||_", [a, b]) => Some(Self::Or(two(a, b)?)),
            ("!_", [inner]) => Some(Self::Not(Box::new(of(inner)?))),
            ("_?_:_", [condition, a, b]) => Some(Self::If(three(condition, a, b)?)),
            ("@in", [element, list]) => Some(Self::IsAmong(two(element, list)?)),
            ("_[_]", [map, name]) => Some(Self::Index(two(map, name)?)),
            ("get", [map, name, default]) => Some(Self::Get(three(map, name, default)?)),
            (_, [a, b]) => {
                if let Some(comparison) = Comparison::of(name) {
                    return Some(Self::Compare(comparison, two(a, b)?));
                }
                if let Some(test) = TextTest::of(name) {
                    return Some(Self::Test(test, two(a, b)?));
                }
                Some(Self::Calculate(Calculation::of(name)?, two(a, b)?))
            }
            (_, [inner]) => Some(Self::Change(Change::of(name)?, Box::new(of(inner)?))),
            _ => None,
        }
    }
}

impl Loop {
    /// Of what the parser makes of `list.exists(name, condition)` and the like.
    fn of(comprehension: &ComprehensionExpr, variables: &[Variable]) -> Option<Self> {
        let of = |node: &IdedExpr| NativeExpr::of(node, variables);
        let Expr::Call(step) = &comprehension.loop_step.expr else {
            return None;
        };
        let each = match (&comprehension.accu_init.expr, step.args.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(start)), [_, condition]) => {
                Each::Decides(!**start, of(condition)?)
            }
            (Expr::Literal(_), [condition, _, _]) => Each::IsTheOne(of(condition)?),
            (Expr::List(_), [condition, added, _]) => {
                Each::Gives(Some(of(condition)?), of(added_element(added)?)?)
            }
            (Expr::List(_), [_, element]) => Each::Gives(None, of(only_element(element)?)?),
            _ => return None,
        };
        let over = of(&comprehension.iter_range)?;
        Some(Self { over, each })
    }
}

/// The element that `so far + [element]` adds.
fn added_element(node: &IdedExpr) -> Option<&IdedExpr> {
    match &node.expr {
        Expr::Call(call) => only_element(call.args.get(1)?),
        _ => None,
    }
}

fn only_element(node: &IdedExpr) -> Option<&IdedExpr> {
    match &node.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}

impl Comparison {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "_==_" => Self::Equal,
            "_!=_" => Self::NotEqual,
            "_<_" => Self::Less,
            "_<=_" => Self::LessOrEqual,
            "_>_" => Self::Greater,
            "_>=_" => Self::GreaterOrEqual,
            _ => return None,
        })
    }
}

impl TextTest {
    fn of(method: &str) -> Option<Self> {
        Some(match method {
            "contains" => Self::Contains,
            "startsWith" => Self::StartsWith,
            "endsWith" => Self::EndsWith,
            _ => return None,
        })
    }
}

impl Calculation {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "_+_" => Self::Add,
            "_-_" => Self::Subtract,
            "_*_" => Self::Multiply,
            "_/_" => Self::Divide,
            "_%_" => Self::Remainder,
            "min" => Self::Least,
            "max" => Self::Greatest,
            _ => return None,
        })
    }
}

impl Change {
    fn of(function: &str) -> Option<Self> {
        Some(match function {
            "-_" => Self::Negative,
            "number" => Self::Number,
            "double" => Self::Double,
            "string" => Self::Text,
            "size" => Self::Size,
            "lower" => Self::Lower,
            "domain" => Self::Domain,
            "timestamp" => Self::Timestamp,
            "duration" => Self::Duration,
            _ => return None,
        })
    }
}

/// A value that is written out: a number, a text, a truth, null, or a list or a map of these.
pub(crate) fn literal(node: &IdedExpr) -> Option<AttributeValue> {
    Some(match &node.expr {
        Expr::Literal(LiteralValue::Double(number)) => AttributeValue::Number(**number),
        Expr::Literal(LiteralValue::Int(number)) => AttributeValue::Number(**number as f64),
        Expr::Literal(LiteralValue::UInt(number)) => AttributeValue::Number(**number as f64),
        Expr::Literal(LiteralValue::String(text)) => {
            AttributeValue::String(text.inner().to_owned())
        }
        Expr::Literal(LiteralValue::Boolean(truth)) => AttributeValue::Bool(**truth),
        Expr::Literal(LiteralValue::Null) => AttributeValue::Null,
        Expr::Call(call) if call.func_name == "-_" => match literal(call.args.first()?)? {
            AttributeValue::Number(number) => AttributeValue::Number(-number),
            _ => return None,
        },
        Expr::List(list) if list.optional_indices.is_empty() => {
            let values: Option<_> = list.elements.iter().map(literal).collect();
            AttributeValue::List(values?)
        }
        Expr::Map(map) => {
            let mut values = BTreeMap::new();
            for entry in &map.entries {
                let EntryExpr::MapEntry(entry) = &entry.expr else {
                    return None;
                };
                match (literal(&entry.key)?, entry.optional) {
                    (AttributeValue::String(name), false) => {
                        values.insert(name, literal(&entry.value)?);
                    }
                    _ => return None,
                }
            }
            AttributeValue::Map(values)
        }
        _ => return None,
    })
}
