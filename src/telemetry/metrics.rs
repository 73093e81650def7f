//! Where metrics go: to whoever scrapes them, and over OTLP when an endpoint is configured. Both
//! read the same instruments.

use std::sync::Arc;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::{Resource, error::OTelSdkError, metrics::SdkMeterProvider};
use prometheus::{Registry, TextEncoder};
use tokio::sync::Mutex;

/// What kind of text a scrape is answered with.
pub const METRICS_CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Reads all metrics as Prometheus has them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Scraped {
    registry: Registry,
    /// When the last one is gone, nothing is told any more.
    pub provider: SdkMeterProvider,
    /// One scrape at a time, so that whoever asks all the time keeps one thread busy and no more.
    turn: Arc<Mutex<()>>,
}

impl Scraped {
    /// Has instruments read for a scrape, and sent over OTLP when there is an exporter.
    pub(super) fn new(
        resource: Resource,
        otlp: Option<MetricExporter>,
    ) -> Result<Self, OTelSdkError> {
        let registry = Registry::new();
        let scraped = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            // There is one scope.
            .scope_info_enabled(false)
            .build()?;
        let provider = SdkMeterProvider::builder()
            .with_reader(scraped)
            .with_resource(resource);
        let provider = match otlp {
            Some(otlp) => provider.with_periodic_exporter(otlp),
            None => provider,
        };
        Ok(Self {
            registry,
            provider: provider.build(),
            turn: Arc::default(),
        })
    }

    pub(super) async fn text(&self) -> Result<String, prometheus::Error> {
        let _turn = self.turn.lock().await;
        let registry = self.registry.clone();
        // It takes a millisecond, for which the threads of the calls are needed.
        let text = tokio::task::spawn_blocking(move || {
            TextEncoder::new().encode_to_string(&registry.gather())
        });
        text.await
            .unwrap_or_else(|error| Err(prometheus::Error::Msg(error.to_string())))
    }
}
