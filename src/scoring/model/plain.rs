//! Plain conditions without the interpreter, which takes microseconds where these take
//! nanoseconds: comparisons of what `operand` reads, `in`, `has`, `seen`, what `&&`, `||`, `!` and
//! `?:` make of them, and whether they hold for `all` or any of a list. Any other part of a
//! condition is left to CEL. Both give the same answer, errors included.

use std::cmp::Ordering;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue},
};

use super::{
    condition::Failed,
    facts::{Fact, Named},
    names::ORDERED,
    operand::Operand,
    variable::Variable,
};

/// A condition, as far as it is plain.
#[derive(Debug)]
pub(super) enum Plain {
    And(Box<[Plain; 2]>),
    Or(Box<[Plain; 2]>),
    Not(Box<Plain>),
    If(Box<[Plain; 3]>),
    Loop(Box<Loop>),
    Compare(Operand, Comparison, Operand),
    IsAmong(Operand, Operand),
    Text(TextTest, Operand, Operand),
    Value(Operand),
    Cel(IdedExpr),
}

/// `exists` (decided by true) and `all` (decided by false).
#[derive(Debug)]
pub(super) struct Loop {
    variable: String,
    /// The names of a map in order, or the elements of a list.
    over: Operand,
    each: Plain,
    decided_by: bool,
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
            Expr::Comprehension(comprehension) => {
                Loop::of(comprehension, variables).map(|inner| Self::Loop(Box::new(inner)))
            }
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
            ("_?_:_", [condition, a, b]) => Some(match [of(condition), of(a), of(b)] {
                [condition, Self::Value(a), Self::Value(b)] => {
                    Self::Value(Operand::Choice(Box::new((condition, a, b))))
                }
                parts => Self::If(Box::new(parts)),
            }),
            ("@in", [element, list]) => Some(Self::IsAmong(operand(element)?, operand(list)?)),
            (operator, [a, b]) => {
                let comparison = Comparison::of(operator)?;
                Some(Self::Compare(operand(a)?, comparison, operand(b)?))
            }
            _ => None,
        }
    }

    /// Whether the condition holds; it fails where CEL fails.
    pub(super) fn holds(&self, named: &Named<'_, '_>) -> Result<bool, Failed> {
        match self {
            Self::And(parts) => decided(false, parts.iter().map(|part| part.holds(named))),
            Self::Or(parts) => decided(true, parts.iter().map(|part| part.holds(named))),
            Self::Not(inner) => inner.holds(named).map(|holds| !holds),
            Self::If(parts) => {
                let [condition, a, b] = &**parts;
                if condition.holds(named)? { a } else { b }.holds(named)
            }
            Self::Loop(inner) => inner.holds(named),
            Self::Compare(a, comparison, b) => comparison.holds(&a.read(named)?, &b.read(named)?),
            Self::IsAmong(element, list) => {
                let element = element.read(named)?;
                match (list.read(named)?, &element) {
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
            Self::Text(test, text, part) => match (text.read(named)?, part.read(named)?) {
                (Fact::Text(text), Fact::Text(part)) => Ok(match test {
                    TextTest::Contains => text.contains(part.as_ref()),
                    TextTest::StartsWith => text.starts_with(part.as_ref()),
                    TextTest::EndsWith => text.ends_with(part.as_ref()),
                }),
                _ => Err(Failed),
            },
            Self::Value(operand) => match operand.read(named)? {
                Fact::Bool(holds) => Ok(holds),
                _ => Err(Failed),
            },
            Self::Cel(expression) => named.evaluator.holds_by_cel(expression, named),
        }
    }
}

impl Loop {
    /// What the parser makes of `list.exists(name, condition)` and `list.all(name, condition)`.
    fn of(comprehension: &ComprehensionExpr, variables: &[Variable]) -> Option<Self> {
        let Expr::Literal(LiteralValue::Boolean(start)) = &comprehension.accu_init.expr else {
            return None;
        };
        let decided_by = !**start;
        let (Expr::Call(range), Expr::Call(step)) = (
            &comprehension.iter_range.expr,
            &comprehension.loop_step.expr,
        ) else {
            return None;
        };
        let operator = if decided_by { "_||_" } else { "_&&_" };
        match (range.args.as_slice(), step.args.as_slice()) {
            ([over], [_, each]) if range.func_name == ORDERED && step.func_name == operator => {
                Some(Self {
                    variable: comprehension.iter_var.clone(),
                    over: Operand::of(over, variables)?,
                    each: Plain::of(each, variables),
                    decided_by,
                })
            }
            _ => None,
        }
    }

    fn holds(&self, named: &Named<'_, '_>) -> Result<bool, Failed> {
        let at = |element| {
            self.each.holds(&Named {
                element: Some((&self.variable, element)),
                ..*named
            })
        };
        match self.over.read(named)? {
            Fact::List(values) => decided(self.decided_by, values.iter().map(Fact::from).map(at)),
            Fact::Texts(texts) => {
                let texts = texts.iter().map(|text| Fact::text(text));
                decided(self.decided_by, texts.map(at))
            }
            Fact::Map(values) => {
                let names = values.keys().map(|name| Fact::text(name));
                decided(self.decided_by, names.map(at))
            }
            _ => Err(Failed),
        }
    }
}

/// `&&` and `all` (decided by false), `||` and `exists` (decided by true): a part that decides
/// makes up for the failure of others.
fn decided(by: bool, parts: impl Iterator<Item = Result<bool, Failed>>) -> Result<bool, Failed> {
    let mut so_far = Ok(!by);
    for part in parts {
        if part == Ok(by) {
            return part;
        }
        so_far = so_far.and(part);
    }
    so_far
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

    use super::super::{Facts, Happening, Model};
    use crate::scoring::{
        AttributeValue, Attributes, CountGroup, Event, IdHash, ProfileId, Record, SeenType,
        SignalCount, Timestamp, standing::Standing,
    };

    fn any_value() -> impl Strategy<Value = AttributeValue> {
        let list = vec![AttributeValue::Number(1.0)];
        let map_of = |value| AttributeValue::Map(BTreeMap::from([("k".to_owned(), value)]));
        let map = map_of(AttributeValue::Bool(true));
        let named = map_of(AttributeValue::String("x".to_owned()));
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
            AttributeValue::List(vec![named.clone(), map_of(named.clone())]),
            map_of(map.clone()),
            named,
            map,
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
            "event.attributes[\"a\"]",
            "event.attributes.k[\"k\"]",
            "(seen(\"x\") ? event.attributes.a : 2)",
            "[1, \"x\", null]",
            "[]",
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

    /// A condition on `t`.
    fn any_condition_on_an_element() -> impl Strategy<Value = String> {
        let conditions = [
            "t",
            "t == \"x\"",
            "t != 1",
            "t > 0.5",
            "t.k",
            "has(t.k)",
            "t[0] == 1",
            "t[\"k\"]",
            "t in [\"x\", 1]",
            "t in event.topics",
            "\"k\" in t",
            "t.startsWith(\"x\")",
            "event.type.contains(t)",
            "lower(t) == event.type",
            "t == event.attributes.a",
            "size(t) == 1",
            "get(t, \"k\", false)",
            "t ? true : t",
            "string(t) == \"x\"",
            "string(t.k) == \"x\"",
            "has(t.k.k)",
            "t.k + t.k == \"xx\"",
            "string(event.attributes.k.k) == string(t)",
            "number(t) + 1 > 2",
            "event.attributes.b",
            "1 / 0 > 1",
        ];
        let leaf = prop::sample::select(conditions.to_vec()).prop_map(str::to_owned);
        leaf.prop_recursive(2, 4, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
                inner.prop_map(|inner| format!("!({inner})")),
            ]
        })
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
        let quantifiers = prop::sample::select(vec!["exists", "all"]);
        let quantified = (any_operand(), quantifiers, any_condition_on_an_element())
            .prop_map(|(list, quantifier, each)| format!("{list}.{quantifier}(t, {each})"));
        let leaf = prop_oneof![
            4 => comparison,
            2 => membership,
            1 => topic,
            1 => text,
            2 => quantified,
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
            "event.tags.exists(tag, tag.startsWith(\"x\") && tag != event.attributes.a)",
            "[\"x\", \"y\"].all(word, !event.text.contains(word))",
            "event.attributes[\"utm source\"] == (stage == \"x\" ? \"web\" : \"mail\")",
            "has(event.attributes.a) ? seen(\"x\") : profile.attributes.address.city == \"y\"",
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
