//! Requests as callers send them: good ones are read, bad ones name every wrong field.

use pbjson_types as wkt;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::{
    proto::v1,
    scoring::{Event, IdHash, ProfileId, Timestamp},
};

fn good() -> v1::Event {
    v1::Event {
        event_id: "e1".into(),
        profile_id: "ann".into(),
        r#type: "reply".into(),
        ..v1::Event::default()
    }
}

/// The violations as `(field, description)`.
fn violations(status: &Status) -> Vec<(String, String)> {
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_details_bad_request().unwrap();
    let named = details.field_violations.into_iter();
    named
        .map(|violation| (violation.field, violation.description))
        .collect()
}

fn refused(change: impl FnOnce(&mut v1::Event)) -> (String, String) {
    let mut sent = good();
    change(&mut sent);
    let status = event(sent, EventPath::Single).unwrap_err();
    let mut found = violations(&status);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_complete_event_is_read_field_by_field() {
    let sent = v1::Event {
        time: Some(wkt::Timestamp {
            seconds: 7,
            nanos: 5,
        }),
        channel: "web".into(),
        text: "a\nb".into(),
        tags: vec!["coverage".into()],
        sentiment: Some(-1.0),
        author_id: "bob".into(),
        content_id: "post 9".into(),
        campaign_id: "spring".into(),
        subjects: vec![v1::SubjectReference {
            kind: "account".into(),
            subject_id: "acme".into(),
        }],
        ..good()
    };
    let read = event(sent, EventPath::Single).unwrap();
    let expected = Event {
        id: IdHash::of_event("e1"),
        profile_id: ProfileId::new("ann").unwrap(),
        event_type: "reply".into(),
        time: Timestamp::from_nanos(7_000_000_005),
        channel: "web".into(),
        attributes: Default::default(),
        text: "a\nb".into(),
        tags: vec!["coverage".into()],
        sentiment: Some(-1.0),
        author_id: ProfileId::new("bob"),
        content_id: "post 9".into(),
        campaign_id: "spring".into(),
        subjects: vec![ProfileId::of_subject("account", "acme").unwrap()],
    };
    assert_eq!(read, expected);
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let sent = v1::Event {
        event_id: String::new(),
        profile_id: "p".repeat(257),
        r#type: String::new(),
        time: Some(wkt::Timestamp {
            seconds: 1,
            nanos: -1,
        }),
        channel: "w\0b".into(),
        attributes: Some([("x".to_owned(), f64::NAN.into())].into_iter().collect()),
        text: "secret".repeat(20_000),
        tags: vec!["t".repeat(129)],
        sentiment: Some(f64::NAN),
        author_id: "\n".into(),
        content_id: "c".repeat(257),
        campaign_id: "c\n".into(),
        subjects: vec![v1::SubjectReference {
            kind: "Brand!".into(),
            subject_id: "\n".into(),
        }],
    };
    let request = v1::ScoreEventRequest {
        tenant: "Acme{}".into(),
        event: Some(sent),
        response_view: 9,
    };
    let status = score_event(request).unwrap_err();
    let found = violations(&status);
    let fields: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "tenant",
            "event.event_id",
            "event.profile_id",
            "event.type",
            "event.time",
            "event.channel",
            "event.attributes",
            "event.text",
            "event.tags[0]",
            "event.sentiment",
            "event.author_id",
            "event.content_id",
            "event.campaign_id",
            "event.subjects[0].kind",
            "event.subjects[0].subject_id",
            "response_view",
        ]
    );
    assert!(
        !format!("{found:?}").contains("secret"),
        "text is never shown"
    );
    assert!(status.details().len() < 4_096, "{}", status.details().len());
}

#[test]
fn a_missing_event_is_required() {
    let status = score_event(v1::ScoreEventRequest::default()).unwrap_err();
    assert_eq!(
        violations(&status),
        [("event".into(), "is required".into())]
    );
}

#[test]
fn ids_are_taken_up_to_their_limit_and_refused_beyond_it() {
    let mut longest = good();
    longest.event_id = "e".repeat(256);
    assert!(event(longest, EventPath::Single).is_ok());

    let (field, description) = refused(|event| event.event_id = "e".repeat(257));
    assert_eq!(field, "event.event_id");
    assert_eq!(
        description,
        format!("has 257 bytes: \"{}\"…; send at most 256", "e".repeat(32))
    );
    let (_, description) = refused(|event| event.profile_id = "a\u{85}b".into());
    assert!(description.starts_with("has control characters: \"a\\u{85}b\""));
}

