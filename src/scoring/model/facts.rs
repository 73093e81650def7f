//! What conditions and expressions read: an event, and the profile just before it.

use std::{collections::HashMap, sync::Arc};

use cel::{
    Value,
    common::{
        types::{CelBool, CelDouble, CelString},
        value::CowVal,
    },
    context::VariableResolver,
    objects::{Key, Map},
};

use super::plain::Fact;
use crate::scoring::{AttributeValue, Attributes, Event, SeenType};

/// What expressions read, at one instant.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The event; `None` for what looks at the standing profile alone.
    pub event: Option<&'a Event>,
    /// The declared topics of the event.
    pub topics: &'a [String],
    /// What the profile states.
    pub attributes: &'a Attributes,
    /// The event types that have counted, ascending.
    pub seen_types: &'a [SeenType],
    /// Points by position of the score in the model, just before the event.
    pub points: &'a [f64],
    /// The stage just before the event; empty for none.
    pub stage: &'a str,
    /// From 0 to 1: how sure it is who this is.
    pub identity_confidence: f64,
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "profile.attributes" => owned(attributes_value(self.attributes)),
            "event.attributes" => owned(attributes_value(&self.event?.attributes)),
            "event.topics" => owned(texts_value(self.topics)),
            "event.tags" => owned(texts_value(&self.event?.tags)),
            _ => match self.fact(variable)? {
                Fact::Null => owned(Value::Null),
                Fact::Bool(value) => Some(CowVal::owned(CelBool::from(value))),
                Fact::Number(value) => Some(CowVal::owned(CelDouble::from(value))),
                Fact::Text(value) => Some(CowVal::owned(CelString::from(value))),
                Fact::Composite(value) => owned(attribute_value(value)),
            },
        }
    }
}

impl<'a> Facts<'a> {
    /// Whether [`Self::fact`] knows a variable, once it is there.
    pub(super) fn is_plain(variable: &str) -> bool {
        !matches!(
            variable,
            "profile.attributes" | "event.attributes" | "event.topics" | "event.tags"
        )
    }

    /// What a variable stands for; `None` when it is not there.
    pub(super) fn fact(&self, variable: &str) -> Option<Fact<'a>> {
        if let Some(name) = variable.strip_prefix("event.attributes.") {
            return self.event?.attributes.get(name).map(Fact::from);
        }
        if let Some(name) = variable.strip_prefix("profile.attributes.") {
            return self.attributes.get(name).map(Fact::from);
        }
        if let Some(event_type) = variable.strip_prefix("seen ") {
            let seen = self
                .seen_types
                .binary_search_by(|seen| seen.name.as_str().cmp(event_type));
            return Some(Fact::Bool(seen.is_ok()));
        }
        if let Some(position) = variable.strip_prefix("scores ") {
            let points = self.points.get(position.parse::<usize>().ok()?)?;
            return Some(Fact::Number(*points));
        }
        if let Some(field) = variable.strip_prefix("has ") {
            return Some(Fact::Bool(self.has(field)));
        }
        if variable == "identity.confidence" {
            return Some(Fact::Number(self.identity_confidence));
        }
        if variable == "stage" {
            return Some(Fact::Text(self.stage));
        }
        let event = self.event?;
        match variable {
            "event.type" => Some(Fact::Text(&event.event_type)),
            "event.channel" => Some(Fact::Text(&event.channel)),
            "event.text" => Some(Fact::Text(&event.text)),
            "event.content_id" => Some(Fact::Text(&event.content_id)),
            "event.author_id" => {
                let author_id = event.author_id.as_ref();
                Some(Fact::Text(
                    author_id.map_or("", |author_id| author_id.as_str()),
                ))
            }
            "event.sentiment" => event.sentiment.map(Fact::Number),
            _ => None,
        }
    }

    fn has(&self, field: &str) -> bool {
        if let Some(name) = field.strip_prefix("profile.attributes.") {
            return self.attributes.contains_key(name);
        }
        if field == "profile.attributes" {
            return !self.attributes.is_empty();
        }
        let Some(event) = self.event else {
            return false;
        };
        if let Some(name) = field.strip_prefix("event.attributes.") {
            return event.attributes.contains_key(name);
        }
        match field {
            "event.channel" => !event.channel.is_empty(),
            "event.text" => !event.text.is_empty(),
            "event.content_id" => !event.content_id.is_empty(),
            "event.author_id" => event.author_id.is_some(),
            "event.sentiment" => event.sentiment.is_some(),
            "event.topics" => !self.topics.is_empty(),
            "event.tags" => !event.tags.is_empty(),
            "event.attributes" => !event.attributes.is_empty(),
            _ => true,
        }
    }
}

fn owned<'b>(value: Value) -> Option<CowVal<'b, 'b>> {
    value.try_into().ok().map(CowVal::Owned)
}

fn texts_value(texts: &[String]) -> Value {
    Value::List(Arc::new(
        texts.iter().map(|text| text.as_str().into()).collect(),
    ))
}

fn attribute_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Null => Value::Null,
        AttributeValue::Bool(value) => Value::Bool(*value),
        AttributeValue::Number(value) => Value::Float(*value),
        AttributeValue::String(value) => Value::from(value.as_str()),
        AttributeValue::List(values) => {
            Value::List(Arc::new(values.iter().map(attribute_value).collect()))
        }
        AttributeValue::Map(values) => attributes_value(values),
    }
}

fn attributes_value(values: &Attributes) -> Value {
    let map: HashMap<Key, Value> = values
        .iter()
        .map(|(name, value)| (Key::from(name.as_str()), attribute_value(value)))
        .collect();
    Value::Map(Map { map: Arc::new(map) })
}
