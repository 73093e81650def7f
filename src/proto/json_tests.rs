use pbjson_types::Timestamp;

use super::*;
use crate::proto::{record::ExportedProfile, v1::Event};

fn read<T: Message + Default>(name: &str, text: &str) -> Result<T, String> {
    message(name, Json::parse(text)?)
}

fn event(text: &str) -> Result<Event, String> {
    read("bellwether.v1.Event", text)
}

#[test]
fn both_names_of_a_field_are_read_and_null_is_an_absent_one() {
    let camel = event(r#"{"eventId":"e","profileId":"p","time":"2026-01-01T02:30:00+02:30"}"#);
    let snake = event(
        r#"{"event_id":"e","profile_id":"p","type":null,"time":"2026-01-01T00:00:00Z","attributes":null,"tags":null,"sentiment":null,"author_id":null}"#,
    );
    assert_eq!(camel, snake);
    let seconds = 1_767_225_600;
    assert_eq!(snake.unwrap().time, Some(Timestamp { seconds, nanos: 0 }));
}

#[test]
fn null_within_attributes_is_a_value() {
    let read = event(r#"{"attributes":{"a":null,"b":[null,{"c":null}],"n":1e2,"t":"x","y":true}}"#);
    let fields = read.unwrap().attributes.unwrap().fields;
    let null = Some(FreeKind::NullValue(0));
    assert_eq!(fields["a"].kind, null);
    let Some(FreeKind::ListValue(list)) = &fields["b"].kind else {
        panic!("{fields:?}");
    };
    assert_eq!(list.values[0].kind, null);
    assert_eq!(fields["n"].kind, Some(FreeKind::NumberValue(100.0)));
}

#[test]
fn numbers_may_be_texts() {
    let read = |count: &str, sentiment: &str| {
        let exported: ExportedProfile = read(
            "bellwether.record.v1.ExportedProfile",
            &format!(r#"{{"record":{{"eventCount":{count}}}}}"#),
        )?;
        let event = event(&format!(r#"{{"sentiment":{sentiment}}}"#))?;
        Ok::<_, String>((exported.record.unwrap().event_count, event.sentiment))
    };
    for (count, sentiment) in [
        ("7", "0.5"),
        (r#""7""#, r#""0.5""#),
        ("7.0", "5e-1"),
        (r#""7e0""#, "0.5"),
    ] {
        assert_eq!(
            read(count, sentiment),
            Ok((7, Some(0.5))),
            "{count} {sentiment}"
        );
    }
    let greatest = r#""18446744073709551615""#;
    assert_eq!(read(greatest, "0").unwrap().0, u64::MAX);
    assert_eq!(read("18446744073709551615", "0").unwrap().0, u64::MAX);
    assert!(read("-1", "0").is_err());
    assert!(read("1.5", "0").is_err());
    assert!(read("1", r#""much""#).is_err());
}

#[test]
fn a_mistake_names_its_field_and_what_to_write() {
    for (text, told) in [
        (r#"{"eventId":7}"#, "eventId: is 7; write a text in quotes"),
        (
            r#"{"time":"yesterday"}"#,
            "time: \"yesterday\" is no instant; write",
        ),
        (
            r#"{"time":1767225600}"#,
            "time: is 1767225600; write an instant as text",
        ),
        (
            r#"{"tags":"price"}"#,
            "tags: is the text \"price\"; write a list",
        ),
        (
            r#"{"tags":["price",null]}"#,
            "tags[1]: is null; write a text",
        ),
        (
            r#"{"attributes":[]}"#,
            "attributes: is no object; write one",
        ),
        (
            r#"{"attributes":{"a":{"b":1,"b":2}}}"#,
            "attributes.a.b: stands twice",
        ),
        (
            r#"{"eventId":"a","event_id":"b"}"#,
            "event_id: stands twice",
        ),
        (
            r#"{"profilId":"a"}"#,
            "profilId: is no field; did you mean \"profileId\"?",
        ),
        (
            r#"{"colour":"red"}"#,
            "colour: is no field; known: eventId, profileId",
        ),
        ("[]", "is a list; write an object"),
        ("{", "no JSON: EOF while parsing an object at column 1"),
    ] {
        let error = event(text).unwrap_err();
        assert!(error.starts_with(told), "{text}: {error}");
    }
    let nested = read::<ExportedProfile>(
        "bellwether.record.v1.ExportedProfile",
        r#"{"record":{"eventCount":"many"}}"#,
    );
    let nested = nested.unwrap_err();
    assert!(
        nested.starts_with("record.eventCount: is the text"),
        "{nested}"
    );
}