#[test]
fn a_type_is_bounded_and_has_no_control_characters() {
    assert_eq!(
        refused(|event| event.r#type = "t".repeat(65)).0,
        "event.type"
    );
    assert_eq!(
        refused(|event| event.r#type = "a\tb".into()).0,
        "event.type"
    );
}

#[test]
fn each_malformed_time_says_what_to_send() {
    let time =
        |seconds, nanos| refused(|event| event.time = Some(wkt::Timestamp { seconds, nanos })).1;
    assert!(time(1, -1).contains("nanos of -1"));
    assert!(time(1, 1_000_000_000).contains("nanos of 1000000000"));
    assert!(time(-1, 0).contains("before 1970"));
    assert!(time(1_700_000_000_000, 0).contains("not milliseconds"));
    assert!(time(i64::MAX, 0).contains("after April 2262"));
    assert!(time(i64::MIN, i32::MIN).contains("nanos"));
}

#[test]
fn sentiment_is_a_number_from_minus_one_to_one() {
    for sentiment in [-1.000_001, 1.000_001, f64::INFINITY, f64::NAN] {
        assert_eq!(
            refused(|event| event.sentiment = Some(sentiment)).0,
            "event.sentiment"
        );
    }
}

#[test]
fn too_many_tags_are_refused() {
    let (field, description) = refused(|event| event.tags = vec!["t".into(); 65]);
    assert_eq!(field, "event.tags");
    assert!(description.contains("65 entries"));
}

#[test]
fn a_refused_event_of_a_stream_names_its_place() {
    let mut sent = good();
    sent.profile_id.clear();
    let status = event(sent, EventPath::Indexed(3)).unwrap_err();
    assert_eq!(status.message(), "events[3].profile_id is required");
}

#[test]
fn a_stream_request_has_1_to_1000_events() {
    let request = |events| v1::ScoreEventsRequest {
        tenant: String::new(),
        events: vec![v1::Event::default(); events],
        ..Default::default()
    };
    assert_eq!(score_events(request(1_000)).unwrap().1.len(), 1_000);
    for wrong in [0, 1_001] {
        let status = score_events(request(wrong)).unwrap_err();
        assert_eq!(violations(&status)[0].0, "events");
    }
}

#[test]
fn an_unknown_view_and_a_malformed_instant_are_refused_together() {
    let request = v1::GetProfileRequest {
        profile_id: "ann".into(),
        view: 3,
        as_of: Some(wkt::Timestamp {
            seconds: -1,
            nanos: 0,
        }),
        ..Default::default()
    };
    let found = violations(&get_profile(&request).unwrap_err());
    assert_eq!(found[0].0, "view");
    assert_eq!(found[1].0, "as_of");
}

#[test]
fn a_batch_names_the_ids_that_are_wrong() {
    let request = v1::BatchGetProfilesRequest {
        profile_ids: vec!["ann".into(), String::new(), "b\0".into()],
        ..Default::default()
    };
    let found = violations(&batch_get_profiles(&request).unwrap_err());
    assert_eq!(found[0].0, "profile_ids[1]");
    assert_eq!(found[1].0, "profile_ids[2]");

    for wrong in [0, 1_001] {
        let request = v1::BatchGetProfilesRequest {
            profile_ids: vec!["ann".into(); wrong],
            ..Default::default()
        };
        let found = violations(&batch_get_profiles(&request).unwrap_err());
        assert_eq!(found[0].0, "profile_ids");
    }
}

#[test]
fn removed_attributes_are_named_within_bounds_and_are_not_set_as_well() {
    let update = |removed: Vec<String>| {
        update_profile(v1::UpdateProfileRequest {
            profile_id: "ann".into(),
            attributes: Some(
                [("industry".to_owned(), wkt::Value::from("retail"))]
                    .into_iter()
                    .collect(),
            ),
            remove_attributes: removed,
            ..Default::default()
        })
    };
    let (_, read, _) = update(vec!["crm_id".into(); 64]).unwrap();
    assert_eq!(read.removed, vec!["crm_id"; 64]);
    assert!(read.attributes.contains_key("industry"));
    for (wrong, field, what) in [
        (
            vec!["a".into(), String::new()],
            "remove_attributes[1]",
            "is empty",
        ),
        (vec!["a".into(); 65], "remove_attributes", "has 65 entries"),
        (
            vec!["a".repeat(16_385)],
            "remove_attributes[0]",
            "has 16385 bytes",
        ),
        (
            vec!["industry".into()],
            "remove_attributes[0]",
            "which attributes sets",
        ),
    ] {
        let found = violations(&update(wrong).unwrap_err());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, field);
        assert!(found[0].1.contains(what), "{}", found[0].1);
    }
}

#[test]
fn a_write_is_answered_with_as_much_of_the_profile_as_is_asked_for() {
    use crate::{proto::v1::ResponseView, service::View};
    let view = |view: i32| {
        let request = v1::UpdateProfileRequest {
            profile_id: "ann".into(),
            response_view: view,
            ..Default::default()
        };
        update_profile(request).map(|(_, _, view)| view)
    };
    for (sent, read) in [
        (ResponseView::Unspecified, Some(View::Basic)),
        (ResponseView::None, None),
        (ResponseView::Basic, Some(View::Basic)),
        (ResponseView::Full, Some(View::Full)),
    ] {
        assert_eq!(view(sent.into()).unwrap(), read);
    }
    let found = violations(&view(4).unwrap_err());
    assert_eq!(found[0].0, "response_view");
}

#[test]
fn a_batch_of_updates_is_refused_whole_only_for_what_concerns_all_of_it() {
    let update = |profile_id: &str| v1::ProfileUpdate {
        profile_id: profile_id.into(),
        ..Default::default()
    };
    let batch = |updates| v1::BatchUpdateProfilesRequest {
        updates,
        ..Default::default()
    };
    let both = v1::ProfileUpdate {
        remove_attributes: vec![String::new()],
        ..update("")
    };
    let (_, read, _) = batch_update_profiles(batch(vec![update("ann"), update(""), both])).unwrap();
    assert_eq!(read[0].as_ref().unwrap().profile_id.as_str(), "ann");
    let fields = |index: usize| {
        let found = violations(read[index].as_ref().unwrap_err());
        found
            .into_iter()
            .map(|(field, _)| field)
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(1), ["updates[1].profile_id"]);
    assert_eq!(
        fields(2),
        ["updates[2].profile_id", "updates[2].remove_attributes[0]"]
    );
    for wrong in [0, 1_001] {
        let status = batch_update_profiles(batch(vec![update("ann"); wrong])).unwrap_err();
        assert_eq!(violations(&status)[0].0, "updates");
    }
    let status = batch_update_profiles(v1::BatchUpdateProfilesRequest {
        tenant: "{}".into(),
        response_view: 9,
        ..batch(vec![update("ann")])
    });
    let found = violations(&status.unwrap_err());
    assert_eq!((&*found[0].0, &*found[1].0), ("tenant", "response_view"));
}
