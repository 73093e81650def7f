//! `RetractEvent`.

use tonic::Status;

use super::{
    events::{EventQuery, required_event},
    fields::{response_view, tenant},
    profiles::profile,
    violations::Violations,
};
use crate::{proto::v1, scoring::RetractionOutcome, service::Retracted};

/// Reads a `RetractEvent`.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong, as in every function here.
pub fn retract_event(request: v1::RetractEventRequest) -> Result<EventQuery, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let event = required_event(request.event, &mut violations);
    if event.as_ref().is_some_and(|event| event.time.is_none()) {
        violations.add(
            "event.time",
            "is required; an event is known by its id and its time, send the time that it was sent with",
        );
    }
    let view = response_view(request.response_view, &mut violations);
    let read = tenant.zip(event);
    violations.finish(read.map(|(tenant, event)| (tenant, event, view)))
}

/// The answer to a `RetractEvent`.
pub fn retracted(retracted: Retracted) -> v1::RetractEventResponse {
    let mut response = v1::RetractEventResponse {
        profile: retracted.profile.map(profile),
        ..v1::RetractEventResponse::default()
    };
    response.set_outcome(match retracted.outcome {
        RetractionOutcome::Retracted => v1::RetractionOutcome::Retracted,
        RetractionOutcome::Duplicate => v1::RetractionOutcome::Duplicate,
        RetractionOutcome::RetractedInAdvance => v1::RetractionOutcome::RetractedInAdvance,
        RetractionOutcome::TooOld => v1::RetractionOutcome::TooOld,
        RetractionOutcome::OtherType => v1::RetractionOutcome::OtherType,
    });
    response
}
