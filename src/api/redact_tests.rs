use std::{collections::BTreeSet, sync::Arc};

use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};

use super::*;
use crate::{
    access::{Names, Permission, Role, Sight},
    proto::{DESCRIPTOR_POOL, methods::METHODS},
    scoring::Model,
};

/// A role that sees nothing of a model.
fn nothing() -> Seen {
    let none = || Names::Only(BTreeSet::new());
    let role = Role {
        name: "blind".to_owned(),
        // Otherwise it would see no person at all.
        permissions: [Permission::Read].into(),
        calls: BTreeSet::new(),
        sight: Sight {
            scores: none(),
            attributes: none(),
            segments: none(),
            topics: none(),
            derived: false,
        },
    };
    // Stages by a score, a reach and a confidence by an attribute: each is hidden with it.
    let model = "[scores.interest]\nhalf_life = \"7d\"\n\
        [[signals]]\nname = \"visited\"\non = \"visit\"\npoints = { interest = 1 }\n\
        [[stages]]\nname = \"aware\"\nmin = { interest = 2 }\n\
        [[identity]]\nname = \"stated\"\nwhen = 'has(profile.attributes.email)'\nconfidence = 0.5\n\
        [[topics]]\nname = \"prices\"\nkeywords = [\"price\"]\n\
        [influence]\nevent_types = { reply = 1 }\nhalf_life = \"7d\"\nattribution_half_life = \"7d\"\nreach = \"followers\"\n";
    Seen::of(&Arc::new(role), &Model::parse(model).unwrap())
}

/// A message with something in every field; a list has an element for each choice of its messages.
fn full(descriptor: &MessageDescriptor) -> Vec<DynamicMessage> {
    let choices = descriptor.oneofs().filter(|oneof| !oneof.is_synthetic());
    let most = choices.map(|oneof| oneof.fields().len()).max().unwrap_or(1);
    let choices = (0..most).map(|choice| {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            let oneof = field.containing_oneof();
            let oneof = oneof.filter(|oneof| !oneof.is_synthetic());
            if let Some(oneof) = oneof
                && oneof.fields().nth(choice % oneof.fields().len()) != Some(field.clone())
            {
                continue;
            }
            message.set_field(&field, value_of(&field));
        }
        message
    });
    choices.collect()
}

fn value_of(field: &FieldDescriptor) -> Value {
    let single: Vec<Value> = match field.kind() {
        Kind::Message(descriptor) => match descriptor.full_name() {
            "google.protobuf.Struct" => {
                let stated = [("some_attribute".to_owned(), 7.0.into())].into();
                let stated = pbjson_types::Struct { fields: stated };
                let bytes = stated.encode_to_vec();
                let read = DynamicMessage::decode(descriptor, bytes.as_slice());
                vec![Value::Message(read.unwrap())]
            }
            "google.protobuf.Any" => vec![],
            _ => full(&descriptor).into_iter().map(Value::Message).collect(),
        },
        Kind::String => vec![Value::String(field.full_name().to_owned())],
        Kind::Double => vec![Value::F64(7.5)],
        Kind::Int32 => vec![Value::I32(7)],
        Kind::Int64 => vec![Value::I64(7)],
        Kind::Bool => vec![Value::Bool(true)],
        Kind::Enum(kind) => vec![Value::EnumNumber(kind.values().last().unwrap().number())],
        other => panic!("a kind of field that the test does not fill: {other:?}"),
    };
    match field.is_list() {
        true => Value::List(single),
        false => single.into_iter().next().unwrap(),
    }
}

/// The fields that have something in them, by their full names.
fn told(message: &DynamicMessage, found: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        found.insert(field.full_name().to_owned());
        let list = [value.clone()];
        let elements = value.as_list().unwrap_or(&list);
        for element in elements.iter().filter_map(Value::as_message) {
            if !element
                .descriptor()
                .full_name()
                .starts_with("google.protobuf.")
            {
                told(element, found);
            }
            if element.descriptor().full_name() == "google.protobuf.Struct" {
                let stated = element.get_field_by_name("fields").unwrap();
                if stated.as_map().is_some_and(|fields| !fields.is_empty()) {
                    found.insert("an attribute".to_owned());
                }
            }
        }
    }
}

/// What is left of the fullest answer of a type for who sees nothing.
fn left<T: Redact + Message + Default>(name: &str, left: &mut BTreeSet<String>) {
    let descriptor = DESCRIPTOR_POOL.get_message_by_name(name).unwrap();
    for message in full(&descriptor) {
        let mut answer = T::decode(message.encode_to_vec().as_slice()).unwrap();
        answer.redact(&nothing());
        let bytes = answer.encode_to_vec();
        let message = DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).unwrap();
        told(&message, left);
    }
}

