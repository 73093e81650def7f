//! How many entries a message has, told on its bytes, before room is made for any of them.
//!
//! On the wire an empty value takes two bytes, in memory some hundred. Which bytes are a
//! message of their own, and which a text, only the descriptors say.

use std::{collections::HashMap, sync::LazyLock};

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_types::{DescriptorProto, FileDescriptorSet};

use super::DESCRIPTORS;

/// Entries of a request itself, those of its repeated fields included: many more than the API
/// allows, so that somebody who sends a few too many is told which field it is.
pub const MAX_ENTRIES: usize = 16 * 1024;
/// Entries of a request in all depths, numbers apart, which take no room of their own: what a
/// thousand events with as many attributes as they may have come to, and half as much again.
pub const MAX_ENTRIES_IN_ALL: usize = 384 * 1024;
/// Values of one free-form structure: four times as many as an event may have.
pub const MAX_VALUES: usize = 4 * 1024;
/// Messages within messages: as many as prost follows.
const MAX_DEPTH: usize = 100;

/// What a request has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// [`MAX_ENTRIES`].
    #[error("it has more than {MAX_ENTRIES} entries")]
    Entries,
    /// [`MAX_ENTRIES_IN_ALL`].
    #[error("it has more than {MAX_ENTRIES_IN_ALL} entries in all depths")]
    EntriesInAll,
    /// [`MAX_VALUES`].
    #[error("it has attributes of more than {MAX_VALUES} values")]
    Values,
}

/// The shape of a kind of message.
#[derive(Debug, Default)]
struct Shape {
    /// By the number of a field, the shape of its messages.
    nested: Vec<Option<usize>>,
    /// Whether it is a value of a free-form structure.
    is_value: bool,
    /// Whether it begins such a structure.
    is_structure: bool,
}

struct Shapes {
    shapes: Vec<Shape>,
    /// Those of the public API, by their names in it.
    requests: HashMap<String, usize>,
}

/// The package of the public API.
const PACKAGE: &str = "bellwether.v1";

/// The shapes of every message of `proto/`.
static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
    // They were encoded by `build.rs`; without them nothing would be served.
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    Shapes::new(&files)
});

impl Shapes {
    fn new(files: &FileDescriptorSet) -> Self {
        let mut messages = Vec::new();
        for file in &files.file {
            let package = format!(".{}", file.package());
            collect(&package, &file.message_type, &mut messages);
        }
        let numbered = messages.iter().enumerate();
        let by_name: HashMap<String, usize> = numbered
            .map(|(number, (name, _))| (name.clone(), number))
            .collect();
        let shapes = messages.iter().map(|(name, message)| {
            let mut shape = Shape {
                nested: Vec::new(),
                is_value: name == ".google.protobuf.Value",
                is_structure: name == ".google.protobuf.Struct",
            };
            for field in &message.field {
                let number = usize::try_from(field.number()).unwrap_or_default();
                if number >= shape.nested.len() {
                    shape.nested.resize(number + 1, None);
                }
                shape.nested[number] = by_name.get(field.type_name()).copied();
            }
            shape
        });
        let shapes = shapes.collect();
        let requests = by_name.iter().filter_map(|(name, number)| {
            let name = name.strip_prefix('.')?.strip_prefix(PACKAGE)?;
            Some((name.strip_prefix('.')?.to_owned(), *number))
        });
        Self {
            shapes,
            requests: requests.collect(),
        }
    }
}

fn collect<'a>(
    scope: &str,
    messages: &'a [DescriptorProto],
    into: &mut Vec<(String, &'a DescriptorProto)>,
) {
    for message in messages {
        let name = format!("{scope}.{}", message.name());
        collect(&name, &message.nested_type, into);
        into.push((name, message));
    }
}

/// Looks at the bytes of a request before it is read. What is malformed is left to prost.
///
/// # Errors
/// What there is too much of.
pub fn check(package: &str, name: &str, message: &[u8]) -> Result<(), TooMany> {
    // All requests are of one package.
    let Some(shape) = SHAPES.requests.get(name).filter(|_| package == PACKAGE) else {
        return Ok(());
    };
    let mut count = Count::default();
    count.message(message, *shape, 0)
}

#[derive(Default)]
struct Count {
    entries: usize,
    /// Of the structure that is looked at.
    values: usize,
}

