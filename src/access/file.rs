//! Reads a keys file: TOML with roles, keys, certificates, issuers and quotas.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64},
    sync::{Arc, LazyLock},
};

use toml::value::Datetime;

use super::{
    Keys, Principal, Quota, Quotas, Tenants,
    issuer_entry::{IssuerEntry, NamedFile},
    key::without_secrets,
    keys::{Key, prefix_of},
    role_entry::{Roles, known_role, read_role},
    warnings::{Declared, Ending},
};
use crate::{
    limits::{MAX_KEY_NAME_BYTES, MAX_KEY_TEXT_BYTES, MAX_KEYS_OF_A_FILE, MAX_QUOTA_PROFILES},
    scoring::{Diagnostics, Spanned, Table, Tenant, Timestamp, parse, parse_instant},
};

/// Why there are no keys: each line says where the mistake is and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct KeysError(pub Vec<String>);

/// What is read so far.
#[derive(Default)]
struct Reader {
    /// Those that entries may name: of the file, and those that come with the program.
    roles: Arc<Roles>,
    /// What stands once: what entries of each kind are called, and whom certificates tell.
    names: BTreeSet<(&'static str, String)>,
    keys: Keys,
}

/// The files that a keys file names, in its order; none of one that is no TOML.
pub fn files_named(text: &str) -> Vec<String> {
    let mut unheard = Diagnostics::new(text);
    let Some(root) = parse(text, &mut unheard) else {
        return Vec::new();
    };
    let mut root = Table::new("the file", root.span(), root.get_ref(), &mut unheard);
    let issuers = root.tables("issuers", IssuerEntry::of);
    let named = issuers
        .iter()
        .filter_map(|issuer| issuer.file().map(|file| file.value.clone()));
    named.collect()
}

/// Reads a keys file. `name` is what mistakes call it; `files` is what is in [`files_named`].
///
/// # Errors
/// All mistakes at once, each with its line and column.
pub fn read_keys(name: &str, text: &str, files: &[NamedFile]) -> Result<Keys, KeysError> {
    let mut diagnostics = Diagnostics::new(text);
    let keys = parse(text, &mut diagnostics).map(|root| {
        let mut root = Table::new("the file", root.span(), root.get_ref(), &mut diagnostics);
        let keys = Reader::default().read(&mut root, files);
        root.finish();
        keys
    });
    let count = keys.as_ref().map_or(0, Keys::count);
    let mistake = match count {
        0 if diagnostics.is_empty() => {
            "names nobody who may call; add [[keys]], as `bellwether key new` makes them, [[certificates]] or [[issuers]]".to_owned()
        }
        more if more > MAX_KEYS_OF_A_FILE => {
            format!("has {more} keys, more than {MAX_KEYS_OF_A_FILE}; take out some")
        }
        _ => return finish(name, keys, diagnostics),
    };
    diagnostics.add(0..0, mistake);
    finish(name, None, diagnostics)
}

/// The roles that come with the program, by name.
pub fn shipped_roles() -> &'static Roles {
    static SHIPPED: LazyLock<Roles> = LazyLock::new(|| {
        // A test reads it: there is no mistake in it.
        read_roles(include_str!("roles.toml")).unwrap_or_default()
    });
    &SHIPPED
}

fn read_roles(text: &str) -> Result<Roles, KeysError> {
    let mut diagnostics = Diagnostics::new(text);
    let roles = parse(text, &mut diagnostics).map(|root| {
        let mut root = Table::new("the file", root.span(), root.get_ref(), &mut diagnostics);
        let roles = roles(&mut root, &mut Keys::default());
        root.finish();
        roles
    });
    finish("roles.toml", roles, diagnostics)
}

/// What was read, unless something is wrong with it.
fn finish<T>(name: &str, read: Option<T>, diagnostics: Diagnostics<'_>) -> Result<T, KeysError> {
    match read {
        Some(read) if diagnostics.is_empty() => Ok(read),
        _ => {
            let mistakes = diagnostics.into_sorted().into_iter();
            let told = |mistake| format!("{name}:{}", without_secrets(&format!("{mistake}")));
            Err(KeysError(mistakes.map(told).collect()))
        }
    }
}

