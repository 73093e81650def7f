//! Requests that correct what has counted, and their answers: retractions, and the quarantine.

use tonic::Status;

use super::{
    pages::{Paged, page_size, page_token, paging, required_name},
    requests::{identifier, label, profile_id, read_event, tenant},
    responses::{next_page_token, profile, signed, timestamp},
    violations::{EventPath, Violations},
};
use crate::{
    api::page_token::QueryHash,
    proto::v1,
    scoring::{
        Event, HeldEvent, IdHash, ProfileId, RetractionOutcome, Selection, Tenant,
        limits::MAX_NAME_BYTES,
    },
    service::{QuarantinePage, QuarantineQuery, Released, Retracted},
};

/// Reads a `RetractEvent`.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong, as in every function here.
pub fn retract_event(request: v1::RetractEventRequest) -> Result<(Tenant, Event), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let event = match request.event {
        Some(event) => read_event(event, EventPath::Single, &mut violations),
        None => {
            violations.add("event", "is required");
            None
        }
    };
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
    });
    response
}

/// Reads a `ListQuarantine`.
pub fn quarantine_query(
    request: v1::ListQuarantineRequest,
) -> Result<Paged<QuarantineQuery>, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    required_name("rule", &request.rule, MAX_NAME_BYTES, &mut violations);
    let page_size = page_size(request.page_size, &mut violations);
    let token = page_token(&request.page_token, &mut violations);
    let (tenant, page_size) = violations.finish(tenant.zip(page_size))?;

    let hash = QueryHash::new("ListQuarantine", &tenant, [request.rule.as_str()]);
    Ok(Paged {
        query: QuarantineQuery {
            rule: request.rule,
            paging: paging(page_size, token, hash, None)?,
        },
        tenant,
        hash,
    })
}

/// The answer to a `ListQuarantine`.
pub fn quarantine_page(page: QuarantinePage, query: QueryHash) -> v1::ListQuarantineResponse {
    let profiles = page
        .entries
        .into_iter()
        .map(|entry| v1::QuarantinedProfile {
            profile_id: entry.profile_id.name().to_owned(),
            events: entry.events.into_iter().map(held_event).collect(),
        });
    v1::ListQuarantineResponse {
        profiles: profiles.collect(),
        next_page_token: next_page_token(page.next, page.as_of, query),
        total_size: signed(page.total),
    }
}

fn held_event(held: HeldEvent) -> v1::HeldEvent {
    let signals = held.matches.into_iter().map(|matched| matched.signal);
    v1::HeldEvent {
        time: Some(timestamp(held.time)),
        r#type: held.event_type,
        matched_signals: signals.collect(),
    }
}

/// Reads a `ReleaseEvents`.
pub fn release_events(
    request: v1::ReleaseEventsRequest,
) -> Result<(Tenant, ProfileId, Selection), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let profile_id = profile_id("profile_id", &request.profile_id, &mut violations);
    label("rule", &request.rule, MAX_NAME_BYTES, &mut violations);
    if !request.event_id.is_empty() {
        identifier("event_id", &request.event_id, &mut violations);
    }
    let selection = Selection {
        event: (!request.event_id.is_empty()).then(|| IdHash::of_event(&request.event_id)),
        rule: (!request.rule.is_empty()).then_some(request.rule),
    };
    let read = tenant.zip(profile_id);
    violations.finish(read.map(|(tenant, profile_id)| (tenant, profile_id, selection)))
}

/// The answer to a `ReleaseEvents`.
pub fn released(released: Released) -> v1::ReleaseEventsResponse {
    v1::ReleaseEventsResponse {
        profile: Some(profile(released.profile)),
        released_count: i32::try_from(released.count).unwrap_or(i32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_retraction_without_time_is_refused_with_what_to_send() {
        let event = v1::Event {
            event_id: "e1".into(),
            profile_id: "ann".into(),
            r#type: "visit".into(),
            ..v1::Event::default()
        };
        let status = retract_event(v1::RetractEventRequest {
            event: Some(event),
            ..v1::RetractEventRequest::default()
        })
        .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(
            status.message().contains("event.time is required"),
            "{status}"
        );
    }

    #[test]
    fn a_release_names_what_it_releases() {
        let request = v1::ReleaseEventsRequest {
            profile_id: "ann".into(),
            ..v1::ReleaseEventsRequest::default()
        };
        let (_, _, all) = release_events(request.clone()).unwrap();
        assert_eq!(all, Selection::default());
        let (_, _, one) = release_events(v1::ReleaseEventsRequest {
            rule: "robots".into(),
            event_id: "e1".into(),
            ..request
        })
        .unwrap();
        assert_eq!(one.rule.as_deref(), Some("robots"));
        assert_eq!(one.event, Some(IdHash::of_event("e1")));
    }
}
