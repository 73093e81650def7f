//! The spans of a call: what the store does for it stands within the span of the call.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use bellwether::{
    config::{Config, Flags},
    proto::v1::{self, scoring_service_client::ScoringServiceClient},
    server,
    telemetry::Telemetry,
};
use tokio::sync::oneshot;
use tracing::{
    Id, Subscriber,
    field::{Field, Visit},
    span::Attributes,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// The name that a span goes by in a trace.
struct Name(String);

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "otel.name" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// Every span within another one, by their names.
#[derive(Clone, Default)]
struct Within(Arc<Mutex<BTreeSet<(String, String)>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Within {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut name = Name(String::new());
        attributes.record(&mut name);
        let span = context.span(id).unwrap();
        if let Some(parent) = span.parent()
            && let Some(Name(parent)) = parent.extensions().get()
        {
            let pair = (parent.clone(), name.0.clone());
            self.0.lock().unwrap().insert(pair);
        }
        span.extensions_mut().insert(name);
    }
}

#[tokio::test]
async fn operations_of_the_store_stand_within_the_calls_that_they_are_for() {
    let within = Within::default();
    // Of this thread, which does all that is asynchronous here.
    let subscriber = tracing_subscriber::registry().with(within.clone());
    let _spans = tracing::subscriber::set_default(subscriber);
    let directory = tempfile::tempdir().unwrap();
    let free = || Some("127.0.0.1:0".to_owned());
    let flags = Flags {
        listen: free(),
        admin_listen: free(),
        store: Some(directory.path().join("store").display().to_string()),
        ..Flags::default()
    };
    let config = Config::load(&flags, |_| None).unwrap();
    let bound = server::bind(config, Telemetry::disabled()).await.unwrap();
    let address = format!("http://{}", bound.local_address());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(bound.run(async move { drop(stopped.await) }));

    let mut client = ScoringServiceClient::connect(address).await.unwrap();
    let event = v1::Event {
        event_id: "1".to_owned(),
        profile_id: "ann".to_owned(),
        r#type: "question".to_owned(),
        ..Default::default()
    };
    let events = v1::ScoreEventsRequest {
        events: vec![event.clone()],
        ..Default::default()
    };
    let mut answers = client
        .score_events(tokio_stream::once(events))
        .await
        .unwrap()
        .into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let again = v1::ScoreEventRequest {
        event: Some(v1::Event {
            event_id: "2".to_owned(),
            ..event
        }),
        ..Default::default()
    };
    client.score_event(again).await.unwrap();
    let page = v1::RankSegmentRequest {
        segment: "contact_next".to_owned(),
        ..Default::default()
    };
    client.rank_segment(page).await.unwrap();
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();

    let seen = within.0.lock().unwrap();
    for (method, operation) in [
        ("ScoreEvents", "load"),
        ("ScoreEvents", "commit"),
        ("ScoreEvent", "load"),
        ("ScoreEvent", "commit"),
        ("RankSegment", "page"),
        ("RankSegment", "load"),
    ] {
        let method = format!("bellwether.v1.ScoringService/{method}");
        let pair = (method, operation.to_owned());
        assert!(seen.contains(&pair), "{pair:?} in {seen:?}");
    }
}
