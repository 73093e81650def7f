//! Conditions, and what they are asked about, made up at random.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::scoring::{AttributeValue, Attributes, Event, IdHash, ProfileId};

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

pub(super) fn any_attributes() -> impl Strategy<Value = Attributes> {
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

pub(super) fn any_condition() -> impl Strategy<Value = String> {
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
    pub(super) fn any_event()(
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
