//! Reads numbers by name.

use toml::de::DeString;

use super::Points;
use crate::scoring::{
    limits::{MAX_POINTS, NOISE_FLOOR},
    written::{Spanned, Table},
};

impl Table<'_, '_, '_> {
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
