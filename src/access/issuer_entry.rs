//! What a keys file says of an issuer of tokens.

use std::{collections::BTreeMap, str::FromStr as _, sync::Arc};

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use toml::Spanned;

use super::{
    Role, Tenants,
    issuer::{Issuer, TokenKeys, read_key_set},
};

/// Bytes of a secret that tokens are signed with: as many as the hash has.
const MIN_SECRET_BYTES: usize = 32;

/// `[[issuers]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerEntry {
    pub name: Spanned<String>,
    pub issuer: Spanned<String>,
    pub audience: Spanned<String>,
    pub algorithms: Spanned<Vec<String>>,
    /// A file, or an address.
    pub jwks: Option<Spanned<String>>,
    pub secret_file: Option<Spanned<String>>,
    #[serde(default = "tenants_claim")]
    pub tenants_claim: String,
    #[serde(default = "role_claim")]
    pub role_claim: String,
    pub tenants: Option<Vec<Spanned<String>>>,
    pub roles: Option<Vec<Spanned<String>>>,
}

fn tenants_claim() -> String {
    "tenants".to_owned()
}

fn role_claim() -> String {
    "role".to_owned()
}

/// A mistake, and where it stands.
type Mistake = (usize, String);

impl IssuerEntry {
    /// The file that it names.
    pub fn file(&self) -> Option<&str> {
        let jwks = self.jwks.as_ref().map(|jwks| jwks.get_ref().as_str());
        let jwks = jwks.filter(|jwks| !jwks.contains("://"));
        jwks.or(self
            .secret_file
            .as_ref()
            .map(|file| file.get_ref().as_str()))
    }

    /// The issuer, by what its file holds.
    pub fn read(
        self,
        file: Option<&[u8]>,
        roles: &Arc<BTreeMap<String, Arc<Role>>>,
        tenants: Tenants,
    ) -> Result<Issuer, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let roles = self.roles(roles, &mut mistakes);
        for (what, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if text.get_ref().is_empty() {
                mistakes.push((text.span().start, format!("{what} is empty")));
            }
        }
        let algorithms = self.algorithms(&mut mistakes);
        let keys = self.keys(file, &mut mistakes);
        match keys {
            Some(keys) if mistakes.is_empty() => Ok(Issuer {
                name: self.name.into_inner(),
                issuer: self.issuer.into_inner(),
                audience: self.audience.into_inner(),
                algorithms,
                keys,
                tenants_claim: self.tenants_claim,
                role_claim: self.role_claim,
                roles,
                tenants,
            }),
            _ => Err(mistakes),
        }
    }

    fn roles(
        &self,
        known: &Arc<BTreeMap<String, Arc<Role>>>,
        mistakes: &mut Vec<Mistake>,
    ) -> Arc<BTreeMap<String, Arc<Role>>> {
        let Some(named) = &self.roles else {
            return Arc::clone(known);
        };
        let mut roles = BTreeMap::new();
        for name in named {
            match known.get(name.get_ref()) {
                Some(role) => drop(roles.insert(name.get_ref().clone(), Arc::clone(role))),
                None => {
                    let mistake = format!("there is no role {:?}", name.get_ref());
                    mistakes.push((name.span().start, mistake));
                }
            }
        }
        Arc::new(roles)
    }

    fn algorithms(&self, mistakes: &mut Vec<Mistake>) -> Vec<Algorithm> {
        let at = self.algorithms.span().start;
        let mut algorithms = Vec::new();
        for name in self.algorithms.get_ref() {
            match Algorithm::from_str(name) {
                Ok(algorithm) => algorithms.push(algorithm),
                Err(_) => mistakes.push((
                    at,
                    format!("{name:?} is no algorithm; write some of RS256, ES256, EdDSA, HS256"),
                )),
            }
        }
        let is_shared =
            |algorithm: &Algorithm| AlgorithmFamily::Hmac.algorithms().contains(algorithm);
        let has_secret = self.secret_file.is_some();
        if self.algorithms.get_ref().is_empty() {
            mistakes.push((
                at,
                "algorithms is empty; name what tokens are signed by".to_owned(),
            ));
        } else if algorithms
            .iter()
            .any(|algorithm| is_shared(algorithm) != has_secret)
        {
            // Otherwise a public key could be taken for a secret, which everybody knows.
            mistakes.push((
                at,
                "HS256, HS384 and HS512 go with secret_file, all others with jwks".to_owned(),
            ));
        }
        algorithms
    }

    fn keys(&self, file: Option<&[u8]>, mistakes: &mut Vec<Mistake>) -> Option<TokenKeys> {
        let mut wrong = |at: usize, mistake: String| {
            mistakes.push((at, mistake));
            None
        };
        match (&self.jwks, &self.secret_file) {
            (Some(jwks), None) if jwks.get_ref().contains("://") => {
                let (at, url) = (jwks.span().start, jwks.get_ref());
                let is_safe = url::Url::parse(url).is_ok_and(|url| {
                    let host = url.host_str().unwrap_or_default();
                    let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
                    url.scheme() == "https" || (url.scheme() == "http" && is_here)
                });
                match is_safe {
                    true => Some(TokenKeys::Url(url.clone())),
                    // Whoever is on the way could have any token trusted.
                    false => wrong(at, format!("{url:?} is no address at https://")),
                }
            }
            (Some(jwks), None) => match read_key_set(file.unwrap_or_default()) {
                Ok(set) => Some(TokenKeys::Set(Arc::new(set))),
                Err(mistake) => {
                    let mistake = format!("{} {mistake}", jwks.get_ref());
                    wrong(jwks.span().start, mistake)
                }
            },
            (None, Some(path)) => {
                // An editor ends a file with a new line, which belongs to no secret.
                let secret = file.unwrap_or_default().trim_ascii_end();
                let at = path.span().start;
                match DecodingKey::from_secret(secret) {
                    Ok(key) if secret.len() >= MIN_SECRET_BYTES => Some(TokenKeys::Secret(key)),
                    _ => wrong(
                        at,
                        format!(
                            "{} holds no secret of at least {MIN_SECRET_BYTES} bytes",
                            path.get_ref()
                        ),
                    ),
                }
            }
            _ => wrong(
                self.name.span().start,
                "an issuer has jwks, a file or an address of its public keys, or secret_file"
                    .to_owned(),
            ),
        }
    }
}
