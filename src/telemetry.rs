//! What an operator sees: structured logs on standard error, metrics for whoever scrapes them,
//! and traces and the same metrics over OTLP when an endpoint is configured. Logs say method,
//! code and duration of a call, never what a caller sent.

mod collector;
mod counters;
mod metrics;
mod observed;
mod repeats;
mod tally;

pub use collector::causes;
pub use counters::{Counters, EventEnd, Shed, ShedCount};
pub use metrics::METRICS_CONTENT_TYPE;
pub use observed::{ServiceLoad, StoreTimes, TransportLoad};
pub use repeats::is_new;

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use http::HeaderMap;
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, MeterProvider as _},
    propagation::{Extractor, TextMapPropagator as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource, error::OTelSdkError, metrics::SdkMeterProvider, propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use tonic::Code;
use tracing::{Level, Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use metrics::Scraped;

use crate::{
    config::{LogFormat, Secret},
    limits::TELEMETRY_FLUSH_TIMEOUT,
};

/// The name of this crate in logs, traces and metrics.
const SCOPE: &str = "bellwether";
/// Upper edges of the histogram of durations, in seconds: an embedded read takes tens of
/// microseconds, a call without a deadline of its own ends at ten seconds.
const DURATION_EDGES: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
];

/// Reports calls, and has the counters of all else. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry {
    call_duration: Option<Arc<Histogram<f64>>>,
    /// Whether spans go somewhere.
    has_traces: bool,
    counters: Counters,
    scraped: Option<Scraped>,
}

/// What must be flushed before the process ends.
#[derive(Debug)]
pub struct Exporters {
    traces: Option<SdkTracerProvider>,
    metrics: SdkMeterProvider,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter does not take the endpoint.
    #[error("otlp_endpoint: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// Metrics cannot be told.
    #[error("metrics: {0}")]
    Metrics(#[from] OTelSdkError),
    /// Somebody else has already set up logs for this process.
    #[error("logs are already set up: {0}")]
    Logs(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logs and metrics, and traces when there is an endpoint. Called once, within the runtime.
///
/// # Errors
/// When the endpoint is malformed or logs are already set up.
pub fn start(
    level: LevelFilter,
    format: LogFormat,
    otlp_endpoint: Option<&Secret>,
) -> Result<(Telemetry, Exporters), TelemetryError> {
    let (traces, scraped) = exporters(otlp_endpoint)?;
    let exporters = Exporters {
        traces,
        metrics: scraped.provider.clone(),
    };
    // What libraries have to say matters when something is wrong.
    let logged = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(SCOPE, level);
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let stderr = match format {
        LogFormat::Text => stderr.boxed(),
        LogFormat::Json => stderr.json().boxed(),
    };
    let traces = exporters.traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(SCOPE))
            .with_filter(Targets::new().with_target(SCOPE, Level::DEBUG))
    });
    tracing_subscriber::registry()
        .with(stderr.with_filter(logged))
        .with(traces)
        .try_init()?;
    tokio::spawn(repeats::follow());
    if let Some(endpoint) = otlp_endpoint {
        tokio::spawn(collector::ask_once(endpoint.clone()));
    }
    let telemetry = Telemetry {
        has_traces: exporters.traces.is_some(),
        ..Telemetry::of(scraped)
    };
    Ok((telemetry, exporters))
}

fn resource() -> Resource {
    Resource::builder()
        .with_service_name(SCOPE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

fn exporters(
    endpoint: Option<&Secret>,
) -> Result<(Option<SdkTracerProvider>, Scraped), TelemetryError> {
    let (mut traces, mut otlp) = (None, None);
    if let Some(endpoint) = endpoint {
        let spans = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint.expose())
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(spans)
            .with_resource(resource());
        traces = Some(provider.build());
        let exporter = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint.expose());
        otlp = Some(exporter.build()?);
    }
    Ok((traces, Scraped::new(resource(), otlp)?))
}

