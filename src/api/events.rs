//! `ScoreEvent` and `ScoreEvents`.

use tonic::Status;

use super::{
    attributes,
    fields::{
        count, identifier, instant, label, profile_id, response_view, tenant, texts, too_long,
    },
    profiles::{profile, to_stage_change},
    status::to_message,
    subjects::event_subjects,
    violations::{EventPath, Shown, Violations},
};
use crate::{
    limits::MAX_EVENTS_PER_REQUEST,
    proto::v1,
    scoring::{
        Event, EventOutcome, IdHash, IgnoredSubjects, Name, Tenant,
        limits::{
            MAX_EVENT_SUBJECTS, MAX_ID_BYTES, MAX_TAG_BYTES, MAX_TAGS, MAX_TEXT_BYTES,
            MAX_TYPE_BYTES,
        },
    },
    service::{Scored, View},
};

/// An event of a tenant, and how much of its profile to answer with.
pub type EventQuery = (Tenant, Event, Option<View>);

/// Reads a `ScoreEvent`.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong, as in every function here.
pub fn score_event(request: v1::ScoreEventRequest) -> Result<EventQuery, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let event = required_event(request.event, &mut violations);
    let view = response_view(request.response_view, &mut violations);
    let read = tenant.zip(event);
    violations.finish(read.map(|(tenant, event)| (tenant, event, view)))
}

/// Reads the frame of a `ScoreEvents` request; its events are read one by one with
/// [`event`], because each is refused on its own.
pub fn score_events(
    request: v1::ScoreEventsRequest,
) -> Result<(Tenant, Vec<v1::Event>, Option<View>), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    count(
        "events",
        request.events.len(),
        MAX_EVENTS_PER_REQUEST,
        &mut violations,
    );
    let view = response_view(request.response_view, &mut violations);
    violations.finish(tenant.map(|tenant| (tenant, request.events, view)))
}

/// Reads one event of a `ScoreEvents` request.
pub fn event(event: v1::Event, path: EventPath) -> Result<Event, Status> {
    let mut violations = Violations::default();
    let event = read_event(event, path, &mut violations);
    violations.finish(event)
}

/// The event of a request that is of one.
pub(super) fn required_event(
    sent: Option<v1::Event>,
    violations: &mut Violations,
) -> Option<Event> {
    match sent {
        Some(event) => read_event(event, EventPath::Single, violations),
        None => {
            violations.add("event", "is required");
            None
        }
    }
}

fn read_event(sent: v1::Event, path: EventPath, violations: &mut Violations) -> Option<Event> {
    identifier(format_args!("{path}.event_id"), &sent.event_id, violations);
    let profile = profile_id(
        format_args!("{path}.profile_id"),
        &sent.profile_id,
        violations,
    );
    if sent.r#type.is_empty() {
        violations.add(
            format_args!("{path}.type"),
            "is required; say what was done, such as \"purchase\"",
        );
    }
    label(
        format_args!("{path}.type"),
        &sent.r#type,
        MAX_TYPE_BYTES,
        violations,
    );
    let time = instant(format_args!("{path}.time"), sent.time, violations);
    label(
        format_args!("{path}.channel"),
        &sent.channel,
        MAX_TYPE_BYTES,
        violations,
    );
    let attributes = attributes::read(
        sent.attributes,
        format_args!("{path}.attributes"),
        violations,
    );
    if sent.text.len() > MAX_TEXT_BYTES {
        violations.add(
            format_args!("{path}.text"),
            format_args!(
                "has {} bytes; send at most {MAX_TEXT_BYTES}",
                sent.text.len()
            ),
        );
    }
    tags(path, &sent.tags, violations);
    if let Some(sentiment) = sent.sentiment
        && !(-1.0..=1.0).contains(&sentiment)
    {
        violations.add(
            format_args!("{path}.sentiment"),
            format_args!("is {sentiment}; send a number from -1 to 1, or leave it out"),
        );
    }
    let author_id = match sent.author_id.as_str() {
        "" => None,
        author_id => profile_id(format_args!("{path}.author_id"), author_id, violations),
    };
    for (name, id) in [
        ("content_id", &sent.content_id),
        ("campaign_id", &sent.campaign_id),
    ] {
        label(format_args!("{path}.{name}"), id, MAX_ID_BYTES, violations);
    }
    let subjects = event_subjects(path, &sent.subjects, violations);
    Some(Event {
        id: IdHash::of_event(&sent.event_id),
        profile_id: profile?,
        event_type: sent.r#type,
        time,
        channel: sent.channel,
        attributes: attributes?,
        text: sent.text,
        tags: sent.tags.into_iter().map(Name::from).collect(),
        sentiment: sent.sentiment,
        author_id,
        content_id: sent.content_id,
        campaign_id: sent.campaign_id,
        subjects,
    })
}

