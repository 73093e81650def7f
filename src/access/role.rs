//! A role: which calls, and what of their answers.

use std::collections::BTreeSet;

use super::Permission;

/// What somebody may do and see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// The permissions that it has whole.
    pub permissions: BTreeSet<Permission>,
    /// Calls that it has beside them, by the names of their methods.
    pub calls: BTreeSet<String>,
    /// What it sees of answers.
    pub sight: Sight,
}

/// What a role sees of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Scores.
    pub scores: Names,
    /// Attributes, of people and of subjects.
    pub attributes: Names,
    /// Segments.
    pub segments: Names,
    /// Topics.
    pub topics: Names,
    /// Whether it sees what is made of what it does not see: a segment by a hidden score, a stage by a
    /// hidden attribute.
    pub derived: bool,
}

/// Names of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// All of them.
    All,
    /// These alone.
    Only(BTreeSet<String>),
}

impl Names {
    /// Whether a name is among them.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

impl Sight {
    /// Whether nothing is hidden from it.
    pub fn is_whole(&self) -> bool {
        let kinds = [&self.scores, &self.attributes, &self.segments, &self.topics];
        kinds.iter().all(|names| **names == Names::All)
    }
}

impl Role {
    /// Whether nothing is hidden from it. What it may not ask for, single people, is not told by what
    /// it changes either.
    pub fn sees_everything(&self) -> bool {
        self.sight.is_whole() && self.may("GetProfile") && self.may("GetSubject")
    }

    /// Whether it may make any call that asks for this permission.
    pub fn has_any(&self, permission: Permission) -> bool {
        let mut calls = self.calls.iter();
        self.permissions.contains(&permission)
            || calls.any(|call| Permission::of_call(call) == Some(permission))
    }

    /// Whether it may make a call of this method.
    pub fn may(&self, method: &str) -> bool {
        let permission = Permission::of_call(method);
        permission.is_some_and(|permission| {
            self.permissions.contains(&permission) || self.calls.contains(method)
        })
    }
}
