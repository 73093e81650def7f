//! What the names in expressions stand for. They are resolved when the model is checked, so that
//! an evaluation compares no names.

use super::{
    readable::{AS_OF, NO_CLOCK, ROOTS, ROOTS_OF_A_CALL, instead, not_between_events, readable},
    scope::Scope,
};
use crate::scoring::{
    Name,
    model::{
        duration::{HALF_LIFE_TEXT, half_life_of},
        ids::{AskedId, ScoreId, SubjectKindId},
        slot::Slot,
    },
    written::suggestion,
};

/// Something that expressions read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Variable {
    EventType,
    EventChannel,
    EventText,
    EventContentId,
    EventCampaignId,
    EventAuthorId,
    EventSentiment,
    EventTopics,
    EventTags,
    EventAttributes,
    EventAttribute(String),
    /// Seconds between the event and the latest that counted.
    SecondsSinceLast,
    ProfileAttributes,
    ProfileAttribute(String),
    AuthorAttributes,
    AuthorAttribute(String),
    Seen(String),
    /// The share of these attributes that the profile states.
    Completeness(Vec<String>),
    IdentityConfidence,
    /// By position in the model.
    Score(ScoreId),
    /// Of the event's subject of a kind, by positions in the model.
    SubjectScore(SubjectKindId, ScoreId),
    SubjectAttributes(SubjectKindId),
    SubjectAttribute(SubjectKindId, String),
    Stage,
    /// By position in `Model::asked`.
    Count(AskedId),
    /// Per day, by position in `Model::asked`.
    Rate(AskedId),
    /// The points of a topic, by its name.
    Interest(String),
    /// When the first event happened that counted.
    FirstSeenTime,
    /// When the last event happened that counted.
    LastEventTime,
    /// The instant that a call asks for.
    AsOf,
    /// Whether it is there.
    Has(Box<Variable>),
}

const EVENT_FIELDS: [(&str, Variable); 10] = [
    ("type", Variable::EventType),
    ("channel", Variable::EventChannel),
    ("text", Variable::EventText),
    ("topics", Variable::EventTopics),
    ("tags", Variable::EventTags),
    ("sentiment", Variable::EventSentiment),
    ("author_id", Variable::EventAuthorId),
    ("content_id", Variable::EventContentId),
    ("campaign_id", Variable::EventCampaignId),
    ("seconds_since_last", Variable::SecondsSinceLast),
];

/// What a model declares.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Declared<'a> {
    pub scores: &'a [String],
    /// By position in `scores`: whether the score fades.
    pub fading_scores: &'a [bool],
    pub stages: &'a [String],
    pub signals: &'a [String],
    pub subject_kinds: &'a [String],
    pub topics: &'a [Name],
    /// Whether expressions that can never be right are let through, to see what becomes of them.
    pub is_unchecked: bool,
}

