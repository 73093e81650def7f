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
    /// A model file, or a directory of `<tenant>.toml`; `None` when nobody has named one.
    pub model: Option<PathBuf>,
    /// Whether callers may change models.
    pub model_service: bool,
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
    /// Where traces and metrics go, over OTLP and gRPC.
    pub otlp_endpoint: Option<Secret>,
    /// What is logged.
    pub log_level: LevelFilter,
    /// How it is logged.
    pub log_format: LogFormat,
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
        let model = self.get("model", values::path);
        let model_service = self.get("model_service", values::boolean);
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
            model: model?,
            model_service: model_service?,
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
            otlp_endpoint: otlp_endpoint?,
            log_level: log_level?,
            log_format: log_format?,
        })
    }

    fn store(&mut self) -> Option<StoreSettings> {
        let place = self.get("store", values::store);
        let certificate_authorities = self.get("redis_ca", values::path);
        let partitions = self.get("redis_partitions", |text| {
            values::number(text, 1, MAX_PARTITIONS)
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
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn load(
        flags: &Flags,
        variables: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let mut flags = flags.clone();
        if let Some(text) = file {
            let path = directory.path().join("bellwether.toml");
            std::fs::write(&path, text).unwrap();
            flags.config = Some(path);
        }
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        Config::load(&flags, |name| {
            variables.get(name).map(|&text| text.to_owned())
        })
    }

    fn mistakes(variables: &[(&str, &str)], file: Option<&str>) -> String {
        let error = load(&Flags::default(), variables, file).unwrap_err();
        error.to_string()
    }

    #[test]
    fn without_anything_the_defaults_hold() {
        let config = load(&Flags::default(), &[], None).unwrap();
        assert_eq!(config.store.to_string(), "./bellwether-data");
        assert_eq!(config.listen, "127.0.0.1:50051".parse().unwrap());
        assert_eq!(config.model, None);
        assert_eq!(config.max_message_bytes, 4 * 1024 * 1024);
        assert_eq!(config.max_skew, Duration::from_secs(300));
        assert_eq!(
            config.remembered_events,
            crate::scoring::limits::DEFAULT_REMEMBERED_EVENTS
        );
        assert_eq!(config.default_deadline, Duration::from_secs(10));
        assert_eq!(config.drain_timeout, Duration::from_secs(20));
        assert!(config.otlp_endpoint.is_none());
        assert_eq!(config.log_level, LevelFilter::INFO);
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let flags = Flags {
            store: Some("from-flag".into()),
            ..Flags::default()
        };
        let variables = [
            ("BELLWETHER_STORE", "from-environment"),
            ("BELLWETHER_LISTEN", "127.0.0.1:1"),
        ];
        let file = "store = 'from-file'\nlisten = '127.0.0.1:2'\nmodel = 'from-file.toml'\nmax_message_bytes = 2_048\n";
        let config = load(&flags, &variables, Some(file)).unwrap();
        assert_eq!(config.store.to_string(), "from-flag");
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.model, Some(PathBuf::from("from-file.toml")));
        assert_eq!(config.max_message_bytes, 2_048);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_key() {
        let text = mistakes(&[], Some("store = 'x'\nmax_mesage_bytes = 5\n"));
        assert!(text.contains("bellwether.toml:2:"), "{text}");
        assert!(text.contains("max_mesage_bytes"), "{text}");
        assert!(text.contains("did you mean max_message_bytes?"), "{text}");
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_where_they_are() {
        let text = mistakes(
            &[
                ("BELLWETHER_LISTEN", "localhost"),
                ("BELLWETHER_MAX_SKEW", "5 parsecs"),
            ],
            Some(
                "\nremembered_events = 0\nlog_level = 'loud'\nlog_format = 3\ndrain_timeout = 1.5\nmodel_service = 'maybe'",
            ),
        );
        for part in [
            "BELLWETHER_LISTEN: \"localhost\"",
            "BELLWETHER_MAX_SKEW: \"5 parsecs\"",
            "bellwether.toml:2: remembered_events: \"0\"",
            "bellwether.toml:3: log_level: \"loud\"",
            "bellwether.toml:4: log_format: is an integer; write a text in quotes",
            "bellwether.toml:5: drain_timeout: is a float; write a text in quotes",
            "bellwether.toml:6: model_service: \"maybe\" is neither true nor false",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_path_is_a_text_and_nothing_else() {
        for (line, mistake) in [
            ("store = 5", "store: is an integer; write a text in quotes"),
            (
                "store = true",
                "store: is a boolean; write a text in quotes",
            ),
            ("model = 5", "model: is an integer"),
            ("redis_ca = false", "redis_ca: is a boolean"),
            (
                "remembered_events = true",
                "is a boolean; write a whole number",
            ),
            ("model_service = 1", "is an integer; write true or false"),
        ] {
            let text = mistakes(&[], Some(line));
            assert!(text.contains(mistake), "{line}: {text}");
        }
        let quoted = load(&Flags::default(), &[], Some("remembered_events = '7'"));
        assert_eq!(quoted.unwrap().remembered_events, 7);
    }

    #[test]
    fn a_file_with_a_byte_order_mark_and_other_line_ends_is_read() {
        let file = "\u{feff}max_message_bytes = 2048\r\n\r\nlog_level = \"warn\"\r\n";
        let config = load(&Flags::default(), &[], Some(file)).unwrap();
        assert_eq!(config.max_message_bytes, 2_048);
        assert_eq!(config.log_level, LevelFilter::WARN);
    }

    #[test]
    fn models_may_be_changed_unless_a_setting_says_no() {
        let without = load(&Flags::default(), &[], None).unwrap();
        assert!(without.model_service);
        let file = load(&Flags::default(), &[], Some("model_service = false")).unwrap();
        assert!(!file.model_service);
        let variables = [("BELLWETHER_MODEL_SERVICE", "false")];
        let environment = load(&Flags::default(), &variables, Some("model_service = true"));
        assert!(!environment.unwrap().model_service);
    }

    #[test]
    fn a_file_that_is_no_toml_or_is_missing_says_so() {
        let text = mistakes(&[], Some("store = 'a'\nstore ="));
        assert!(text.contains("bellwether.toml:2:"), "{text}");
        let text = mistakes(&[("BELLWETHER_CONFIG", "missing.toml")], None);
        assert!(text.contains("cannot read missing.toml"), "{text}");
    }

    #[test]
    fn an_address_of_redis_is_shown_without_its_password() {
        let variables = [
            ("BELLWETHER_STORE", "redis://:hunter2@cache:6379/2"),
            ("BELLWETHER_REDIS_PARTITIONS", "32"),
        ];
        let config = load(&Flags::default(), &variables, None).unwrap();
        assert_eq!(config.store.to_string(), "redis://cache:6379/2");
        let StoreSettings::Redis(redis) = &config.store else {
            panic!("an address of Redis");
        };
        assert_eq!(redis.partitions, 32);
        assert!(!format!("{config:?}").contains("hunter2"));
        for wrong in ["redis://hunter2@cache", "postgres://:hunter2@cache"] {
            let text = mistakes(&[("BELLWETHER_STORE", wrong)], None);
            assert!(text.contains("BELLWETHER_STORE"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn no_deadline_may_exceed_the_maximum_by_default() {
        let text = mistakes(&[("BELLWETHER_MAX_DEADLINE", "1s")], None);
        assert!(text.contains("raise max_deadline"), "{text}");
    }

    #[test]
    fn the_endpoint_is_taken_from_the_standard_variable_too_and_never_printed_whole() {
        let standard = (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://user:hunter2@one:4317",
        );
        let config = load(&Flags::default(), &[standard], None).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let own = ("BELLWETHER_OTLP_ENDPOINT", "http://two:4317");
        let config = load(&Flags::default(), &[standard, own], None).unwrap();
        assert_eq!(config.otlp_endpoint.unwrap().expose(), "http://two:4317");
    }

    #[test]
    fn every_setting_has_a_flag_that_wins_and_is_named_in_mistakes() {
        for setting in SETTINGS {
            let mut flags = Flags::default();
            flags.set(setting, "\u{1}://".to_owned());
            let variables = [(setting.variable(), setting.default.to_owned())];
            let variables: Vec<_> = variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            match load(&flags, &variables, None) {
                // A path may be anything.
                Ok(_) => assert!(["model", "redis_ca"].contains(&setting.key), "{setting:?}"),
                Err(error) => {
                    let origin = format!("--{}: ", setting.flag());
                    assert!(error.to_string().contains(&origin), "{error}");
                }
            }
        }
    }

    #[test]
    fn what_is_nearly_a_setting_in_the_environment_is_told_with_what_is_meant() {
        for (name, meant) in [
            ("BELLWETHER_MAX_SKWE", "BELLWETHER_MAX_SKEW"),
            ("BELLWEATHER_STORE", "BELLWETHER_STORE"),
            ("bellwether_listen", "BELLWETHER_LISTEN"),
            ("BELLWETHER_SERVR", "BELLWETHER_SERVER"),
        ] {
            let told = misspelt(name).unwrap();
            assert!(told.ends_with(&format!("did you mean {meant}?")), "{told}");
        }
        for name in [
            "BELLWETHER_STORE",
            "BELLWETHER_CONFIG",
            "BELLWETHER_SERVER",
            // What Kubernetes says of a service of this name.
            "BELLWETHER_SERVICE_HOST",
            "BELLWETHER_PORT",
            "BELLWETHER_PORT_50051_TCP_ADDR",
            "MAX_SKWE",
        ] {
            assert_eq!(misspelt(name), None);
        }
    }
}
