//! What an operator sees: structured logs on standard error, and traces and metrics over
//! OTLP when an endpoint is configured. Logs say method, code and duration of a call, never
//! what a caller sent.

mod collector;
mod repeats;

pub use repeats::is_new;

use std::{
    collections::BTreeSet,
    io::IsTerminal as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::HeaderMap;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
    propagation::{Extractor, TextMapPropagator as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use tonic::Code;
use tracing::{Level, Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    config::{LogFormat, Secret},
    limits::{MAX_UNMATCHED_TYPES, TELEMETRY_FLUSH_TIMEOUT},
};

/// The name of this crate in logs, traces and metrics.
const SCOPE: &str = "bellwether";
/// Upper edges of the histogram of durations, in seconds: an embedded read takes tens of
/// microseconds, a call without a deadline of its own ends at ten seconds.
const DURATION_EDGES: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
];

/// Reports calls. Cheap to clone; does nothing beyond logs without an endpoint.
#[derive(Clone, Debug)]
pub struct Telemetry {
    call_duration: Option<Arc<Histogram<f64>>>,
}

/// What must be flushed before the process ends.
#[derive(Debug, Default)]
pub struct Exporters {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter does not take the endpoint.
    #[error("otlp_endpoint: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// Somebody else has already set up logs for this process.
    #[error("logs are already set up: {0}")]
    Logs(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logs, and traces and metrics when there is an endpoint. Called once, within the
/// runtime, before anything is counted.
///
/// # Errors
/// When the endpoint is malformed or logs are already set up.
pub fn start(
    level: LevelFilter,
    format: LogFormat,
    otlp_endpoint: Option<&Secret>,
) -> Result<(Telemetry, Exporters), TelemetryError> {
    let exporters = match otlp_endpoint {
        Some(endpoint) => exporters(endpoint)?,
        None => Exporters::default(),
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
    let call_duration = exporters.metrics.clone().map(|provider| {
        global::set_meter_provider(provider);
        let duration = global::meter(SCOPE)
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Duration of calls by method and code; its count is how many")
            .with_boundaries(DURATION_EDGES.to_vec())
            .build();
        Arc::new(duration)
    });
    Ok((Telemetry { call_duration }, exporters))
}

fn exporters(endpoint: &Secret) -> Result<Exporters, ExporterBuildError> {
    let resource = Resource::builder()
        .with_service_name(SCOPE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let spans = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.expose())
        .build()?;
    let metrics = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.expose())
        .build()?;
    Ok(Exporters {
        traces: Some(
            SdkTracerProvider::builder()
                .with_batch_exporter(spans)
                .with_resource(resource.clone())
                .build(),
        ),
        metrics: Some(
            SdkMeterProvider::builder()
                .with_periodic_exporter(metrics)
                .with_resource(resource)
                .build(),
        ),
    })
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
            if let Some(metrics) = self.metrics
                && let Err(error) = metrics.shutdown_with_timeout(TELEMETRY_FLUSH_TIMEOUT)
            {
                tracing::warn!(%error, "the last metrics were not sent");
            }
        });
        if flushed.await.is_err() {
            tracing::warn!("the last traces and metrics were not sent");
        }
    }
}

impl Telemetry {
    /// Logs alone.
    pub const fn disabled() -> Self {
        Self {
            call_duration: None,
        }
    }

