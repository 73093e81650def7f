//! Reads phrases and keywords, and the words that stand near them.

use toml::de::DeValue;

use crate::scoring::{
    limits::{MAX_NAME_BYTES, MAX_NEAR_DISTANCE, MAX_TAG_BYTES},
    written::{Spanned, Table},
};

#[derive(Debug)]
pub(crate) struct PhraseTable {
    pub forms: Vec<Spanned<String>>,
    pub folds_diacritics: bool,
    pub near: Option<NearTable>,
    pub unless_near: Option<NearTable>,
}

impl PhraseTable {
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &NearTable> + Clone {
        self.near.iter().chain(&self.unless_near)
    }
}

#[derive(Debug)]
pub(crate) struct NearTable {
    pub words: Vec<Spanned<String>>,
    /// The name of a list of words.
    pub list: Option<Spanned<String>>,
    pub before: usize,
    pub after: usize,
}

/// What is looked for under a key: a text, or a list of texts and of tables; nothing without the
/// key. `hint` says what is missing in an empty list.
pub(super) fn read(
    table: &mut Table<'_, '_, '_>,
    key: &'static str,
    hint: &str,
) -> Vec<PhraseTable> {
    let Some(value) = table.get(key) else {
        return Vec::new();
    };
    let one = std::slice::from_ref(value);
    let elements = match value.get_ref() {
        DeValue::Array(elements) if elements.is_empty() => {
            table.diagnostic(value.span(), format!("{key:?} is empty; write {hint}"));
            return Vec::new();
        }
        DeValue::Array(elements) => &elements[..],
        _ => one,
    };
    let phrases = elements
        .iter()
        .filter_map(|element| match element.get_ref() {
            DeValue::Table(_) => table.table_of(element, key, read_phrase),
            _ => table
                .text_of(element, key, MAX_TAG_BYTES)
                .map(|form| PhraseTable {
                    forms: vec![form],
                    folds_diacritics: false,
                    near: None,
                    unless_near: None,
                }),
        });
    phrases.collect()
}

fn read_phrase(table: &mut Table<'_, '_, '_>) -> PhraseTable {
    let forms = table.strings(
        "forms",
        "what may stand in a text for it, such as forms = [\"looking for\", \"in the market for\"]",
    );
    let folds_diacritics = table.truth("fold_diacritics");
    PhraseTable {
        forms,
        folds_diacritics: folds_diacritics.is_some_and(|folds| folds.value),
        near: table.table("near", read_near),
        unless_near: table.table("unless_near", read_near),
    }
}

fn read_near(table: &mut Table<'_, '_, '_>) -> NearTable {
    const WORDS: &str = "words, such as words = [\"not\", \"no longer\"]";
    let list = table.text("list", MAX_NAME_BYTES);
    let words = if table.has("words") || !table.has("list") {
        table.strings("words", WORDS)
    } else {
        Vec::new()
    };
    let before = table.whole_number("before", 0, MAX_NEAR_DISTANCE);
    let after = table.whole_number("after", 0, MAX_NEAR_DISTANCE);
    let is_nowhere = |key, distance| !table.has(key) || distance == Some(0);
    if is_nowhere("before", before) && is_nowhere("after", after) {
        table.missing(
            "before or after",
            "how many words away these may be, such as before = 4",
        );
    }
    NearTable {
        words,
        list,
        before: before.unwrap_or(0),
        after: after.unwrap_or(0),
    }
}
