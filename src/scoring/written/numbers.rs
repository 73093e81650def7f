//! Reads numbers.

use toml::de::DeValue;

use super::{Spanned, Table};

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

    pub(crate) fn whole_number(
        &mut self,
        key: &'static str,
        least: usize,
        greatest: usize,
    ) -> Option<usize> {
        let number = self.number(key, least as f64, greatest as f64)?;
        if number.value.fract() != 0.0 {
            let message = format!("{key:?} must be a whole number from {least} to {greatest}");
            self.diagnostic(number.span, message);
            return None;
        }
        Some(number.value as usize)
    }
}
