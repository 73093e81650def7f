//! Who has done what: noted before it is done, so that nothing is done that is not noted.

use std::future::Future;

use bellwether::{
    admin::Readiness,
    proto::v1::{
        self, model_service_client::ModelServiceClient,
        scoring_service_client::ScoringServiceClient, store_service_client::StoreServiceClient,
    },
    store::{Store, embedded::Embedded},
};
use tonic::{Code, transport::Channel};

use crate::{
    failing::Failing,
    world::{listening, serve},
};

/// Calls a server on a store, until the calls are done.
async fn with_server<Calls: Future<Output = ()>>(
    store: impl Store,
    calls: impl FnOnce(Channel) -> Calls,
) {
    let served = listening(serve(store).await, Readiness::default()).await;
    calls(served.channel).await;
    served.stop.send(()).unwrap();
    served.server.await.unwrap().unwrap();
}

fn event() -> v1::Event {
    v1::Event {
        event_id: "e-1".to_owned(),
        profile_id: "ann".to_owned(),
        r#type: "visit".to_owned(),
        time: Some(pbjson_types::Timestamp {
            seconds: 1_000,
            nanos: 0,
        }),
        ..Default::default()
    }
}

fn retraction() -> v1::RetractEventRequest {
    v1::RetractEventRequest {
        event: Some(event()),
        ..Default::default()
    }
}

fn release() -> v1::ReleaseEventsRequest {
    v1::ReleaseEventsRequest {
        profile_id: "ann".to_owned(),
        ..Default::default()
    }
}

fn other_model() -> v1::ApplyModelRequest {
    v1::ApplyModelRequest {
        source: "[scores.other]\n".to_owned(),
        ..Default::default()
    }
}

async fn noted(client: &mut ScoringServiceClient<Channel>) -> Vec<v1::AuditEntry> {
    let asked = client.get_audit(v1::GetAuditRequest::default()).await;
    asked.unwrap().into_inner().entries
}

#[tokio::test]
async fn what_cannot_be_noted_is_not_done() {
    let directory = tempfile::tempdir().unwrap();
    let store = Failing {
        refuses_audit: true,
        ..Failing::well(Embedded::open(directory.path()).unwrap())
    };
    with_server(store, async |channel| {
        let mut scoring = ScoringServiceClient::new(channel.clone());
        let mut models = ModelServiceClient::new(channel.clone());
        let mut store = StoreServiceClient::new(channel);
        let counts = v1::ScoreEventRequest {
            event: Some(event()),
            ..Default::default()
        };
        scoring.score_event(counts.clone()).await.unwrap();
        let before = models.get_models(v1::GetModelsRequest::default()).await;

        let refused = [
            scoring.retract_event(retraction()).await.unwrap_err(),
            scoring.release_events(release()).await.unwrap_err(),
            models.apply_model(other_model()).await.unwrap_err(),
            store
                .backup(v1::BackupRequest::default())
                .await
                .unwrap_err(),
        ];
        for status in refused {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
        }

        // The event counts still, so that it is a repeat.
        let again = scoring.score_event(counts).await.unwrap().into_inner();
        assert_eq!(again.outcome(), v1::EventOutcome::Duplicate);
        assert_eq!(again.profile.unwrap().event_count, 1);
        let after = models.get_models(v1::GetModelsRequest::default()).await;
        assert_eq!(before.unwrap().into_inner(), after.unwrap().into_inner());
        assert_eq!(noted(&mut scoring).await, []);
    })
    .await;
}

#[tokio::test]
async fn what_is_done_is_noted_and_what_is_refused_before_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    with_server(store, async |channel| {
        let mut scoring = ScoringServiceClient::new(channel.clone());
        let mut models = ModelServiceClient::new(channel.clone());
        let mut store = StoreServiceClient::new(channel);
        let unknown_rule = v1::ReleaseEventsRequest {
            rule: "no-such-rule".to_owned(),
            ..release()
        };
        assert!(scoring.release_events(unknown_rule).await.is_err());
        let mut ahead = retraction();
        let distant = pbjson_types::Timestamp {
            seconds: 9_000_000_000,
            nanos: 0,
        };
        ahead.event.as_mut().unwrap().time = Some(distant);
        assert!(scoring.retract_event(ahead).await.is_err());
        let outdated = v1::ApplyModelRequest {
            expected_revision: Some(1),
            ..other_model()
        };
        assert!(models.apply_model(outdated).await.is_err());
        let trial = v1::ApplyModelRequest {
            validate_only: true,
            ..other_model()
        };
        models.apply_model(trial).await.unwrap();
        assert_eq!(noted(&mut scoring).await, []);

        for limit in [-1, 1_001] {
            let asked = v1::GetAuditRequest {
                limit,
                ..Default::default()
            };
            let refused = scoring.get_audit(asked).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
            assert!(refused.message().contains("1000"), "{refused}");
        }

        scoring.retract_event(retraction()).await.unwrap();
        scoring.release_events(release()).await.unwrap();
        let applied = models.apply_model(other_model()).await.unwrap();
        store.backup(v1::BackupRequest::default()).await.unwrap();
        // The clock of the test stands still, so that their order is nobody's.
        let entries = noted(&mut scoring).await;
        assert_eq!(entries.len(), 4, "{entries:?}");
        let of = |method| {
            let mut found = entries.iter().filter(|entry| entry.method == method);
            found.next().unwrap()
        };
        let model = of("ApplyModel");
        assert_eq!(model.fingerprint, applied.into_inner().fingerprint);
        assert!(model.all_tenants && of("Backup").all_tenants);
        assert!(!of("ReleaseEvents").all_tenants);
        assert_eq!(of("RetractEvent").event_id, "e-1");
        for entry in &entries {
            assert_eq!(entry.principal, "an anonymous caller");
            assert!(entry.time.is_some());
        }
        let last = v1::GetAuditRequest {
            limit: 1,
            ..Default::default()
        };
        let last = scoring.get_audit(last).await.unwrap().into_inner();
        assert_eq!(last.entries, entries[..1]);
    })
    .await;
}
