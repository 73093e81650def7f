//! What the parts of a model read of a profile, so that whoever may not see something is not told it
//! by what is made of it.

use std::collections::BTreeSet;

use super::{
    compile::Condition,
    definition::{Model, Stage},
    expr::{Expression, Variable},
    ids::{AskedId, ConditionId, ScoreId, SegmentId, SubjectKindId},
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
    /// Whether any topic may be read: those of an event.
    pub any_topic: bool,
    /// Whether the stage is read.
    pub stage: bool,
}

impl Inputs {
    fn add(&mut self, model: &Model, variable: &Variable) {
        match variable {
            Variable::ProfileAttributes | Variable::AuthorAttributes => self.any_attribute = true,
            Variable::SubjectAttributes(kind) => {
                self.any_attribute = true;
                self.add_key(model, *kind);
            }
            Variable::ProfileAttribute(name) | Variable::AuthorAttribute(name) => {
                self.attributes.insert(name.clone());
            }
            Variable::SubjectAttribute(kind, name) => {
                self.attributes.insert(name.clone());
                self.add_key(model, *kind);
            }
            Variable::Completeness(names) => self.attributes.extend(names.iter().cloned()),
            Variable::Score(score) => self.add_score(model, *score),
            Variable::SubjectScore(kind, score) => {
                self.add_score(model, *score);
                self.add_key(model, *kind);
            }
            Variable::Count(asked) | Variable::Rate(asked) => self.add_count(model, *asked),
            Variable::EventTopics => self.any_topic = true,
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
            | Variable::EventTags
            | Variable::EventAttributes
            | Variable::EventAttribute(_)
            | Variable::SecondsSinceLast
            | Variable::Seen(_)
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

    fn add_score(&mut self, model: &Model, score: ScoreId) {
        self.scores.insert(model.scores[score].name.clone());
    }

    /// Which subject of a kind is read follows from its key.
    fn add_key(&mut self, model: &Model, kind: SubjectKindId) {
        if let Some(key) = &model.subject_kinds[kind].key {
            // A key reads no subject, so this ends.
            self.add_all(model, key);
        }
    }

    /// A count tells what the scores are made of that the signal gives points to.
    fn add_count(&mut self, model: &Model, asked: AskedId) {
        let signal = &model.slots[model.asked[asked]].signal;
        for score in &model.scores {
            let mut terms = score.terms.iter();
            if terms.any(|term| model.signals[term.signal].name == *signal) {
                self.scores.insert(score.name.clone());
            }
        }
        let Some(signal) = model.signals_by_name.get(signal) else {
            return;
        };
        for expression in model.signals[*signal].expressions() {
            // Signals may count each other: what counts are made of is not followed further.
            let variables = expression.variables().iter();
            for variable in variables.filter(|variable| !variable.is_count()) {
                self.add(model, variable);
            }
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

    /// By score: its name, and the signals and the attribute rules that give points to it.
    pub fn givers(&self) -> impl Iterator<Item = (&Name, Vec<&Name>, Vec<&Name>)> {
        self.scores.iter().map(|score| {
            let signals = score.terms.iter();
            let rules = score.rule_points.iter();
            (
                &score.name,
                signals
                    .map(|term| &self.signals[term.signal].name)
                    .collect(),
                rules.map(|(rule, _)| &self.rules[*rule].name).collect(),
            )
        })
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
