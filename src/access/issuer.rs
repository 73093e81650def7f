//! Who signs tokens (JWT), and what a token of theirs says of its bearer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse},
};
use serde_json::{Map, Value};

use super::{Denied, Principal, Role, Tenants, signature};
use crate::{
    limits::{MAX_SUBJECT_CHARACTERS, TOKEN_LEEWAY_SECONDS},
    scoring::{Tenant, Timestamp},
};

/// What a token claims.
type Claims = Map<String, Value>;

/// Somebody whose tokens are trusted.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// As it is named in messages.
    pub name: String,
    /// What a token says of who has issued it, letter by letter.
    pub issuer: String,
    /// For whom a token must be.
    pub audience: String,
    /// What it may be signed by.
    pub algorithms: Vec<Algorithm>,
    /// The keys that it is signed with.
    pub keys: TokenKeys,
    /// Where a token says its tenants.
    pub tenants_claim: String,
    /// Where it says its role.
    pub role_claim: String,
    /// The roles that it may give.
    pub roles: Arc<BTreeMap<String, Arc<Role>>>,
    /// The tenants that it may let in for.
    pub tenants: Tenants,
}

/// The keys of an issuer.
#[derive(Clone)]
pub enum TokenKeys {
    /// A secret that both sides know.
    Secret(DecodingKey),
    /// A set of public keys.
    Set(Arc<JwkSet>),
    /// The address of one.
    Url(String),
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenKeys")
    }
}

/// Reads a set of public keys.
///
/// # Errors
/// What is wrong with it.
pub fn read_key_set(bytes: &[u8]) -> Result<JwkSet, String> {
    let set: JwkSet = serde_json::from_slice(bytes)
        // Without what is there: somebody may have written a secret.
        .map_err(|error| format!("is no set of keys (JWKS), by its line {}", error.line()))?;
    if !set.keys.iter().any(is_public) {
        return Err("has no public key for signatures".to_owned());
    }
    Ok(set)
}

fn is_public(key: &Jwk) -> bool {
    let signs = key.common.public_key_use.as_ref();
    signs.is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && matches!(
            key.algorithm,
            AlgorithmParameters::RSA(_)
                | AlgorithmParameters::EllipticCurve(_)
                | AlgorithmParameters::OctetKeyPair(_)
        )
}

fn bad(reason: impl Into<String>) -> Denied {
    Denied::BadToken {
        reason: reason.into(),
    }
}

/// What a token says of who has issued it; nothing of it is known to be true. `None` for what is no
/// token.
pub fn claimed_issuer(token: &str) -> Option<String> {
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    Some(claims.get("iss")?.as_str()?.to_owned())
}

