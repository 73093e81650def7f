//! What a caller sees of a model and of what it answers.

use std::{collections::BTreeSet, sync::Arc};

use super::{Denied, Names, Principal, Sight};
use crate::scoring::{Inputs, Model, Name};

/// What a caller sees of what a model answers.
#[derive(Clone, Debug)]
pub struct Seen(Option<Arc<Part>>);

/// What somebody sees from whom something is hidden.
#[derive(Debug)]
struct Part {
    principal: Arc<Principal>,
    segments: BTreeSet<Name>,
    signals: BTreeSet<Name>,
    rules: BTreeSet<Name>,
    quarantine: BTreeSet<Name>,
    stages: bool,
    /// Whether it sees all that stages are made of.
    stage_inputs: bool,
    identity: bool,
    reach: bool,
}

impl Sight {
    /// Whether it sees all that something is made of. Of the stage it is told whether that is seen.
    fn sees(&self, inputs: &Inputs, sees_stages: bool) -> bool {
        let Inputs {
            scores,
            attributes,
            any_attribute,
            topics,
            stage,
        } = inputs;
        scores.iter().all(|name| self.scores.has(name))
            && attributes.iter().all(|name| self.attributes.has(name))
            && (!any_attribute || self.attributes == Names::All)
            && topics.iter().all(|name| self.topics.has(name))
            && (!stage || sees_stages)
    }
}

impl Seen {
    /// Everything.
    pub const fn all() -> Self {
        Self(None)
    }

    /// What somebody sees whose role hides something, by the model that answers.
    pub fn of(principal: &Arc<Principal>, model: &Model) -> Self {
        let sight = &principal.role.sight;
        let stage_inputs = sight.sees(&model.inputs_of_stages(), false);
        let stages = stage_inputs || sight.derived;
        let sees = |inputs: &Inputs| sight.derived || sight.sees(inputs, stages);
        let segments = model.segment_names().filter(|name| {
            let segment = model.segment(name);
            let inputs = segment.map(|segment| model.inputs_of_segment(segment));
            sight.segments.has(name) && inputs.is_some_and(|inputs| sees(&inputs))
        });
        // A signal or rule that gives points to hidden scores alone is hidden with them.
        let counts_for_seen = |part: &str| {
            let mut scores = model.scores_of(part).peekable();
            scores.peek().is_none() || scores.any(|score| sight.scores.has(score))
        };
        let signals = model
            .inputs_of_signals()
            .filter(|(name, inputs)| counts_for_seen(name) && sees(inputs));
        let rules = model
            .inputs_of_rules()
            .filter(|(name, inputs)| counts_for_seen(name) && sees(inputs));
        let quarantine = model
            .inputs_of_quarantine()
            .filter(|(_, inputs)| sees(inputs));
        let reach = model.reach_attribute();
        let part = Part {
            segments: segments.map(Name::from).collect(),
            signals: signals.map(|(name, _)| name.clone()).collect(),
            rules: rules.map(|(name, _)| name.clone()).collect(),
            quarantine: quarantine.map(|(name, _)| name.clone()).collect(),
            stages,
            stage_inputs,
            identity: sees(&model.inputs_of_identity()),
            reach: reach.is_none_or(|name| sight.attributes.has(name)),
            principal: Arc::clone(principal),
        };
        Self(Some(Arc::new(part)))
    }

    /// Whether nothing is hidden.
    pub const fn is_all(&self) -> bool {
        self.0.is_none()
    }

    fn has(&self, among: impl FnOnce(&Part) -> bool) -> bool {
        self.0.as_deref().is_none_or(among)
    }

    /// Whether it sees a score.
    pub fn score(&self, name: &str) -> bool {
        self.has(|part| part.principal.role.sight.scores.has(name))
    }

    /// Whether it sees an attribute.
    pub fn attribute(&self, name: &str) -> bool {
        self.has(|part| part.principal.role.sight.attributes.has(name))
    }

    /// Whether it sees a topic.
    pub fn topic(&self, name: &str) -> bool {
        self.has(|part| part.principal.role.sight.topics.has(name))
    }

    /// Whether it sees who is in a segment.
    pub fn segment(&self, name: &str) -> bool {
        self.has(|part| part.segments.contains(name))
    }

