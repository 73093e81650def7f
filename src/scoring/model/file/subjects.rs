//! Reads the kinds of subjects, and whom a segment is of.

use crate::scoring::{
    is_kind_name,
    limits::MAX_NAME_BYTES,
    written::{Spanned, Table},
};

/// What segments are of that are of no subjects.
pub(crate) const PEOPLE: &str = "people";

#[derive(Debug)]
pub(crate) struct SubjectTable {
    pub name: Spanned<String>,
    pub description: String,
    pub key: Option<Spanned<String>>,
}

pub(crate) fn read_subject(name: Spanned<String>, table: &mut Table<'_, '_, '_>) -> SubjectTable {
    table.check_name(&name);
    if !is_kind_name(&name.value) || name.value == PEOPLE {
        let message = format!(
            "{:?} cannot name a kind of subjects; write a small letter and then small letters, digits or _, at most 32 in all, and not {PEOPLE:?}",
            name.value
        );
        table.diagnostic(name.span.clone(), message);
    }
    SubjectTable {
        name,
        description: table.description(),
        key: table.condition("key"),
    }
}

/// Whom a segment is of: people unless it says otherwise.
pub(crate) fn read_of(table: &mut Table<'_, '_, '_>) -> Spanned<String> {
    let of = table.text("of", MAX_NAME_BYTES);
    of.unwrap_or_else(|| table.placeholder(PEOPLE))
}
