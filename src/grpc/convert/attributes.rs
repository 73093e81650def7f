//! `google.protobuf.Struct` and [`Attributes`].

use std::collections::{BTreeMap, HashMap};

use pbjson_types::{ListValue, Struct, Value, value::Kind};

use super::violations::Violations;
use crate::scoring::{AttributeMistake, AttributeValue, Attributes, check_attributes, limits};

/// The attributes sent in `field`; what is wrong with them goes to `violations`.
pub fn read(
    sent: Option<Struct>,
    field: impl std::fmt::Display,
    violations: &mut Violations,
) -> Option<Attributes> {
    let Some(sent) = sent else {
        return Some(Attributes::new());
    };
    let read = entries(sent.fields, 1).and_then(|attributes| {
        check_attributes(&attributes).map_err(|mistake| mistake.to_string())?;
        Ok(attributes)
    });
    match read {
        Ok(attributes) => Some(attributes),
        Err(mistake) => {
            violations.add(field, format_args!("{mistake}; send fewer or simpler ones"));
            None
        }
    }
}

/// `depth` is the depth of the entries; deeper ones than allowed are not even looked at,
/// so the recursion is bounded.
fn entries(
    fields: HashMap<String, Value>,
    depth: usize,
) -> Result<BTreeMap<String, AttributeValue>, String> {
    if depth > limits::MAX_ATTRIBUTE_DEPTH && !fields.is_empty() {
        return Err(AttributeMistake::TooDeep.to_string());
    }
    fields
        .into_iter()
        .map(|(name, value)| match value.kind {
            Some(kind) => Ok((name, from_kind(kind, depth)?)),
            None => Err(format!(
                "has an entry without a value: {}",
                super::Shown(&name)
            )),
        })
        .collect()
}

fn from_kind(kind: Kind, depth: usize) -> Result<AttributeValue, String> {
    Ok(match kind {
        Kind::NullValue(_) => AttributeValue::Null,
        Kind::BoolValue(value) => AttributeValue::Bool(value),
        Kind::NumberValue(value) => AttributeValue::Number(value),
        Kind::StringValue(value) => AttributeValue::String(value),
        Kind::StructValue(value) => AttributeValue::Map(entries(value.fields, depth + 1)?),
        Kind::ListValue(list) => AttributeValue::List(elements(list, depth + 1)?),
    })
}

fn elements(list: ListValue, depth: usize) -> Result<Vec<AttributeValue>, String> {
    if depth > limits::MAX_ATTRIBUTE_DEPTH && !list.values.is_empty() {
        return Err(AttributeMistake::TooDeep.to_string());
    }
    list.values
        .into_iter()
        .map(|value| match value.kind {
            Some(kind) => from_kind(kind, depth),
            None => Err("has an element of a list without a value".to_owned()),
        })
        .collect()
}

/// The attributes as they are sent.
pub fn write(attributes: Attributes) -> Struct {
    Struct {
        fields: attributes
            .into_iter()
            .map(|(name, value)| (name, to_value(value)))
            .collect(),
    }
}

fn to_value(value: AttributeValue) -> Value {
    let kind = match value {
        AttributeValue::Null => Kind::NullValue(0),
        AttributeValue::Bool(value) => Kind::BoolValue(value),
        AttributeValue::Number(value) => Kind::NumberValue(value),
        AttributeValue::String(value) => Kind::StringValue(value),
        AttributeValue::List(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(to_value).collect(),
        }),
        AttributeValue::Map(values) => Kind::StructValue(write(values)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fields: impl IntoIterator<Item = (String, Value)>) -> String {
        let mut violations = Violations::default();
        let sent = fields.into_iter().collect();
        assert_eq!(read(Some(sent), "event.attributes", &mut violations), None);
        let status = violations.finish(Some(())).unwrap_err();
        status.message().to_owned()
    }

    fn one(kind: impl Into<Value>) -> [(String, Value); 1] {
        [("plan".to_owned(), kind.into())]
    }

    fn nested(depth: usize) -> Value {
        (1..depth).fold(Value::from(1.0), |inner, _| Value::from(vec![inner]))
    }

    #[test]
    fn every_kind_of_value_reads_and_writes_back() {
        let attributes: Attributes = [
            ("null", AttributeValue::Null),
            ("bool", AttributeValue::Bool(true)),
            ("number", AttributeValue::Number(-0.5)),
            ("string", AttributeValue::String("ü".into())),
            (
                "list",
                AttributeValue::List(vec![AttributeValue::Null, AttributeValue::List(vec![])]),
            ),
            (
                "map",
                AttributeValue::Map(BTreeMap::from([("".into(), AttributeValue::Null)])),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let mut violations = Violations::default();
        let read = read(
            Some(write(attributes.clone())),
            "attributes",
            &mut violations,
        );
        assert_eq!(read, Some(attributes));
        assert!(violations.finish(Some(())).is_ok());
    }

    #[test]
    fn nesting_is_allowed_up_to_the_limit_and_refused_beyond_it() {
        let mut violations = Violations::default();
        let deepest = one(nested(limits::MAX_ATTRIBUTE_DEPTH))
            .into_iter()
            .collect();
        assert!(read(Some(deepest), "attributes", &mut violations).is_some());

        assert!(refused(one(nested(limits::MAX_ATTRIBUTE_DEPTH + 1))).contains("nested deeper"));
        assert!(refused(one(nested(5_000))).contains("nested deeper"));
    }

    #[test]
    fn what_is_not_finite_has_no_value_or_is_too_large_is_refused() {
        assert!(refused(one(f64::NAN)).contains("not finite under \"plan\""));
        assert!(refused(one(f64::NEG_INFINITY)).contains("not finite"));
        assert!(refused(one(vec![Value::from(f64::INFINITY)])).contains("not finite"));
        assert!(refused(one(Value { kind: None })).contains("without a value: \"plan\""));
        assert!(refused(one(vec![Value { kind: None }])).contains("without a value"));
        assert!(refused(one("x".repeat(20_000))).contains("takes 20004 bytes"));
        let many = (0..65).map(|number| (number.to_string(), Value::from(1.0)));
        assert!(refused(many).contains("65 entries"));
        assert!(refused([(String::new(), Value::from(1.0))]).contains("empty name"));
    }
}
