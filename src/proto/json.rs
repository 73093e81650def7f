//! Messages in JSON, as protobuf defines it: the one place where files of messages are read.
//! A field goes by either of its names, `null` stands for an absent one, numbers may be texts,
//! and whatever is wrong is said with the field that it is wrong in.

pub mod instant;
mod value;

use std::{collections::HashSet, fmt};

use pbjson_types::{ListValue, Struct, Value as FreeForm, value::Kind as FreeKind};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

pub use value::Json;

use super::DESCRIPTOR_POOL;
use crate::scoring::suggestion;

/// What is wrong, and in which field.
#[derive(Debug)]
struct JsonError {
    path: String,
    message: String,
}

impl JsonError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
        }
    }

    fn within(mut self, place: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{place}{separator}{}", self.path);
        self
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

/// Reads the message of this full name.
///
/// # Errors
/// What is wrong, with the field.
pub fn message<T: Message + Default>(name: &str, json: Json) -> Result<T, String> {
    let descriptor = DESCRIPTOR_POOL
        .get_message_by_name(name)
        .ok_or_else(|| format!("there is no message {name}"))?;
    let read = read_message(&descriptor, json).map_err(|error| error.to_string())?;
    read.transcode_to().map_err(|error| error.to_string())
}

fn read_message(descriptor: &MessageDescriptor, json: Json) -> Result<DynamicMessage, JsonError> {
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let Json::Text(text) = json else {
                return Err(expected(
                    "an instant as text, such as \"2026-11-21T08:00:00Z\"",
                    &json,
                ));
            };
            let read = instant::parse(&text).map_err(JsonError::new)?;
            transcoded(descriptor, &read)
        }
        "google.protobuf.Struct" => transcoded(descriptor, &free_map(json)?),
        "google.protobuf.ListValue" => match free_form(json)?.kind {
            Some(FreeKind::ListValue(list)) => transcoded(descriptor, &list),
            _ => Err(JsonError::new("is no list")),
        },
        "google.protobuf.Value" => transcoded(descriptor, &free_form(json)?),
        _ => read_fields(descriptor, json),
    }
}

fn transcoded(
    descriptor: &MessageDescriptor,
    message: &impl Message,
) -> Result<DynamicMessage, JsonError> {
    DynamicMessage::decode(descriptor.clone(), &*message.encode_to_vec())
        .map_err(|error| JsonError::new(error.to_string()))
}

fn read_fields(descriptor: &MessageDescriptor, json: Json) -> Result<DynamicMessage, JsonError> {
    let Json::Map(entries) = json else {
        return Err(expected("an object in braces", &json));
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    let mut read = HashSet::new();
    let mut choices = HashSet::new();
    for (name, json) in entries {
        let field = descriptor
            .get_field_by_json_name(&name)
            .or_else(|| descriptor.get_field_by_name(&name))
            .ok_or_else(|| unknown(&name, descriptor))?;
        if !read.insert(field.number()) {
            return Err(JsonError::new("stands twice; write it once").within(&name));
        }
        let value = read_field(&field, json).map_err(|error| error.within(&name))?;
        let Some(value) = value else {
            continue;
        };
        let choice = field
            .containing_oneof()
            .map(|choice| choice.name().to_owned());
        if choice.is_some_and(|choice| !choices.insert(choice)) {
            return Err(JsonError::new("stands beside another choice; write one").within(&name));
        }
        message.set_field(&field, value);
    }
    Ok(message)
}

fn unknown(name: &str, descriptor: &MessageDescriptor) -> JsonError {
    let names: Vec<String> = descriptor
        .fields()
        .map(|field| field.json_name().to_owned())
        .collect();
    let hint = suggestion(name, names.iter().map(String::as_str));
    JsonError::new(format!("is no field; {hint}")).within(name)
}

/// The value of a field; `None` when it is absent.
fn read_field(field: &FieldDescriptor, json: Json) -> Result<Option<Value>, JsonError> {
    if matches!(json, Json::Null) {
        let kind = field.kind();
        let takes_null = kind
            .as_message()
            .is_some_and(|message| message.full_name() == "google.protobuf.Value");
        if !takes_null || field.is_list() {
            return Ok(None);
        }
    }
    let kind = field.kind();
    if field.is_map() {
        return Err(JsonError::new("is a map, which no file has"));
    }
    if !field.is_list() {
        return read_value(&kind, json).map(Some);
    }
    let Json::List(elements) = json else {
        return Err(expected("a list in brackets", &json));
    };
    let mut list = Vec::with_capacity(elements.len());
    for (index, json) in elements.into_iter().enumerate() {
        let value = read_value(&kind, json);
        list.push(value.map_err(|error| error.within(&format!("[{index}]")))?);
    }
    Ok(Some(Value::List(list)))
}

fn read_value(kind: &Kind, json: Json) -> Result<Value, JsonError> {
    Ok(match kind {
        Kind::Message(descriptor) => Value::Message(read_message(descriptor, json)?),
        Kind::Double => Value::F64(json.number()?),
        Kind::Float => Value::F32(json.number()? as f32),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(json.integer()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(json.integer()?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(json.integer()?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(json.integer()?),
        Kind::Bool => match json {
            Json::Bool(value) => Value::Bool(value),
            other => return Err(expected("true or false", &other)),
        },
        Kind::String => match json {
            Json::Text(text) => Value::String(text),
            other => return Err(expected("a text in quotes", &other)),
        },
        Kind::Enum(choices) => match json {
            Json::Text(name) => match choices.get_value_by_name(&name) {
                Some(choice) => Value::EnumNumber(choice.number()),
                None => return Err(JsonError::new(format!("has no choice {name:?}"))),
            },
            other => Value::EnumNumber(other.integer()?),
        },
        Kind::Bytes => return Err(JsonError::new("holds bytes, which no file has")),
    })
}

fn expected(what: &str, found: &Json) -> JsonError {
    JsonError::new(format!("is {found}; write {what}"))
}

fn free_map(json: Json) -> Result<Struct, JsonError> {
    match free_form(json)?.kind {
        Some(FreeKind::StructValue(map)) => Ok(map),
        _ => Err(JsonError::new("is no object; write one in braces")),
    }
}

/// A free-form value, in which `null` is a value like any other.
fn free_form(json: Json) -> Result<FreeForm, JsonError> {
    let kind = match json {
        Json::Null => FreeKind::NullValue(0),
        Json::Bool(value) => FreeKind::BoolValue(value),
        Json::Number(_) => FreeKind::NumberValue(json.number()?),
        Json::Text(text) => FreeKind::StringValue(text),
        Json::List(values) => FreeKind::ListValue(ListValue {
            values: values
                .into_iter()
                .map(free_form)
                .collect::<Result<_, _>>()?,
        }),
        Json::Map(entries) => {
            let mut map = Struct::default();
            for (name, json) in entries {
                let value = free_form(json).map_err(|error| error.within(&name))?;
                if map.fields.insert(name.clone(), value).is_some() {
                    return Err(JsonError::new("stands twice; write it once").within(&name));
                }
            }
            FreeKind::StructValue(map)
        }
    };
    Ok(FreeForm { kind: Some(kind) })
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