impl Exporters {
    /// Sends what is left, for at most [`TELEMETRY_FLUSH_TIMEOUT`] each.
    pub async fn shut_down(self) {
        // The providers block their thread, while the runtime carries their requests.
        let flushed = tokio::task::spawn_blocking(move || {
            if let Some(traces) = self.traces
                && let Err(error) = traces.shutdown_with_timeout(TELEMETRY_FLUSH_TIMEOUT)
            {
                tracing::warn!(%error, "the last traces were not sent");
            }
            if let Err(error) = self.metrics.shutdown_with_timeout(TELEMETRY_FLUSH_TIMEOUT) {
                tracing::warn!(%error, "the last metrics were not sent");
            }
        });
        if flushed.await.is_err() {
            tracing::warn!("the last traces and metrics were not sent");
        }
    }
}

impl Telemetry {
    /// Metrics for whoever scrapes them, and nothing else is set up: for a server within another
    /// process.
    ///
    /// # Errors
    /// When metrics cannot be told.
    pub fn scraped_alone() -> Result<Self, TelemetryError> {
        Ok(Self::of(Scraped::new(resource(), None)?))
    }

    fn of(scraped: Scraped) -> Self {
        let meter = scraped.provider.meter(SCOPE);
        let duration = meter
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Duration of calls by method and code; its count is how many")
            .with_boundaries(DURATION_EDGES.to_vec())
            .build();
        Self {
            call_duration: Some(Arc::new(duration)),
            has_traces: false,
            counters: Counters::new(&meter),
            scraped: Some(scraped),
        }
    }

    /// Logs alone.
    pub fn disabled() -> Self {
        Self {
            call_duration: None,
            has_traces: false,
            counters: Counters::disabled(),
            scraped: None,
        }
    }

    /// All metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be written in it.
    pub async fn scraped(&self) -> Result<String, prometheus::Error> {
        match &self.scraped {
            Some(scraped) => scraped.text().await,
            None => Ok(String::new()),
        }
    }

    /// What is counted beside calls.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// A call was turned away.
    pub fn shed(&self, reason: Shed) {
        self.counters.shed(reason);
    }

    /// The span of a call, a child of the caller's own when it sends `traceparent`. Free
    /// when nobody looks at spans.
    pub fn span(&self, method: &'static str, headers: &HeaderMap) -> Span {
        let span = tracing::debug_span!("call", otel.name = method, otel.kind = "server");
        if self.has_traces && headers.contains_key("traceparent") {
            let parent = TraceContextPropagator::new().extract(&Headers(headers));
            // Without a span to set it on there is nothing to trace.
            let _ = span.set_parent(parent);
        }
        span
    }

    /// Logs and counts a call that has ended.
    pub fn call_ended(&self, method: &'static str, code: Code, duration: Duration) {
        log_call(method, code, duration);
        if let Some(call_duration) = &self.call_duration {
            let name = code_name(code);
            let attributes = [
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", method),
                KeyValue::new("rpc.response.status_code", name),
                KeyValue::new("error.type", name),
            ];
            let is_error = is_of_the_server(code);
            let attributes = &attributes[..if is_error { 4 } else { 3 }];
            call_duration.record(duration.as_secs_f64(), attributes);
        }
    }
}

/// A failure of the server is a warning, a mistake of a caller is worth knowing; what is
/// part of normal life (success, a profile that is not known, a caller that went away) is
/// seen at debug only, because there are tens of thousands a second. So many may be refused
/// or fail, too: the first is written, the others are counted.
fn log_call(method: &'static str, code: Code, duration: Duration) {
    let name = code_name(code);
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    match code {
        Code::Ok | Code::NotFound | Code::Cancelled => {
            tracing::debug!(method, code = name, duration_us = micros, "call");
        }
        Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::ResourceExhausted
        | Code::Unimplemented => {
            let line = "call refused";
            if is_new([line, method, name]) {
                tracing::info!(method, code = name, duration_us = micros, "{line}");
            }
        }
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => {
            let line = "call failed";
            if is_new([line, method, name]) {
                tracing::warn!(method, code = name, duration_us = micros, "{line}");
            }
        }
    }
}

/// Whether a call has failed by the server, as the conventions of OpenTelemetry for gRPC say.
const fn is_of_the_server(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The name of a code as the gRPC specification writes it.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
