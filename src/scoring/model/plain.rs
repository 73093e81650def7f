//! Plain conditions without the interpreter, which takes microseconds where these take
//! nanoseconds: comparisons of what `operand` reads, `in`, `has`, `seen`, and what `&&`, `||` and
//! `!` make of them. Any other part of a condition is left to CEL. Both give the same answer,
//! errors included.

use std::cmp::Ordering;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr},
};

use super::{
    condition::{Evaluator, Failed},
    facts::{Fact, Named},
    operand::{Operand, literal},
    variable::Variable,
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
    IsAmong(Operand, Operand),
    Text(TextTest, Operand, Operand),
    Value(Operand),
    Cel(IdedExpr),
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

/// What one text may be to another.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

impl Plain {
    /// Takes what is plain of a resolved expression.
    pub(super) fn of(node: &IdedExpr, variables: &[Variable]) -> Self {
        let plain = match &node.expr {
            Expr::Call(call) => Self::of_call(call, variables),
            _ => None,
        };
        plain
            .or_else(|| Operand::of(node, variables).map(Self::Value))
            .unwrap_or_else(|| Self::Cel(node.clone()))
    }

    fn of_call(call: &CallExpr, variables: &[Variable]) -> Option<Self> {
        let of = |node: &IdedExpr| Self::of(node, variables);
        let operand = |node: &IdedExpr| Operand::of(node, variables);
        let arguments = call.args.as_slice();
        if let Some(target) = &call.target {
            let test = match (call.func_name.as_str(), arguments) {
                ("contains", [_]) => TextTest::Contains,
                ("startsWith", [_]) => TextTest::StartsWith,
                ("endsWith", [_]) => TextTest::EndsWith,
                _ => return None,
            };
            return Some(Self::Text(test, operand(target)?, operand(&arguments[0])?));
        }
        match (call.func_name.as_str(), arguments) {
            ("_&&_", [a, b]) => Some(Self::And(Box::new([of(a), of(b)]))),
            ("_||_", [a, b]) => Some(Self::Or(Box::new([of(a), of(b)]))),
            ("!_", [inner]) => Some(Self::Not(Box::new(of(inner)))),
            ("@in", [element, list]) => Self::of_membership(operand(element)?, list, variables),
            (operator, [a, b]) => {
                let comparison = Comparison::of(operator)?;
                let (a, b) = (operand(a)?, operand(b)?);
                // Two lists may be equal; no list equals a scalar.
                (a.is_scalar() || b.is_scalar()).then_some(Self::Compare(a, comparison, b))
            }
            _ => None,
        }
    }

    fn of_membership(element: Operand, list: &IdedExpr, variables: &[Variable]) -> Option<Self> {
        if let Expr::List(list) = &list.expr {
            let literals: Option<_> = list.elements.iter().map(literal).collect();
            let literals = literals.filter(|_| list.optional_indices.is_empty());
            return Some(Self::IsOneOf(element, literals?));
        }
        let list = Operand::of(list, variables)?;
        element.is_scalar().then_some(Self::IsAmong(element, list))
    }

    /// Whether the condition holds; it fails where CEL fails.
    pub(super) fn holds(
        &self,
        evaluator: &Evaluator,
        named: &Named<'_, '_>,
    ) -> Result<bool, Failed> {
        let facts = named.facts;
        match self {
            Self::And(parts) => decided(false, parts, evaluator, named),
            Self::Or(parts) => decided(true, parts, evaluator, named),
            Self::Not(inner) => inner.holds(evaluator, named).map(|holds| !holds),
            Self::Compare(a, comparison, b) => comparison.holds(&a.read(facts)?, &b.read(facts)?),
            Self::IsOneOf(element, list) => {
                let element = element.read(facts)?;
                Ok(list.iter().any(|literal| Fact::from(literal) == element))
            }
            Self::IsAmong(element, list) => {
                let element = element.read(facts)?;
                match (list.read(facts)?, &element) {
                    (Fact::List(values), _) => {
                        Ok(values.iter().any(|value| Fact::from(value) == element))
                    }
                    (Fact::Texts(texts), _) => {
                        Ok(texts.iter().any(|text| Fact::text(text) == element))
                    }
                    (Fact::Map(values), Fact::Text(name)) => Ok(values.contains_key(name.as_ref())),
                    // These may be names of a map in CEL, but not in attributes.
                    (Fact::Map(_), Fact::Number(_) | Fact::Bool(_)) => Ok(false),
                    _ => Err(Failed),
                }
            }
            Self::Text(test, text, part) => match (text.read(facts)?, part.read(facts)?) {
                (Fact::Text(text), Fact::Text(part)) => Ok(match test {
                    TextTest::Contains => text.contains(part.as_ref()),
                    TextTest::StartsWith => text.starts_with(part.as_ref()),
                    TextTest::EndsWith => text.ends_with(part.as_ref()),
                }),
                _ => Err(Failed),
            },
            Self::Value(operand) => match operand.read(facts)? {
                Fact::Bool(holds) => Ok(holds),
                _ => Err(Failed),
            },
            Self::Cel(expression) => evaluator.holds_by_cel(expression, named),
        }
    }
}

/// `&&` (decided by false) and `||` (decided by true): a part that decides makes up for the
/// failure of the other.
fn decided(
    by: bool,
    [a, b]: &[Plain; 2],
    evaluator: &Evaluator,
    named: &Named<'_, '_>,
) -> Result<bool, Failed> {
    let first = a.holds(evaluator, named);
    if first == Ok(by) {
        return first;
    }
    let second = b.holds(evaluator, named)?;
    if second == by { Ok(by) } else { first }
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
    fn holds(self, a: &Fact<'_>, b: &Fact<'_>) -> Result<bool, Failed> {
        let order = || match (a, b) {
            (Fact::Bool(a), Fact::Bool(b)) => Ok(a.cmp(b)),
            (Fact::Number(a), Fact::Number(b)) => a.partial_cmp(b).ok_or(Failed),
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
        super::{Facts, Happening, Model},
        *,
    };
    use crate::scoring::{
        Attributes, CountGroup, Event, IdHash, ProfileId, Record, SeenType, SignalCount, Timestamp,
        standing::Standing,
    };

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
            AttributeValue::String("Y@É.X".to_owned()),
            AttributeValue::String(" 2.5".to_owned()),
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
            "event.attributes.k",
            "event.attributes",
            "author.attributes.a",
            "author.attributes",
            "account.scores.s",
            "identity.confidence",
            "event.seconds_since_last",
            "event.tags",
            "count(\"did\")",
            "count(\"did\", \"7d\")",
            "rate(\"did\", \"7d\")",
            "completeness([\"a\", \"b\"])",
            "has(author.attributes.a)",
            "has(event.tags)",
            "number(event.attributes.a)",
            "lower(event.attributes.a)",
            "domain(event.attributes.a)",
            "get(event.attributes, \"a\", 1)",
            "get(event.attributes.k, \"k\", \"x\")",
            "get(author.attributes, \"a\", profile.attributes.a)",
            "size(event.attributes.a)",
            "event.attributes.a.size()",
            "profile.attributes.a",
            "profile.attributes",
            "event.type",
            "event.channel",
            "event.author_id",
            "event.sentiment",
            "event.topics",
            "scores.s",
            "stage",
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

    fn any_reckoning() -> impl Strategy<Value = String> {
        let operators = prop::sample::select(vec!["+", "-", "*", "/"]);
        let functions = prop::sample::select(vec!["min", "max"]);
        prop_oneof![
            3 => any_operand(),
            1 => (any_operand(), operators, any_operand())
                .prop_map(|(a, operator, b)| format!("{a} {operator} {b}")),
            1 => (functions, any_operand(), any_operand())
                .prop_map(|(function, a, b)| format!("{function}({a}, {b})")),
        ]
    }

    fn any_condition() -> impl Strategy<Value = String> {
        let operators = vec!["==", "!=", "<", "<=", ">", ">="];
        let comparison = (
            any_reckoning(),
            prop::sample::select(operators),
            any_reckoning(),
        )
            .prop_map(|(a, operator, b)| format!("{a} {operator} {b}"));
        let list = prop::collection::vec(any_literal(), 0..3);
        let membership = (any_operand(), list)
            .prop_map(|(element, list)| format!("{element} in [{}]", list.join(", ")));
        let topic = (any_operand(), any_operand())
            .prop_map(|(element, list)| format!("{element} in {list}"));
        let text = (
            any_operand(),
            prop::sample::select(vec!["startsWith", "endsWith", "contains"]),
            any_operand(),
        )
            .prop_map(|(text, test, part)| format!("{text}.{test}({part})"));
        let exists =
            any_literal().prop_map(|literal| format!("event.topics.exists(t, t == {literal})"));
        let leaf = prop_oneof![
            4 => comparison,
            2 => membership,
            1 => topic,
            1 => text,
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
                    tags: vec!["x".to_owned()],
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
            author in prop::option::of(any_attributes()),
            has_account: bool,
        ) {
            let model = model_of(&condition);
            let count = |value| SignalCount { signal: "did".to_owned(), value, keys: Vec::new(), capped: 0.0 };
            let record = Record {
                attributes,
                event_count: 1,
                last_event_time: day(3),
                counts: vec![CountGroup { half_life: None, counts: vec![count(points)] }],
                seen_types: seen.into_iter().collect(),
                ..Record::default()
            };
            let standing = Standing::of(&model, crate::scoring::Subject::Person, &record);
            let facts = Facts {
                attributes: &record.attributes,
                seen_types: &record.seen_types,
                identity_confidence: points / 4.0,
                happening: Some(Happening {
                    model: &model,
                    event: &event,
                    at: day(4),
                    topics: &topics,
                    record: &record,
                    standing: &standing,
                    stage: "x",
                    author: author.as_ref(),
                    account: has_account.then_some(&standing),
                }),
            };
            let expression = model.signals[1].when.as_ref().unwrap();
            let by_cel = expression.holds_by_cel(&model.evaluator, &facts);
            prop_assert_eq!(model.evaluator.holds(expression, &facts), by_cel, "{}", condition);
        }
    }

    fn day(day: i64) -> Timestamp {
        Timestamp::from_nanos(day * 86_400_000_000_000).unwrap()
    }

    /// A model whose second signal has this condition.
    fn model_of(condition: &str) -> Model {
        let source = format!(
            r#"
[scores.s]
[[signals]]
name = "did"
on = "x"
points = {{ s = 1 }}
[[signals]]
name = "tried"
on = "x"
when = '{condition}'
points = {{ s = 1 }}
[[stages]]
name = "x"
[[stages]]
name = "y"
"#
        );
        Model::parse(&source).unwrap()
    }

    #[test]
    fn plain_conditions_need_no_interpreter() {
        for condition in [
            "event.attributes.a == 1",
            "event.attributes.a in [\"x\", -1]",
            "\"x\" in event.topics || !seen(\"x\")",
            "has(profile.attributes.a) && scores.s < 2 && stage != \"x\"",
            "event.sentiment <= -0.5 && event.author_id == \"x\"",
            "rate(\"did\", \"3d\") > 3 * rate(\"did\", \"60d\")",
            "domain(event.attributes.to) == domain(profile.attributes.email)",
            "get(author.attributes, \"role\", \"\") in [\"manager\"]",
            "event.attributes.url.startsWith(\"/jobs\") && size(event.tags) > 2",
            "completeness([\"a\"]) * identity.confidence > 0.5",
        ] {
            let model = model_of(condition);
            let expression = model.signals[1].when.as_ref().unwrap();
            assert!(
                !format!("{:?}", expression.plain()).contains("Cel("),
                "{condition}"
            );
        }
    }
}
