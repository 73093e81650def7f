//! Whether a condition of a call holds: it reads a profile at the instant that is asked for, what
//! fades too. Nothing is computed of a record that the condition does not read.

use std::cell::OnceCell;

use super::{EvalContext, Evaluation};
use crate::scoring::{
    NamedCount, ProfileId, Record, Timestamp,
    attributes::NOTHING_STATED,
    limits::{MAX_SUBJECT_KINDS, NOISE_FLOOR},
    model::{
        Budget, Condition, Model, NativeValue, Population, ScoreId, SubjectKindId, Variable,
        Variables,
    },
};

/// A member of a segment that a condition is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Whose record it is.
    pub profile_id: &'a ProfileId,
    /// What is stored of it.
    pub record: &'a Record,
    /// The records of the subjects of a person that the condition reads, by kind.
    pub subjects: &'a [(SubjectKindId, &'a Record)],
}

/// What a condition says of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whether it holds; `None` where it could not be evaluated, say for a missing attribute.
    pub holds: Option<bool>,
    /// The steps that it took.
    pub steps: usize,
}

impl Condition {
    /// Asks about a member at an instant, by the model that the condition was read by.
    pub fn judge(&self, model: &Model, member: &Member<'_>, at: Timestamp) -> Judged {
        let budget = Budget::new();
        let evaluation = OnceCell::new();
        let subjects = Default::default();
        let context = MemberContext {
            stated: EvalContext {
                attributes: &member.record.attributes,
                seen_types: &member.record.seen_types,
                identity_confidence: 0.0,
                budget: &budget,
                evaluation: None,
                event_context: None,
            },
            model,
            member,
            at,
            evaluation: &evaluation,
            subjects: &subjects,
        };
        let holds = self.expression.holds(&context).ok();
        let evaluated = subjects.iter().chain([&evaluation]);
        let evaluated = evaluated.filter(|evaluation| evaluation.get().is_some());
        Judged {
            holds,
            steps: budget.taken() + evaluated.count() * model.clock_free_steps,
        }
    }
}

/// How much a profile cares about a topic at an instant; 0 below the noise floor.
pub(crate) fn interest_points(
    model: &Model,
    record: &Record,
    interest: &NamedCount,
    at: Timestamp,
) -> f64 {
    let half_life = model.interests_half_life;
    let points = interest.value * half_life.decay_factor(record.last_event_time, at);
    if points < NOISE_FLOOR { 0.0 } else { points }
}

/// What a condition reads of a member.
struct MemberContext<'a> {
    /// What is stated and was seen.
    stated: EvalContext<'a>,
    model: &'a Model,
    member: &'a Member<'a>,
    at: Timestamp,
    evaluation: &'a OnceCell<Evaluation>,
    /// By kind of subjects.
    subjects: &'a [OnceCell<Evaluation>; MAX_SUBJECT_KINDS],
}

impl Variables for MemberContext<'_> {
    fn value<'v>(&'v self, variable: &Variable) -> Option<NativeValue<'v>> {
        let record = self.member.record;
        let has_events = record.event_count > 0;
        let instant = |at: Timestamp| NativeValue::Timestamp(at.nanos());
        Some(match variable {
            Variable::AsOf => instant(self.at),
            Variable::FirstSeenTime => has_events.then(|| instant(record.first_seen_time))?,
            Variable::LastEventTime => has_events.then(|| instant(record.last_event_time))?,
            Variable::Interest(topic) => {
                let mut interests = record.interests.iter();
                let interest = interests.find(|interest| interest.name == *topic);
                let points = |interest| interest_points(self.model, record, interest, self.at);
                NativeValue::Number(interest.map_or(0.0, points))
            }
            Variable::Score(score) => NativeValue::Number(self.points(self.evaluation(), *score)),
            Variable::SubjectScore(kind, score) => {
                let subject = self.subject_evaluation(*kind);
                NativeValue::Number(subject.map_or(0.0, |subject| self.points(subject, *score)))
            }
            Variable::SubjectAttributes(kind) => {
                let subject = self.subject(*kind);
                NativeValue::Map(subject.map_or(&NOTHING_STATED, |record| &record.attributes))
            }
            Variable::SubjectAttribute(kind, name) => {
                self.subject(*kind)?.attributes.get(name)?.into()
            }
            Variable::Stage => {
                let stage = self.evaluation().stage(self.model, self.at);
                let name = stage.map(|stage| self.model.stages[stage].name.as_str());
                NativeValue::text(name.unwrap_or_default())
            }
            Variable::IdentityConfidence => {
                NativeValue::Number(self.evaluation().clock_free.identity_confidence)
            }
            Variable::Has(inner) => match &**inner {
                Variable::FirstSeenTime | Variable::LastEventTime => NativeValue::Bool(has_events),
                Variable::SubjectAttributes(kind) => {
                    let subject = self.subject(*kind);
                    NativeValue::Bool(subject.is_some_and(|record| !record.attributes.is_empty()))
                }
                inner @ Variable::SubjectAttribute(..) => {
                    NativeValue::Bool(self.value(inner).is_some())
                }
                _ => return self.stated.value(variable),
            },
            stated => return self.stated.value(stated),
        })
    }

    fn budget(&self) -> &Budget {
        self.stated.budget
    }
}

impl MemberContext<'_> {
    fn evaluation(&self) -> &Evaluation {
        let population = self.model.population_of(self.member.profile_id);
        self.evaluation
            .get_or_init(|| Evaluation::of(self.model, population, self.member.record))
    }

    fn subject(&self, kind: SubjectKindId) -> Option<&Record> {
        let mut subjects = self.member.subjects.iter();
        let subject = subjects.find(|(other, _)| *other == kind);
        subject.map(|(_, record)| *record)
    }

    /// Where the subject of a kind stands, found out once.
    fn subject_evaluation(&self, kind: SubjectKindId) -> Option<&Evaluation> {
        let record = self.subject(kind)?;
        let evaluation = self.subjects.get(usize::from(kind))?;
        let population = Some(Population::Subjects(kind));
        Some(evaluation.get_or_init(|| Evaluation::of(self.model, population, record)))
    }

    /// Points as conditions of a model read them, where these can.
    fn points(&self, evaluation: &Evaluation, score: ScoreId) -> f64 {
        match self.model.scores[score].half_life {
            None => evaluation.unfading_points(score),
            Some(_) => evaluation.points_at(self.model, score, self.at),
        }
    }
}
