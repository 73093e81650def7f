//! How many events each rule of quarantine holds.

use crate::scoring::{Model, Name, Record};

impl Record {
    /// How many events each rule of the model holds, by its position; nothing when none are held.
    pub(crate) fn held_by_rule(&self, model: &Model) -> impl Iterator<Item = u32> {
        let is_holding = !self.quarantine.is_empty();
        let rules = model.quarantine.iter().filter(move |_| is_holding);
        rules.map(|rule| self.held_by(&rule.name))
    }

    /// How many events each rule holds: those of the model in its order, then those that were
    /// removed from it.
    pub(crate) fn quarantined(&self, model: &Model) -> Vec<(Name, u32)> {
        let mut rules: Vec<&str> = model.quarantine_names().collect();
        for held in &self.quarantine {
            if !rules.contains(&held.rule.as_str()) {
                rules.push(&held.rule);
            }
        }
        let counts = rules.into_iter();
        let counts = counts.map(|rule| (rule.into(), self.held_by(rule)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}
