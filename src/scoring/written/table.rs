//! Reading one TOML table: typed values with their places, and what is wrong with them.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::scoring::{
    limits::{MAX_DESCRIPTION_BYTES, MAX_TAG_BYTES},
    written::diagnostic::{Diagnostics, suggestion},
};

/// Something of the file, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// What a file says; `None` when it is no TOML, with its mistakes noted.
pub(crate) fn parse<'source>(
    source: &'source str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<toml::Spanned<DeTable<'source>>> {
    let (root, errors) = DeTable::parse_recoverable(source);
    // What stands behind a mistake may be read as something that nobody has written.
    let is_read = errors.is_empty();
    for error in errors {
        diagnostics.add(error.span().unwrap_or(0..0), error.message());
    }
    is_read.then_some(root)
}

/// A table of the file while it is read: knows which keys were asked for, so that the
/// others can be told as mistakes.
pub(crate) struct Table<'table, 'diagnostics, 'source> {
    /// As a person finds it, such as `[[signals]]`.
    title: String,
    /// Where it stands in the file.
    pub(crate) span: Range<usize>,
    entries: &'table DeTable<'table>,
    asked: Vec<&'static str>,
    diagnostics: &'diagnostics mut Diagnostics<'source>,
}

impl<'table, 'diagnostics, 'source> Table<'table, 'diagnostics, 'source> {
    pub(crate) fn new(
        title: impl Into<String>,
        span: Range<usize>,
        entries: &'table DeTable<'table>,
        diagnostics: &'diagnostics mut Diagnostics<'source>,
    ) -> Self {
        Self {
            title: title.into(),
            span,
            entries,
            asked: Vec::new(),
            diagnostics,
        }
    }

    pub(crate) fn get(
        &mut self,
        key: &'static str,
    ) -> Option<&'table toml::Spanned<DeValue<'table>>> {
        self.asked.push(key);
        let entry = self.entries.iter().find(|(name, _)| name.get_ref() == key);
        entry.map(|(_, value)| value)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// Tells the keys that nobody asked for.
    pub(crate) fn finish(self) {
        for (name, _) in self.entries {
            if !self.asked.contains(&name.get_ref().as_ref()) {
                let hint = suggestion(name.get_ref(), self.asked.iter().copied());
                let message = format!("{} has no key {:?}; {hint}", self.title, name.get_ref());
                self.diagnostics.add(name.span(), message);
            }
        }
    }

    pub(crate) fn missing(&mut self, key: &str, hint: &str) {
        let span = self.span.clone();
        self.diagnostics
            .add(span, format!("{} lacks {key:?}: {hint}", self.title));
    }

    pub(crate) fn diagnostic(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.diagnostics.add(span, message);
    }

    /// Line and column of something in it.
    pub(crate) fn place(&self, span: &Range<usize>) -> (usize, usize) {
        self.diagnostics.place(span)
    }

    pub(crate) fn wrong_kind(
        &mut self,
        value: &toml::Spanned<DeValue<'_>>,
        key: &str,
        wanted: &str,
    ) {
        let found = value.get_ref().type_str();
        self.diagnostics.add(
            value.span(),
            format!("{key:?} must be {wanted}, not {found}"),
        );
    }

    pub(crate) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'_, '_, '_>) -> T,
    ) -> Option<T> {
        let value = self.get(key)?;
        self.table_of(value, key, read)
    }

    pub(crate) fn table_of<T>(
        &mut self,
        value: &toml::Spanned<DeValue<'_>>,
        key: &'static str,
        read: impl FnOnce(&mut Table<'_, '_, '_>) -> T,
    ) -> Option<T> {
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_kind(value, key, "a table");
            return None;
        };
        let mut inner = Table::new(key, value.span(), entries, self.diagnostics);
        let result = read(&mut inner);
        inner.finish();
        Some(result)
    }