/// The roles of a file; what they name is noted with the keys.
fn roles(root: &mut Table<'_, '_, '_>, keys: &mut Keys) -> Roles {
    let read = root.named_tables("roles", |name, table| {
        check_name("role", &name, table);
        let role = read_role(&name.value, table, &mut keys.named);
        let place = table.place(&name.span);
        keys.declared.roles.push((name.value.clone(), place));
        (name.value, Arc::new(role))
    });
    read.into_iter().collect()
}

impl Reader {
    fn read(mut self, root: &mut Table<'_, '_, '_>, files: &[NamedFile]) -> Keys {
        let own = roles(root, &mut self.keys);
        let mut known = shipped_roles().clone();
        known.extend(own);
        self.roles = Arc::new(known);
        root.tables("keys", |table| self.key(table));
        root.tables("certificates", |table| self.certificate(table));
        let mut files = files.iter();
        root.tables("issuers", |table| {
            let entry = IssuerEntry::of(table);
            let file = entry.file().and_then(|_| files.next());
            self.issuer(entry, file, table);
        });
        self.keys.quotas = quotas(root, &mut self.keys.declared);
        self.keys
    }

    fn key(&mut self, table: &mut Table<'_, '_, '_>) {
        let principal = self.principal("key", table);
        let hint = "what tells the key, which `bellwether key new` prints";
        let Some(sha256) = table.required_text("sha256", MAX_KEY_TEXT_BYTES, hint) else {
            return;
        };
        let Some(digest) = digest(&sha256.value) else {
            table.diagnostic(
                sha256.span,
                "sha256 must be the 64 hexadecimal digits that `bellwether key new` prints; the secret itself belongs nowhere in this file",
            );
            return;
        };
        if !self.names.insert(("sha256", sha256.value.to_lowercase())) {
            table.diagnostic(sha256.span, "another key has the same sha256");
        }
        let alike = self.keys.by_digest.entry(prefix_of(&digest)).or_default();
        alike.extend(principal.map(|principal| Key { digest, principal }));
    }

    fn certificate(&mut self, table: &mut Table<'_, '_, '_>) {
        let principal = self.principal("certificate", table);
        let hint = "a DNS name or a URI of the certificate";
        let Some(san) = table.required_text("san", MAX_KEY_TEXT_BYTES, hint) else {
            return;
        };
        if !self.names.insert(("san", san.value.clone())) {
            table.diagnostic(san.span, "another certificate has the same san");
        }
        if let Some(principal) = principal {
            self.keys.by_certificate.insert(san.value, principal);
        }
    }

    fn issuer(
        &mut self,
        entry: IssuerEntry,
        file: Option<&NamedFile>,
        table: &mut Table<'_, '_, '_>,
    ) {
        if let Some(name) = &entry.name {
            check_name("issuer", name, table);
        }
        if let Some(issuer) = &entry.issuer
            && !self.names.insert(("iss", issuer.value.clone()))
        {
            table.diagnostic(issuer.span.clone(), "another entry has the same issuer");
        }
        let tenants = match &entry.tenants {
            None => Some(Tenants::All),
            Some(listed) => tenants(listed, table),
        };
        if let Some(issuer) = entry.read(file, &self.roles, tenants, table) {
            self.keys.issuers.insert(issuer.issuer.clone(), issuer);
        }
    }

    /// Whom an entry lets call; `None` when it does not say so, which is noted.
    fn principal(
        &mut self,
        kind: &'static str,
        table: &mut Table<'_, '_, '_>,
    ) -> Option<Arc<Principal>> {
        let hint = "what it is called in messages and logs, such as name = \"crm\"";
        let name = table.required_text("name", MAX_KEY_TEXT_BYTES, hint);
        if let Some(name) = &name {
            check_name(kind, name, table);
            if !self.names.insert((kind, name.value.clone())) {
                let mistake = format!("another {kind} is named {:?}, too", name.value);
                table.diagnostic(name.span.clone(), mistake);
            }
        }
        if !table.has("tenants") {
            table.missing(
                "tenants",
                "for whom it may call, such as tenants = [\"acme\"], or [\"*\"] for all",
            );
        }
        let listed = table.list("tenants", MAX_KEY_TEXT_BYTES);
        let tenants = listed.and_then(|listed| tenants(&listed, table));
        let hint = "what it may, such as role = \"reader\"";
        let role = table.required_text("role", MAX_KEY_NAME_BYTES, hint);
        let role = role.and_then(|role| known_role(&role, &self.roles, table));
        let expires = expires(table);
        let principal = Principal {
            name: format!("{kind} {:?}", name?.value),
            tenants: tenants?,
            role: role?,
            expires: expires.as_ref()?.as_ref().map(|expires| expires.value),
            subject: None,
        };
        if let Some(expires) = expires? {
            self.keys.declared.endings.push(Ending {
                who: principal.name.clone(),
                at: expires.value,
                place: table.place(&expires.span),
            });
        }
        Some(Arc::new(principal))
    }
}

