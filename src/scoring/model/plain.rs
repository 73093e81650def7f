//! Plain conditions without the interpreter, which takes microseconds where these take
//! nanoseconds: comparisons, `in`, `has`, `seen`, and what `&&`, `||` and `!` make of them.
//! Any other part of a condition is left to CEL. Both give the same answer, errors included.

use std::cmp::Ordering;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue},
};

use super::{
    condition::{Evaluator, Failed},
    facts::Facts,
};
use crate::scoring::AttributeValue;

/// A condition, as far as it is plain.
#[derive(Debug)]
pub(super) enum Plain {
    And(Box<[Plain; 2]>),
    Or(Box<[Plain; 2]>),
    Not(Box<Plain>),
    Compare(Operand, Comparison, Operand),
    IsOneOf(Operand, Vec<AttributeValue>),
    IsTopic(Operand),
    Value(Operand),
    Cel(IdedExpr),
}

/// A value that costs nothing to read.
#[derive(Debug)]
pub(super) enum Operand {
    Literal(AttributeValue),
    /// By its resolved name, see [`Facts::fact`].
    Variable(String),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a variable stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fact<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    /// A list or a map.
    Composite(&'a AttributeValue),
}

impl<'a> From<&'a AttributeValue> for Fact<'a> {
    fn from(value: &'a AttributeValue) -> Self {
        match value {
            AttributeValue::Null => Self::Null,
            AttributeValue::Bool(value) => Self::Bool(*value),
            AttributeValue::Number(value) => Self::Number(*value),
            AttributeValue::String(value) => Self::Text(value),
            AttributeValue::List(_) | AttributeValue::Map(_) => Self::Composite(value),
        }
    }
}

impl Plain {
    /// Takes what is plain of a resolved expression.
    pub(super) fn of(node: &IdedExpr) -> Self {
        let plain = match &node.expr {
            Expr::Call(call) if call.target.is_none() => Self::of_call(call),
            _ => None,
        };
        plain
            .or_else(|| Operand::of(node).map(Self::Value))
            .unwrap_or_else(|| Self::Cel(node.clone()))
    }