    /// `[[key]]` tables, in the order of the file.
    pub(crate) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Table<'_, '_, '_>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            let wanted = format!("a list of tables, each headed [[{key}]]");
            self.wrong_kind(value, key, &wanted);
            return Vec::new();
        };
        let mut result = Vec::new();
        for element in array.iter() {
            let Some(entries) = element.get_ref().as_table() else {
                let wanted = format!("a table, headed [[{key}]]");
                self.wrong_kind(element, key, &wanted);
                continue;
            };
            let mut inner = Table::new(
                format!("[[{key}]]"),
                element.span(),
                entries,
                self.diagnostics,
            );
            result.push(read(&mut inner));
            inner.finish();
        }
        result
    }

    /// `[key.name]` tables, in the order of the file.
    pub(crate) fn named_tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(Spanned<String>, &mut Table<'_, '_, '_>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_table() else {
            let wanted = format!("tables, each headed [{key}.name]");
            self.wrong_kind(value, key, &wanted);
            return Vec::new();
        };
        let mut ordered: Vec<_> = entries.iter().collect();
        ordered.sort_by_key(|(name, _)| name.span().start);
        let mut result = Vec::new();
        for (name, value) in ordered {
            let Some(entries) = value.get_ref().as_table() else {
                let wanted = format!("a table, headed [{key}.{}]", name.get_ref());
                self.wrong_kind(value, name.get_ref(), &wanted);
                continue;
            };
            let title = format!("[{key}.{}]", name.get_ref());
            let placed = Spanned {
                value: name.get_ref().to_string(),
                span: name.span(),
            };
            let mut inner = Table::new(title, value.span(), entries, self.diagnostics);
            result.push(read(placed, &mut inner));
            inner.finish();
        }
        result
    }

    /// What stands for a text that is missing or none, so that the rest of the table is read: the
    /// mistake is noted, and nothing will come of the file.
    pub(crate) fn placeholder(&self, value: &str) -> Spanned<String> {
        Spanned {
            value: value.to_owned(),
            span: self.span.clone(),
        }
    }

    pub(crate) fn text(&mut self, key: &'static str, max_bytes: usize) -> Option<Spanned<String>> {
        let value = self.get(key)?;
        self.text_of(value, key, max_bytes)
    }

    /// A text that must be there; `hint` says what it is for.
    pub(crate) fn required_text(
        &mut self,
        key: &'static str,
        max_bytes: usize,
        hint: &str,
    ) -> Option<Spanned<String>> {
        if !self.has(key) {
            self.missing(key, hint);
        }
        self.text(key, max_bytes)
    }

    /// A list of texts, which may be empty.
    pub(crate) fn list(
        &mut self,
        key: &'static str,
        max_bytes: usize,
    ) -> Option<Spanned<Vec<Spanned<String>>>> {
        let value = self.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_kind(value, key, "a list of strings");
            return None;
        };
        let texts = array.iter();
        Some(Spanned {
            value: texts
                .filter_map(|element| self.text_of(element, key, max_bytes))
                .collect(),
            span: value.span(),
        })
    }

    pub(crate) fn text_of(
        &mut self,
        value: &toml::Spanned<DeValue<'_>>,
        key: &str,
        max_bytes: usize,
    ) -> Option<Spanned<String>> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_kind(value, key, "a string");
            return None;
        };
        if text.trim().is_empty() || text.len() > max_bytes || text.chars().any(|c| c.is_control())
        {
            let message = format!(
                "{key:?} must be 1 to {max_bytes} bytes of text without control characters"
            );
            self.diagnostics.add(value.span(), message);
            return None;
        }
        Some(Spanned {
            value: text.to_owned(),
            span: value.span(),
        })
    }

    /// What the file says of the thing, for people; empty when it says nothing.
    pub(crate) fn description(&mut self) -> String {
        let text = self.text("description", MAX_DESCRIPTION_BYTES);
        text.map_or_else(String::new, |text| text.value)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        phrases: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        let value = self.get(key)?;
        let named = value.get_ref().as_str();
        let chosen = phrases.iter().find(|(word, _)| Some(*word) == named);
        if chosen.is_none() {
            let phrases: Vec<String> = phrases
                .iter()
                .map(|(word, _)| format!("{word:?}"))
                .collect();
            let message = format!("{key:?} must be {}", phrases.join(" or "));
            self.diagnostics.add(value.span(), message);
        }
        Some(Spanned {
            value: chosen?.1,
            span: value.span(),
        })
    }

    pub(crate) fn truth(&mut self, key: &'static str) -> Option<Spanned<bool>> {
        let value = self.get(key)?;
        let Some(truth) = value.get_ref().as_bool() else {
            self.wrong_kind(value, key, "true or false");
            return None;
        };
        Some(Spanned {
            value: truth,
            span: value.span(),
        })
    }

    /// A string, or a list of strings; `hint` says what is missing when there is none.
    pub(crate) fn strings(&mut self, key: &'static str, hint: &str) -> Vec<Spanned<String>> {
        let Some(value) = self.get(key) else {
            self.missing(key, hint);
            return Vec::new();
        };
        self.strings_of(value, key, hint)
    }

    pub(crate) fn strings_of(
        &mut self,
        value: &toml::Spanned<DeValue<'_>>,
        key: &str,
        hint: &str,
    ) -> Vec<Spanned<String>> {
        if let Some(array) = value.get_ref().as_array() {
            if array.is_empty() {
                self.diagnostics
                    .add(value.span(), format!("{key:?} is empty; write {hint}"));
            }
            array
                .iter()
                .filter_map(|element| self.text_of(element, key, MAX_TAG_BYTES))
                .collect()
        } else {
            self.text_of(value, key, MAX_TAG_BYTES)
                .into_iter()
                .collect()
        }
    }
}
