//! Reads the rules of quarantine.

use crate::scoring::written::{Spanned, Table};

#[derive(Debug)]
pub(crate) struct QuarantineTable {
    pub name: Spanned<String>,
    pub on: Vec<String>,
    pub when: Spanned<String>,
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
