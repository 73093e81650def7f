//! `google.protobuf.Struct` to and from [`Attributes`]. What comes in is checked against
//! the bounds, and its depth before anything recurses that deep.

use pbjson_types::{ListValue, Struct, Value, value::Kind};

use crate::scoring::{
    AttributeValue, Attributes, InvalidAttributes, check_attributes, limits::MAX_ATTRIBUTE_DEPTH,
};

/// The attributes of a `Struct`, within every bound. What is null is not stated: it is left out of
/// every map, and stays in lists, whose entries have an order.
pub fn from_struct(message: Struct) -> Result<Attributes, InvalidAttributes> {
    let attributes = stated(message)
        .map(|(name, value)| {
            let value = from_value(&name, value, 1)?;
            Ok((name, value))
        })
        .collect::<Result<Attributes, InvalidAttributes>>()?;
    check_attributes(&attributes)?;
    Ok(attributes)
}

/// The `Struct` of attributes.
pub fn to_struct(attributes: Attributes) -> Struct {
    let fields = attributes.into_iter();
    Struct {
        fields: fields
            .map(|(name, value)| (name, to_value(value)))
            .collect(),
    }
}

fn stated(message: Struct) -> impl Iterator<Item = (String, Value)> {
    let fields = message.fields.into_iter();
    fields.filter(|(_, value)| !matches!(value.kind, Some(Kind::NullValue(_))))
}

/// `name` is that of the attribute at the top, for the mistake.
fn from_value(name: &str, value: Value, depth: usize) -> Result<AttributeValue, InvalidAttributes> {
    if depth > MAX_ATTRIBUTE_DEPTH {
        return Err(InvalidAttributes::TooDeep);
    }
    let inner = |value| from_value(name, value, depth + 1);
    Ok(match value.kind {
        None => return Err(InvalidAttributes::NoValue(name.to_owned())),
        Some(Kind::NullValue(_)) => AttributeValue::Null,
        Some(Kind::BoolValue(value)) => AttributeValue::Bool(value),
        Some(Kind::NumberValue(number)) => AttributeValue::Number(number),
        Some(Kind::StringValue(text)) => AttributeValue::String(text),
        Some(Kind::ListValue(list)) => AttributeValue::List(
            list.values
                .into_iter()
                .map(inner)
                .collect::<Result<_, _>>()?,
        ),
        Some(Kind::StructValue(map)) => {
            let entries = stated(map).map(|(key, value)| Ok((key, inner(value)?)));
            AttributeValue::Map(entries.collect::<Result<_, InvalidAttributes>>()?)
        }
    })
}

fn to_value(value: AttributeValue) -> Value {
    let kind = match value {
        AttributeValue::Null => Kind::NullValue(0),
        AttributeValue::Bool(value) => Kind::BoolValue(value),
        AttributeValue::Number(number) => Kind::NumberValue(number),
        AttributeValue::String(text) => Kind::StringValue(text),
        AttributeValue::List(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(to_value).collect(),
        }),
        AttributeValue::Map(values) => Kind::StructValue(to_struct(values)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sample() -> Attributes {
        let inner = BTreeMap::from([
            ("z".to_owned(), AttributeValue::Number(2.0)),
            ("a".to_owned(), AttributeValue::Bool(true)),
        ]);
        Attributes::from([
            ("number".to_owned(), AttributeValue::Number(-0.5)),
            (
                "städte".to_owned(),
                AttributeValue::String("Köln".to_owned()),
            ),
            ("map".to_owned(), AttributeValue::Map(inner)),
            (
                "list".to_owned(),
                AttributeValue::List(vec![AttributeValue::Number(1.0), AttributeValue::Null]),
            ),
        ])
    }

    fn nested(depth: usize) -> Struct {
        let mut value = Value {
            kind: Some(Kind::BoolValue(true)),
        };
        for _ in 1..depth {
            value = Value {
                kind: Some(Kind::ListValue(ListValue {
                    values: vec![value],
                })),
            };
        }
        Struct {
            fields: [("deep".to_owned(), value)].into(),
        }
    }

    #[test]
    fn attributes_survive_the_way_through_a_struct() {
        assert_eq!(from_struct(to_struct(sample())), Ok(sample()));
    }

    #[test]
    fn nesting_is_accepted_up_to_the_bound_and_refused_beyond_it() {
        assert!(from_struct(nested(MAX_ATTRIBUTE_DEPTH)).is_ok());
        let refused = from_struct(nested(MAX_ATTRIBUTE_DEPTH + 1));
        assert_eq!(refused, Err(InvalidAttributes::TooDeep));
    }

    #[test]
    fn a_value_without_a_kind_is_refused() {
        let message = Struct {
            fields: [("x".to_owned(), Value { kind: None })].into(),
        };
        let refused = from_struct(message);
        assert_eq!(refused, Err(InvalidAttributes::NoValue("x".to_owned())));
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let message = Struct {
            fields: [(
                "x".to_owned(),
                Value {
                    kind: Some(Kind::NumberValue(f64::NAN)),
                },
            )]
            .into(),
        };
        let refused = from_struct(message);
        assert_eq!(refused, Err(InvalidAttributes::NotFinite("x".to_owned())));
    }
}
