//! `RetractEvent`.

use tonic::Status;

use super::{events::required_event, fields::tenant, profiles::profile, violations::Violations};
use crate::{
    proto::v1,
    scoring::{Event, RetractionOutcome, Tenant},
    service::Retracted,
};

/// Reads a `RetractEvent`.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong, as in every function here.
pub fn retract_event(request: v1::RetractEventRequest) -> Result<(Tenant, Event), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let event = required_event(request.event, &mut violations);
    if event.as_ref().is_some_and(|event| event.time.is_none()) {
        violations.add(
            "event.time",
            "is required; an event is known by its id and its time, send the time that it was sent with",
        );
    }
    violations.finish(tenant.zip(event))
}

/// The answer to a `RetractEvent`.
pub fn retracted(retracted: Retracted) -> v1::RetractEventResponse {
    let mut response = v1::RetractEventResponse {
        profile: Some(profile(retracted.profile)),
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
