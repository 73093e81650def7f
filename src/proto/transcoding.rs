//! Messages of calls in JSON and in binary, one from the other, as the descriptors say: a method
//! that is added to `proto/` needs nothing here.

use std::sync::LazyLock;

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor,
};
use prost_types::{FileDescriptorSet, method_options::IdempotencyLevel};

use super::{PUBLIC_DESCRIPTORS, google::rpc};

/// Values of a message in JSON in all depths: what a thousand events with as many attributes as
/// they may have come to, and half as much again. While one is read, each takes most of a kibibyte.
pub const MAX_JSON_VALUES: usize = 128 * 1024;

/// Messages within an answer that is told in JSON, values of attributes among them: what a thousand
/// full profiles come to. While one is told, each takes most of a kibibyte.
pub const MAX_ANSWER_MESSAGES: usize = 256 * 1024;
/// Messages within messages: as many as prost follows.
const MAX_DEPTH: usize = 100;

/// The API, the health, and what errors say besides.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::decode(PUBLIC_DESCRIPTORS).unwrap_or_default();
    for others in [
        tonic_types::pb::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
    ] {
        let others = FileDescriptorSet::decode(others).unwrap_or_default();
        let new = others.file.into_iter().filter(|file| {
            // The same file may go by another name.
            let mut messages = file.message_type.iter();
            !messages.any(|message| {
                let name = format!("{}.{}", file.package(), message.name());
                pool.get_message_by_name(&name).is_some()
            })
        });
        let new: Vec<_> = new.collect();
        // What is missing is missed by the tests below.
        drop(pool.add_file_descriptor_protos(new));
    }
    pool
});

/// A method whose messages can be told in JSON.
#[derive(Clone, Debug)]
pub struct Rpc(MethodDescriptor);

/// What is wrong with a message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTranscoded {
    /// It is no JSON of such a message.
    #[error("{0}")]
    Malformed(String),
    /// [`MAX_JSON_VALUES`].
    #[error("it has more than {MAX_JSON_VALUES} values")]
    TooMany,
}

impl Rpc {
    /// The method at a path, such as `/bellwether.v1.ScoringService/GetProfile`.
    pub fn at(path: &str) -> Option<Self> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let service = POOL.get_service_by_name(service)?;
        let method = service.methods().find(|known| known.name() == method);
        method.map(Self)
    }

    /// Whether either side sends a stream of messages.
    pub fn is_stream(&self) -> bool {
        self.0.is_client_streaming() || self.0.is_server_streaming()
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        let options = self.0.method_descriptor_proto().options.as_ref();
        options
            .is_some_and(|options| options.idempotency_level() == IdempotencyLevel::NoSideEffects)
    }

    /// A request in binary. A field that is not known is passed over, as it is in binary, so that a
    /// newer caller can speak to an older server.
    ///
    /// # Errors
    /// When it is no such request.
    pub fn request_from_json(&self, json: &[u8]) -> Result<Vec<u8>, NotTranscoded> {
        if values_of(json) > MAX_JSON_VALUES {
            return Err(NotTranscoded::TooMany);
        }
        let malformed = |error: serde_json::Error| NotTranscoded::Malformed(error.to_string());
        let mut reader = serde_json::Deserializer::from_slice(json);
        let options = DeserializeOptions::new().deny_unknown_fields(false);
        let message =
            DynamicMessage::deserialize_with_options(self.0.input(), &mut reader, &options)
                .map_err(malformed)?;
        reader.end().map_err(malformed)?;
        Ok(message.encode_to_vec())
    }

    /// An answer in JSON.
    ///
    /// # Errors
    /// When it is no such answer.
    pub fn answer_to_json(&self, message: &[u8]) -> Result<Vec<u8>, NotTranscoded> {
        let mut left = MAX_ANSWER_MESSAGES;
        count_messages(&self.0.output(), message, &mut left, 0)?;
        to_json(self.0.output(), message)
    }
}