impl Issuer {
    /// Who bears a token. `set` is what is at the address of the issuer's keys, if that is known.
    ///
    /// # Errors
    /// When it cannot be trusted, has expired, or says no role and tenants. It is
    /// [`Denied::UnknownTokenKey`] when another look at the address may help.
    pub fn bearer(
        &self,
        token: &str,
        set: Option<&JwkSet>,
        now: Timestamp,
    ) -> Result<Principal, Denied> {
        signature::install();
        let header = decode_header(token).map_err(|_| bad("it is no JWT"))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(bad(format!(
                "{:?} is no algorithm of issuer {:?}",
                header.alg, self.name
            )));
        }
        let key = match &self.keys {
            TokenKeys::Secret(key) => key.clone(),
            TokenKeys::Set(set) => self.key_in(set, header.kid.as_deref(), header.alg)?,
            TokenKeys::Url(_) => {
                let set = set.ok_or_else(|| self.unknown_key())?;
                self.key_in(set, header.kid.as_deref(), header.alg)?
            }
        };
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The instant is handed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let decoded = decode::<Claims>(token, &key, &validation);
        let decoded = decoded.map_err(|error| match error.kind() {
            // Where keys have no names, the issuer may have another one by now.
            ErrorKind::InvalidSignature
                if header.kid.is_none() && matches!(self.keys, TokenKeys::Url(_)) =>
            {
                self.unknown_key()
            }
            kind => bad(reason_of(kind)),
        })?;
        self.principal(&decoded.claims, now)
    }

    fn unknown_key(&self) -> Denied {
        Denied::UnknownTokenKey {
            issuer: self.name.clone(),
        }
    }

    fn key_in(
        &self,
        set: &JwkSet,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, Denied> {
        let mut usable = set.keys.iter().filter(|key| is_public(key));
        let key = match kid {
            Some(kid) => usable.find(|key| key.common.key_id.as_deref() == Some(kid)),
            None => match (usable.next(), usable.next()) {
                (Some(key), None) => Some(key),
                _ => return Err(bad("it names no key (kid), and its issuer has several")),
            },
        };
        let key = key.ok_or_else(|| self.unknown_key())?;
        let stated = key.common.key_algorithm.as_ref().map(ToString::to_string);
        if stated.is_some_and(|stated| stated != format!("{algorithm:?}")) {
            return Err(bad("its key is for another algorithm"));
        }
        let read = DecodingKey::from_jwk(key);
        let read = read.map_err(|_| bad("its key cannot be used"))?;
        match read.family().algorithms().contains(&algorithm) {
            true => Ok(read),
            false => Err(bad("its key is for another algorithm")),
        }
    }

    fn principal(&self, claims: &Claims, now: Timestamp) -> Result<Principal, Denied> {
        let name = format!("a token of {:?}", self.name);
        let instant = |claim: &str| {
            let seconds = claims.get(claim)?.as_f64()?;
            // As many seconds as fit; a fraction is cut.
            Timestamp::from_parts(seconds as i64, 0)
        };
        let leeway = TOKEN_LEEWAY_SECONDS * 1_000_000_000;
        let expires = instant("exp").ok_or_else(|| bad("exp is no instant"))?;
        if claims.contains_key("nbf") {
            let from = instant("nbf").ok_or_else(|| bad("nbf is no instant"))?;
            if now.saturating_add_nanos(leeway) < from {
                return Err(bad("it is not good yet (nbf)"));
            }
        }
        let principal = Principal {
            role: self.role(claims)?,
            tenants: self.tenants(claims)?,
            expires: Some(expires.saturating_add_nanos(leeway)),
            subject: claims.get("sub").and_then(Value::as_str).map(|subject| {
                let end = subject.char_indices().nth(MAX_SUBJECT_CHARACTERS);
                subject[..end.map_or(subject.len(), |(end, _)| end)].to_owned()
            }),
            name,
        };
        principal.check_expiry(now)?;
        Ok(principal)
    }

    fn role(&self, claims: &Claims) -> Result<Arc<Role>, Denied> {
        let claim = &self.role_claim;
        let named = texts(claims, claim);
        // A list of them may hold roles of other services.
        let known: BTreeSet<&str> = named
            .into_iter()
            .filter(|name| self.roles.contains_key(*name))
            .collect();
        let mut known = known.into_iter();
        match (known.next(), known.next()) {
            (Some(name), None) => Ok(Arc::clone(&self.roles[name])),
            (None, _) => Err(bad(format!(
                "{claim:?} names no role that issuer {:?} may give",
                self.name
            ))),
            (Some(_), Some(_)) => Err(bad(format!(
                "{claim:?} names more than one role of this server"
            ))),
        }
    }

    fn tenants(&self, claims: &Claims) -> Result<Tenants, Denied> {
        let claim = &self.tenants_claim;
        let named = texts(claims, claim);
        if named == ["*"] {
            return Ok(self.tenants.clone());
        }
        let tenants = named.iter().filter(|name| !name.is_empty());
        let tenants = tenants.filter_map(|name| Tenant::new(name));
        let tenants: BTreeSet<Tenant> = match &self.tenants {
            Tenants::All => tenants.collect(),
            Tenants::Only(own) => tenants.filter(|tenant| own.contains(tenant)).collect(),
        };
        if tenants.is_empty() {
            return Err(bad(format!(
                "{claim:?} names no tenant of issuer {:?}",
                self.name
            )));
        }
        Ok(Tenants::Only(tenants))
    }
}

/// The texts of a claim: one, or a list. A name with dots is one of a claim within others, unless there
/// is a claim of that very name.
fn texts<'a>(claims: &'a Claims, name: &str) -> Vec<&'a str> {
    let found = claims.get(name).or_else(|| {
        let (outer, inner) = name.split_once('.')?;
        let mut found = claims.get(outer)?;
        for part in inner.split('.') {
            found = found.get(part)?;
        }
        Some(found)
    });
    match found {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn reason_of(error: &ErrorKind) -> String {
    match error {
        ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
        ErrorKind::InvalidIssuer => "it is of another issuer (iss)".to_owned(),
        ErrorKind::InvalidAudience => "it is for somebody else (aud)".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("{claim} is missing"),
        ErrorKind::InvalidClaimFormat(claim) => format!("{claim} is malformed"),
        ErrorKind::InvalidAlgorithm => "its key is for another algorithm".to_owned(),
        _ => "it is no JWT".to_owned(),
    }
}

#[cfg(test)]
#[path = "issuer_tests.rs"]
mod tests;
