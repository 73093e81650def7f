//! Reads a keys file: TOML with roles, keys and certificates.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU32, NonZeroU64},
    sync::{Arc, LazyLock},
};

use serde::Deserialize;
use toml::{Spanned, value::Datetime};

use super::{
    Keys, Principal, Quota, Quotas, Role, Tenants,
    issuer_entry::IssuerEntry,
    keys::{Key, prefix_of},
    role_entry::RoleEntry,
};
use crate::{
    limits::{MAX_KEY_NAME_BYTES, MAX_KEYS_OF_A_FILE},
    scoring::{Tenant, Timestamp, parse_instant},
};

/// Why there are no keys: each line says where the mistake is and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct KeysError(pub Vec<String>);

/// What a keys file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    roles: BTreeMap<Spanned<String>, RoleEntry>,
    #[serde(default)]
    keys: Vec<KeyEntry>,
    #[serde(default)]
    certificates: Vec<CertificateEntry>,
    #[serde(default)]
    issuers: Vec<IssuerEntry>,
    #[serde(default)]
    quotas: BTreeMap<Spanned<String>, QuotaEntry>,
}

/// `[quotas.TENANT]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaEntry {
    calls_per_second: Option<NonZeroU32>,
    events_per_second: Option<NonZeroU32>,
    profiles: Option<NonZeroU64>,
}

/// `[[keys]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    name: Spanned<String>,
    sha256: Spanned<String>,
    tenants: Vec<Spanned<String>>,
    role: Spanned<String>,
    expires: Option<Spanned<Datetime>>,
}

/// What an entry lets its owner do.
struct Grant {
    tenants: Vec<Spanned<String>>,
    role: Spanned<String>,
    expires: Option<Spanned<Datetime>>,
}

/// `[[certificates]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateEntry {
    name: Spanned<String>,
    san: Spanned<String>,
    tenants: Vec<Spanned<String>>,
    role: Spanned<String>,
    expires: Option<Spanned<Datetime>>,
}

/// What is read, and what is wrong with it.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    /// Those that entries may name: of the file, and those that come with the program.
    roles: Arc<BTreeMap<String, Arc<Role>>>,
    /// What entries of each kind are called.
    names: BTreeSet<String>,
    mistakes: Vec<String>,
}

/// The files that a keys file names, in its order; none of one that cannot be read.
pub fn files_named(text: &str) -> Vec<String> {
    let file: Option<File> = toml::from_str(text).ok();
    let issuers = file.into_iter().flat_map(|file| file.issuers);
    let named = issuers.filter_map(|issuer| issuer.file().map(str::to_owned));
    named.collect()
}

/// Reads a keys file. `name` is what mistakes call it; `files` is what is in [`files_named`].
///
/// # Errors
/// All mistakes at once, each with its line.
pub fn read_keys(name: &str, text: &str, files: &[Vec<u8>]) -> Result<Keys, KeysError> {
    let mut reader = Reader::new(name, text);
    let read = reader.parse().map(|file| reader.keys(file, files));
    reader.finish(read)
}

/// The roles that come with the program, by name.
pub fn shipped_roles() -> &'static BTreeMap<String, Arc<Role>> {
    static SHIPPED: LazyLock<BTreeMap<String, Arc<Role>>> = LazyLock::new(|| {
        // A test reads it: there is no mistake in it.
        read_roles(include_str!("roles.toml")).unwrap_or_default()
    });
    &SHIPPED
}

fn read_roles(text: &str) -> Result<BTreeMap<String, Arc<Role>>, KeysError> {
    let mut reader = Reader::new("roles.toml", text);
    let read = reader.parse().map(|file| reader.roles(file.roles));
    reader.finish(read)
}

impl<'a> Reader<'a> {
    fn new(name: &'a str, text: &'a str) -> Self {
        Self {
            name,
            text,
            roles: Arc::default(),
            names: BTreeSet::new(),
            mistakes: Vec::new(),
        }
    }

    /// What was read, unless something is wrong with it.
    fn finish<T>(self, read: Option<T>) -> Result<T, KeysError> {
        match read {
            Some(read) if self.mistakes.is_empty() => Ok(read),
            _ => Err(KeysError(self.mistakes)),
        }
    }

