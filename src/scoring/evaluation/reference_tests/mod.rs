//! A second opinion: what the interpreter of the cel crate says of an expression. Models are
//! evaluated without it, because nothing bounds what it takes.

mod made_up;

use std::{collections::HashMap, sync::Arc};

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

use self::made_up::{any_attributes, any_condition, any_event};
use super::{EvalContext, Evaluation, EventContext};
use crate::scoring::{
    Attributes, CountGroup, Event, IdHash, Name, Population, ProfileId, Record, SeenType,
    SignalCount, Timestamp,
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
