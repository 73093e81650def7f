//! Values of expressions: borrowed where they are read, owned where they are made.

use std::borrow::Cow;

use crate::scoring::{AttributeValue, Attributes, Name, parse_instant};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// What a part of an expression stands for.
#[derive(Clone, Debug)]
pub(crate) enum NativeValue<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(&'a [AttributeValue]),
    Texts(&'a [Name]),
    /// A list that the expression has made.
    Made(Vec<NativeValue<'a>>),
    Map(&'a Attributes),
    /// Nanoseconds from the start of 1970 on, negative before it.
    Timestamp(i64),
    /// Nanoseconds.
    Duration(i64),
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
            (Self::Timestamp(one), Self::Timestamp(other))
            | (Self::Duration(one), Self::Duration(other)) => one == other,
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

    pub(super) fn is_of_time(&self) -> bool {
        matches!(self, Self::Timestamp(_) | Self::Duration(_))
    }

    /// What adding a value makes, or subtracting it, of what is of time; `None` where that makes no
    /// time, or one too far away.
    pub(super) fn moved_by(&self, other: &Self, is_added: bool) -> Option<Self> {
        let by = |a: i64, b: i64| match is_added {
            true => a.checked_add(b),
            false => a.checked_sub(b),
        };
        match (self, other) {
            (Self::Timestamp(a), Self::Timestamp(b)) if !is_added => by(*a, *b).map(Self::Duration),
            (Self::Duration(a), Self::Timestamp(b)) if is_added => by(*a, *b).map(Self::Timestamp),
            (Self::Timestamp(a), Self::Duration(b)) => by(*a, *b).map(Self::Timestamp),
            (Self::Duration(a), Self::Duration(b)) => by(*a, *b).map(Self::Duration),
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

/// The instant of a text, in nanoseconds from the start of 1970 on; `None` for what is none, and
/// for what lies before 1677 or after 2262.
pub(super) fn timestamp_nanos(text: &str) -> Option<i64> {
    let (seconds, nanos) = parse_instant(text)?;
    let seconds = seconds.checked_mul(NANOS_PER_SECOND)?;
    seconds.checked_add(i64::from(nanos))
}

/// The instant so many seconds after the start of 1970.
pub(super) fn timestamp_of_seconds(seconds: f64) -> Option<i64> {
    let nanos = seconds * NANOS_PER_SECOND as f64;
    (nanos.abs() < i64::MAX as f64).then_some(nanos as i64)
}