pub(super) fn tags(path: EventPath, tags: &[String], violations: &mut Violations) {
    if tags.len() > MAX_TAGS {
        violations.add(
            format_args!("{path}.tags"),
            format_args!("has {} entries; send at most {MAX_TAGS}", tags.len()),
        );
    }
    for (index, tag) in tags.iter().take(MAX_TAGS).enumerate() {
        if tag.len() > MAX_TAG_BYTES {
            too_long(
                format_args!("{path}.tags[{index}]"),
                tag,
                MAX_TAG_BYTES,
                violations,
            );
        }
    }
}

/// What a warning says of an event that nothing of the model looks at.
pub const UNMATCHED_TYPE: &str = "UNMATCHED_EVENT_TYPE";

pub(super) fn unmatched(path: EventPath, event_type: &str) -> v1::Warning {
    v1::Warning {
        code: UNMATCHED_TYPE.to_owned(),
        field: format!("{path}.type"),
        message: format!(
            "the model names no event type {}, so the event matches nothing; check the spelling, or name the type in the model",
            Shown(event_type)
        ),
    }
}

/// What a warning says of an event for a subject of a kind that the model does not declare.
pub const UNDECLARED_KIND: &str = "UNDECLARED_SUBJECT_KIND";
/// What a warning says of an event for more subjects than one event counts for.
pub const SUBJECTS_LEFT_OUT: &str = "SUBJECTS_LEFT_OUT";

fn ignored(path: EventPath, ignored: IgnoredSubjects) -> Vec<v1::Warning> {
    let warning = |code: &str, message: String| v1::Warning {
        code: code.to_owned(),
        field: format!("{path}.subjects"),
        message,
    };
    let undeclared = ignored.undeclared_kinds.into_iter().map(|kind| {
        let message = format!(
            "the model declares no kind of subjects {}, so the event counts for none of it; check the spelling, or add a table [subjects.{kind}]",
            Shown(&kind)
        );
        warning(UNDECLARED_KIND, message)
    });
    let mut warnings: Vec<v1::Warning> = undeclared.collect();
    if ignored.left_out > 0 {
        let message = format!(
            "the event counts for {MAX_EVENT_SUBJECTS} subjects, and not for {} more; name fewer",
            ignored.left_out
        );
        warnings.push(warning(SUBJECTS_LEFT_OUT, message));
    }
    warnings
}

/// The answer to a `ScoreEvent`.
pub fn scored(scored: Scored, path: EventPath) -> v1::ScoreEventResponse {
    let mut response = v1::ScoreEventResponse {
        profile: scored.profile.map(profile),
        ..v1::ScoreEventResponse::default()
    };
    match scored.outcome {
        EventOutcome::Applied {
            matched_signals,
            stage_change,
            unmatched_type,
            ignored_subjects,
        } => {
            response.set_outcome(v1::EventOutcome::Applied);
            let unmatched = unmatched_type.map(|event_type| unmatched(path, &event_type));
            response.warnings.extend(unmatched);
            response.warnings.extend(ignored(path, ignored_subjects));
            response.matched_signals = texts(matched_signals);
            response.stage_change = stage_change.map(to_stage_change);
        }
        EventOutcome::Duplicate {
            matched_signals,
            stage_change,
        } => {
            response.set_outcome(v1::EventOutcome::Duplicate);
            response.matched_signals = texts(matched_signals);
            response.stage_change = stage_change.map(to_stage_change);
        }
        EventOutcome::TooOld => {
            response.set_outcome(v1::EventOutcome::Ignored);
            response.set_ignored_reason(v1::IgnoredReason::TooOld);
        }
        EventOutcome::Quarantined { rule } => {
            response.set_outcome(v1::EventOutcome::Quarantined);
            response.quarantine_rule = rule.into();
        }
    }
    response
}

/// The answer to one event of a `ScoreEvents`.
pub fn result_of_event(result: Result<Scored, Status>, path: EventPath) -> v1::ScoreEventsResult {
    use v1::score_events_result::Result as Answer;
    let answer = match result {
        Ok(answer) => Answer::Response(scored(answer, path)),
        Err(status) => Answer::Error(to_message(&status)),
    };
    v1::ScoreEventsResult {
        result: Some(answer),
    }
}