    /// The span of a call, a child of the caller's own when it sends `traceparent`. Free
    /// when nobody looks at spans.
    pub fn span(&self, method: &'static str, headers: &HeaderMap) -> Span {
        let span = tracing::debug_span!("call", otel.name = method, otel.kind = "server");
        if self.call_duration.is_some() && headers.contains_key("traceparent") {
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
            let attributes = [
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", method),
                KeyValue::new("rpc.response.status_code", code_name(code)),
            ];
            call_duration.record(duration.as_secs_f64(), &attributes);
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

/// Counts a condition or value of a rule of the model that failed on an event, as
/// `bellwether.rule.errors` by rule.
pub fn count_rule_error(rule: &str) {
    static RULE_ERRORS: OnceLock<Counter<u64>> = OnceLock::new();
    RULE_ERRORS
        .get_or_init(|| {
            global::meter(SCOPE)
                .u64_counter("bellwether.rule.errors")
                .with_description("Conditions and values of the model that failed on an event")
                .build()
        })
        .add(1, &[KeyValue::new("rule", rule.to_owned())]);
}

/// Counts an event that a quarantine rule holds, as `bellwether.events.quarantined` by rule.
pub fn count_quarantined(rule: &str) {
    static QUARANTINED: OnceLock<Counter<u64>> = OnceLock::new();
    QUARANTINED
        .get_or_init(|| {
            global::meter(SCOPE)
                .u64_counter("bellwether.events.quarantined")
                .with_description("Events that a quarantine rule of the model holds")
                .build()
        })
        .add(1, &[KeyValue::new("rule", rule.to_owned())]);
}

/// Counts an event whose type the model names nowhere, as `bellwether.events.unmatched` by
/// type: the first [`MAX_UNMATCHED_TYPES`] by name, the rest as `other`.
pub fn count_unmatched(event_type: &str) {
    static UNMATCHED: OnceLock<Counter<u64>> = OnceLock::new();
    static TYPES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let name = {
        let mut types = TYPES.lock().unwrap_or_else(PoisonError::into_inner);
        bounded_name(&mut types, event_type).to_owned()
    };
    UNMATCHED
        .get_or_init(|| {
            global::meter(SCOPE)
                .u64_counter("bellwether.events.unmatched")
                .with_description("Events whose type the model names nowhere")
                .build()
        })
        .add(1, &[KeyValue::new("type", name)]);
}

/// The name, while no more than [`MAX_UNMATCHED_TYPES`] are known.
fn bounded_name<'a>(known: &mut BTreeSet<String>, name: &'a str) -> &'a str {
    if known.contains(name) {
        return name;
    }
    if known.len() >= MAX_UNMATCHED_TYPES {
        return "other";
    }
    known.insert(name.to_owned());
    name
}

/// Counts held events that were dropped for good because one profile has too many, as
/// `bellwether.events.dropped`.
pub fn count_dropped(events: u64) {
    static DROPPED: OnceLock<Counter<u64>> = OnceLock::new();
    if events == 0 {
        return;
    }
    DROPPED
        .get_or_init(|| {
            global::meter(SCOPE)
                .u64_counter("bellwether.events.dropped")
                .with_description("Events in quarantine that were dropped for good")
                .build()
        })
        .add(events, &[]);
}

/// Counts effects of events that had come before, of which it cannot be told whether their account
/// or author has lost them, as `bellwether.effects.unsettled`.
pub fn count_unsettled(effects: u64) {
    static UNSETTLED: OnceLock<Counter<u64>> = OnceLock::new();
    if effects == 0 {
        return;
    }
    UNSETTLED
        .get_or_init(|| {
            global::meter(SCOPE)
                .u64_counter("bellwether.effects.unsettled")
                .with_description("Effects of repeated events that may be missing or not")
                .build()
        })
        .add(effects, &[]);
}

/// Counts records whose ranks were built for a model, as `bellwether.ranks.indexed`.
pub fn count_indexed(records: u64) {
    static INDEXED: OnceLock<Counter<u64>> = OnceLock::new();
    INDEXED
        .get_or_init(|| {
            global::meter(SCOPE)
                .u64_counter("bellwether.ranks.indexed")
                .with_description("Records whose ranks were built for a model")
                .build()
        })
        .add(records, &[]);
}

/// Counts model files that were refused while the server ran, as `bellwether.models.refused`.
pub fn count_refused_model() {
    static REFUSED: OnceLock<Counter<u64>> = OnceLock::new();
    REFUSED
        .get_or_init(|| {
            global::meter(SCOPE)
                .u64_counter("bellwether.models.refused")
                .with_description("Model files that were refused while the server ran")
                .build()
        })
        .add(1, &[]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_counted_as_other() {
        let mut known = BTreeSet::new();
        for number in 0..MAX_UNMATCHED_TYPES {
            let name = number.to_string();
            assert_eq!(bounded_name(&mut known, &name), name);
        }
        assert_eq!(bounded_name(&mut known, "one more"), "other");
        assert_eq!(bounded_name(&mut known, "7"), "7");
    }
}
