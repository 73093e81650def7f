//! What can be read where, and what to write instead of what cannot.

use super::scope::Scope;

/// The roots of paths, and what begins like one.
pub(super) const ROOTS: [&str; 12] = [
    "event",
    "profile.attributes",
    "author.attributes",
    "scores",
    "subjects.kind.scores",
    "subjects.kind.attributes",
    "identity.confidence",
    "stage",
    "seen(\"type\")",
    "count(\"signal\", \"7d\")",
    "rate(\"signal\", \"7d\")",
    "completeness([\"name\"])",
];

/// The same for what a call asks.
pub(super) const ROOTS_OF_A_CALL: [&str; 12] = [
    "profile.attributes",
    "profile.first_seen_time",
    "profile.last_event_time",
    "scores",
    "subjects.kind.scores",
    "subjects.kind.attributes",
    "identity.confidence",
    "stage",
    "as_of",
    "seen(\"type\")",
    "interest(\"topic\")",
    "completeness([\"name\"])",
];

/// What a call writes for what reads the clock.
pub(super) const AS_OF: &str = "read as_of, the instant that is asked for, as in timestamp(profile.attributes.contacted_at) < as_of - duration(\"7d\")";

/// Why nothing reads the clock, and what to write instead.
pub(super) const NO_CLOCK: &str = "no expression reads the clock, or what it says of a person would change while nothing happens; use a score with a half-life for what fades, and event.seconds_since_last for the time between events";

/// What can be read where not everything can.
pub(super) fn readable(scope: Scope) -> &'static str {
    match scope {
        Scope::SubjectKey => {
            "here only the fields of the event but event.topics and event.seconds_since_last, and profile.attributes, can be read"
        }
        Scope::Identity => "here only profile.attributes, seen() and completeness() can be read",
        Scope::Members => {
            "here only profile.attributes, seen(), completeness(), identity.confidence and scores without half_life can be read"
        }
        Scope::CallOnSubjects => {
            "of a subject only profile.attributes, profile.first_seen_time, profile.last_event_time, scores, seen(), interest(), completeness(), identity.confidence and as_of can be read"
        }
        Scope::CallOnPeople => {
            "here only profile.attributes, profile.first_seen_time, profile.last_event_time, scores, subjects, stage, seen(), interest(), completeness(), identity.confidence and as_of can be read"
        }
        Scope::ClockFree | Scope::Event => {
            "here only profile.attributes, seen(), completeness() and identity.confidence can be read"
        }
    }
}

/// What to write instead of something that is not read between events.
pub(super) fn instead(root: &str, scope: Scope) -> &'static str {
    match (scope, root) {
        (Scope::Members, "stage") => "repeat its `when` here and its min beside it",
        (Scope::Members, "subjects") => {
            "list the subjects themselves in a segment with of = \"KIND\""
        }
        (Scope::Members, _) => {
            "give points for the signal to a score; read that here when it has no half_life, or bound it with min or max"
        }
        (Scope::Identity, _) => "let the evidence rest on what is stated or was seen",
        (Scope::CallOnPeople | Scope::CallOnSubjects, _) => {
            "give points for the signal to a score and read that"
        }
        (Scope::ClockFree | Scope::Event | Scope::SubjectKey, _) => {
            "read it in the `when` or the `value` of a signal, which gives its points when the event arrives, or rank by the product of two scores"
        }
    }
}

/// Why something that an event reads is not read between events, and what to write instead.
pub(super) fn not_between_events(what: &str, root: &str, scope: Scope) -> String {
    format!("{what}; {}: {}", readable(scope), instead(root, scope))
}