impl Variable {
    /// What a path such as `event.attributes.x.y` starts with, and how many names that takes; a
    /// test asks whether it is there. Or what is wrong with it.
    pub(crate) fn of_path(
        names: &[&str],
        is_test: bool,
        scope: Scope,
        declared: &Declared<'_>,
    ) -> Result<(Self, usize), String> {
        let score = |name: &str| {
            let found = declared.scores.iter().position(|score| score == name);
            let found = found.map(ScoreId::from);
            match found {
                Some(_) if is_test => Err("tests a score, which is always there".to_owned()),
                Some(position) => Ok(position),
                None => {
                    let hint = suggestion(name, declared.scores.iter().map(String::as_str));
                    Err(format!("has no score {name:?}; {hint}"))
                }
            }
        };
        let kind = |name: &str| {
            let found = declared.subject_kinds.iter().position(|kind| kind == name);
            found.map(SubjectKindId::from).ok_or_else(|| {
                let kinds = declared.subject_kinds.iter().map(String::as_str);
                format!(
                    "has no kind of subjects {name:?}; {}",
                    suggestion(name, kinds)
                )
            })
        };
        if scope == Scope::SubjectKey {
            let is_readable = match *names {
                ["event", "topics" | "seconds_since_last", ..] => false,
                ["event" | "profile", ..] => true,
                // What nobody knows is told below.
                [root, ..] => !ROOTS
                    .iter()
                    .any(|known| known.split(['.', '(']).next() == Some(root)),
                [] => true,
            };
            if !is_readable {
                return Err(format!(
                    "reads {}; {}, because a key must be known before the event is counted",
                    names.join("."),
                    readable(scope)
                ));
            }
        }
        let is_clock_free = !scope.is_call() && !matches!(scope, Scope::Event | Scope::SubjectKey);
        let (variable, taken) = match *names {
            ["event" | "author", ..] if scope.is_call() => {
                return Err(format!("reads an event; {}", readable(scope)));
            }
            ["event" | "author", ..] if is_clock_free => {
                return Err(format!(
                    "reads the event; {}, because it must hold between events",
                    readable(scope)
                ));
            }
            [root @ ("stage" | "subjects"), ..] if scope == Scope::CallOnSubjects => {
                return Err(format!("reads {root:?}; {}", readable(scope)));
            }
            ["scores", name] if scope == Scope::Members => {
                let score = score(name)?;
                if declared.fading_scores[usize::from(score)] {
                    return Err(format!(
                        "reads {name:?}, which fades with time; {}: bound it beside the condition, with min = {{ {name} = 20 }} in a stage, with rank_by = {name:?} and min = 20 in a segment",
                        readable(scope)
                    ));
                }
                (Self::Score(score), 2)
            }
            ["scores", ..] if is_clock_free && scope != Scope::Members => {
                let what =
                    "reads scores, which are made of what is stated and not the other way round";
                return Err(not_between_events(what, "scores", scope));
            }
            [root @ ("stage" | "subjects"), ..] if is_clock_free => {
                let what = "reads what fades with time";
                return Err(not_between_events(what, root, scope));
            }
            ["event", "attributes"] => (Self::EventAttributes, 2),
            ["event", "attributes", name, ..] => (Self::EventAttribute(name.to_owned()), 3),
            ["event", "time", ..] => {
                return Err(
                    "reads the time of the event; scores with a half-life take care of it, and event.seconds_since_last is how long after the one before it came"
                        .to_owned(),
                );
            }
            ["event", field, ..] => match EVENT_FIELDS.iter().find(|(name, _)| *name == field) {
                Some((_, variable)) => (variable.clone(), 2),
                None => {
                    let known = EVENT_FIELDS.iter().map(|(name, _)| *name);
                    let hint = suggestion(field, known.chain(["attributes"]));
                    return Err(format!("has no event.{field}; {hint}"));
                }
            },
            ["profile", "attributes"] => (Self::ProfileAttributes, 2),
            ["profile", "attributes", name, ..] => (Self::ProfileAttribute(name.to_owned()), 3),
            ["author", "attributes"] => (Self::AuthorAttributes, 2),
            ["author", "attributes", name, ..] => (Self::AuthorAttribute(name.to_owned()), 3),
            ["profile", "first_seen_time"] if scope.is_call() => (Self::FirstSeenTime, 2),
            ["profile", "last_event_time"] if scope.is_call() => (Self::LastEventTime, 2),
            ["as_of"] if scope.is_call() => (Self::AsOf, 1),
            ["scores", name] => (Self::Score(score(name)?), 2),
            ["subjects", of, "scores", name] => (Self::SubjectScore(kind(of)?, score(name)?), 4),
            ["subjects", of, "attributes"] => (Self::SubjectAttributes(kind(of)?), 3),
            ["subjects", of, "attributes", name, ..] => {
                (Self::SubjectAttribute(kind(of)?, name.to_owned()), 4)
            }
            ["identity", "confidence"] if scope == Scope::Identity => {
                return Err(
                    "reads the confidence that it is a part of; read profile.attributes, seen() and completeness() here"
                        .to_owned(),
                );
            }
            ["identity", "confidence"] if is_test => {
                return Err("tests identity.confidence, which is always there".to_owned());
            }
            ["identity", "confidence"] => (Self::IdentityConfidence, 2),
            ["stage"] => (Self::Stage, 1),
            ["scores", ..] => {
                return Err(
                    "reads scores otherwise than one by its name; write scores.NAME".to_owned(),
                );
            }
            ["stage", ..] => {
                return Err(
                    "reads a part of the stage, which is a text; write stage == \"NAME\""
                        .to_owned(),
                );
            }
            [name @ ("now" | "today" | "time" | "date"), ..] if scope.is_call() => {
                return Err(format!("has no {name:?}: {AS_OF}"));
            }
            ["profile" | "subjects" | "identity" | "as_of", ..] if scope.is_call() => {
                return Err(format!("has no {}; {}", names.join("."), readable(scope)));
            }
            [name @ ("now" | "today" | "time" | "date" | "as_of"), ..] => {
                return Err(format!("has no {name:?}: {NO_CLOCK}"));
            }
            ["profile" | "event" | "author" | "subjects" | "identity", ..] => {
                return Err(format!(
                    "has no {}; write profile.attributes.NAME, event.FIELD, author.attributes.NAME, subjects.KIND.scores.NAME, subjects.KIND.attributes.NAME or identity.confidence",
                    names.join(".")
                ));
            }
            _ => {
                let root = names.first().copied().unwrap_or_default();
                let known = match scope.is_call() {
                    true => ROOTS_OF_A_CALL,
                    false => ROOTS,
                };
                return Err(format!("has no {root:?}; {}", suggestion(root, known)));
            }
        };
        if is_test && taken == names.len() {
            return Ok((Self::Has(Box::new(variable)), taken));
        }
        Ok((variable, taken))
    }

