//! Values of expressions: borrowed where they are read, owned where they are made.

use std::borrow::Cow;

use crate::scoring::{AttributeValue, Attributes};

/// What a part of an expression stands for.
#[derive(Clone, Debug)]
pub(crate) enum NativeValue<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(&'a [AttributeValue]),
    Texts(&'a [String]),
    /// A list that the expression has made.
    Made(Vec<NativeValue<'a>>),
    Map(&'a Attributes),
}

impl PartialEq for NativeValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::List(one), Self::List(other)) => one == other,
            (Self::Texts(one), Self::Texts(other)) => one == other,
            (Self::Map(one), Self::Map(other)) => one == other,
            _ => match (self.length(), other.length()) {
                (Some(length), Some(same)) if length == same => {
                    (0..length).all(|position| self.element(position) == other.element(position))
                }
                _ => false,
            },
        }
    }
}

impl<'a> From<&'a AttributeValue> for NativeValue<'a> {
    fn from(value: &'a AttributeValue) -> Self {
        match value {
            AttributeValue::Null => Self::Null,
            AttributeValue::Bool(value) => Self::Bool(*value),
            AttributeValue::Number(value) => Self::Number(*value),
            AttributeValue::String(value) => Self::text(value),
            AttributeValue::List(values) => Self::List(values),
            AttributeValue::Map(values) => Self::Map(values),
        }
    }
}

impl<'a> NativeValue<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// How many elements a list has.
    pub(crate) fn length(&self) -> Option<usize> {
        match self {
            Self::List(values) => Some(values.len()),
            Self::Texts(texts) => Some(texts.len()),
            Self::Made(values) => Some(values.len()),
            _ => None,
        }
    }

    /// What a list has at a position.
    fn element(&self, position: usize) -> Option<Self> {
        match self {
            Self::List(values) => values.get(position).map(Self::from),
            Self::Texts(texts) => texts.get(position).map(|text| Self::text(text)),
            Self::Made(values) => values.get(position).cloned(),
            _ => None,
        }
    }

    /// What a map has by a name.
    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        match self {
            Self::Map(values) => values.get(name).map(Self::from),
            _ => None,
        }
    }

    /// What a map has by a name, or a list at a position.
    pub(crate) fn at(&self, index: &Self) -> Option<Self> {
        match index {
            Self::Text(name) => self.get(name),
            Self::Number(position) if *position >= 0.0 && position.fract() == 0.0 => {
                self.element(*position as usize)
            }
            _ => None,
        }
    }

    /// What a loop goes through: the elements of a list, or the names of a map in order.
    pub(crate) fn into_elements(self) -> Option<Box<dyn Iterator<Item = Self> + 'a>> {
        Some(match self {
            Self::List(values) => Box::new(values.iter().map(Self::from)),
            Self::Texts(texts) => Box::new(texts.iter().map(|text| Self::text(text))),
            Self::Made(values) => Box::new(values.into_iter()),
            Self::Map(values) => Box::new(values.keys().map(|name| Self::text(name))),
            _ => return None,
        })
    }
}
