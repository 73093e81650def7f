//! A text of JSON, with its entries in order, so that one that stands twice is seen.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, SeqAccess, Visitor},
};

use super::JsonError;

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object, with its entries in order.
    Map(Vec<(String, Json)>),
}

/// What the value is, for people.
impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(value) => value.fmt(formatter),
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => {
                let shown: String = text.chars().take(64).collect();
                write!(formatter, "the text {shown:?}")
            }
            Self::List(_) => formatter.write_str("a list"),
            Self::Map(_) => formatter.write_str("an object"),
        }
    }
}

impl Json {
    /// Reads one value and nothing after it.
    ///
    /// # Errors
    /// Where the text is no JSON.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| {
            // The parser sees one line, so its line number is always 1 and only confuses.
            let message = error
                .to_string()
                .replace(" at line 1 column ", " at column ");
            format!("no JSON: {message}")
        })
    }

    /// A number, or a text of one.
    pub(super) fn number(&self) -> Result<f64, JsonError> {
        let read = match self {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                text => text.parse().ok().filter(|number: &f64| number.is_finite()),
            },
            _ => None,
        };
        read.ok_or_else(|| JsonError::new(format!("is {self}; write a number")))
    }

    /// A whole number, or a text of one.
    pub(super) fn integer<T: TryFrom<i128>>(&self) -> Result<T, JsonError> {
        let exact = match self {
            Self::Number(number) => number.to_string().parse().ok(),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        // 1.0 and 1e3 are whole as well.
        let whole = || {
            let number = self.number().ok()?;
            (number.fract() == 0.0 && number.abs() < 2_f64.powi(64)).then_some(number as i128)
        };
        let read: Option<i128> = exact.or_else(whole);
        read.and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                JsonError::new(format!("is {self}; write a whole number within its range"))
            })
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        let number = serde_json::Number::from_f64(value);
        number
            .map(Json::Number)
            .ok_or_else(|| E::custom("the number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Json::Map(entries))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}