    /// Whether it sees that a signal has matched.
    pub fn signal(&self, name: &str) -> bool {
        self.has(|part| part.signals.contains(name))
    }

    /// Whether it sees what an attribute rule gives.
    pub fn rule(&self, name: &str) -> bool {
        self.has(|part| part.rules.contains(name))
    }

    /// Whether it sees that a quarantine rule holds something.
    pub fn quarantine(&self, name: &str) -> bool {
        self.has(|part| part.quarantine.contains(name))
    }

    /// Whether it sees stages.
    pub fn stages(&self) -> bool {
        self.has(|part| part.stages)
    }

    /// Whether it sees what is missing to a stage: scores and attributes.
    pub fn stage_inputs(&self) -> bool {
        self.has(|part| part.stage_inputs)
    }

    /// Whether it sees how sure it is who somebody is.
    pub fn identity(&self) -> bool {
        self.has(|part| part.identity)
    }

    /// Whether it sees the reach of authors.
    pub fn reach(&self) -> bool {
        self.has(|part| part.reach)
    }

    fn denied(&self, what: String) -> Denied {
        let principal = self.0.as_ref().map(|part| &part.principal);
        Denied::Sight {
            who: principal.map_or_else(String::new, |principal| principal.name.clone()),
            role: principal.map_or_else(String::new, |principal| principal.role.name.clone()),
            what,
        }
    }

    /// Refuses to list or count by a segment that is hidden, or made of what is hidden.
    ///
    /// # Errors
    /// [`Denied::Sight`].
    pub fn check_segment(&self, name: &str) -> Result<(), Denied> {
        if self.segment(name) {
            return Ok(());
        }
        Err(self.denied(format!("segment {name:?}, or something that it is made of")))
    }

    /// Refuses to list by a topic that is hidden.
    ///
    /// # Errors
    /// [`Denied::Sight`].
    pub fn check_topic(&self, name: &str) -> Result<(), Denied> {
        if self.topic(name) {
            return Ok(());
        }
        Err(self.denied(format!("topic {name:?}")))
    }

    /// Refuses to list or count by stages when something that they are made of is hidden.
    ///
    /// # Errors
    /// [`Denied::Sight`].
    pub fn check_stages(&self) -> Result<(), Denied> {
        if self.stages() {
            return Ok(());
        }
        Err(self.denied("what the stages are made of".to_owned()))
    }

    /// Refuses to list what a quarantine rule holds that is made of what is hidden.
    ///
    /// # Errors
    /// [`Denied::Sight`].
    pub fn check_quarantine(&self, name: &str) -> Result<(), Denied> {
        if self.quarantine(name) {
            return Ok(());
        }
        Err(self.denied(format!(
            "quarantine rule {name:?}, or something that it is made of"
        )))
    }

    /// Refuses a condition that reads what is hidden. That what is made of it may be seen does not
    /// help: a condition could ask for any of it.
    ///
    /// # Errors
    /// [`Denied::Sight`] with the first that is hidden.
    pub fn check_condition(&self, inputs: &Inputs) -> Result<(), Denied> {
        let Some(part) = &self.0 else {
            return Ok(());
        };
        let sight = &part.principal.role.sight;
        if sight.sees(inputs, part.stages) {
            return Ok(());
        }
        let hidden = |names: &Names, kind: &str, read: Vec<&str>| {
            let name = read.into_iter().find(|name| !names.has(name));
            name.map(|name| format!("{kind} {name:?}"))
        };
        let scores = inputs.scores.iter().map(Name::as_str).collect();
        let attributes = inputs.attributes.iter().map(String::as_str).collect();
        let topics = inputs.topics.iter().map(String::as_str).collect();
        let what = hidden(&sight.scores, "score", scores)
            .or_else(|| hidden(&sight.attributes, "attribute", attributes))
            .or_else(|| hidden(&sight.topics, "topic", topics))
            .unwrap_or_else(|| match inputs.stage && !part.stages {
                true => "what the stages are made of".to_owned(),
                false => "all attributes, which the condition may read".to_owned(),
            });
        Err(self.denied(what))
    }
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