    fn parse(&mut self) -> Option<File> {
        match toml::from_str(self.text) {
            Ok(file) => Some(file),
            Err(error) => {
                // Without the line itself, and without a value: somebody may have written a secret there.
                let at = error.span().map_or(0, |span| span.start);
                let (told, value) = match error.message().split_once('"') {
                    Some((told, _)) => (told, "…"),
                    None => (error.message(), ""),
                };
                self.add(at, format_args!("{told}{value}"));
                None
            }
        }
    }

    fn add(&mut self, at: usize, mistake: impl std::fmt::Display) {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        self.mistakes
            .push(format!("{}:{line}: {mistake}", self.name));
    }

    fn add_all(&mut self, mistakes: Vec<(usize, String)>) {
        for (at, mistake) in mistakes {
            self.add(at, mistake);
        }
    }

    fn roles(
        &mut self,
        entries: BTreeMap<Spanned<String>, RoleEntry>,
    ) -> BTreeMap<String, Arc<Role>> {
        let mut roles = BTreeMap::new();
        for (name, entry) in entries {
            self.check_name("role", &name);
            let (role, mistakes) = entry.read(&name);
            self.add_all(mistakes);
            roles.insert(name.into_inner(), Arc::new(role));
        }
        roles
    }

    fn keys(&mut self, file: File, files: &[Vec<u8>]) -> Keys {
        let mut roles = shipped_roles().clone();
        roles.extend(self.roles(file.roles));
        self.roles = Arc::new(roles);
        let mut keys = Keys::default();
        if file.keys.len() + file.certificates.len() > MAX_KEYS_OF_A_FILE {
            self.add(0, format_args!("has more than {MAX_KEYS_OF_A_FILE} keys"));
            return keys;
        }
        for entry in file.keys {
            let grant = Grant {
                tenants: entry.tenants,
                role: entry.role,
                expires: entry.expires,
            };
            let principal = self.principal("key", &entry.name, grant);
            let Some(digest) = digest(entry.sha256.get_ref()) else {
                self.add(
                    entry.sha256.span().start,
                    "sha256 must be the 64 hexadecimal digits that `bellwether key new` prints; the secret itself belongs nowhere in this file",
                );
                continue;
            };
            let alike = keys.by_digest.entry(prefix_of(&digest)).or_default();
            if alike.iter().any(|key| key.digest == digest) {
                self.add(entry.sha256.span().start, "another key has the same sha256");
            }
            alike.extend(principal.map(|principal| Key { digest, principal }));
        }
        for entry in file.certificates {
            let grant = Grant {
                tenants: entry.tenants,
                role: entry.role,
                expires: entry.expires,
            };
            let principal = self.principal("certificate", &entry.name, grant);
            let (at, san) = (entry.san.span().start, entry.san.into_inner());
            if san.is_empty() {
                self.add(
                    at,
                    "san is empty; write a DNS name or a URI of the certificate",
                );
            }
            let Some(principal) = principal else {
                continue;
            };
            if keys.by_certificate.insert(san, principal).is_some() {
                self.add(at, "another certificate has the same san");
            }
        }
        self.issuers(file.issuers, files, &mut keys);
        keys.quotas = self.quotas(file.quotas);
        if keys.count() == 0 && self.mistakes.is_empty() {
            self.add(
                0,
                "names nobody who may call; add [[keys]], as `bellwether key new` makes them, [[certificates]] or [[issuers]]",
            );
        }
        keys
    }

    fn quotas(&mut self, entries: BTreeMap<Spanned<String>, QuotaEntry>) -> Quotas {
        let mut quotas = Quotas::default();
        for (name, entry) in entries {
            let quota = Quota {
                calls: entry.calls_per_second,
                events: entry.events_per_second,
                profiles: entry.profiles,
            };
            match named(name.get_ref()) {
                _ if name.get_ref() == "*" => quotas.others = quota,
                Some(tenant) => {
                    quotas.named.insert(tenant, quota);
                }
                _ => self.add(
                    name.span().start,
                    format_args!(
                        "{:?} is no tenant; write characters of [a-z0-9_-], or \"*\" for each that is not named",
                        name.get_ref()
                    ),
                ),
            }
        }
        quotas
    }

