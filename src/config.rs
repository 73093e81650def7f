//! One configuration, from flags, environment, a file and defaults, in this order. Nothing
//! here reads the environment by itself: `main` hands in a lookup, and so do tests.

mod file;
mod names;
mod settings;
mod values;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::level_filters::LevelFilter;

pub use names::{Flags, HELP, misspelt};
pub use settings::{SETTINGS, Setting};
pub use values::{LogFormat, Secret};

use crate::store::{
    StoreSettings,
    redis::{MAX_PARTITIONS, RedisSettings},
};
use file::File;
use names::variable_of;

/// How the server runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where records and ranks are.
    pub store: StoreSettings,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where probes and metrics are answered; port 0 takes a free one.
    pub admin_listen: SocketAddr,
    /// A model file, or a directory of `<tenant>.toml`; `None` when nobody has named one.
    pub model: Option<PathBuf>,
    /// Whether callers may change models.
    pub model_service: bool,
    /// Origins whose pages may call, `*` for all.
    pub cors_origins: Vec<String>,
    /// Whether calls that change nothing may stand in a URL.
    pub connect_get: bool,
    /// The largest request message, in bytes.
    pub max_message_bytes: usize,
    /// How far ahead of the server's clock an event may be.
    pub max_skew: Duration,
    /// Events that a profile remembers to count none twice.
    pub remembered_events: usize,
    /// Events in work beyond which single events are turned away and streams wait.
    pub max_events_in_flight: usize,
    /// Tenants beyond which a first event makes none.
    pub max_tenants: u64,
    /// Whether a first event makes a tenant where all share one model.
    pub auto_create_tenants: bool,
    /// Records per second whose ranks are built for another model beside the calls.
    pub rebuild_rate: u32,
    /// Calls in work, of all connections, beyond which more are turned away.
    pub max_calls_in_flight: usize,
    /// Calls and streams of one connection at a time.
    pub max_concurrent_streams: u32,
    /// Streams open at a time, of all connections.
    pub max_streams: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// How long a connection may be without a call.
    pub idle_timeout: Duration,
    /// How long a caller may leave a message unfinished or an answer unread.
    pub stall_timeout: Duration,
    /// Bytes of messages that have not arrived whole, of all connections.
    pub max_request_memory_bytes: usize,
    /// Bytes of answers that are being made or not read, of all connections.
    pub max_answer_memory_bytes: usize,
    /// How long a unary call may take when its caller does not say.
    pub default_deadline: Duration,
    /// How long a unary call may take at most.
    pub max_deadline: Duration,
    /// How long a stop waits for what is in work.
    pub drain_timeout: Duration,
    /// What calls are encrypted by; `None` for plaintext.
    pub tls: Option<TlsFiles>,
    /// Whether other machines may call without TLS.
    pub allow_plaintext: bool,
    /// The file of who may call; `None` asks nobody.
    pub keys: Option<PathBuf>,
    /// Whether other machines may call without a key.
    pub allow_anonymous: bool,
    /// Where traces and metrics go, over OTLP and gRPC.
    pub otlp_endpoint: Option<Secret>,
    /// What is logged.
    pub log_level: LevelFilter,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// The files of TLS, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the server, then those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose certificates callers must show; `None` asks for none.
    pub client_authorities: Option<PathBuf>,
}

/// Other machines reach an address, and something is missing that they are not to do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exposed {
    /// They would call without TLS.
    #[error(
        "{0} can be reached from other machines, and calls would not be encrypted; set tls_cert and \
         tls_key, or allow_plaintext = true where something in front of the server encrypts, such as \
         a mesh"
    )]
    Plaintext(SocketAddr),
    /// They would call without a key.
    #[error(
        "{0} can be reached from other machines, and nobody would be asked who they are; set keys to \
         a file of who may call (`bellwether key new` makes one), or allow_anonymous = true where \
         only trusted callers reach the server"
    )]
    Anonymous(SocketAddr),
}

impl Exposed {
    /// Whether it does not matter, because only this machine reaches the address.
    ///
    /// # Errors
    /// When others do.
    pub fn check(self) -> Result<(), Self> {
        let (Self::Plaintext(address) | Self::Anonymous(address)) = self;
        if address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(self)
    }
}

/// Why there is no configuration: each line says where the mistake is and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads the configuration: from the flags, else from `variable` (the environment),
    /// else from the configuration file, else the defaults.
    ///
    /// # Errors
    /// All mistakes at once, each with where it is.
    pub fn load(
        flags: &Flags,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let path = flags.config.clone();
        let path = path.or_else(|| variable("BELLWETHER_CONFIG").map(PathBuf::from));
        let mut file = match path {
            Some(path) => File::read(
                &path,
                &SETTINGS
                    .iter()
                    .map(|setting| (setting.key, setting.kind()))
                    .collect::<Vec<_>>(),
            )?,
            None => File::default(),
        };
        Reader {
            flags,
            variable,
            errors: std::mem::take(&mut file.errors),
            file,
        }
        .read()
    }
}

