//! What a profile states and what an event carries: bounded, finite JSON-like values.

use std::collections::BTreeMap;

use super::limits::{
    MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTE_DEPTH, MAX_ATTRIBUTE_VALUES, MAX_ATTRIBUTES,
};

/// Attributes by name.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// What somebody states of whom nothing is known.
pub(crate) static NOTHING_STATED: Attributes = Attributes::new();

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Stated to be nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// Text.
    String(String),
    /// Values in order.
    List(Vec<AttributeValue>),
    /// Values by name.
    Map(BTreeMap<String, AttributeValue>),
}

/// Why attributes are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttributes {
    /// More than [`MAX_ATTRIBUTES`] at the top.
    #[error("has {0} entries; at most {MAX_ATTRIBUTES} are allowed")]
    TooMany(usize),
    /// Nested deeper than [`MAX_ATTRIBUTE_DEPTH`].
    #[error("is nested deeper than {MAX_ATTRIBUTE_DEPTH}")]
    TooDeep,
    /// More than [`MAX_ATTRIBUTE_VALUES`] in all.
    #[error("has {0} values in all; at most {MAX_ATTRIBUTE_VALUES} are allowed")]
    TooManyValues(usize),
    /// More than [`MAX_ATTRIBUTE_BYTES`] in all.
    #[error("takes {0} bytes; at most {MAX_ATTRIBUTE_BYTES} are allowed")]
    TooLarge(usize),
    /// A number that is NaN or infinite.
    #[error("has a number that is not finite under {0:?}")]
    NotFinite(String),
    /// An entry, or an element of a list, that stands for nothing at all, not even null.
    #[error("has an entry without a value under {0:?}")]
    NoValue(String),
    /// An empty name.
    #[error("has an entry with an empty name")]
    EmptyName,
}

/// What is stated after an update, which sets some attributes and removes others by name.
pub fn attributes_after(
    before: &Attributes,
    attributes: &Attributes,
    removed: &[String],
) -> Attributes {
    let mut stated = before.clone();
    stated.extend(attributes.clone());
    for name in removed {
        stated.remove(name);
    }
    stated
}

/// Checks attributes against the bounds.
pub fn check_attributes(attributes: &Attributes) -> Result<(), InvalidAttributes> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(InvalidAttributes::TooMany(attributes.len()));
    }
    let mut size = Size::default();
    for (name, value) in attributes {
        if name.is_empty() {
            return Err(InvalidAttributes::EmptyName);
        }
        size.bytes += name.len();
        measure(name, value, 1, &mut size)?;
    }
    let Size { values, bytes } = size;
    if values > MAX_ATTRIBUTE_VALUES {
        return Err(InvalidAttributes::TooManyValues(values));
    }
    if bytes > MAX_ATTRIBUTE_BYTES {
        return Err(InvalidAttributes::TooLarge(bytes));
    }
    Ok(())
}

#[derive(Default)]
struct Size {
    values: usize,
    bytes: usize,
}

fn measure(
    name: &str,
    value: &AttributeValue,
    depth: usize,
    size: &mut Size,
) -> Result<(), InvalidAttributes> {
    if depth > MAX_ATTRIBUTE_DEPTH {
        return Err(InvalidAttributes::TooDeep);
    }
    size.values += 1;
    match value {
        AttributeValue::Null | AttributeValue::Bool(_) => size.bytes += 1,
        AttributeValue::Number(number) if !number.is_finite() => {
            return Err(InvalidAttributes::NotFinite(name.to_owned()));
        }
        AttributeValue::Number(_) => size.bytes += 8,
        AttributeValue::String(text) => size.bytes += text.len(),
        AttributeValue::List(values) => {
            size.bytes += values.len();
            for inner in values {
                measure(name, inner, depth + 1, size)?;
            }
        }
        AttributeValue::Map(values) => {
            for (key, inner) in values {
                size.bytes += key.len();
                measure(name, inner, depth + 1, size)?;
            }
        }
    }
    Ok(())
}