    fn issuers(&mut self, entries: Vec<IssuerEntry>, files: &[Vec<u8>], keys: &mut Keys) {
        let mut files = files.iter();
        for entry in entries {
            self.check_name("issuer", &entry.name);
            let at = entry.issuer.span().start;
            let file = entry.file().and_then(|_| files.next());
            let tenants = match entry.tenants.clone() {
                None => Some(Tenants::All),
                Some(tenants) => self.tenants(entry.name.span().start, tenants),
            };
            let Some(tenants) = tenants else {
                continue;
            };
            match entry.read(file.map(Vec::as_slice), &self.roles, tenants) {
                Ok(issuer) => {
                    let claimed = issuer.issuer.clone();
                    if keys.issuers.insert(claimed, issuer).is_some() {
                        self.add(at, "another entry has the same issuer");
                    }
                }
                Err(mistakes) => self.add_all(mistakes),
            }
        }
    }

    fn principal(
        &mut self,
        kind: &str,
        name: &Spanned<String>,
        grant: Grant,
    ) -> Option<Arc<Principal>> {
        let Grant {
            tenants,
            role,
            expires,
        } = grant;
        self.check_name(kind, name);
        if !self.names.insert(format!("{kind} {}", name.get_ref())) {
            self.add(
                name.span().start,
                format_args!("another {kind} is named {:?}, too", name.get_ref()),
            );
        }
        let tenants = self.tenants(name.span().start, tenants);
        let known = self.roles.get(role.get_ref()).map(Arc::clone);
        if known.is_none() {
            let roles: Vec<&str> = self.roles.keys().map(String::as_str).collect();
            let mistake = format!(
                "there is no role {:?}; known: {}",
                role.get_ref(),
                roles.join(", ")
            );
            self.add(role.span().start, mistake);
        }
        let expires = match expires {
            None => None,
            Some(expires) => {
                let instant = instant(expires.get_ref());
                if instant.is_none() {
                    self.add(
                        expires.span().start,
                        "expires must have a date, a time and an offset, such as 2027-01-31T12:00:00Z",
                    );
                }
                Some(instant?)
            }
        };
        Some(Arc::new(Principal {
            name: format!("{kind} {:?}", name.get_ref()),
            tenants: tenants?,
            role: known?,
            expires,
            subject: None,
        }))
    }

    fn tenants(&mut self, at: usize, listed: Vec<Spanned<String>>) -> Option<Tenants> {
        if listed.is_empty() {
            self.add(
                at,
                "tenants is empty; name tenants, or write [\"*\"] for all",
            );
            return None;
        }
        let is_all = listed.iter().any(|tenant| tenant.get_ref() == "*");
        let mut own = BTreeSet::new();
        for tenant in listed.iter().filter(|tenant| tenant.get_ref() != "*") {
            match named(tenant.get_ref()) {
                Some(read) if !is_all => {
                    own.insert(read);
                }
                _ => self.add(
                    tenant.span().start,
                    format_args!(
                        "{:?} is no tenant; write characters of [a-z0-9_-], or \"*\" alone for all",
                        tenant.get_ref()
                    ),
                ),
            }
        }
        Some(if is_all {
            Tenants::All
        } else {
            Tenants::Only(own)
        })
    }

    fn check_name(&mut self, kind: &str, name: &Spanned<String>) {
        let text = name.get_ref();
        let allowed = |char: char| char.is_ascii_alphanumeric() || "_-.@:/".contains(char);
        if text.is_empty() || text.len() > MAX_KEY_NAME_BYTES || !text.chars().all(allowed) {
            self.add(
                name.span().start,
                format_args!(
                    "the name of a {kind} has 1 to {MAX_KEY_NAME_BYTES} letters, digits and _-.@:/"
                ),
            );
        }
    }
}

/// A tenant by its name, which stands for nobody when it is empty.
fn named(tenant: &str) -> Option<Tenant> {
    Tenant::new(tenant).filter(|_| !tenant.is_empty())
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// One without an offset is of no place in particular, and none.
fn instant(written: &Datetime) -> Option<Timestamp> {
    let (seconds, nanos) = parse_instant(&written.to_string())?;
    Timestamp::from_parts(seconds, nanos)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
