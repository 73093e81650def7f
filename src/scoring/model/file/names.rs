//! Reads names, conditions, and lists of words by name.

use std::ops::Range;

use toml::de::DeValue;

use crate::scoring::{
    limits::{MAX_CONDITION_BYTES, MAX_NAME_BYTES},
    written::{Spanned, Table},
};

impl Table<'_, '_, '_> {
    pub(crate) fn required_name(&mut self) -> Spanned<String> {
        match self.get("name") {
            None => self.missing(
                "name",
                "what it is called, such as name = \"visited_pricing\"",
            ),
            Some(value) => match value.get_ref().as_str() {
                Some(name) => return self.checked_name(name, value.span()),
                None => self.wrong_kind(value, "name", "a string"),
            },
        }
        self.placeholder("")
    }

    /// A name, whether it is a good one or not.
    fn checked_name(&mut self, name: &str, span: Range<usize>) -> Spanned<String> {
        let name = Spanned {
            value: name.to_owned(),
            span,
        };
        self.check_name(&name);
        name
    }

    pub(crate) fn check_name(&mut self, name: &Spanned<String>) {
        let Spanned { value: name, span } = name;
        let mut characters = name.chars();
        let valid = name.len() <= MAX_NAME_BYTES
            && characters
                .next()
                .is_some_and(|first| first.is_ascii_lowercase())
            && characters
                .all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_');
        if !valid {
            let message = format!(
                "{name:?} is no name: write a lower-case letter, then lower-case letters, digits and _, at most {MAX_NAME_BYTES} in all"
            );
            self.diagnostic(span.clone(), message);
        }
    }

    pub(crate) fn condition(&mut self, key: &'static str) -> Option<Spanned<String>> {
        let value = self.get(key)?;
        self.condition_text(value)
    }

    pub(crate) fn condition_text(
        &mut self,
        value: &toml::Spanned<DeValue<'_>>,
    ) -> Option<Spanned<String>> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_kind(value, "an expression", "a string");
            return None;
        };
        if text.len() > MAX_CONDITION_BYTES {
            let message = format!("an expression has at most {MAX_CONDITION_BYTES} bytes");
            self.diagnostic(value.span(), message);
            return None;
        }
        Some(Spanned {
            value: text.to_owned(),
            span: value.span(),
        })
    }

    /// A table of lists of texts, in the order of the file; `hint` says what is missing in an
    /// empty one.
    pub(crate) fn named_lists(
        &mut self,
        key: &'static str,
        hint: &str,
    ) -> Vec<(Spanned<String>, Vec<Spanned<String>>)> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_kind(value, key, "a table of lists");
            return Vec::new();
        };
        let mut ordered: Vec<_> = entries.iter().collect();
        ordered.sort_by_key(|(name, _)| name.span().start);
        let lists = ordered.into_iter().map(|(name, value)| {
            let placed = self.checked_name(name.get_ref(), name.span());
            (placed, self.strings_of(value, name.get_ref(), hint))
        });
        lists.collect()
    }
}
