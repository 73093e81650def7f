//! Quarantine: which events are kept apart.

use super::expr::Expression;
use crate::scoring::{Name, RankName};

/// A rule that keeps events apart.
#[derive(Debug)]
pub(crate) struct QuarantineRule {
    pub name: Name,
    /// The event types that it looks at; empty for all.
    pub on: Vec<String>,
    pub when: Expression,
    pub rank: RankName,
}

impl QuarantineRule {
    /// The event types that it names.
    pub(crate) fn named_types(&self) -> Vec<String> {
        let seen = self.when.seen_types();
        self.on.iter().chain(seen).cloned().collect()
    }

    pub(crate) fn looks_at(&self, event_type: &str) -> bool {
        self.on.is_empty() || self.on.iter().any(|on| on == event_type)
    }
}
