//! The values of settings, from text.

use std::{
    fmt::{self, Debug, Display},
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use tracing::level_filters::LevelFilter;

use crate::{scoring::parse_duration, store::redis::RedisAddress};

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object per line.
    Json,
}

/// A URL that may hold a password: shown without it, whatever prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides what stands before the host of `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let separator = if scheme.is_empty() { "" } else { "://" };
        // The last `@` ends the credentials, because a password may hold one; what stands
        // after a `?` may be a credential too.
        let (hidden, host) = match rest.rsplit_once('@') {
            Some((_, host)) => ("***@", host),
            None => ("", rest),
        };
        let host = host.split_once('?').map_or(host, |(host, _)| host);
        write!(formatter, "{scheme}{separator}{hidden}{host}")
    }
}

impl Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{self}\"")
    }
}

/// Where a store is.
pub enum Place {
    /// In a directory of this machine.
    Directory(PathBuf),
    /// In Redis.
    Redis(RedisAddress),
}

pub fn store(text: &str) -> Result<Place, String> {
    if RedisAddress::is_meant(text) {
        let address = RedisAddress::parse(text);
        // Without the text: a password may stand anywhere in what is malformed.
        return address.map(Place::Redis);
    }
    if text.contains("://") {
        return Err(format!(
            "\"{}\" is no store; write a directory, or redis://, rediss://, redis-cluster:// or rediss-cluster:// and hosts",
            Secret::new(text)
        ));
    }
    if text.is_empty() {
        return Err("is empty; write a directory or the address of Redis".to_owned());
    }
    Ok(Place::Directory(PathBuf::from(text)))
}

pub fn path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

/// A value, or nothing.
pub fn unless_empty<T>(
    text: &str,
    value: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    (!text.is_empty()).then(|| value(text)).transpose()
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no address; write an IP address and a port, such as 0.0.0.0:50051")
    })
}

/// A whole number from `min` to `max`.
pub fn number<T: FromStr + PartialOrd + Display>(text: &str, min: T, max: T) -> Result<T, String> {
    match text.parse() {
        Ok(number) if number >= min && number <= max => Ok(number),
        _ => Err(format!(
            "{text:?} is not a whole number from {min} to {max}"
        )),
    }
}

/// Yes or no.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// Origins of pages, by commas, or `*`; none for nothing.
pub fn origins(text: &str) -> Result<Vec<String>, String> {
    let origins: Vec<&str> = text.split(',').map(str::trim).collect();
    match origins[..] {
        [""] => return Ok(Vec::new()),
        ["*"] => return Ok(vec!["*".to_owned()]),
        _ => {}
    }
    let read = origins.into_iter().map(|origin| match origin_of(origin) {
        Some(own) if own == origin => Ok(own),
        Some(own) => Err(format!("{origin:?} is no origin; write {own}")),
        None => Err(format!(
            "{origin:?} is no origin; write scheme, host and port, such as \
                 https://app.example.com, or * alone for all"
        )),
    });
    read.collect()
}

/// The origin of a URL, as a browser sends it; `None` where it would send `null`, which any page may.
fn origin_of(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    match url.origin() {
        origin @ url::Origin::Tuple(..) => Some(origin.ascii_serialization()),
        // Apps and extensions have schemes of their own, such as capacitor://localhost.
        url::Origin::Opaque(_) => {
            let host = url.host_str().filter(|host| !host.is_empty())?;
            let port = url.port().map(|port| format!(":{port}"));
            let is_file = url.scheme() == "file";
            let port = port.unwrap_or_default();
            (!is_file).then(|| format!("{}://{host}{port}", url.scheme()))
        }
    }
}

/// A duration above zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        Duration::ZERO => Err(format!("{text:?} is no time at all; write a longer one")),
        duration => Ok(duration),
    }
}

/// A duration of at most a year.
pub fn duration_or_zero(text: &str) -> Result<Duration, String> {
    const MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
    match parse_duration(text) {
        Some(duration) if duration <= MAX => Ok(duration),
        Some(_) => Err(format!("{text:?} is longer than a year")),
        None => Err(format!(
            "{text:?} is no duration; write a number and a unit (ms, s, m, h, d or w), such as 500ms, 30s or 5m"
        )),
    }
}

pub fn endpoint(text: &str) -> Result<Option<Secret>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let endpoint = Secret::new(text);
    if text.starts_with("http://") {
        Ok(Some(endpoint))
    } else {
        Err(format!(
            "\"{endpoint}\" does not start with http://; this build exports without TLS, to a collector nearby"
        ))
    }
}

pub fn level(text: &str) -> Result<LevelFilter, String> {
    // LevelFilter itself also takes numbers.
    Ok(match text {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => {
            return Err(format!(
                "{text:?} is no level; write off, error, warn, info, debug or trace"
            ));
        }
    })
}

pub fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is no format; write text or json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_its_password() {
        for (url, shown) in [
            ("redis://:p@ss@host:1/0", "redis://***@host:1/0"),
            ("http://host:4317", "http://host:4317"),
            ("http://host?token=p", "http://host"),
            ("user:p@host", "***@host"),
        ] {
            let secret = Secret::new(url);
            assert_eq!(secret.to_string(), shown);
            assert_eq!(format!("{secret:?}"), format!("\"{shown}\""));
            assert_eq!(secret.expose(), url);
        }
    }

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        let own = |text: &str| origins(text).map(|origins| origins.join(" "));
        assert_eq!(own(""), Ok(String::new()));
        assert_eq!(own("*"), Ok("*".to_owned()));
        let two = own("https://a.example, http://localhost:3000");
        assert_eq!(two.unwrap(), "https://a.example http://localhost:3000");
        for of_an_app in [
            "capacitor://localhost",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "moz-extension://1b2f0c3e-5d7e-4a55-9d55-1b9a3a3a6c5f",
            "app://my.app:8080",
        ] {
            assert_eq!(own(of_an_app), Ok(of_an_app.to_owned()));
        }
        let said = own("capacitor://localhost/").unwrap_err();
        assert!(said.ends_with("write capacitor://localhost"), "{said}");
        for wrong in [
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "a.example",
            "*,https://a.example",
            "null",
            "file:///x",
            "file://host/x",
            "data:text/plain,x",
            "Capacitor://localhost",
            "capacitor://",
            "capacitor://me@localhost",
            "capacitor://localhost?x",
            ",",
        ] {
            assert!(own(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_hold_to_their_range() {
        assert_eq!(number("7", 1, 7), Ok(7));
        assert!(number("8", 1, 7).is_err());
        assert!(number::<u32>("-1", 0, 7).is_err());
        assert!(number::<usize>("99999999999999999999", 0, 7).is_err());
    }

    #[test]
    fn durations_have_units_and_an_end() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration_or_zero("0s"), Ok(Duration::ZERO));
        assert!(duration("0s").is_err());
        assert!(duration("10").is_err());
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("5M").is_err(), "no months");
        assert!(duration("400d").is_err());
    }
}
