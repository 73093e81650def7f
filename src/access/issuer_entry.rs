//! What a keys file says of an issuer of tokens.

use std::{str::FromStr as _, sync::Arc};

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::{
    Tenants,
    issuer::{Issuer, TokenKeys, read_key_set},
    role_entry::{Roles, known_role},
};
use crate::{
    limits::MAX_KEY_TEXT_BYTES,
    scoring::{Spanned, Table, suggestion},
};

/// What is in a file that a keys file names, or why it cannot be read.
pub type NamedFile = Result<Vec<u8>, String>;

/// Bytes of a secret that tokens are signed with: as many as the hash has.
const MIN_SECRET_BYTES: usize = 32;

/// Those that may be named, the usual ones first.
const ALGORITHMS: [&str; 12] = [
    "RS256", "ES256", "EdDSA", "PS256", "HS256", "RS384", "RS512", "ES384", "PS384", "PS512",
    "HS384", "HS512",
];

/// `[[issuers]]`; what is missing is noted.
pub(super) struct IssuerEntry {
    pub name: Option<Spanned<String>>,
    pub issuer: Option<Spanned<String>>,
    pub tenants: Option<Spanned<Vec<Spanned<String>>>>,
    audience: Option<Spanned<String>>,
    algorithms: Option<Spanned<Vec<Spanned<String>>>>,
    /// A file, or an address.
    jwks: Option<Spanned<String>>,
    secret_file: Option<Spanned<String>>,
    tenants_claim: Option<Spanned<String>>,
    role_claim: Option<Spanned<String>>,
    roles: Option<Spanned<Vec<Spanned<String>>>>,
}

impl IssuerEntry {
    pub fn of(table: &mut Table<'_, '_, '_>) -> Self {
        let mut required = |key, hint: &str| table.required_text(key, MAX_KEY_TEXT_BYTES, hint);
        let name = required(
            "name",
            "what it is called in messages and logs, such as name = \"idp\"",
        );
        let issuer = required(
            "issuer",
            "what a token says in iss, such as issuer = \"https://idp.example/\"",
        );
        let audience = required(
            "audience",
            "what a token must have in aud, such as audience = \"bellwether\"",
        );
        if !table.has("algorithms") {
            table.missing(
                "algorithms",
                "what tokens are signed by, such as algorithms = [\"RS256\"]",
            );
        }
        let mut list = |key| table.list(key, MAX_KEY_TEXT_BYTES);
        let (algorithms, tenants, roles) = (list("algorithms"), list("tenants"), list("roles"));
        let mut text = |key| table.text(key, MAX_KEY_TEXT_BYTES);
        Self {
            name,
            issuer,
            tenants,
            audience,
            algorithms,
            jwks: text("jwks"),
            secret_file: text("secret_file"),
            tenants_claim: text("tenants_claim"),
            role_claim: text("role_claim"),
            roles,
        }
    }

    /// The file that it names.
    pub fn file(&self) -> Option<&Spanned<String>> {
        let jwks = self.jwks.as_ref();
        let jwks = jwks.filter(|jwks| !jwks.value.contains("://"));
        jwks.or(self.secret_file.as_ref())
    }

    /// The issuer, by what its file holds; `None` when something is wrong, which is noted.
    pub fn read(
        self,
        file: Option<&NamedFile>,
        roles: &Arc<Roles>,
        tenants: Option<Tenants>,
        table: &mut Table<'_, '_, '_>,
    ) -> Option<Issuer> {
        let roles = self.roles(roles, table);
        let algorithms = self.algorithms(table);
        let keys = self.keys(file, table);
        let claim = |stated: Option<Spanned<String>>, usual: &str| {
            stated.map_or_else(|| usual.to_owned(), |stated| stated.value)
        };
        Some(Issuer {
            name: self.name?.value,
            issuer: self.issuer?.value,
            audience: self.audience?.value,
            algorithms: algorithms?,
            keys: keys?,
            tenants_claim: claim(self.tenants_claim, "tenants"),
            role_claim: claim(self.role_claim, "role"),
            roles,
            tenants: tenants?,
        })
    }

