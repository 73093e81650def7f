//! Which declared topics an event is about: by tag, and by keyword in its text.

use crate::scoring::Name;
use rustc_hash::FxHashMap;

use super::ids::TopicId;

/// Finds declared topics.
#[derive(Debug)]
pub(crate) struct Topics {
    names: Vec<Name>,
    positions: FxHashMap<Name, usize>,
}

impl Topics {
    /// Declares topics.
    pub(crate) fn new(names: Vec<Name>) -> Self {
        let positions = names.iter().cloned().enumerate();
        Self {
            positions: positions.map(|(position, name)| (name, position)).collect(),
            names,
        }
    }

    /// The names, in the order of the model.
    pub(crate) fn names(&self) -> &[Name] {
        &self.names
    }

    /// Whether a topic of this name is declared.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.positions.contains_key(name)
    }

    /// The position of a topic in the order of the model.
    pub(crate) fn position(&self, name: &str) -> Option<TopicId> {
        self.positions.get(name).copied().map(TopicId::from)
    }

    /// The declared topics of an event with these tags, in whose text the phrases of `mentioned`
    /// stand, in the order of the model.
    pub(crate) fn find(&self, tags: &[Name], mentioned: &[usize]) -> Vec<Name> {
        if self.names.is_empty() {
            return Vec::new();
        }
        let by_tag = tags
            .iter()
            .filter_map(|tag| self.positions.get(tag).copied());
        let by_keyword = mentioned
            .iter()
            .copied()
            .take_while(|owner| *owner < self.names.len());
        let mut found: Vec<usize> = by_tag.chain(by_keyword).collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|position| self.names[position].clone())
            .collect()
    }
}