/// A value as text, and where it comes from.
struct Found {
    text: String,
    origin: String,
}

struct Reader<'a, Lookup> {
    flags: &'a Flags,
    variable: Lookup,
    file: File,
    errors: Vec<String>,
}

impl<Lookup: Fn(&str) -> Option<String>> Reader<'_, Lookup> {
    fn read(mut self) -> Result<Config, ConfigError> {
        let config = self.settings();
        match config {
            Some(config) if self.errors.is_empty() => Ok(config),
            _ => Err(ConfigError(self.errors)),
        }
    }

    /// Reads every setting before giving up on any, so that all mistakes are known.
    fn settings(&mut self) -> Option<Config> {
        let store = self.store();
        let listen = self.get("listen", values::address);
        let admin_listen = self.get("admin_listen", values::address);
        let model = self.get("model", values::path);
        let model_service = self.get("model_service", values::boolean);
        let cors_origins = self.get("cors_origins", values::origins);
        let connect_get = self.get("connect_get", values::boolean);
        let max_message_bytes = self.get("max_message_bytes", |text| {
            values::number(text, 1024, 1 << 30)
        });
        let max_skew = self.get("max_skew", values::duration_or_zero);
        let remembered_events =
            self.get("remembered_events", |text| values::number(text, 1, 65_536));
        let max_events_in_flight = self.get("max_events_in_flight", |text| {
            values::number(text, 1, 1 << 24)
        });
        let max_tenants = self.get("max_tenants", |text| values::number(text, 1, 1 << 20));
        let auto_create_tenants = self.get("auto_create_tenants", values::boolean);
        let rebuild_rate = self.get("rebuild_rate", |text| values::number(text, 100, 1 << 24));
        let max_calls_in_flight = self.get("max_calls_in_flight", |text| {
            values::number(text, 1, 1 << 20)
        });
        let max_concurrent_streams = self.get("max_concurrent_streams", |text| {
            values::number::<u32>(text, 1, 1 << 16)
        });
        let max_streams = self.get("max_streams", |text| values::number(text, 1, 1 << 20));
        let max_connections = self.get("max_connections", |text| values::number(text, 1, 1 << 20));
        let idle_timeout = self.get("idle_timeout", values::duration);
        let stall_timeout = self.get("stall_timeout", values::duration);
        let memory = |text: &str| values::number(text, 1 << 20, 1 << 40);
        let max_request_memory_bytes = self.get("max_request_memory_bytes", memory);
        let max_answer_memory_bytes = self.get("max_answer_memory_bytes", memory);
        let default_deadline = self.get("default_deadline", values::duration);
        let max_deadline = self.get("max_deadline", values::duration);
        let drain_timeout = self.get("drain_timeout", values::duration_or_zero);
        let tls = self.tls();
        let allow_plaintext = self.get("allow_plaintext", values::boolean);
        if let (Some(listen), Some(None), Some(false)) = (listen, &tls, allow_plaintext) {
            self.check_exposed(Exposed::Plaintext(listen));
        }
        let keys = self.file_meant("keys");
        let allow_anonymous = self.get("allow_anonymous", values::boolean);
        match (listen, &keys, allow_anonymous) {
            (_, Some(Some(_)), Some(true)) => self.errors.push(
                "allow_anonymous is true, and keys are set, without which nobody may call; leave out \
                 one of the two"
                    .to_owned(),
            ),
            (Some(listen), Some(None), Some(false)) => {
                self.check_exposed(Exposed::Anonymous(listen));
            }
            _ => {}
        }
        let otlp_endpoint = self.get("otlp_endpoint", values::endpoint);
        let log_level = self.get("log_level", values::level);
        let log_format = self.get("log_format", values::format);
        if default_deadline > max_deadline {
            self.errors.push(
                "default_deadline is longer than max_deadline; raise max_deadline".to_owned(),
            );
        }
        Some(Config {
            store: store?,
            listen: listen?,
            admin_listen: admin_listen?,
            model: model?,
            model_service: model_service?,
            cors_origins: cors_origins?,
            connect_get: connect_get?,
            max_message_bytes: max_message_bytes?,
            max_skew: max_skew?,
            remembered_events: remembered_events?,
            max_events_in_flight: max_events_in_flight?,
            max_tenants: max_tenants?,
            auto_create_tenants: auto_create_tenants?,
            rebuild_rate: rebuild_rate?,
            max_calls_in_flight: max_calls_in_flight?,
            max_concurrent_streams: max_concurrent_streams?,
            max_streams: max_streams?,
            max_connections: max_connections?,
            idle_timeout: idle_timeout?,
            stall_timeout: stall_timeout?,
            max_request_memory_bytes: max_request_memory_bytes?,
            max_answer_memory_bytes: max_answer_memory_bytes?,
            default_deadline: default_deadline?,
            max_deadline: max_deadline?,
            drain_timeout: drain_timeout?,
            tls: tls?,
            allow_plaintext: allow_plaintext?,
            keys: keys?,
            allow_anonymous: allow_anonymous?,
            otlp_endpoint: otlp_endpoint?,
            log_level: log_level?,
            log_format: log_format?,
        })
    }

    fn store(&mut self) -> Option<StoreSettings> {
        let place = self.get("store", values::store);
        let certificate_authorities = self.get("redis_ca", values::path);
        let partitions = self.get("redis_partitions", |text| {
            values::unless_empty(text, |text| values::number(text, 1, MAX_PARTITIONS))
        });
        let timeout = self.get("redis_timeout", values::duration);
        let wait_replicas = self.get("redis_wait_replicas", |text| values::number(text, 0, 16));
        Some(match place? {
            values::Place::Directory(directory) => StoreSettings::Embedded(directory),
            values::Place::Redis(address) => StoreSettings::Redis(RedisSettings {
                address,
                certificate_authorities: certificate_authorities?,
                partitions: partitions?,
                response_timeout: timeout?,
                connection_timeout: timeout?,
                wait_replicas: wait_replicas?,
            }),
        })
    }

    fn check_exposed(&mut self, exposed: Exposed) {
        if let Err(error) = exposed.check() {
            let Found { origin, .. } = self.find("listen");
            self.errors.push(format!("{origin}: {error}"));
        }
    }

    /// A file that callers are asked by. Whoever sets it and names none means to ask for something, and
    /// would ask for nothing.
    fn file_meant(&mut self, key: &str) -> Option<Option<PathBuf>> {
        let file = self.get(key, values::path)?;
        let Found { text, origin } = self.find(key);
        if text.is_empty() && origin != key {
            self.errors.push(format!(
                "{origin}: is empty; name a file, or leave it unset"
            ));
            return None;
        }
        Some(file)
    }

    fn tls(&mut self) -> Option<Option<TlsFiles>> {
        let certificate = self.get("tls_cert", values::path)?;
        let key = self.get("tls_key", values::path)?;
        let client_authorities = self.file_meant("tls_client_ca")?;
        let lacking = match (&certificate, &key) {
            (Some(_), None) => Some(("tls_cert", "a certificate needs its key; set tls_key, too")),
            (None, Some(_)) => Some(("tls_key", "a key needs its certificate; set tls_cert, too")),
            (None, None) if client_authorities.is_some() => Some((
                "tls_client_ca",
                "callers can show a certificate by TLS alone; set tls_cert and tls_key, too",
            )),
            _ => None,
        };
        if let Some((key, lack)) = lacking {
            let Found { origin, .. } = self.find(key);
            self.errors.push(format!("{origin}: {lack}"));
            return None;
        }
        let both = certificate.zip(key);
        Some(both.map(|(certificate, key)| TlsFiles {
            certificate,
            key,
            client_authorities,
        }))
    }

    fn get<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let found = self.find(key);
        match parse(&found.text) {
            Ok(value) => Some(value),
            Err(mistake) => {
                self.errors.push(format!("{}: {mistake}", found.origin));
                None
            }
        }
    }

    fn find(&self, key: &str) -> Found {
        self.flag(key)
            .or_else(|| self.environment(key))
            .or_else(|| self.file_entry(key))
            .unwrap_or_else(|| Found {
                text: SETTINGS
                    .iter()
                    .find(|setting| setting.key == key)
                    .map_or("", |setting| setting.default)
                    .to_owned(),
                origin: key.to_owned(),
            })
    }

    fn flag(&self, key: &str) -> Option<Found> {
        self.flags.get(key).map(|text| Found {
            text: text.clone(),
            origin: format!("--{}", key.replace('_', "-")),
        })
    }

    fn environment(&self, key: &str) -> Option<Found> {
        let own = variable_of(key);
        let names = match key {
            "otlp_endpoint" => vec![own, "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()],
            _ => vec![own],
        };
        names.into_iter().find_map(|origin| {
            // An empty variable is an unset one, as in most programs.
            let text = (self.variable)(&origin).filter(|text| !text.is_empty())?;
            Some(Found { text, origin })
        })
    }

    fn file_entry(&self, key: &str) -> Option<Found> {
        self.file.get(key).map(|(text, origin)| Found {
            text: text.to_owned(),
            origin: origin.to_owned(),
        })
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError(vec![format!("cannot read {}: {error}", path.display())])
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