#[test]
fn who_sees_nothing_of_a_model_is_told_these_fields_of_answers_and_no_other() {
    macro_rules! answers {
        ($($name:ident)*) => {{
            let mut found = BTreeSet::new();
            let mut answers = BTreeSet::new();
            $(
                let name = concat!("bellwether.v1.", stringify!($name));
                answers.insert(name.to_owned());
                left::<v1::$name>(name, &mut found);
            )*
            (answers, found)
        }};
    }
    let (answers, found) = answers!(
        ScoreEventResponse ScoreEventsResponse RetractEventResponse ListQuarantineResponse
        ReleaseEventsResponse GetProfileResponse BatchGetProfilesResponse UpdateProfileResponse
        BatchUpdateProfilesResponse GetSubjectResponse UpdateSubjectResponse RankSegmentResponse
        GetSegmentTopicsResponse GetFunnelResponse TopInfluencersResponse GetCatalogResponse
        GetAuditResponse
    );
    // Whoever has calls on models, or may back up, sees everything.
    let services = DESCRIPTOR_POOL.services();
    let scoring = services.filter(|service| service.name() == "ScoringService");
    let all: BTreeSet<String> = scoring
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| method.output().full_name().to_owned())
        .collect();
    assert!(!METHODS.is_empty());
    assert_eq!(answers, all, "an answer without Redact");

    let told = [
        "BatchGetProfilesResponse.results",
        "BatchGetProfilesResult.error",
        "BatchGetProfilesResult.profile",
        "BatchUpdateProfilesResponse.results",
        "BatchUpdateProfilesResult.error",
        "BatchUpdateProfilesResult.response",
        "CatalogEntry.description",
        "CatalogEntry.name",
        "GetCatalogResponse.fingerprint",
        "GetCatalogResponse.subject_kinds",
        "GetFunnelResponse.as_of",
        "GetProfileResponse.profile",
        "GetSegmentTopicsResponse.as_of",
        "GetSegmentTopicsResponse.members",
        "GetSegmentTopicsResponse.segment_size",
        "GetSubjectResponse.subject",
        "HeldEvent.time",
        "HeldEvent.type",
        "Influencer.influence",
        "Influencer.profile",
        "Influencer.touches",
        "ListQuarantineResponse.next_page_token",
        "ListQuarantineResponse.profiles",
        "ListQuarantineResponse.total_size",
        "Profile.as_of",
        "Profile.attributes",
        "Profile.event_count",
        "Profile.exists",
        "Profile.first_seen_time",
        "Profile.last_event_time",
        "Profile.profile_id",
        "QuarantinedProfile.events",
        "QuarantinedProfile.profile_id",
        "RankSegmentResponse.as_of",
        "RankSegmentResponse.condition_failed_count",
        "RankSegmentResponse.members",
        "RankSegmentResponse.next_page_token",
        "RankSegmentResponse.segment_size",
        "ReleaseEventsResponse.profile",
        "ReleaseEventsResponse.released_count",
        "RetractEventResponse.outcome",
        "RetractEventResponse.profile",
        "ScoreEventResponse.ignored_reason",
        "ScoreEventResponse.outcome",
        "ScoreEventResponse.profile",
        "ScoreEventResponse.warnings",
        "ScoreEventsResponse.results",
        "ScoreEventsResult.error",
        "ScoreEventsResult.response",
        // Whoever lists a segment sees it.
        "SegmentMember.outcome",
        "SegmentMember.points",
        "SegmentMember.probability",
        "SegmentMember.profile",
        "SegmentMember.rank",
        "SegmentMember.subject",
        "Subject.as_of",
        "Subject.attributes",
        "Subject.event_count",
        "Subject.exists",
        "Subject.first_seen_time",
        "Subject.kind",
        "Subject.last_event_time",
        "Subject.subject_id",
        "TopInfluencersResponse.as_of",
        "TopInfluencersResponse.influencers",
        "TopInfluencersResponse.next_page_token",
        "UpdateProfileResponse.profile",
        "UpdateSubjectResponse.subject",
        "Warning.code",
        "Warning.field",
        "Warning.message",
    ];
    let told = told.map(|field| format!("bellwether.v1.{field}"));
    let errors = ["code", "message"].map(|field| format!("google.rpc.Status.{field}"));
    let told: BTreeSet<String> = told.into_iter().chain(errors).collect();
    let (more, less): (Vec<_>, Vec<_>) = (
        found.difference(&told).collect(),
        told.difference(&found).collect(),
    );
    assert!(
        more.is_empty() && less.is_empty(),
        "told: {more:?}, not told: {less:?}"
    );
}

#[test]
fn names_that_are_hidden_are_in_no_error() {
    let known = || vec!["buyers".to_owned(), "leavers".to_owned()];
    for kind in ["segment", "stage", "topic", "quarantine rule"] {
        let error = ServiceError::UnknownName {
            kind,
            name: "nowhere".to_owned(),
            known: known(),
        };
        let status = redacted_status(error.clone(), "", &nothing());
        assert!(!status.message().contains("buyers"), "{status:?}");
        let status = redacted_status(error, "", &Seen::all());
        assert!(status.message().contains("buyers"), "{status:?}");
    }
    let mistake = Diagnostic {
        line: 1,
        column: 3,
        message: "has no score \"fitt\"; did you mean \"fit\"?".to_owned(),
    };
    let error = ServiceError::Condition(vec![mistake]);
    let status = redacted_status(error, "", &nothing());
    assert!(!status.message().contains("fit"), "{status:?}");
    assert!(status.message().contains("1:3"), "{status:?}");
}
