//! The attributes of a request, with what is wrong with them as violations.

use pbjson_types::Struct;

use super::violations::Violations;
use crate::{
    proto::attributes::from_struct,
    scoring::{Attributes, InvalidAttributes},
};

/// The attributes sent in `field`; what is wrong with them goes to `violations`.
pub fn read(
    sent: Option<Struct>,
    field: impl std::fmt::Display,
    violations: &mut Violations,
) -> Option<Attributes> {
    let Some(sent) = sent else {
        return Some(Attributes::new());
    };
    match from_struct(sent) {
        Ok(attributes) => Some(attributes),
        Err(error) => {
            let instead = match error {
                InvalidAttributes::NotFinite(_) => "send a finite number, or leave it out",
                InvalidAttributes::NoValue(_) => "send a value, or leave it out",
                InvalidAttributes::EmptyName => "name it, or leave it out",
                InvalidAttributes::TooMany(_)
                | InvalidAttributes::TooDeep
                | InvalidAttributes::TooManyValues(_)
                | InvalidAttributes::TooLarge(_) => "send fewer or simpler ones",
            };
            violations.add(field, format_args!("{error}; {instead}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pbjson_types::Value;

    use super::*;
    use crate::{
        proto::attributes::to_struct,
        scoring::{AttributeValue, limits},
    };

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
            ("bool", AttributeValue::Bool(true)),
            ("number", AttributeValue::Number(-0.5)),
            ("string", AttributeValue::String("ü".into())),
            (
                "list",
                AttributeValue::List(vec![AttributeValue::Null, AttributeValue::List(vec![])]),
            ),
            (
                "map",
                AttributeValue::Map(BTreeMap::from([("".into(), AttributeValue::Bool(false))])),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let mut violations = Violations::default();
        let read = read(
            Some(to_struct(attributes.clone())),
            "attributes",
            &mut violations,
        );
        assert_eq!(read, Some(attributes));
        assert!(violations.finish(Some(())).is_ok());
    }

    #[test]
    fn what_is_null_is_not_stated_at_any_depth() {
        let text = |text: &str| AttributeValue::String(text.to_owned());
        let with = |null: bool| -> Attributes {
            let plan = [("name".to_owned(), text("paid"))];
            let nothing = ("until".to_owned(), AttributeValue::Null);
            let plan = plan.into_iter().chain(null.then(|| nothing.clone()));
            let plan = ("plan".to_owned(), AttributeValue::Map(plan.collect()));
            let all = [plan].into_iter().chain(null.then_some(nothing));
            all.collect()
        };
        let mut violations = Violations::default();
        let sent = Some(to_struct(with(true)));
        assert_eq!(read(sent, "attributes", &mut violations), Some(with(false)));
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
        let not_finite = refused(one(f64::NAN));
        assert!(not_finite.contains("not finite under \"plan\"; send a finite number"));
        assert!(refused(one(f64::NEG_INFINITY)).contains("not finite"));
        assert!(refused(one(vec![Value::from(f64::INFINITY)])).contains("not finite"));
        assert!(refused(one(Value { kind: None })).contains("without a value under \"plan\""));
        assert!(refused(one(vec![Value { kind: None }])).contains("without a value"));
        assert!(refused(one("x".repeat(20_000))).contains("takes 20004 bytes"));
        assert!(refused(one(vec![Value::from(true); 1_000])).contains("1001 values"));
        let many = (0..65).map(|number| (number.to_string(), Value::from(1.0)));
        assert!(refused(many).contains("65 entries"));
        assert!(refused([(String::new(), Value::from(1.0))]).contains("empty name"));
    }
}
