//! Retractions and releases as callers send them.

use tonic::Code;

use super::*;
use crate::{
    proto::v1,
    scoring::{IdHash, Selection},
};

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
    let (_, _, all, _) = release_events(request.clone()).unwrap();
    assert_eq!(all, Selection::default());
    let (_, _, one, _) = release_events(v1::ReleaseEventsRequest {
        rule: "robots".into(),
        event_id: "e1".into(),
        ..request
    })
    .unwrap();
    assert_eq!(one.rule.as_deref(), Some("robots"));
    assert_eq!(one.event, Some(IdHash::of_event("e1")));
}
