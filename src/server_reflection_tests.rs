//! What a server tells of its services.

use super::*;

#[tokio::test]
async fn both_versions_of_reflection_know_the_service() {
    use tonic_reflection::pb::{v1, v1alpha};
    let running = start().await;
    let list = || v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(list()),
    };
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(running.channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let text = format!("{answer:?}");
    for name in ["bellwether.v1.ScoringService", "grpc.health.v1.Health"] {
        assert!(text.contains(name), "{text}");
    }

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "bellwether.v1.ScoringService".to_owned(),
            ),
        ),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(running.channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    assert!(format!("{answer:?}").contains("FileDescriptorResponse"));
}

#[tokio::test]
async fn reflection_tells_of_the_public_services_and_of_nothing_that_is_stored() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let running = start().await;
    let symbol = |name: &str| MessageRequest::FileContainingSymbol(name.to_owned());
    let asked = [
        MessageRequest::ListServices(String::new()),
        symbol("bellwether.v1.Profile"),
        symbol("bellwether.v1.ModelService"),
        symbol("google.rpc.Status"),
        symbol("google.protobuf.Timestamp"),
        symbol("bellwether.record.v1.ExportedProfile"),
        symbol("bellwether.record.v1.Record"),
        MessageRequest::FileByFilename("bellwether/record/v1/record.proto".to_owned()),
    ];
    let requests = asked.map(|asked| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(asked),
    });
    let mut client = ServerReflectionClient::new(running.channel.clone());
    let mut told = Vec::new();
    for request in requests {
        // An answer that there is none ends the stream.
        let answers = client.server_reflection_info(tokio_stream::once(request));
        let mut answers = match answers.await {
            Ok(answers) => answers.into_inner(),
            Err(status) => {
                told.push(format!("{:?}", status.code()));
                continue;
            }
        };
        told.push(match answers.message().await {
            Ok(answer) => match answer.and_then(|answer| answer.message_response) {
                Some(MessageResponse::ListServicesResponse(list)) => {
                    let names = list.service.into_iter().map(|service| service.name);
                    let mut names: Vec<String> = names.collect();
                    names.sort();
                    names.join(" ")
                }
                Some(MessageResponse::FileDescriptorResponse(_)) => "a file".to_owned(),
                other => format!("{other:?}"),
            },
            Err(status) => format!("{:?}", status.code()),
        });
    }
    let services = "bellwether.v1.ModelService bellwether.v1.ScoringService \
                    bellwether.v1.StoreService grpc.health.v1.Health \
                    grpc.reflection.v1.ServerReflection";
    let (file, none) = ("a file", "NotFound");
    let expected = [services, file, file, file, file, none, none, none];
    assert_eq!(told, expected);
}
