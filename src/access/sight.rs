//! What a role sees of a model and of what it answers.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use super::{Names, Role, Sight};
use crate::scoring::{Inputs, Model, Name};

/// What a role sees of what a model answers.
#[derive(Clone, Debug)]
pub struct Seen(Option<Arc<Part>>);

/// Something is asked for that is hidden: what, as in `segment "buyers"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden(pub String);

/// What a role sees from which something is hidden.
#[derive(Debug)]
struct Part {
    role: Arc<Role>,
    /// Those that the model has, seen or not.
    known_segments: BTreeSet<Name>,
    segments: BTreeSet<Name>,
    signals: BTreeSet<Name>,
    rules: BTreeSet<Name>,
    quarantine: BTreeSet<Name>,
    all_quarantine: bool,
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
            any_topic,
            stage,
        } = inputs;
        scores.iter().all(|name| self.scores.has(name))
            && attributes.iter().all(|name| self.attributes.has(name))
            && (!any_attribute || self.attributes == Names::All)
            && topics.iter().all(|name| self.topics.has(name))
            && (!any_topic || self.topics == Names::All)
            && (!stage || sees_stages)
    }
}

impl Seen {
    /// Everything.
    pub const fn all() -> Self {
        Self(None)
    }

    /// What a role sees that does not see everything, by the model that answers.
    pub fn of(role: &Arc<Role>, model: &Model) -> Self {
        let sight = &role.sight;
        let stage_inputs = sight.sees(&model.inputs_of_stages(), false);
        let stages = stage_inputs || sight.derived;
        let sees = |inputs: &Inputs| sight.sees(inputs, stages);
        let segments = model.segment_names().filter(|name| {
            let segment = model.segment(name);
            let inputs = segment.map(|segment| model.inputs_of_segment(segment));
            sight.segments.has(name) && inputs.is_some_and(|inputs| sight.derived || sees(&inputs))
        });
        // Signals and rules come with the scores that they give points to. Those that give none to a
        // score that is seen tell that somebody did or stated something, which no list lets out.
        let (mut of_signals, mut of_rules) = (HashSet::new(), HashSet::new());
        for (score, signals, rules) in model.givers() {
            if sight.scores.has(score) {
                of_signals.extend(signals);
                of_rules.extend(rules);
            }
        }
        let all_scores = sight.scores == Names::All;
        let signals = model
            .inputs_of_signals()
            .filter(|(name, inputs)| (all_scores || of_signals.contains(name)) && sees(inputs));
        let rules = model
            .inputs_of_rules()
            .filter(|(name, inputs)| (all_scores || of_rules.contains(name)) && sees(inputs));
        let quarantine = model.inputs_of_quarantine();
        let (quarantine, hidden): (Vec<_>, Vec<_>) =
            quarantine.partition(|(_, inputs)| sees(inputs));
        let reach = model.reach_attribute();
        let part = Part {
            known_segments: model.segment_names().map(Name::from).collect(),
            segments: segments.map(Name::from).collect(),
            signals: signals.map(|(name, _)| name.clone()).collect(),
            rules: rules.map(|(name, _)| name.clone()).collect(),
            quarantine: quarantine
                .into_iter()
                .map(|(name, _)| name.clone())
                .collect(),
            all_quarantine: hidden.is_empty(),
            stages,
            stage_inputs,
            identity: sees(&model.inputs_of_identity()),
            reach: reach.is_none_or(|name| sight.attributes.has(name)),
            role: Arc::clone(role),
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

    /// Whether it sees single people: who may ask for them does.
    pub fn profiles(&self) -> bool {
        self.has(|part| part.role.may("GetProfile"))
    }

    /// Whether it sees single subjects.
    pub fn subjects(&self) -> bool {
        self.has(|part| part.role.may("GetSubject"))
    }

    /// Whether it sees a score.
    pub fn score(&self, name: &str) -> bool {
        self.has(|part| part.role.sight.scores.has(name))
    }

    /// Whether it sees an attribute.
    pub fn attribute(&self, name: &str) -> bool {
        self.has(|part| part.role.sight.attributes.has(name))
    }

    /// Whether it sees a topic.
    pub fn topic(&self, name: &str) -> bool {
        self.has(|part| part.role.sight.topics.has(name))
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

    /// Refuses to list or count by a segment that is hidden, or made of what is hidden.
    ///
    /// # Errors
    /// [`Hidden`].
    pub fn check_segment(&self, name: &str) -> Result<(), Hidden> {
        // Who sees every segment may know that there is none of this name.
        let is_nothing = |part: &Part| {
            part.role.sight.segments == Names::All && !part.known_segments.contains(name)
        };
        if self.segment(name) || self.has(is_nothing) {
            return Ok(());
        }
        Err(Hidden(format!(
            "segment {name:?}, or something that it is made of"
        )))
    }

    /// Refuses to list by a topic that is hidden.
    ///
    /// # Errors
    /// [`Hidden`].
    pub fn check_topic(&self, name: &str) -> Result<(), Hidden> {
        if self.topic(name) {
            return Ok(());
        }
        Err(Hidden(format!("topic {name:?}")))
    }

    /// Refuses to list or count by stages when something that they are made of is hidden.
    ///
    /// # Errors
    /// [`Hidden`].
    pub fn check_stages(&self) -> Result<(), Hidden> {
        if self.stages() {
            return Ok(());
        }
        Err(Hidden("what the stages are made of".to_owned()))
    }

    /// Refuses what concerns a quarantine rule that is made of what is hidden; `None` is all of them.
    ///
    /// # Errors
    /// [`Hidden`].
    pub fn check_quarantine(&self, rule: Option<&str>) -> Result<(), Hidden> {
        match rule {
            None if self.has(|part| part.all_quarantine) => Ok(()),
            None => Err(Hidden(
                "every quarantine rule; name one that it sees".to_owned(),
            )),
            Some(name) if self.quarantine(name) => Ok(()),
            Some(name) => Err(Hidden(format!(
                "quarantine rule {name:?}, or something that it is made of"
            ))),
        }
    }

    /// Refuses a condition that reads what is hidden. That what is made of it may be seen does not
    /// help: a condition could ask for any of it.
    ///
    /// # Errors
    /// [`Hidden`] with the first that is.
    pub fn check_condition(&self, inputs: &Inputs) -> Result<(), Hidden> {
        let Some(part) = &self.0 else {
            return Ok(());
        };
        let sight = &part.role.sight;
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
        Err(Hidden(what))
    }
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
