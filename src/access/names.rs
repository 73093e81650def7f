//! Names of models in the roles of a keys file: those that no model has do nothing.

use std::{collections::BTreeSet, sync::Arc};

use super::{Keys, key::without_secrets};
use crate::scoring::{Diagnostic, Model, suggestion};

/// What a name in a role is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    Score,
    Segment,
    Topic,
}

/// A name of a model in a role.
#[derive(Clone, Debug)]
pub(super) struct RoleName {
    pub role: String,
    pub kind: NameKind,
    pub name: String,
    /// Line and column.
    pub place: (usize, usize),
}

impl NameKind {
    fn of(self, model: &Model) -> Vec<&str> {
        match self {
            Self::Score => model.score_names().collect(),
            Self::Segment => model.segment_names().collect(),
            Self::Topic => model.topic_names().collect(),
        }
    }
}

impl Keys {
    /// The names in roles that none of these models has, each with where it stands. No mistakes: a
    /// model that has them may come.
    pub fn unknown_names(&self, models: &[Arc<Model>]) -> Vec<Diagnostic> {
        let known = |kind: NameKind| -> BTreeSet<&str> {
            let names = models.iter().flat_map(|model| kind.of(model));
            names.collect()
        };
        let [scores, segments, topics] =
            [NameKind::Score, NameKind::Segment, NameKind::Topic].map(known);
        let unknown = self.named.iter().filter_map(|named| {
            let (kind, known) = match named.kind {
                NameKind::Score => ("score", &scores),
                NameKind::Segment => ("segment", &segments),
                NameKind::Topic => ("topic", &topics),
            };
            let RoleName { role, name, .. } = named;
            if known.contains(name.as_str()) {
                return None;
            }
            let hint = suggestion(name, known.iter().copied());
            let message =
                format!("role {role:?} lists the {kind} {name:?}, which no model has; {hint}");
            let (line, column) = named.place;
            Some(Diagnostic {
                line,
                column,
                message: without_secrets(&message),
            })
        });
        unknown.collect()
    }
}