    fn of_call(call: &CallExpr) -> Option<Self> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("_&&_", [a, b]) => Some(Self::And(Box::new([Self::of(a), Self::of(b)]))),
            ("_||_", [a, b]) => Some(Self::Or(Box::new([Self::of(a), Self::of(b)]))),
            ("!_", [inner]) => Some(Self::Not(Box::new(Self::of(inner)))),
            ("@in", [element, list]) => Self::of_membership(element, list),
            (operator, [a, b]) => {
                let comparison = Comparison::of(operator)?;
                let (a, b) = (Operand::of(a)?, Operand::of(b)?);
                // Two lists may be equal; no list equals a scalar.
                (a.is_scalar() || b.is_scalar()).then_some(Self::Compare(a, comparison, b))
            }
            _ => None,
        }
    }

    fn of_membership(element: &IdedExpr, list: &IdedExpr) -> Option<Self> {
        let element = Operand::of(element)?;
        match &list.expr {
            Expr::Ident(name) if name == "event.topics" => Some(Self::IsTopic(element)),
            Expr::List(list) if list.optional_indices.is_empty() => {
                let literals = list.elements.iter().map(literal);
                Some(Self::IsOneOf(element, literals.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    /// Whether the condition holds; it fails where CEL fails.
    pub(super) fn holds(&self, evaluator: &Evaluator, facts: &Facts<'_>) -> Result<bool, Failed> {
        match self {
            Self::And(parts) => decided(false, parts, evaluator, facts),
            Self::Or(parts) => decided(true, parts, evaluator, facts),
            Self::Not(inner) => inner.holds(evaluator, facts).map(|holds| !holds),
            Self::Compare(a, comparison, b) => comparison.holds(a.read(facts)?, b.read(facts)?),
            Self::IsOneOf(element, list) => {
                let element = element.read(facts)?;
                Ok(list.iter().any(|literal| Fact::from(literal) == element))
            }
            Self::IsTopic(element) => {
                let element = element.read(facts)?;
                let mut topics = facts.topics.iter();
                Ok(topics.any(|topic| Fact::Text(topic) == element))
            }
            Self::Value(operand) => match operand.read(facts)? {
                Fact::Bool(holds) => Ok(holds),
                _ => Err(Failed),
            },
            Self::Cel(expression) => evaluator.holds_by_cel(expression, facts),
        }
    }
}

/// `&&` (decided by false) and `||` (decided by true): a part that decides makes up for the
/// failure of the other.
fn decided(
    by: bool,
    [a, b]: &[Plain; 2],
    evaluator: &Evaluator,
    facts: &Facts<'_>,
) -> Result<bool, Failed> {
    let first = a.holds(evaluator, facts);
    if first == Ok(by) {
        return first;
    }
    let second = b.holds(evaluator, facts)?;
    if second == by { Ok(by) } else { first }
}

impl Operand {
    pub(super) fn of(node: &IdedExpr) -> Option<Self> {
        match &node.expr {
            Expr::Ident(name) if Facts::is_plain(name) => Some(Self::Variable(name.clone())),
            _ => literal(node).map(Self::Literal),
        }
    }

    fn is_scalar(&self) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Variable(name) => !name.contains(".attributes.") || name.starts_with("has "),
        }
    }

    pub(super) fn read<'a>(&'a self, facts: &Facts<'a>) -> Result<Fact<'a>, Failed> {
        match self {
            Self::Literal(value) => Ok(value.into()),
            Self::Variable(name) => facts.fact(name).ok_or(Failed),
        }
    }
}

/// A literal number, text, truth or null.
fn literal(node: &IdedExpr) -> Option<AttributeValue> {
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

    /// Values of different kinds are not equal, and comparing their order fails.
    fn holds(self, a: Fact<'_>, b: Fact<'_>) -> Result<bool, Failed> {
        let order = || match (a, b) {
            (Fact::Bool(a), Fact::Bool(b)) => Ok(a.cmp(&b)),
            (Fact::Number(a), Fact::Number(b)) => a.partial_cmp(&b).ok_or(Failed),
            (Fact::Text(a), Fact::Text(b)) => Ok(a.cmp(b)),
            _ => Err(Failed),
        };
        match self {
            Self::Equal => Ok(a == b),
            Self::NotEqual => Ok(a != b),
            Self::Less => order().map(Ordering::is_lt),
            Self::LessOrEqual => order().map(Ordering::is_le),
            Self::Greater => order().map(Ordering::is_gt),
            Self::GreaterOrEqual => order().map(Ordering::is_ge),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{
        super::condition::{Scope, compile},
        *,
    };
    use crate::scoring::{Attributes, Event, IdHash, ProfileId, SeenType};

    fn any_value() -> impl Strategy<Value = AttributeValue> {
        let list = vec![AttributeValue::Number(1.0)];
        let map = BTreeMap::from([("k".to_owned(), AttributeValue::Bool(true))]);
        prop::sample::select(vec![
            AttributeValue::Null,
            AttributeValue::Bool(true),
            AttributeValue::Bool(false),
            AttributeValue::Number(-1.0),
            AttributeValue::Number(1.0),
            AttributeValue::Number(2.5),
            AttributeValue::String("x".to_owned()),
            AttributeValue::String("y".to_owned()),
            AttributeValue::List(list),
            AttributeValue::Map(map),
        ])
    }

    fn any_attributes() -> impl Strategy<Value = Attributes> {
        prop::collection::btree_map("[abk]", any_value(), 0..3)
    }

    fn any_literal() -> impl Strategy<Value = String> {
        let literals = ["null", "true", "false", "-1", "1", "2.5", "\"x\"", "\"y\""];
        prop::sample::select(literals.to_vec()).prop_map(str::to_owned)
    }

    fn any_operand() -> impl Strategy<Value = String> {
        let variables = [
            "event.attributes.a",
            "event.attributes.b",
            "event.attributes.k.k",
            "profile.attributes.a",
            "profile.attributes",
            "event.type",
            "event.channel",
            "event.author_id",
            "event.sentiment",
            "event.topics",
            "scores.s",
            "stage",
            "identity.confidence",
            "seen(\"x\")",
            "has(event.attributes.a)",
            "has(profile.attributes.a)",
            "has(event.sentiment)",
            "size(event.topics)",
            "-event.attributes.a",
        ];
        prop_oneof![
            prop::sample::select(variables.to_vec()).prop_map(str::to_owned),
            any_literal(),
        ]
    }

    fn any_condition() -> impl Strategy<Value = String> {
        let operators = vec!["==", "!=", "<", "<=", ">", ">="];
        let comparison = (
            any_operand(),
            prop::sample::select(operators),
            any_operand(),
        )
            .prop_map(|(a, operator, b)| format!("{a} {operator} {b}"));
        let list = prop::collection::vec(any_literal(), 0..3);
        let membership = (any_operand(), list)
            .prop_map(|(element, list)| format!("{element} in [{}]", list.join(", ")));
        let topic = any_operand().prop_map(|element| format!("{element} in event.topics"));
        let exists =
            any_literal().prop_map(|literal| format!("event.topics.exists(t, t == {literal})"));
        let leaf = prop_oneof![
            4 => comparison,
            2 => membership,
            1 => topic,
            1 => exists,
            2 => any_operand(),
        ];
        leaf.prop_recursive(4, 12, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
                inner.clone().prop_map(|inner| format!("!({inner})")),
                (inner.clone(), inner.clone(), inner)
                    .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            ]
        })
    }

    prop_compose! {
            fn any_event()(
                attributes in any_attributes(),
                sentiment in prop::option::of(Just(1.0)),
                by in prop::option::of(Just("x")),
                event_type in "[xy]",
            ) -> Event {
                Event {
                    id: IdHash(1),
                    profile_id: ProfileId::new("ann").unwrap(),
                    event_type,
                    time: None,
                    channel: String::new(),
                    attributes,
                    text: String::new(),
                    tags: Vec::new(),
                    sentiment,
                    author_id: by.and_then(ProfileId::new),
                    content_id: String::new(),
    account_id: None,
                }
            }
        }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn a_plain_condition_says_what_cel_says(
            condition in any_condition(),
            event in any_event(),
            attributes in any_attributes(),
            topics in prop::collection::vec("[xy]", 0..2),
            seen in prop::option::of(Just(SeenType { name: "x".to_owned(), count: 1 })),
            points in prop::sample::select(vec![0.0, 1.0, 2.5]),
        ) {
            let expression = compile(&condition, Scope::Event, &["s"], &["x", "y"]).unwrap();
            let facts = Facts {
                event: Some(&event),
                topics: &topics,
                attributes: &attributes,
                seen_types: seen.as_slice(),
                points: &[points],
                stage: "x",
                identity_confidence: 0.5,
            };
            let evaluator = Evaluator::new();
            let by_cel = evaluator.holds_by_cel(expression.resolved(), &facts);
            prop_assert_eq!(evaluator.holds(&expression, &facts), by_cel, "{}", condition);
        }
    }

    #[test]
    fn plain_conditions_need_no_interpreter() {
        for condition in [
            "event.attributes.a == 1",
            "event.attributes.a in [\"x\", -1]",
            "\"x\" in event.topics || !seen(\"x\")",
            "has(profile.attributes.a) && scores.s < 2 && stage != \"x\"",
            "event.sentiment <= -0.5 && event.author_id == \"x\"",
        ] {
            let compiled = compile(condition, Scope::Event, &["s"], &["x"]).unwrap();
            assert!(!format!("{:?}", Plain::of(compiled.resolved())).contains("Cel("));
        }
    }
}
