//! Every setting, its default and what it is for.

use super::{file::Kind, names::variable_of};

/// Something that can be set: a key of the file, also `BELLWETHER_<KEY>` in upper case, and a
/// flag with dashes for underscores.
#[derive(Debug)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// The value when nothing is said; empty for none.
    pub default: &'static str,
    /// What it is, for people.
    pub help: &'static str,
    /// Whether it is a whole number although it has no default.
    is_number: bool,
}

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting {
        key,
        default,
        help,
        is_number: false,
    }
}

impl Setting {
    /// The name of the flag, without its leading dashes.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The name in the environment.
    pub fn variable(&self) -> String {
        variable_of(self.key)
    }

    /// What the file may say without quotes, mostly told by what the default is.
    pub(super) fn kind(&self) -> Kind {
        if self.default.parse::<bool>().is_ok() {
            Kind::Boolean
        } else if self.is_number || self.default.parse::<u64>().is_ok() {
            Kind::Number
        } else {
            Kind::Text
        }
    }
}

/// Every setting. What the flags are, what a file may hold and what the defaults are is this
/// table.
pub const SETTINGS: &[Setting] = &[
    setting(
        "store",
        "./bellwether-data",
        "directory of the embedded store, or redis://, rediss:// (TLS), redis-cluster:// or rediss-cluster:// with [user:password@]host[:port]",
    ),
    setting(
        "redis_ca",
        "",
        "file of certificates (PEM) that a Redis with TLS is trusted by; those of the system unless set",
    ),
    Setting {
        is_number: true,
        ..setting(
            "redis_partitions",
            "",
            "parts that a tenant's profiles are spread over in Redis; fixed by the first start, which takes 1 on one server and 16 on a cluster unless set",
        )
    },
    setting(
        "redis_timeout",
        "1s",
        "how long Redis may take to answer, and to connect",
    ),
    setting(
        "redis_wait_replicas",
        "0",
        "replicas of Redis that must have a write before it is answered; 0 waits for none",
    ),
    setting(
        "listen",
        "127.0.0.1:50051",
        "address and port; port 0 takes a free one",
    ),
    setting(
        "admin_listen",
        "127.0.0.1:9464",
        "address and port of probes and metrics, over HTTP and without TLS: /healthz, /readyz, /metrics; port 0 takes a free one",
    ),
    setting(
        "tls_cert",
        "",
        "file of the certificate (PEM) that calls are encrypted by; read again when it changes",
    ),
    setting(
        "tls_key",
        "",
        "file of the private key (PEM) of the certificate",
    ),
    setting(
        "tls_client_ca",
        "",
        "file of authorities (PEM), one of which must have signed the certificate that a caller shows; without it none is asked for",
    ),
    setting(
        "allow_plaintext",
        "false",
        "whether other machines may call without TLS; for a server behind a mesh or a proxy that encrypts",
    ),
    setting(
        "keys",
        "",
        "file (TOML) of who may call, with which role and for which tenants; read again when it changes; unless set nobody is asked",
    ),
    setting(
        "allow_anonymous",
        "false",
        "whether other machines may call where nobody is asked for a key; for a server that only trusted callers reach",
    ),
    setting(
        "model",
        "",
        "model file, or directory of <tenant>.toml; unless set the latest of the store, or the built-in forum model where there is none",
    ),
    setting(
        "model_service",
        "true",
        "whether callers may apply and compare models, those whose role says so where there are keys: true or false",
    ),
    setting(
        "cors_origins",
        "",
        "origins whose pages may call from a browser, by commas, such as https://app.example.com; * for all; none unless set",
    ),
    setting(
        "connect_get",
        "false",
        "whether calls that change nothing may be made by GET, with their message in the URL, which proxies log: true or false",
    ),
    setting(
        "max_message_bytes",
        "4194304",
        "largest request message, in bytes",
    ),
    setting(
        "max_skew",
        "5m",
        "how far ahead of the server's clock an event may be, and how far before the latest event a list may be asked for",
    ),
    setting(
        "remembered_events",
        "256",
        "events that a profile remembers to count none twice",
    ),
    setting(
        "max_events_in_flight",
        "10000",
        "events in work beyond which single ones are turned away and streams wait; fewer while calls wait",
    ),
    setting(
        "max_tenants",
        "1000",
        "tenants beyond which a first event makes none",
    ),
    setting(
        "auto_create_tenants",
        "true",
        "whether a first event makes a tenant where one model serves all: true or false",
    ),
    setting(
        "rebuild_rate",
        "20000",
        "records per second whose ranks are built for another model beside the calls",
    ),
    setting(
        "max_calls_in_flight",
        "4096",
        "calls in work, of all connections, beyond which more are turned away; fewer while calls wait",
    ),
    setting(
        "max_concurrent_streams",
        "256",
        "calls and streams of one connection at a time",
    ),
    setting(
        "max_streams",
        "1024",
        "streams open at a time, of all connections, beyond which more are turned away",
    ),
    setting(
        "max_connections",
        "2000",
        "connections at a time, beyond which the one without a call for longest makes room",
    ),
    setting(
        "idle_timeout",
        "10m",
        "how long a connection may be without a call",
    ),
    setting(
        "stall_timeout",
        "20s",
        "how long a caller may leave a message unfinished or an answer unread",
    ),
    setting(
        "max_request_memory_bytes",
        "67108864",
        "bytes of messages that have not arrived whole, of all connections",
    ),
    setting(
        "max_answer_memory_bytes",
        "134217728",
        "bytes of answers that are being made or not read, of all connections",
    ),
    setting(
        "default_deadline",
        "10s",
        "how long a unary call may take when its caller does not say",
    ),
    setting(
        "max_deadline",
        "60s",
        "how long a unary call may take at most",
    ),
    setting(
        "drain_timeout",
        "20s",
        "how long a stop waits for what is in work",
    ),
    setting(
        "otlp_endpoint",
        "",
        "where traces and metrics go (OTLP over gRPC), such as http://localhost:4317; nowhere unless set; also OTEL_EXPORTER_OTLP_ENDPOINT",
    ),
    setting(
        "log_level",
        "info",
        "off, error, warn, info, debug or trace",
    ),
    setting("log_format", "text", "text or json"),
];
