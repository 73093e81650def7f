//! Who calls: found out for every call, before anything of it is read.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{HeaderMap, header::AUTHORIZATION};
use quick_cache::sync::Cache;

use super::{key_sets::KeySets, transport::Connection};
use crate::{
    access::{
        Denied, Issuer, Keys, KeysError, Principal, TokenKeys, claimed_issuer, digest_of,
        files_named, read_keys,
    },
    clock::Clock,
    followed::{self, Files, Followed, Unreadable},
    limits::{KEY_SET_INTERVAL, MAX_KEY_SET_BYTES, MAX_KEYS_BYTES, MAX_REMEMBERED_TOKENS},
};

/// Why nobody can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// A file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The file is no text.
    #[error("{0} is no text in UTF-8")]
    NoText(String),
    /// The file does not say who may call.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// The file of who may call, and those that it names.
struct KeysFile(PathBuf);

impl KeysFile {
    fn text<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, AuthenticationError> {
        let name = || self.0.display().to_string();
        std::str::from_utf8(bytes).map_err(|_| AuthenticationError::NoText(name()))
    }
}

impl Files for KeysFile {
    type Made = Keys;
    type Error = AuthenticationError;

    const NAME: &'static str = "the keys";

    async fn read(&self) -> Result<Vec<Vec<u8>>, AuthenticationError> {
        let keys = followed::read(&self.0, MAX_KEYS_BYTES).await?;
        let beside = self.0.parent().unwrap_or_else(|| Path::new(""));
        let named = files_named(self.text(&keys)?);
        let mut contents = vec![keys];
        for path in named {
            contents.push(followed::read(&beside.join(path), MAX_KEY_SET_BYTES).await?);
        }
        Ok(contents)
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Keys, AuthenticationError> {
        let (keys, named) = contents
            .split_first()
            .unwrap_or((const { &Vec::new() }, &[]));
        let name = self.0.display().to_string();
        Ok(read_keys(&name, self.text(keys)?, named)?)
    }
}

/// Tells callers apart. Cheap to clone.
#[derive(Clone)]
pub struct Authentication {
    /// `None` asks nobody.
    asked: Option<Arc<Asked>>,
    clock: Clock,
}

struct Asked {
    keys: Followed<KeysFile>,
    sets: KeySets,
    /// Bearers of tokens, by the digest of the token.
    bearers: Cache<[u8; 32], Bearer>,
}

/// Whoever bears a token, as these keys say.
#[derive(Clone)]
struct Bearer {
    principal: Arc<Principal>,
    keys: Arc<Keys>,
    /// The set of keys that was fetched for it.
    set: Option<Arc<jsonwebtoken::jwk::JwkSet>>,
}

/// What a caller shows.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nothing, and nothing is asked for.
    Unasked,
    /// A secret, of which this is the SHA-256.
    Secret([u8; 32]),
    /// A token that an issuer has signed.
    Token(Token),
    /// A certificate, on this connection.
    Certificate(Connection),
}

/// A token.
#[derive(Clone)]
pub struct Token {
    text: Arc<str>,
    digest: [u8; 32],
    /// Who it says has issued it.
    claimed: Arc<str>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token")
    }
}

impl Authentication {
    /// Asks nobody who they are.
    pub fn none(clock: Clock) -> Self {
        Self { asked: None, clock }
    }

    /// By a keys file, with what issuers publish; an address that does not answer is no reason not to
    /// start.
    ///
    /// # Errors
    /// When it does not say who may call.
    pub async fn load(path: PathBuf, clock: Clock) -> Result<Self, AuthenticationError> {
        let asked = Asked {
            keys: Followed::load(KeysFile(path)).await?,
            sets: KeySets::default(),
            bearers: Cache::new(MAX_REMEMBERED_TOKENS),
        };
        asked.fetch_sets().await;
        Ok(Self {
            asked: Some(Arc::new(asked)),
            clock,
        })
    }

    /// How many keys, certificates and issuers there are; `None` where nobody is asked.
    pub fn keys(&self) -> Option<usize> {
        self.asked
            .as_ref()
            .map(|asked| asked.keys.current().count())
    }

    /// Follows the keys file and what issuers publish, for ever.
    pub async fn follow(&self) -> Infallible {
        let Some(asked) = &self.asked else {
            return std::future::pending().await;
        };
        tokio::select! {
            never = asked.keys.follow() => never,
            never = asked.follow_sets() => never,
        }
    }

