//! Conditions that calls send: read as those of a model are, and good for that model alone.

use super::stack::on_a_large_stack;
use crate::scoring::{
    Attributes, Event, IdHash, ProfileId,
    model::{
        definition::Model,
        expr::{self, Declared, Expression, Scope, Wanted},
        ids::SubjectKindId,
        subjects::{Population, Stated},
    },
    written::{Diagnostic, Diagnostics, char_boundary_before},
};

/// A condition on people, or on subjects, at the instant that a call asks for.
#[derive(Debug)]
pub struct Condition {
    pub(crate) expression: Expression,
}

impl Condition {
    /// Whether it reads subjects of a person.
    pub fn reads_subjects(&self) -> bool {
        self.expression.subject_kinds().next().is_some()
    }

    /// The subjects that it reads of a person who states these attributes: of each kind the one that
    /// an event counts for which says nothing of its own.
    pub fn subjects_read(
        &self,
        model: &Model,
        profile_id: &ProfileId,
        attributes: &Attributes,
    ) -> Vec<(SubjectKindId, ProfileId)> {
        let event = says_nothing(profile_id.clone());
        let kinds = self.expression.subject_kinds();
        model.first_subjects(kinds, &event, &Stated::Now(attributes))
    }
}

impl Model {
    /// Reads a condition of at most [`MAX_CONDITION_BYTES`]; everything that is wrong with it
    /// otherwise, each with its place in the text.
    ///
    /// [`MAX_CONDITION_BYTES`]: crate::scoring::limits::MAX_CONDITION_BYTES
    pub fn condition(&self, text: &str, on: Population) -> Result<Condition, Vec<Diagnostic>> {
        let read = on_a_large_stack(|| self.read_condition(text, on));
        let failed = |error| vec![(0..0, format!("cannot be read: {error}"))];
        let read = read.map_err(failed).flatten();
        read.map_err(|mistakes| {
            let mut diagnostics = Diagnostics::new(text);
            for (range, message) in mistakes {
                diagnostics.add(char_boundary_before(text, range.start)..range.end, message);
            }
            diagnostics.into_sorted()
        })
    }

    fn read_condition(
        &self,
        text: &str,
        on: Population,
    ) -> Result<Condition, Vec<expr::ExpressionDiagnostic>> {
        let names = |names: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            names.map(str::to_owned).collect()
        };
        let declared = Declared {
            scores: &names(&mut self.score_names()),
            fading_scores: &[],
            stages: &names(&mut self.stage_names()),
            signals: &[],
            subject_kinds: &names(&mut self.subject_kind_names()),
            topics: self.topics.names(),
            is_unchecked: false,
        };
        // What is asked of a call is no count.
        let mut asked = Vec::new();
        let scope = match on {
            Population::People => Scope::CallOnPeople,
            Population::Subjects(_) => Scope::CallOnSubjects,
        };
        let expression = expr::compile(text, scope, Wanted::Condition, &declared, &mut asked)?;
        Ok(Condition { expression })
    }
}

fn says_nothing(profile_id: ProfileId) -> Event {
    Event {
        id: IdHash(0),
        profile_id,
        event_type: String::new(),
        time: None,
        channel: String::new(),
        attributes: Attributes::new(),
        text: String::new(),
        tags: Vec::new(),
        sentiment: None,
        author_id: None,
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: Vec::new(),
    }
}