    fn roles(&self, known: &Arc<Roles>, table: &mut Table<'_, '_, '_>) -> Arc<Roles> {
        let Some(named) = &self.roles else {
            return Arc::clone(known);
        };
        let named = named.value.iter();
        let roles = named.filter_map(|name| {
            let role = known_role(name, known, table)?;
            Some((name.value.clone(), role))
        });
        Arc::new(roles.collect())
    }

    fn algorithms(&self, table: &mut Table<'_, '_, '_>) -> Option<Vec<Algorithm>> {
        let named = self.algorithms.as_ref()?;
        if named.value.is_empty() {
            table.diagnostic(
                named.span.clone(),
                "algorithms is empty; name what tokens are signed by",
            );
            return None;
        }
        let mut algorithms = Vec::new();
        for name in &named.value {
            match Algorithm::from_str(&name.value) {
                Ok(algorithm) => algorithms.push(algorithm),
                Err(_) => {
                    let hint = suggestion(&name.value, ALGORITHMS);
                    let mistake = format!("{:?} is no algorithm; {hint}", name.value);
                    table.diagnostic(name.span.clone(), mistake);
                }
            }
        }
        let is_shared =
            |algorithm: &Algorithm| AlgorithmFamily::Hmac.algorithms().contains(algorithm);
        let has_secret = self.secret_file.is_some();
        let mut known = algorithms.iter();
        if known.any(|algorithm| is_shared(algorithm) != has_secret) {
            // Otherwise a public key could be taken for a secret, which everybody knows.
            table.diagnostic(
                named.span.clone(),
                "HS256, HS384 and HS512 go with secret_file, all others with jwks",
            );
        }
        Some(algorithms)
    }

    fn keys(&self, file: Option<&NamedFile>, table: &mut Table<'_, '_, '_>) -> Option<TokenKeys> {
        let (at, read) = match (&self.jwks, &self.secret_file) {
            (Some(jwks), None) if jwks.value.contains("://") => (jwks, address(&jwks.value)),
            (Some(jwks), None) => (jwks, content(jwks, file).and_then(|set| key_set(jwks, set))),
            (None, Some(path)) => (
                path,
                content(path, file).and_then(|held| secret(path, held)),
            ),
            _ => {
                let mistake =
                    "an issuer has jwks, a file or an address of its public keys, or secret_file";
                table.diagnostic(table.span.clone(), mistake);
                return None;
            }
        };
        let wrong = |mistake| table.diagnostic(at.span.clone(), mistake);
        read.map_err(wrong).ok()
    }
}

fn address(url: &str) -> Result<TokenKeys, String> {
    let is_safe = url::Url::parse(url).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        url.scheme() == "https" || (url.scheme() == "http" && is_here)
    });
    match is_safe {
        true => Ok(TokenKeys::Url(url.to_owned())),
        // Whoever is on the way could have any token trusted.
        false => Err(format!("{url:?} is no address at https://")),
    }
}

fn content<'a>(path: &Spanned<String>, file: Option<&'a NamedFile>) -> Result<&'a [u8], String> {
    match file {
        Some(Ok(content)) => Ok(content),
        Some(Err(reason)) => Err(reason.clone()),
        None => Err(format!("{} was not read", path.value)),
    }
}

fn key_set(path: &Spanned<String>, content: &[u8]) -> Result<TokenKeys, String> {
    let set = read_key_set(content).map_err(|mistake| format!("{} {mistake}", path.value))?;
    Ok(TokenKeys::Set(Arc::new(set)))
}

fn secret(path: &Spanned<String>, content: &[u8]) -> Result<TokenKeys, String> {
    // An editor ends a file with a new line, which belongs to no secret.
    let secret = content.trim_ascii_end();
    match DecodingKey::from_secret(secret) {
        Ok(key) if secret.len() >= MIN_SECRET_BYTES => Ok(TokenKeys::Secret(key)),
        _ => Err(format!(
            "{} holds no secret of at least {MIN_SECRET_BYTES} bytes",
            path.value
        )),
    }
}