    /// What a call shows.
    ///
    /// # Errors
    /// When it shows nothing, or something that is never right.
    pub fn credentials(
        &self,
        headers: &HeaderMap,
        connection: Option<&Connection>,
    ) -> Result<Credentials, Denied> {
        let Some(asked) = &self.asked else {
            return Ok(Credentials::Unasked);
        };
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (Some(authorization), None) => {
                let text = authorization.to_str().map_err(|_| Denied::Malformed)?;
                let (scheme, secret) = text.split_once(' ').ok_or(Denied::Malformed)?;
                let secret = secret.trim();
                if !scheme.eq_ignore_ascii_case("bearer") || secret.is_empty() {
                    return Err(Denied::Malformed);
                }
                Ok(asked.credentials(secret))
            }
            (Some(_), Some(_)) => Err(Denied::Malformed),
            (None, _) => match connection {
                Some(connection) if !connection.certificate_names().is_empty() => {
                    Ok(Credentials::Certificate(connection.clone()))
                }
                _ => Err(Denied::NoCredentials),
            },
        }
    }

    /// Who has shown these, as is known now.
    ///
    /// # Errors
    /// When it is nobody, or nobody any more.
    pub fn principal(&self, credentials: &Credentials) -> Result<Arc<Principal>, Denied> {
        let Some(asked) = &self.asked else {
            return Ok(Principal::anonymous());
        };
        let (keys, now) = (asked.keys.current(), (self.clock)());
        match credentials {
            Credentials::Unasked => Err(Denied::NoCredentials),
            Credentials::Secret(digest) => keys.by_digest(digest, now),
            Credentials::Token(token) => {
                let bearer = asked.bearer(token, keys, |issuer, set| {
                    issuer.bearer(&token.text, set, now)
                })?;
                bearer.check_expiry(now)?;
                Ok(bearer)
            }
            Credentials::Certificate(connection) => {
                let names = connection.certificate_names().iter().map(String::as_str);
                keys.by_certificate(names, now)
            }
        }
    }

    /// Fetches the keys of whoever has issued a token, when it names one that is not known. Whether
    /// that may have helped.
    pub async fn look_again(&self, credentials: &Credentials) -> bool {
        let (Some(asked), Credentials::Token(token)) = (&self.asked, credentials) else {
            return false;
        };
        let keys = asked.keys.current();
        let issuer = keys.issuer(&token.claimed);
        let Some(TokenKeys::Url(url)) = issuer.map(|issuer| &issuer.keys) else {
            return false;
        };
        asked.sets.refresh(url).await;
        true
    }
}

impl Asked {
    /// A secret of a key, or a token of somebody whose tokens are trusted.
    fn credentials(&self, secret: &str) -> Credentials {
        let digest = digest_of(secret);
        let looks_like_a_token = secret.bytes().filter(|byte| *byte == b'.').count() == 2;
        let keys = self.keys.current();
        if looks_like_a_token && keys.issuers().next().is_some() {
            // One of an unknown issuer is refused as such.
            return Credentials::Token(Token {
                text: secret.into(),
                digest,
                claimed: claimed_issuer(secret).unwrap_or_default().into(),
            });
        }
        Credentials::Secret(digest)
    }

    fn bearer(
        &self,
        token: &Token,
        keys: Arc<Keys>,
        check: impl FnOnce(&Issuer, Option<&jsonwebtoken::jwk::JwkSet>) -> Result<Principal, Denied>,
    ) -> Result<Arc<Principal>, Denied> {
        let issuer = keys
            .issuer(&token.claimed)
            .ok_or_else(|| Denied::BadToken {
                reason: "it is no JWT of an issuer in the keys file".to_owned(),
            })?;
        let set = match &issuer.keys {
            TokenKeys::Url(url) => self.sets.get(url),
            TokenKeys::Secret(_) | TokenKeys::Set(_) => None,
        };
        // A signature that was right is right while neither the keys file nor the keys have changed.
        if let Some(known) = self.bearers.get(&token.digest)
            && Arc::ptr_eq(&known.keys, &keys)
            && known.set.as_ref().map(Arc::as_ptr) == set.as_ref().map(Arc::as_ptr)
        {
            return Ok(known.principal);
        }
        let principal = Arc::new(check(issuer, set.as_deref())?);
        let bearer = Bearer {
            principal: Arc::clone(&principal),
            keys: Arc::clone(&keys),
            set,
        };
        self.bearers.insert(token.digest, bearer);
        Ok(principal)
    }

    /// Fetches what issuers publish, now and then.
    async fn follow_sets(&self) -> Infallible {
        loop {
            tokio::time::sleep(KEY_SET_INTERVAL).await;
            self.fetch_sets().await;
        }
    }

    async fn fetch_sets(&self) {
        let keys = self.keys.current();
        let urls = keys.issuers().filter_map(|issuer| match &issuer.keys {
            TokenKeys::Url(url) => Some(url.as_str()),
            TokenKeys::Secret(_) | TokenKeys::Set(_) => None,
        });
        self.sets.refresh_all(&urls.collect::<Vec<_>>()).await;
    }
}

impl std::fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authentication")
    }
}
