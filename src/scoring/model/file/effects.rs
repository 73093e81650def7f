//! Reads the tables of accounts and quarantine, and whom a segment is of.

use super::table::{Spanned, Table};
use crate::scoring::{Subject, limits::MAX_NAME_BYTES};

#[derive(Debug)]
pub(crate) struct AccountsTable {
    pub attribute: Option<String>,
}

#[derive(Debug)]
pub(crate) struct QuarantineTable {
    pub name: Spanned<String>,
    pub on: Vec<String>,
    pub when: Spanned<String>,
}

pub(crate) fn read_accounts(table: &mut Table<'_, '_, '_>) -> AccountsTable {
    let attribute = table.text("attribute", MAX_NAME_BYTES);
    AccountsTable {
        attribute: attribute.map(|attribute| attribute.value),
    }
}

pub(crate) fn read_quarantine(table: &mut Table<'_, '_, '_>) -> QuarantineTable {
    let name = table.required_name();
    let on = if table.has("on") {
        table.strings("on", "the event type that this rule looks at")
    } else {
        Vec::new()
    };
    let when = table.condition("when");
    if !table.has("when") {
        table.missing(
            "when",
            "which events are kept apart, such as when = 'event.attributes.agent.contains(\"bot\")'",
        );
    }
    QuarantineTable {
        name,
        on: on.into_iter().map(|on| on.value).collect(),
        when: when.unwrap_or_else(|| table.placeholder("true")),
    }
}

/// Whom a segment is of: people unless it says otherwise.
pub(crate) fn read_subject(table: &mut Table<'_, '_, '_>) -> Spanned<Subject> {
    let chosen = table.choice(
        "of",
        &[("people", Subject::Person), ("accounts", Subject::Account)],
    );
    chosen.unwrap_or(Spanned {
        value: Subject::Person,
        span: 0..0,
    })
}
