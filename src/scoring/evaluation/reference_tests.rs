//! A second opinion: what the interpreter of the cel crate says of an expression. Models are
//! evaluated without it, because nothing bounds what it takes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cel::{
    Context, Env, ExecutionError, IdedExpr, Value,
    common::{
        ast::{Expr, operators},
        value::CowVal,
    },
    context::VariableResolver,
    objects::{Key, Map},
};
use proptest::prelude::*;

use super::{EvalContext, Evaluation, EventContext};
use crate::scoring::{
    AttributeValue, Attributes, CountGroup, Event, IdHash, Name, Population, ProfileId, Record,
    SeenType, SignalCount, Timestamp,
    model::{
        Budget, Expression, Failed, Model, NativeValue, ORDERED, Variables, compile_unchecked,
        domain,
    },
};

/// The variables of an expression, for the interpreter.
struct Named {
    values: Vec<Option<Value>>,
}

impl VariableResolver for Named {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let position: usize = name.strip_prefix('#')?.parse().ok()?;
        let value = self.values.get(position)?.clone()?;
        value.try_into().ok().map(CowVal::Owned)
    }
}

fn value_of(value: NativeValue<'_>) -> Value {
    match value {
        NativeValue::Null => Value::Null,
        NativeValue::Bool(value) => Value::Bool(value),
        NativeValue::Number(value) => Value::Float(value),
        NativeValue::Text(text) => Value::from(text.into_owned()),
        NativeValue::Map(values) => {
            let values = values.iter();
            let map: HashMap<Key, Value> = values
                .map(|(name, value)| (Key::from(name.as_str()), value_of(value.into())))
                .collect();
            Value::Map(Map { map: Arc::new(map) })
        }
        list => {
            let elements = list.into_elements().into_iter().flatten();
            Value::List(Arc::new(elements.map(value_of).collect()))
        }
    }
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

/// Whether a map is added to a list: CEL has no such sum, and the interpreter adds its names.
fn adds_map_to_list(expr: &IdedExpr, scope: &Context<'_, '_>) -> bool {
    let adds = |expr: &IdedExpr| adds_map_to_list(expr, scope);
    match &expr.expr {
        Expr::Call(call) => {
            let is_own = call.func_name == operators::ADD
                && matches!(
                    call.args.as_slice(),
                    [list, map] if matches!(Value::resolve(list, scope), Ok(Value::List(_)))
                        && matches!(Value::resolve(map, scope), Ok(Value::Map(_)))
                );
            is_own || call.target.as_deref().is_some_and(adds) || call.args.iter().any(adds)
        }
        Expr::List(list) => list.elements.iter().any(adds),
        Expr::Select(select) => adds(&select.operand),
        Expr::Comprehension(comprehension) => adds(&comprehension.iter_range),
        _ => false,
    }
}

/// What the interpreter says; `None` where it goes beyond CEL.
fn holds_by_cel(
    expression: &Expression,
    context: &EvalContext<'_>,
) -> Option<Result<bool, Failed>> {
    let mut root = Context::with_env(Arc::new(Env::stdlib()));
    // A name that the standard library has cannot be added; it then serves as it is.
    let _ = root.add_function("min", |a: f64, b: f64| a.min(b));
    let _ = root.add_function("max", |a: f64, b: f64| a.max(b));
    let _ = root.add_function("lower", |text: Arc<String>| text.to_lowercase());
    let _ = root.add_function("domain", |text: Arc<String>| domain(&text));
    let _ = root.add_function(ORDERED, ordered);
    let _ = root.add_function("get", get);
    let _ = root.add_function("number", number);
    let variables = expression.variables().iter();
    let named = Named {
        values: variables
            .map(|variable| context.value(variable).map(value_of))
            .collect(),
    };
    let mut scope = root.new_inner_scope();
    scope.set_variable_resolver(&named);
    if adds_map_to_list(&expression.resolved, &scope) {
        return None;
    }
    Some(match Value::resolve(&expression.resolved, &scope) {
        Ok(Value::Bool(holds)) => Ok(holds),
        _ => Err(Failed),
    })
}

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
        "subjects.account.scores.s",
        "subjects.account.attributes.a",
        "has(subjects.account.attributes.a)",
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
        "t + \"x\" == \"xx\"",
        "[t, event.type] == [\"x\", \"x\"]",
        "t in [event.type, 1 + 1]",
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
    let topic =
        (any_operand(), any_operand()).prop_map(|(element, list)| format!("{element} in {list}"));
    let text = (
        any_operand(),
        prop::sample::select(vec!["startsWith", "endsWith", "contains"]),
        any_operand(),
    )
        .prop_map(|(text, test, part)| format!("{text}.{test}({part})"));
    let quantifiers = prop::sample::select(vec!["exists", "all", "exists_one"]);
    let quantified = (any_operand(), quantifiers, any_condition_on_an_element())
        .prop_map(|(list, quantifier, each)| format!("{list}.{quantifier}(t, {each})"));
    let made = prop::sample::select(vec!["filter", "map"]);
    let then = prop::sample::select(vec!["[true]", "[\"x\"]", "event.tags", "[]"]);
    let made = (any_operand(), made, any_condition_on_an_element(), then)
        .prop_map(|(list, made, each, then)| format!("{list}.{made}(t, {each}) == {then}"));
    let summed = (any_operand(), any_operand(), any_operand())
        .prop_map(|(a, b, sum)| format!("{a} + {b} == {sum}"));
    let leaf = prop_oneof![
        2 => made,
        1 => summed,
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
            tags: vec!["x".into()],
            sentiment,
            author_id: by.and_then(ProfileId::new),
            content_id: String::new(),
            campaign_id: String::new(),
            subjects: Vec::new(),
        }
    }
}

