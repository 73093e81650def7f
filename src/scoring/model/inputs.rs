//! What the parts of a model read of a profile, so that whoever may not see something is not told it
//! by what is made of it.

use std::collections::BTreeSet;

use super::{
    compile::Condition,
    definition::{Model, Stage},
    expr::{Expression, Variable},
    ids::{ConditionId, SegmentId},
};
use crate::scoring::Name;

/// What something is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Scores, by name.
    pub scores: BTreeSet<Name>,
    /// Attributes that are read by name, of people and of subjects.
    pub attributes: BTreeSet<String>,
    /// Whether any attribute may be read: those that are there are counted, or searched, or named by
    /// what is only known later.
    pub any_attribute: bool,
    /// Topics of which the interest is read.
    pub topics: BTreeSet<String>,
    /// Whether the stage is read.
    pub stage: bool,
}

impl Inputs {
    fn add(&mut self, model: &Model, variable: &Variable) {
        match variable {
            Variable::ProfileAttributes
            | Variable::AuthorAttributes
            | Variable::SubjectAttributes(_) => self.any_attribute = true,
            Variable::ProfileAttribute(name)
            | Variable::AuthorAttribute(name)
            | Variable::SubjectAttribute(_, name) => {
                self.attributes.insert(name.clone());
            }
            Variable::Completeness(names) => self.attributes.extend(names.iter().cloned()),
            Variable::Score(score) | Variable::SubjectScore(_, score) => {
                self.scores.insert(model.scores[*score].name.clone());
            }
            Variable::Interest(topic) => {
                self.topics.insert(topic.clone());
            }
            Variable::Stage => self.stage = true,
            Variable::IdentityConfidence => model.add_identity(self),
            Variable::Has(inner) => self.add(model, inner),
            Variable::EventType
            | Variable::EventChannel
            | Variable::EventText
            | Variable::EventContentId
            | Variable::EventCampaignId
            | Variable::EventAuthorId
            | Variable::EventSentiment
            | Variable::EventTopics
            | Variable::EventTags
            | Variable::EventAttributes
            | Variable::EventAttribute(_)
            | Variable::SecondsSinceLast
            | Variable::Seen(_)
            | Variable::Count(_)
            | Variable::Rate(_)
            | Variable::FirstSeenTime
            | Variable::LastEventTime
            | Variable::AsOf => {}
        }
    }

    fn add_all(&mut self, model: &Model, expression: &Expression) {
        for variable in expression.variables() {
            self.add(model, variable);
        }
    }

    fn add_condition(&mut self, model: &Model, condition: ConditionId) {
        self.add_all(model, &model.conditions[condition]);
    }
}

impl Condition {
    /// What it reads by the model that it was read by.
    pub fn inputs(&self, model: &Model) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.add_all(model, &self.expression);
        inputs
    }
}

impl Model {
    /// What says who is in a segment, and in which order.
    pub fn inputs_of_segment(&self, segment: SegmentId) -> Inputs {
        let rank = self.rank_of(segment);
        let factors = rank.factors.iter();
        let scores = factors.map(|factor| self.scores[factor.score].name.clone());
        let mut inputs = Inputs {
            scores: scores.collect(),
            ..Inputs::default()
        };
        for condition in &rank.conditions {
            inputs.add_condition(self, *condition);
        }
        inputs
    }

    /// What says at which stage somebody stands.
    pub fn inputs_of_stages(&self) -> Inputs {
        let mut inputs = Inputs::default();
        for stage in &self.stages {
            inputs.add_stage(self, stage);
        }
        inputs
    }

    /// What says how sure it is who somebody is.
    pub fn inputs_of_identity(&self) -> Inputs {
        let mut inputs = Inputs::default();
        self.add_identity(&mut inputs);
        inputs
    }

    fn add_identity(&self, inputs: &mut Inputs) {
        for evidence in &self.identity {
            inputs.add_condition(self, evidence.condition);
            if let Some(expression) = evidence.confidence.expression() {
                inputs.add_all(self, expression);
            }
        }
    }

    /// By signal, in the order of the file: its name, and what says whether it matches and what it adds.
    pub fn inputs_of_signals(&self) -> impl Iterator<Item = (&Name, Inputs)> {
        self.signals.iter().map(|signal| {
            let mut inputs = Inputs::default();
            for expression in signal.expressions() {
                inputs.add_all(self, expression);
            }
            (&signal.name, inputs)
        })
    }

    /// By attribute rule, in the order of the file: its name, and what says what it counts.
    pub fn inputs_of_rules(&self) -> impl Iterator<Item = (&Name, Inputs)> {
        self.rules.iter().map(|rule| {
            let mut inputs = Inputs::default();
            if let Some(condition) = rule.condition {
                inputs.add_condition(self, condition);
            }
            if let Some(expression) = rule.value.expression() {
                inputs.add_all(self, expression);
            }
            (&rule.name, inputs)
        })
    }

    /// By quarantine rule, in the order of the file: its name, and what says what it holds.
    pub fn inputs_of_quarantine(&self) -> impl Iterator<Item = (&Name, Inputs)> {
        self.quarantine.iter().map(|rule| {
            let mut inputs = Inputs::default();
            inputs.add_all(self, &rule.when);
            (&rule.name, inputs)
        })
    }

    /// The scores that a signal or an attribute rule gives points to, by its name.
    pub fn scores_of(&self, part: &str) -> impl Iterator<Item = &Name> {
        let has_part = move |score: &&super::definition::Score| {
            let mut signals = score
                .terms
                .iter()
                .map(|term| &self.signals[term.signal].name);
            let mut rules = score.rule_points.iter();
            signals.any(|name| *name == part)
                || rules.any(|(rule, _)| self.rules[*rule].name == part)
        };
        let scores = self.scores.iter().filter(has_part);
        scores.map(|score| &score.name)
    }

    /// The attribute that states the reach of an author.
    pub fn reach_attribute(&self) -> Option<&str> {
        self.influence.as_ref()?.reach.as_deref()
    }
}

impl Inputs {
    fn add_stage(&mut self, model: &Model, stage: &Stage) {
        if let Some(bound) = stage.bound {
            self.scores.insert(model.scores[bound.score].name.clone());
        }
        if let Some(condition) = stage.condition {
            self.add_condition(model, condition);
        }
    }
}