    /// What `seen`, `count` and the like of these texts stands for, or what is wrong;
    /// `None` for other functions. A count that is asked for is added to `asked`.
    pub(crate) fn of_call(
        function: &str,
        arguments: Option<&[&str]>,
        scope: Scope,
        declared: &Declared<'_>,
        asked: &mut Vec<Slot>,
    ) -> Option<Result<Self, String>> {
        let found = match (function, arguments) {
            ("seen" | "completeness" | "count" | "rate", _) if scope == Scope::SubjectKey => Err(
                format!(
                    "calls {function}(); {}, because a key must be known before the event is counted",
                    readable(scope)
                ),
            ),
            ("seen", Some([event_type])) => Ok(Self::Seen((*event_type).to_owned())),
            ("seen", _) => Err(
                "calls seen() otherwise than with one event type in quotes, as in seen(\"purchase\")"
                    .to_owned(),
            ),
            ("completeness", Some(names)) if !names.is_empty() => {
                let names = names.iter().map(|name| (*name).to_owned());
                Ok(Self::Completeness(names.collect()))
            }
            ("completeness", _) => Err(
                "calls completeness() otherwise than with a list of attributes in quotes, as in completeness([\"industry\", \"photo\"])"
                    .to_owned(),
            ),
            ("interest", Some([topic])) => {
                let topics = declared.topics.iter().map(Name::as_str);
                if topics.clone().any(|known| known == *topic) {
                    Ok(Self::Interest((*topic).to_owned()))
                } else {
                    Err(format!("has no topic {topic:?}; {}", suggestion(topic, topics)))
                }
            }
            ("interest", _) => Err(
                "calls interest() otherwise than with one topic in quotes, as in interest(\"coverage\")"
                    .to_owned(),
            ),
            ("count" | "rate", _) if scope.is_call() => {
                let instead = instead(function, scope);
                Err(format!("reads a count; {}: {instead}", readable(scope)))
            }
            ("count" | "rate", _) if scope != Scope::Event => {
                let what = format!("calls {function}(), which only an event can ask for");
                Err(not_between_events(&what, function, scope))
            }
            ("count" | "rate", Some([signal, half_life @ ..])) if half_life.len() < 2 => {
                asked_for(signal, half_life.first().copied(), declared).map(|slot| {
                    let known = asked.iter().position(|known| *known == slot);
                    let position = known.unwrap_or_else(|| {
                        asked.push(slot);
                        asked.len() - 1
                    });
                    if function == "count" {
                        Self::Count(position.into())
                    } else {
                        Self::Rate(position.into())
                    }
                })
            }
            ("count" | "rate", _) => Err(format!(
                "calls {function}() otherwise than with a signal and a half-life in quotes, as in {function}(\"visited\", \"7d\")"
            )),
            _ => return None,
        };
        Some(found)
    }

    /// Whether it is what other events have made of the profile, or what is known of others.
    pub(crate) fn follows_arrival(&self) -> bool {
        match self {
            Self::Has(inner) => inner.follows_arrival(),
            Self::Seen(_)
            | Self::SecondsSinceLast
            | Self::AuthorAttributes
            | Self::AuthorAttribute(_)
            | Self::Score(_)
            | Self::SubjectScore(..)
            | Self::SubjectAttributes(_)
            | Self::SubjectAttribute(..)
            | Self::Stage
            | Self::Count(_)
            | Self::Rate(_) => true,
            _ => false,
        }
    }

    /// Whether it is what a record counts of a signal.
    pub(crate) fn is_count(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Rate(_))
    }

    /// Whether it is of what the profile states.
    pub(crate) fn is_of_profile(&self) -> bool {
        match self {
            Self::Has(inner) => inner.is_of_profile(),
            _ => matches!(self, Self::ProfileAttributes | Self::ProfileAttribute(_)),
        }
    }

    /// The kind of subject that it is of.
    pub(crate) fn subject_kind(&self) -> Option<SubjectKindId> {
        match self {
            Self::Has(inner) => inner.subject_kind(),
            Self::SubjectScore(kind, _)
            | Self::SubjectAttributes(kind)
            | Self::SubjectAttribute(kind, _) => Some(*kind),
            _ => None,
        }
    }

    /// Whether it is of the author of the event.
    pub(crate) fn is_of_author(&self) -> bool {
        match self {
            Self::Has(inner) => inner.is_of_author(),
            _ => matches!(self, Self::AuthorAttributes | Self::AuthorAttribute(_)),
        }
    }
}

fn asked_for(
    signal: &str,
    half_life: Option<&str>,
    declared: &Declared<'_>,
) -> Result<Slot, String> {
    if !declared.signals.iter().any(|known| known == signal) {
        let hint = suggestion(signal, declared.signals.iter().map(String::as_str));
        return Err(format!("has no signal {signal:?}; {hint}"));
    }
    let half_life = match half_life {
        None => None,
        Some(text) => Some(half_life_of(text).ok_or_else(|| {
            format!("has the half-life {text:?}; write {HALF_LIFE_TEXT}, such as \"7d\"")
        })?),
    };
    Ok(Slot {
        half_life,
        signal: signal.into(),
    })
}
