//! Where Redis is, as one writes it: `redis://[user:password@]host[:port][/database]`,
//! `rediss://` with TLS, `redis-cluster://[user:password@]host[:port],host[:port]` and
//! `rediss-cluster://`. The password is in no message and no debug output.
//!
//! It is no URL in the strict sense: a password may have `/` and `@` in it as they are, and a
//! cluster has several hosts. So it is taken apart here, and its parts are read as those of URLs.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, ParseError};

/// The port of a host that names none.
const DEFAULT_PORT: u16 = 6379;

/// Where Redis is and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) tls: bool,
    pub(super) cluster: bool,
    /// At least one; more than one only of a cluster.
    pub(super) nodes: Vec<RedisNode>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedisNode {
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
}

impl RedisAddress {
    /// Whether the text begins like an address of Redis.
    pub fn is_meant(text: &str) -> bool {
        text.split_once("://")
            .is_some_and(|(scheme, _)| kind(scheme).is_some())
    }

    /// Reads an address; the error says what is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or(SCHEMES)?;
        let (tls, cluster) = kind(scheme).ok_or(SCHEMES)?;
        // The last at sign, so that one in a password does no harm.
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let (user, password) = login.map_or(Ok((None, None)), parse_login)?;
        if place.contains(['?', '#']) {
            return Err("nothing may follow the database: no `?` and no `#`".to_owned());
        }
        let (hosts, database) = match place.split_once('/') {
            Some((hosts, database)) => (hosts, parse_database(database)?),
            None => (place, 0),
        };
        let nodes: Vec<RedisNode> = hosts.split(',').map(parse_node).collect::<Result<_, _>>()?;
        if !cluster && nodes.len() > 1 {
            return Err(format!(
                "{scheme}:// takes one host; several hosts of a cluster are written \
                 {scheme}-cluster://host:port,host:port"
            ));
        }
        if cluster && database != 0 {
            return Err("a cluster has one database; leave out `/` and what follows".to_owned());
        }
        Ok(Self {
            tls,
            cluster,
            nodes,
            user,
            password,
            database,
        })
    }

    /// The same servers by the other kind of connection, for advice.
    pub(super) fn as_other_kind(&self) -> Self {
        Self {
            cluster: !self.cluster,
            ..self.clone()
        }
    }
}

const SCHEMES: &str = "it begins with none of redis://, rediss://, redis-cluster:// and \
                       rediss-cluster://";

/// Whether the scheme means TLS, and a cluster.
fn kind(scheme: &str) -> Option<(bool, bool)> {
    match scheme {
        "redis" => Some((false, false)),
        "rediss" => Some((true, false)),
        "redis-cluster" => Some((false, true)),
        "rediss-cluster" => Some((true, true)),
        _ => None,
    }
}

fn parse_login(login: &str) -> Result<(Option<String>, Option<String>), String> {
    let (user, password) = login
        .split_once(':')
        .ok_or("what stands before `@` is neither user:password nor :password")?;
    let given = |text: String| (!text.is_empty()).then_some(text);
    let password = given(decoded(password)?).ok_or("the password before `@` is empty")?;
    Ok((given(decoded(user)?), Some(password)))
}

fn parse_database(text: &str) -> Result<u32, String> {
    match text {
        "" => Ok(0),
        text => text
            .parse()
            .map_err(|_| "what follows the last `/` is not the number of a database".to_owned()),
    }
}

fn parse_node(text: &str) -> Result<RedisNode, String> {
    let end = if text.starts_with('[') {
        let bracket = text.find(']');
        bracket.ok_or("an address that begins with `[` ends with `]`")? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at(end);
    let host = parse_host(host)?;
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => DEFAULT_PORT,
        None => return Err("only a port may follow `]`".to_owned()),
        Some(port) => match port.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(format!("the port of {host} is no number from 1 to 65535")),
        },
    };
    Ok(RedisNode { host, port })
}

fn parse_host(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("a host is missing");
    }
    if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err("a host has a blank in it");
    }
    match Host::parse_opaque(text) {
        Ok(Host::Ipv6(address)) => Ok(address.to_string()),
        // Otherwise the crate has put percent signs into it.
        Ok(Host::Domain(name)) if name == text => Ok(name),
        Err(ParseError::InvalidIpv6Address) => Err("what `[` and `]` enclose is no IPv6 address"),
        _ => Err("a host has a character in it that no host has"),
    }
}

