//! Reads numbers.

use toml::de::{DeString, DeValue};

use super::table::{Points, Spanned, Table};
use crate::scoring::limits::{MAX_POINTS, NOISE_FLOOR};

impl Table<'_, '_, '_> {
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        least: f64,
        greatest: f64,
    ) -> Option<Spanned<f64>> {
        let value = self.get(key)?;
        self.number_in(value, key, least, greatest)
    }

    pub(crate) fn number_in(
        &mut self,
        value: &toml::Spanned<DeValue<'_>>,
        key: &str,
        least: f64,
        greatest: f64,
    ) -> Option<Spanned<f64>> {
        let number = match value.get_ref() {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .map(|integer| integer as f64),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => {
                self.wrong_kind(value, key, "a number");
                return None;
            }
        };
        match number {
            Some(number) if (least..=greatest).contains(&number) => Some(Spanned {
                value: number,
                span: value.span(),
            }),
            _ => {
                let range = match (least, greatest) {
                    (f64::MIN_POSITIVE, f64::MAX) => "above 0".to_owned(),
                    (least, f64::MAX) => format!("of at least {least}"),
                    (f64::MIN_POSITIVE, greatest) => format!("above 0 and at most {greatest}"),
                    (least, greatest) => format!("from {least} to {greatest}"),
                };
                self.diagnostic(value.span(), format!("{key:?} must be a number {range}"));
                None
            }
        }
    }

    /// A whole number from 0.
    pub(crate) fn whole_number(&mut self, key: &'static str, greatest: usize) -> Option<usize> {
        let number = self.number(key, 0.0, greatest as f64)?;
        if number.value.fract() != 0.0 {
            let message = format!("{key:?} must be a whole number from 0 to {greatest}");
            self.diagnostic(number.span, message);
            return None;
        }
        Some(number.value as usize)
    }

    /// A table of numbers by name, none of them zero.
    pub(crate) fn points(&mut self, key: &'static str) -> Points {
        self.numbers_by_name(key, -MAX_POINTS)
    }

    /// A table of numbers above the noise floor by name.
    pub(crate) fn bounds(&mut self, key: &'static str) -> Points {
        self.numbers_by_name(key, NOISE_FLOOR)
    }

    fn numbers_by_name(&mut self, key: &'static str, least: f64) -> Points {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_kind(value, key, "a table such as { name = 5 }");
            return Vec::new();
        };
        if entries.is_empty() {
            self.diagnostic(
                value.span(),
                format!("{key:?} is empty; write {{ name = 5 }}"),
            );
        }
        let mut ordered: Vec<(&toml::Spanned<DeString<'_>>, _)> = entries.iter().collect();
        ordered.sort_by_key(|(name, _)| name.span().start);
        let mut result = Vec::new();
        for (name, value) in ordered {
            if let Some(number) = self.number_in(value, name.get_ref(), least, MAX_POINTS) {
                let placed = Spanned {
                    value: name.get_ref().to_string(),
                    span: name.span(),
                };
                result.push((placed, number.value));
            }
        }
        result
    }
}