/// What the condition of the second signal of a model is asked about.
struct Asked<'a> {
    model: &'a Model,
    event: &'a Event,
    record: &'a Record,
    topics: &'a [Name],
    author: Option<&'a Attributes>,
    has_subject: bool,
}

impl Asked<'_> {
    /// What we say of the condition, in no more steps than it may take, and what the interpreter
    /// says.
    fn of_both(
        &self,
        identity_confidence: f64,
    ) -> (Result<bool, Failed>, Option<Result<bool, Failed>>) {
        let evaluation = Evaluation::of(self.model, Some(Population::People), self.record);
        let budget = Budget::new();
        let subject = (&self.record.attributes, evaluation.clone());
        let subject = self.has_subject.then_some(subject);
        let context = EvalContext {
            attributes: &self.record.attributes,
            seen_types: &self.record.seen_types,
            identity_confidence,
            budget: &budget,
            evaluation: None,
            event_context: Some(EventContext {
                model: self.model,
                event: self.event,
                at: day(4),
                topics: self.topics,
                record: self.record,
                evaluation: &evaluation,
                stage: "x",
                author: self.author,
                subjects: &[subject],
            }),
        };
        let expression = self.model.signals.raw[1].when.as_ref().unwrap();
        let by_cel = holds_by_cel(expression, &context);
        let holds = expression.holds(&context);
        let taken = budget.taken();
        assert!(
            taken <= expression.most_steps,
            "{} took {taken}",
            expression.text()
        );
        (holds, by_cel)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn a_condition_says_what_cel_says(
        condition in any_condition(),
        event in any_event(),
        attributes in any_attributes(),
        topics in prop::collection::vec("[xy]".prop_map(Name::from), 0..2),
        seen in prop::option::of(Just(SeenType { name: "x".into(), count: 1 })),
        points in prop::sample::select(vec![0.0, 1.0, 2.5]),
        author in prop::option::of(any_attributes()),
        has_subject: bool,
    ) {
        let model = model_of(&condition);
        let count = |value| SignalCount { signal: "did".into(), value, keys: Vec::new(), capped: 0.0 };
        let record = Record {
            attributes,
            event_count: 1,
            last_event_time: day(3),
            counts: vec![CountGroup { half_life: None, counts: vec![count(points)] }],
            seen_types: seen.into_iter().collect(),
            ..Record::default()
        };
        let topics = &topics;
        let asked = Asked { model: &model, event: &event, record: &record, topics, author: author.as_ref(), has_subject };
        let (holds, by_cel) = asked.of_both(points / 4.0);
        if let Some(by_cel) = by_cel {
            prop_assert_eq!(holds, by_cel, "{}", condition);
        }
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
[subjects.account]
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
    compile_unchecked(&source).unwrap()
}

#[test]
fn a_map_is_not_added_to_a_list() {
    let model = model_of("event.topics + event.attributes == []");
    let record = Record::default();
    let event = Event {
        id: IdHash(1),
        profile_id: ProfileId::new("ann").unwrap(),
        event_type: "x".to_owned(),
        time: None,
        channel: String::new(),
        attributes: Attributes::new(),
        text: String::new(),
        tags: Vec::new(),
        sentiment: None,
        author_id: None,
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: Vec::new(),
    };
    let asked = Asked {
        model: &model,
        event: &event,
        record: &record,
        topics: &[],
        author: None,
        has_subject: false,
    };
    let (holds, by_cel) = asked.of_both(0.0);
    assert_eq!(holds, Err(Failed));
    assert_eq!(by_cel, None);
}