/// What an error says besides, in JSON, for people; `None` when it is of a kind that is not known.
pub fn detail_in_json(detail: &pbjson_types::Any) -> Option<serde_json::Value> {
    let message = POOL.get_message_by_name(kind_of(detail))?;
    let json = to_json(message, &detail.value).ok()?;
    serde_json::from_slice(&json).ok()
}

/// The full name of the kind of message that it is.
pub fn kind_of(detail: &pbjson_types::Any) -> &str {
    let name = detail.type_url.rsplit('/').next();
    name.unwrap_or(&detail.type_url)
}

/// What an error says besides.
pub fn details_of(status: &[u8]) -> Vec<pbjson_types::Any> {
    let status = rpc::Status::decode(status).unwrap_or_default();
    status.details
}

fn to_json(kind: MessageDescriptor, message: &[u8]) -> Result<Vec<u8>, NotTranscoded> {
    let malformed = |error: &dyn std::fmt::Display| NotTranscoded::Malformed(error.to_string());
    let message = DynamicMessage::decode(kind, message).map_err(|error| malformed(&error))?;
    serde_json::to_vec(&message).map_err(|error| malformed(&error))
}

/// Takes the messages within a message from those that are left, before room is made for any: in memory
/// one takes some hundred bytes, on the wire two.
fn count_messages(
    kind: &MessageDescriptor,
    mut bytes: &[u8],
    left: &mut usize,
    depth: usize,
) -> Result<(), NotTranscoded> {
    let malformed = |why: &str| NotTranscoded::Malformed(why.to_owned());
    if depth > MAX_DEPTH {
        return Err(malformed("it is nested too deeply"));
    }
    while !bytes.is_empty() {
        let read = decode_key(&mut bytes);
        let (number, wire) = read.map_err(|error| malformed(&error.to_string()))?;
        if wire != WireType::LengthDelimited {
            let skipped = skip_field(wire, number, &mut bytes, DecodeContext::default());
            skipped.map_err(|error| malformed(&error.to_string()))?;
            continue;
        }
        let length = decode_varint(&mut bytes).map_err(|error| malformed(&error.to_string()))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (inner, rest) = bytes
            .split_at_checked(length)
            .ok_or_else(|| malformed("it is cut off"))?;
        bytes = rest;
        let field = kind.get_field(number);
        let Some(Kind::Message(inner_kind)) = field.map(|field| field.kind()) else {
            continue;
        };
        *left = left.checked_sub(1).ok_or(NotTranscoded::TooMany)?;
        count_messages(&inner_kind, inner, left, depth + 1)?;
    }
    Ok(())
}

