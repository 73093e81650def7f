//! Subjects: what events count for beside the person who did something, such as the company that
//! the person works for, a piece of content, a campaign or a brand.

use super::{
    expr::{Budget, Expression, NativeValue, Variable, Variables, event_has, event_value},
    ids::SubjectKindId,
};
use crate::scoring::{
    Attributes, Event, IgnoredSubjects, Name, ProfileId,
    limits::{MAX_EVENT_SUBJECTS, MAX_ID_BYTES},
};

/// A kind of subjects that a model declares.
#[derive(Debug)]
pub(crate) struct SubjectKind {
    pub name: Name,
    /// Which subject an event counts for that names none of this kind.
    pub key: Option<Expression>,
}

impl SubjectKind {
    /// Whether a key follows from what the profile states, which may have changed when the event
    /// comes again.
    pub(super) fn reads_profile(&self) -> bool {
        self.key.as_ref().is_some_and(Expression::reads_profile)
    }
}

/// Among whom a record is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Population {
    /// All people.
    People,
    /// All subjects of a kind.
    Subjects(SubjectKindId),
}

/// What a profile states of an event's subjects.
#[derive(Clone, Debug)]
pub enum Stated<'a> {
    /// The event is new: it counts for what the profile states now.
    Now(&'a Attributes),
    /// The event has counted for these.
    Then(Vec<&'a ProfileId>),
}

/// The subjects of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSubjects {
    /// Those that it counts for, each once: those that it names first.
    pub all: Vec<ProfileId>,
    /// Those among them that follow from what the profile states.
    pub from_profile: Vec<ProfileId>,
    /// What the event does not count for.
    pub ignored: IgnoredSubjects,
}

impl EventSubjects {
    pub(super) fn ignore_kind(&mut self, name: &str) {
        let kinds = &mut self.ignored.undeclared_kinds;
        if !kinds.iter().any(|known| known == name) {
            kinds.push(name.to_owned());
        }
    }

    pub(super) fn add(&mut self, subject: ProfileId, from_profile: bool) {
        if self.all.contains(&subject) {
            return;
        }
        if self.all.len() == MAX_EVENT_SUBJECTS {
            self.ignored.left_out += 1;
            return;
        }
        if from_profile {
            self.from_profile.push(subject.clone());
        }
        self.all.push(subject);
    }
}

impl SubjectKind {
    pub(super) fn is_kind_of(&self, subject: &ProfileId) -> bool {
        subject.subject().is_some_and(|(kind, _)| kind == self.name)
    }

    /// The subject that the key names. A key that cannot be read, such as one of an attribute that
    /// is missing, names none.
    pub(super) fn subject(
        &self,
        event: &Event,
        attributes: &Attributes,
        budget: &Budget,
    ) -> Option<ProfileId> {
        let read = KeyVariables {
            event,
            attributes,
            budget,
        };
        let key = self.key.as_ref()?.key(&read, MAX_ID_BYTES).ok()?;
        ProfileId::of_subject(&self.name, &key?)
    }
}

/// What keys of subjects read: the event and what the profile states.
struct KeyVariables<'a> {
    event: &'a Event,
    attributes: &'a Attributes,
    budget: &'a Budget,
}

impl Variables for KeyVariables<'_> {
    fn value<'v>(&'v self, variable: &Variable) -> Option<NativeValue<'v>> {
        match variable {
            Variable::ProfileAttributes => Some(NativeValue::Map(self.attributes)),
            Variable::ProfileAttribute(name) => self.attributes.get(name).map(NativeValue::from),
            Variable::Has(inner) => Some(NativeValue::Bool(match &**inner {
                Variable::ProfileAttributes => !self.attributes.is_empty(),
                inner => {
                    event_has(self.event, inner).unwrap_or_else(|| self.value(inner).is_some())
                }
            })),
            variable => event_value(self.event, variable),
        }
    }

    fn budget(&self) -> &Budget {
        self.budget
    }
}
