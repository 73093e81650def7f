//! Accounts and quarantine: the tables of the file, and what the model makes of them.

use super::{
    Expression, Model,
    compile::Compiler,
    condition::{Scope, Wanted},
    file::ModelFile,
    table::{Spanned, Table},
};
use crate::scoring::{
    AttributeValue, Attributes, Event, ProfileId, RankName, Subject, limits::MAX_NAME_BYTES,
};

#[derive(Debug)]
pub(super) struct AccountsTable {
    pub attribute: Option<String>,
}

#[derive(Debug)]
pub(super) struct QuarantineTable {
    pub name: Spanned<String>,
    pub on: Vec<String>,
    pub when: Spanned<String>,
}

/// Events count for the accounts of people as well.
#[derive(Debug)]
pub(crate) struct Accounts {
    /// The attribute of a profile that names its account, for events that do not.
    pub attribute: Option<String>,
}

/// A rule that keeps events apart.
#[derive(Debug)]
pub(crate) struct QuarantineRule {
    pub name: String,
    /// The event types that it looks at; empty for all.
    pub on: Vec<String>,
    pub when: Expression,
    pub rank: RankName,
}

impl Compiler<'_> {
    pub(super) fn quarantine(&mut self, file: &ModelFile) -> Vec<QuarantineRule> {
        let mut rules = Vec::new();
        for table in &file.quarantine {
            if let Some(when) = self.expression(&table.when, Scope::Event, Wanted::Condition) {
                rules.push(QuarantineRule {
                    name: table.name.value.clone(),
                    on: table.on.clone(),
                    when,
                    rank: Model::quarantine_rank(&table.name.value),
                });
            }
        }
        rules
    }
}

impl QuarantineRule {
    /// The event types that it names.
    pub(super) fn named_types(&self) -> Vec<String> {
        let seen = self.when.seen_types();
        self.on.iter().chain(seen).cloned().collect()
    }

    pub(crate) fn looks_at(&self, event_type: &str) -> bool {
        self.on.is_empty() || self.on.iter().any(|on| on == event_type)
    }
}

impl Model {
    /// The account that an event counts for, of a profile that states these attributes; `None`
    /// when the model has no accounts.
    pub fn account_of(&self, event: &Event, attributes: &Attributes) -> Option<ProfileId> {
        let accounts = self.accounts.as_ref()?;
        let stated = || match attributes.get(accounts.attribute.as_ref()?)? {
            AttributeValue::String(id) => ProfileId::of_account(id),
            _ => None,
        };
        event.account_id.clone().or_else(stated)
    }

    /// The quarantine rules that look at an event type.
    pub(super) fn rules_for(&self, event_type: &str) -> impl Iterator<Item = &QuarantineRule> {
        let rules = self.quarantine.iter();
        rules.filter(move |rule| rule.looks_at(event_type))
    }

    /// The rank of the profiles with events that a quarantine rule holds, by how many.
    pub(crate) fn quarantine_rank(rule: &str) -> RankName {
        RankName::new(format!("quarantine:{rule}"))
    }

    /// The names of the quarantine rules, in the order of the file.
    pub fn quarantine_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.quarantine.iter().map(|rule| rule.name.as_str())
    }
}

pub(super) fn read_accounts(table: &mut Table<'_, '_, '_>) -> AccountsTable {
    let attribute = table.text("attribute", MAX_NAME_BYTES);
    AccountsTable {
        attribute: attribute.map(|attribute| attribute.value),
    }
}

pub(super) fn read_quarantine(table: &mut Table<'_, '_, '_>) -> QuarantineTable {
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
pub(super) fn read_subject(table: &mut Table<'_, '_, '_>) -> Spanned<Subject> {
    let chosen = table.choice(
        "of",
        &[("people", Subject::Person), ("accounts", Subject::Account)],
    );
    chosen.unwrap_or(Spanned {
        value: Subject::Person,
        span: 0..0,
    })
}
