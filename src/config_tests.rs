//! Settings from flags, environment and file, and what mistakes in them are told.

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
    assert_eq!(config.admin_listen, "127.0.0.1:9464".parse().unwrap());
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
    assert!(
        text.contains("did you mean \"max_message_bytes\"?"),
        "{text}"
    );
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
    assert_eq!(redis.partitions, Some(32));
    let file = "store = 'redis://cache'\nredis_partitions = 8\n";
    let config = load(&Flags::default(), &[], Some(file)).unwrap();
    let StoreSettings::Redis(redis) = &config.store else {
        panic!("an address of Redis");
    };
    assert_eq!(redis.partitions, Some(8));
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
            Ok(_) => {
                let paths = ["model", "redis_ca", "keys"];
                assert!(paths.contains(&setting.key), "{setting:?}");
            }
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

#[test]
fn certificate_and_key_go_together_and_what_others_reach_is_encrypted() {
    let (cert, key, ca) = (
        ("BELLWETHER_TLS_CERT", "server.pem"),
        ("BELLWETHER_TLS_KEY", "server.key"),
        ("BELLWETHER_TLS_CLIENT_CA", "callers.pem"),
    );
    let config = load(&Flags::default(), &[cert, key, ca], None).unwrap();
    let tls = config.tls.unwrap();
    assert_eq!(tls.certificate, PathBuf::from("server.pem"));
    assert_eq!(tls.key, PathBuf::from("server.key"));
    assert_eq!(tls.client_authorities, Some(PathBuf::from("callers.pem")));
    for (alone, needed) in [(cert, "tls_key"), (key, "tls_cert"), (ca, "tls_cert")] {
        let text = mistakes(&[alone], None);
        assert!(text.starts_with(&format!("{}: ", alone.0)), "{text}");
        assert!(text.contains(needed), "{text}");
    }
    for (address, is_reached) in [
        ("127.0.0.1:1", false),
        ("127.9.9.9:1", false),
        ("[::1]:1", false),
        ("0.0.0.0:1", true),
        ("[::]:1", true),
        ("192.0.2.7:1", true),
    ] {
        let listen = ("BELLWETHER_LISTEN", address);
        let plain = ("BELLWETHER_ALLOW_PLAINTEXT", "true");
        let keys = ("BELLWETHER_KEYS", "keys.toml");
        let anyone = ("BELLWETHER_ALLOW_ANONYMOUS", "true");
        for lacking in [&[][..], &[plain], &[keys], &[cert, key], &[anyone]] {
            let said = [&[listen], lacking].concat();
            let loaded = load(&Flags::default(), &said, None);
            assert_eq!(loaded.is_err(), is_reached, "{address}: {lacking:?}");
        }
        for enough in [
            &[cert, key, keys][..],
            &[cert, key, anyone],
            &[plain, keys],
            &[plain, anyone],
        ] {
            let said = [&[listen], enough].concat();
            let loaded = load(&Flags::default(), &said, None);
            assert!(loaded.is_ok(), "{address}: {enough:?}");
        }
    }
    let admin = [("BELLWETHER_ADMIN_LISTEN", "0.0.0.0:1")];
    assert!(
        load(&Flags::default(), &admin, None).is_ok(),
        "it names no tenant"
    );
    let text = mistakes(&[("BELLWETHER_LISTEN", "0.0.0.0:1")], None);
    assert!(
        text.contains("BELLWETHER_LISTEN") && text.contains("allow_plaintext"),
        "{text}"
    );
    assert!(text.contains("allow_anonymous"), "{text}");
}

#[test]
fn keys_and_callers_without_one_exclude_each_other() {
    let keys = ("BELLWETHER_KEYS", "keys.toml");
    let config = load(&Flags::default(), &[keys], None).unwrap();
    assert_eq!(config.keys, Some(PathBuf::from("keys.toml")));
    let text = mistakes(&[keys, ("BELLWETHER_ALLOW_ANONYMOUS", "true")], None);
    assert!(text.contains("leave out one of the two"), "{text}");
    let mut flags = Flags::default();
    let setting = SETTINGS.iter().find(|setting| setting.key == "keys");
    flags.set(setting.unwrap(), String::new());
    let text = load(&flags, &[], None).unwrap_err().to_string();
    assert!(text.starts_with("--keys: is empty"), "{text}");
}