/// How many values a text in JSON has at most, before room is made for any: what separates them, and
/// what holds them.
fn values_of(json: &[u8]) -> usize {
    let (mut values, mut is_text, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b',' | b'{' | b'[' if !is_text => values += 1,
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::proto::{methods::METHODS, v1};

    fn get_profile() -> Rpc {
        Rpc::at("/bellwether.v1.ScoringService/GetProfile").unwrap()
    }

    #[test]
    fn every_method_of_the_api_is_known_and_so_is_the_health() {
        assert!(METHODS.len() > 10);
        for (path, method) in METHODS.iter() {
            let rpc = Rpc::at(path).unwrap();
            assert_eq!(rpc.is_read(), method.is_read, "{path}");
        }
        assert!(!Rpc::at("/grpc.health.v1.Health/Check").unwrap().is_stream());
        assert!(
            Rpc::at("/bellwether.v1.ScoringService/ScoreEvents")
                .unwrap()
                .is_stream()
        );
        for unknown in [
            "",
            "/",
            "/bellwether.v1.ScoringService/",
            "/a/b",
            "bellwether.v1.ScoringService/GetProfile",
        ] {
            assert!(Rpc::at(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn a_request_goes_by_either_name_of_its_fields_and_unknown_ones_are_passed_over() {
        let expected = v1::GetProfileRequest {
            profile_id: "ann".to_owned(),
            ..Default::default()
        };
        for json in [
            r#"{"profileId":"ann"}"#,
            r#"{"profile_id":"ann"}"#,
            r#"{"profileId":"ann","newer":{"a":[1,null]}}"#,
        ] {
            let read = get_profile().request_from_json(json.as_bytes()).unwrap();
            assert_eq!(v1::GetProfileRequest::decode(&*read), Ok(expected.clone()));
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for json in [
            "",
            "[]",
            "null",
            "{",
            r#"{"profileId":5}"#,
            "{} {}",
            "\u{feff}{}",
        ] {
            let read = get_profile().request_from_json(json.as_bytes());
            assert!(
                matches!(read, Err(NotTranscoded::Malformed(_))),
                "{json}: {read:?}"
            );
        }
        let deep = [&b"{\"a\":"[..], &[b'['; 100_000]].concat();
        assert!(get_profile().request_from_json(&deep).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused_and_what_is_read_is_a_request(
            seed in 0..SEEDS.len(),
            changes in vec((any::<Index>(), any::<u8>(), any::<bool>()), 0..6),
        ) {
            let mut json = SEEDS[seed].as_bytes().to_vec();
            for (place, byte, inserts) in changes {
                let place = place.index(json.len());
                if inserts {
                    json.insert(place, byte);
                } else {
                    json[place] = byte;
                }
            }
            for path in METHODS.keys() {
                let rpc = Rpc::at(path).unwrap();
                if let Ok(read) = rpc.request_from_json(&json) {
                    prop_assert!(DynamicMessage::decode(rpc.0.input(), &*read).is_ok());
                }
            }
            let score = Rpc::at("/bellwether.v1.ScoringService/ScoreEvent").unwrap();
            if let Ok(read) = score.request_from_json(&json) {
                prop_assert!(v1::ScoreEventRequest::decode(&*read).is_ok());
            }
        }
    }

    /// Requests of several methods.
    const SEEDS: [&str; 4] = [
        r#"{"tenant":"a","event":{"eventId":"1","profileId":"ann","type":"visit","time":"2026-11-21T08:00:00.5Z","sentiment":-0.5,"attributes":{"a":[1,null,{"b":true}],"c":"d"}},"responseView":"RESPONSE_VIEW_FULL"}"#,
        r#"{"profileId":"ann","asOf":"1969-12-31T23:59:59+01:00","view":2}"#,
        r#"{"segment":"everybody","pageSize":"10","condition":"true","pageToken":""}"#,
        r#"{"source":"[scores.a]","expectedRevision":"9223372036854775807","validateOnly":false}"#,
    ];

    #[test]
    fn values_are_counted_before_they_are_read() {
        assert_eq!(values_of(br#"{"a":"{[,\",","b":[1,2]}"#), 4);
        let many = format!("{{\"events\":[{}]}}", vec!["{}"; MAX_JSON_VALUES].join(","));
        let rpc = Rpc::at("/bellwether.v1.ScoringService/ScoreEvents").unwrap();
        let read = rpc.request_from_json(many.as_bytes());
        assert_eq!(read, Err(NotTranscoded::TooMany));
    }

    #[test]
    fn a_status_within_an_answer_tells_its_details() {
        let violation = rpc::Status {
            code: 3,
            message: "no".to_owned(),
            details: vec![pbjson_types::Any {
                type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
                value: tonic_types::pb::ErrorInfo {
                    reason: "BECAUSE".to_owned(),
                    ..Default::default()
                }
                .encode_to_vec()
                .into(),
            }],
        };
        let result = v1::ScoreEventsResult {
            result: Some(v1::score_events_result::Result::Error(violation.clone())),
        };
        let answer = v1::ScoreEventsResponse {
            results: vec![result],
        };
        let rpc = Rpc::at("/bellwether.v1.ScoringService/ScoreEvents").unwrap();
        let json = rpc.answer_to_json(&answer.encode_to_vec()).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(json.contains(r#""reason":"BECAUSE""#), "{json}");
        let told = detail_in_json(&violation.details[0]).unwrap();
        assert_eq!(told["reason"], "BECAUSE");
    }
}
