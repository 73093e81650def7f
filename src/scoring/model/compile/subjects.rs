//! The kinds of subjects of a model, and the keys by which events count for them.

use typed_index_collections::TiVec;

use super::Compiler;
use crate::scoring::{
    limits::MAX_KEY_STEPS,
    model::{
        expr::{Expression, Scope, Wanted},
        file::{ModelFile, PEOPLE},
        ids::SubjectKindId,
        subjects::{Population, SubjectKind},
    },
    written::{Spanned, suggestion},
};

impl Compiler<'_> {
    pub(crate) fn subject_kinds(&mut self, file: &ModelFile) -> TiVec<SubjectKindId, SubjectKind> {
        let kinds = file.subjects.iter().map(|table| SubjectKind {
            name: table.name.value.as_str().into(),
            key: table.key.as_ref().and_then(|key| self.key(key)),
        });
        kinds.collect()
    }

    /// A key, which is read more than once for an event.
    fn key(&mut self, text: &Spanned<String>) -> Option<Expression> {
        let key = self.expression(text, Scope::SubjectKey, Wanted::Key)?;
        if key.most_steps > MAX_KEY_STEPS {
            let message = format!(
                "the key takes up to {} steps for the largest event that is taken, and may take {MAX_KEY_STEPS}; leave out loops and long texts",
                key.most_steps
            );
            self.diagnostics.add(text.span.clone(), message);
        }
        Some(key)
    }

    /// Whom a segment is of.
    pub(crate) fn population(&mut self, of: &Spanned<String>) -> Option<Population> {
        if of.value == PEOPLE {
            return Some(Population::People);
        }
        let mut names = self.subject_names.iter();
        let kind = names.position(|name| *name == of.value);
        if kind.is_none() {
            let known = self.subject_names.iter().map(String::as_str);
            let hint = suggestion(&of.value, known.chain([PEOPLE]));
            let message = format!(
                "there is no kind of subjects {:?}; {hint}, or add a table [subjects.{}]",
                of.value, of.value
            );
            self.diagnostics.add(of.span.clone(), message);
        }
        kind.map(|kind| Population::Subjects(kind.into()))
    }
}