/// The text with each `%` and two hexadecimal digits as the byte that they mean.
fn decoded(text: &str) -> Result<String, String> {
    // The crate takes a `%` that nothing of that kind follows as it is.
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_well_formed = text.split('%').skip(1).all(is_escape);
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if is_well_formed => Ok(decoded.into_owned()),
        _ => Err(
            "in the user or the password a `%` is not followed by two hexadecimal digits that \
             make valid UTF-8; write a percent sign as %25"
                .to_owned(),
        ),
    }
}

/// The address without user and password.
impl fmt::Display for RedisAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let cluster = if self.cluster { "-cluster" } else { "" };
        write!(formatter, "redis{tls}{cluster}://")?;
        for (position, node) in self.nodes.iter().enumerate() {
            if position > 0 {
                formatter.write_str(",")?;
            }
            node.fmt(formatter)?;
        }
        if self.database != 0 {
            write!(formatter, "/{}", self.database)?;
        }
        Ok(())
    }
}

impl fmt::Display for RedisNode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.password.is_some() {
            " (with a password)"
        } else {
            ""
        };
        write!(formatter, "{self}{login}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        RedisAddress::parse(text).unwrap().to_string()
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        assert_eq!(shown("redis://localhost"), "redis://localhost:6379");
        assert_eq!(
            shown("rediss://cache.example:7000/3"),
            "rediss://cache.example:7000/3"
        );
        assert_eq!(shown("redis://[::1]:6380/"), "redis://[::1]:6380");
        assert_eq!(shown("redis://[::1]"), "redis://[::1]:6379");
        assert_eq!(shown("redis://[0:0::1]:1"), "redis://[::1]:1");
        assert_eq!(shown("redis://Cache_1.0:1"), "redis://Cache_1.0:1");
        assert_eq!(
            shown("redis-cluster://:pass@one:7000,two"),
            "redis-cluster://one:7000,two:6379"
        );
        assert_eq!(shown("rediss-cluster://one"), "rediss-cluster://one:6379");
    }

    #[test]
    fn user_and_password_are_read_and_never_shown() {
        let address = RedisAddress::parse("redis://ann:p%40ss%25:/@w@host:1/2").unwrap();
        assert_eq!(address.user.as_deref(), Some("ann"));
        assert_eq!(address.password.as_deref(), Some("p@ss%:/@w"));
        assert_eq!((address.nodes[0].port, address.database), (1, 2));
        assert_eq!(
            format!("{address} {address:?}"),
            "redis://host:1/2 redis://host:1/2 (with a password)"
        );
        let without_user = RedisAddress::parse("redis://:secret@host").unwrap();
        assert_eq!(
            (without_user.user, without_user.password.as_deref()),
            (None, Some("secret"))
        );
    }

    #[test]
    fn mistakes_are_named_without_repeating_the_secret() {
        for (text, reason) in [
            ("localhost:6379", "begins with none"),
            ("http://localhost", "begins with none"),
            ("redis://", "host is missing"),
            ("redis://secret@host", "neither user:password"),
            ("redis://ann:@host", "password before `@` is empty"),
            ("redis://:secret%4@host", "%25"),
            ("redis://:secret%ff@host", "UTF-8"),
            ("redis://:secret@host:port", "no number from 1 to 65535"),
            ("redis://:secret@host:0", "no number from 1 to 65535"),
            ("redis://:secret@host:70000", "no number from 1 to 65535"),
            ("redis://:secret@host/first", "number of a database"),
            ("redis://:secret@host/0?timeout=1", "no `?`"),
            ("redis://:secret@one,two", "redis-cluster://host:port"),
            ("redis-cluster://:secret@one,two/1", "one database"),
            ("redis-cluster://one,,two", "host is missing"),
            ("redis://:secret@[::1", "ends with `]`"),
            ("redis://:secret@[::1]6379", "may follow `]`"),
            ("redis://:secret@ho st", "blank"),
            ("redis://:secret@ho\tst", "blank"),
            ("redis://:secret@[host]", "no IPv6 address"),
            ("redis://:secret@ho<st", "no host has"),
            ("redis://:secret@höst", "no host has"),
            ("redis://:secret@host:", "no number from 1 to 65535"),
            ("redis://ann:secret:secret", "port of ann is no number"),
        ] {
            let mistake = RedisAddress::parse(text).unwrap_err();
            assert!(mistake.contains(reason), "{text}: {mistake}");
            assert!(!mistake.contains("secret"), "{text}: {mistake}");
        }
    }

    #[test]
    fn an_address_is_told_from_a_path() {
        assert!(RedisAddress::is_meant("rediss-cluster://"));
        assert!(!RedisAddress::is_meant("/var/lib/bellwether"));
        assert!(!RedisAddress::is_meant("file://data"));
    }
}