impl Count {
    fn message(&mut self, mut bytes: &[u8], shape: usize, depth: usize) -> Result<(), TooMany> {
        let Some(shape) = SHAPES.shapes.get(shape).filter(|_| depth < MAX_DEPTH) else {
            return Ok(());
        };
        if shape.is_value {
            self.values += 1;
            if self.values > MAX_VALUES {
                return Err(TooMany::Values);
            }
        }
        let mut entries = 0;
        while !bytes.is_empty() {
            let Ok((tag, wire_type)) = decode_key(&mut bytes) else {
                return Ok(());
            };
            entries += 1;
            if depth == 0 && entries > MAX_ENTRIES {
                return Err(TooMany::Entries);
            }
            if wire_type != WireType::LengthDelimited {
                if skip_field(wire_type, tag, &mut bytes, DecodeContext::default()).is_err() {
                    return Ok(());
                }
                continue;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES_IN_ALL {
                return Err(TooMany::EntriesInAll);
            }
            let length = decode_varint(&mut bytes).ok();
            let length = length.and_then(|length| usize::try_from(length).ok());
            let Some((field, rest)) = length.and_then(|length| bytes.split_at_checked(length))
            else {
                return Ok(());
            };
            bytes = rest;
            let nested = shape.nested.get(tag as usize).copied().flatten();
            if let Some(nested) = nested {
                self.field(field, nested, depth)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, bytes: &[u8], shape: usize, depth: usize) -> Result<(), TooMany> {
        let begins = self.values == 0 && SHAPES.shapes.get(shape).is_some_and(|s| s.is_structure);
        let counted = self.message(bytes, shape, depth + 1);
        if begins {
            self.values = 0;
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use prost::Name as _;

    use super::*;
    use crate::proto::v1;
    use pbjson_types::{ListValue, Struct, Value, value::Kind};

    fn value(kind: Kind) -> Value {
        Value { kind: Some(kind) }
    }

    /// A list of so many empty lists.
    fn lists(count: usize) -> Value {
        let empty = Value { kind: None };
        value(Kind::ListValue(ListValue {
            values: vec![empty; count],
        }))
    }

    fn event(attributes: Vec<Value>) -> v1::Event {
        let attributes = attributes.into_iter().enumerate();
        v1::Event {
            profile_id: "ann".to_owned(),
            attributes: Some(Struct {
                fields: attributes
                    .map(|(number, value)| (format!("attribute_{number}"), value))
                    .collect(),
            }),
            ..Default::default()
        }
    }

    fn checked(events: Vec<v1::Event>) -> Result<(), TooMany> {
        let request = v1::ScoreEventsRequest {
            events,
            ..Default::default()
        };
        check(PACKAGE, "ScoreEventsRequest", &request.encode_to_vec())
    }

    #[test]
    fn entries_are_counted_to_the_last() {
        let long = v1::Event {
            text: "as long as it likes".repeat(20),
            ..Default::default()
        };
        assert_eq!(checked(vec![]), Ok(()));
        assert_eq!(checked(vec![long.clone(); MAX_ENTRIES]), Ok(()));
        assert_eq!(checked(vec![long; MAX_ENTRIES + 1]), Err(TooMany::Entries));
    }

    #[test]
    fn values_of_one_structure_are_counted_in_all_depths() {
        // The list is a value too.
        assert_eq!(checked(vec![event(vec![lists(MAX_VALUES - 1)])]), Ok(()));
        for too_many in [
            vec![lists(MAX_VALUES)],
            vec![lists(MAX_VALUES / 2), lists(MAX_VALUES / 2)],
            vec![value(Kind::StructValue(Struct {
                fields: [("deep".to_owned(), lists(MAX_VALUES - 1))].into(),
            }))],
        ] {
            assert_eq!(checked(vec![event(too_many)]), Err(TooMany::Values));
        }
        let full = event(vec![lists(MAX_VALUES - 1)]);
        assert_eq!(checked(vec![full; 90]), Ok(()));
    }

    #[test]
    fn entries_in_all_depths_are_counted() {
        let tags = v1::Event {
            tags: vec![String::new(); MAX_ENTRIES_IN_ALL / 10],
            ..Default::default()
        };
        assert_eq!(checked(vec![tags.clone(); 9]), Ok(()));
        assert_eq!(checked(vec![tags; 10]), Err(TooMany::EntriesInAll));
    }

    #[test]
    fn a_thousand_events_with_all_attributes_that_they_may_have_pass() {
        let text = || value(Kind::StringValue("text".to_owned()));
        let attributes = (0..64).map(|_| text()).collect();
        assert_eq!(checked(vec![event(attributes); 1_000]), Ok(()));
    }

    #[test]
    fn what_is_no_message_is_left_to_the_decoder() {
        let check = |bytes| check(PACKAGE, "ScoreEventsRequest", bytes);
        assert_eq!(check(&[0xFF; 8][..]), Ok(()));
        let request = v1::ScoreEventsRequest {
            events: vec![event(vec![lists(9)]); 3],
            ..Default::default()
        };
        let whole = request.encode_to_vec();
        for length in 0..whole.len() {
            assert_eq!(check(&whole[..length]), Ok(()));
        }
        // Deeper than prost follows.
        let mut deep = Vec::new();
        for _ in 0..5_000 {
            deep = [&[0x12][..], &u16_varint(deep.len()), &deep].concat();
        }
        assert_eq!(check(&deep), Ok(()));
    }

    fn u16_varint(length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(length as u64, &mut bytes);
        bytes
    }

    #[test]
    fn every_request_has_a_shape() {
        for name in [
            v1::ScoreEventRequest::NAME,
            v1::UpdateProfileRequest::NAME,
            v1::ApplyModelRequest::NAME,
        ] {
            assert!(SHAPES.requests.contains_key(name), "{name}");
        }
        assert_eq!(v1::ScoreEventRequest::PACKAGE, PACKAGE);
    }
}