/// When an entry ends, if ever; `None` when it is said in a way that cannot be read, which is noted.
fn expires(table: &mut Table<'_, '_, '_>) -> Option<Option<Spanned<Timestamp>>> {
    let Some(value) = table.get("expires") else {
        return Some(None);
    };
    let instant = value.get_ref().as_datetime().and_then(instant);
    if instant.is_none() {
        table.diagnostic(
            value.span(),
            "expires must have a date, a time and an offset, without quotes, such as 2027-01-31T12:00:00Z",
        );
    }
    instant.map(|value_of| {
        Some(Spanned {
            value: value_of,
            span: value.span(),
        })
    })
}

fn tenants(
    listed: &Spanned<Vec<Spanned<String>>>,
    table: &mut Table<'_, '_, '_>,
) -> Option<Tenants> {
    if listed.value.is_empty() {
        table.diagnostic(
            listed.span.clone(),
            "tenants is empty; name tenants, or write [\"*\"] for all",
        );
        return None;
    }
    let is_all = listed.value.iter().any(|tenant| tenant.value == "*");
    let mut own = BTreeSet::new();
    for tenant in listed.value.iter().filter(|tenant| tenant.value != "*") {
        match named(&tenant.value) {
            Some(_) if is_all => table.diagnostic(
                tenant.span.clone(),
                format!(
                    "{:?} stands beside \"*\", which is all tenants; leave out one of the two",
                    tenant.value
                ),
            ),
            Some(read) => drop(own.insert(read)),
            None => table.diagnostic(
                tenant.span.clone(),
                format!(
                    "{:?} is no tenant; write characters of [a-z0-9_-], or \"*\" alone for all",
                    tenant.value
                ),
            ),
        }
    }
    Some(match is_all {
        true => Tenants::All,
        false => Tenants::Only(own),
    })
}

fn quotas(root: &mut Table<'_, '_, '_>, declared: &mut Declared) -> Quotas {
    let mut quotas = Quotas::default();
    root.named_tables("quotas", |name, table| {
        let mut rate = |key| {
            let rate = table.whole_number(key, 1, u32::MAX as usize)?;
            NonZeroU32::new(u32::try_from(rate).ok()?)
        };
        let quota = Quota {
            calls: rate("calls_per_second"),
            events: rate("events_per_second"),
            profiles: table
                .whole_number("profiles", 1, MAX_QUOTA_PROFILES)
                .and_then(|most| NonZeroU64::new(u64::try_from(most).ok()?)),
        };
        match named(&name.value) {
            _ if name.value == "*" => quotas.others = quota,
            Some(tenant) => {
                let place = table.place(&name.span);
                declared.quotas.push((tenant.clone(), place));
                quotas.named.insert(tenant, quota);
            }
            None => table.diagnostic(
                name.span,
                format!(
                    "{:?} is no tenant; write characters of [a-z0-9_-], or \"*\" for each that is not named",
                    name.value
                ),
            ),
        }
    });
    quotas
}

fn check_name(kind: &str, name: &Spanned<String>, table: &mut Table<'_, '_, '_>) {
    let text = &name.value;
    let allowed = |char: char| char.is_ascii_alphanumeric() || "_-.@:/".contains(char);
    if text.is_empty() || text.len() > MAX_KEY_NAME_BYTES || !text.chars().all(allowed) {
        let mistake = format!(
            "the name of a {kind} has 1 to {MAX_KEY_NAME_BYTES} letters, digits and _-.@:/"
        );
        table.diagnostic(name.span.clone(), mistake);
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
