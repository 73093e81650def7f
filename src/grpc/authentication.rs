//! Who calls: found out for every call, before anything of it is read.

use std::{
    convert::Infallible,
    iter,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{HeaderMap, header::AUTHORIZATION};
use quick_cache::sync::Cache;

use super::{
    key_sets::KeySets,
    quotas::{Bounded, Exceeded, Limits},
    transport::Connection,
};
use crate::{
    access::{
        Denied, Issuer, Keys, KeysError, NamedFile, Principal, Role, Seen, TokenKeys,
        claimed_issuer, digest_of, files_named, read_keys,
    },
    admission::TenantKey,
    clock::Clock,
    followed::{self, Files, Followed, Unreadable},
    limits::{
        KEY_SET_INTERVAL, MAX_KEY_SET_BYTES, MAX_KEYS_BYTES, MAX_REMEMBERED_SIGHTS,
        MAX_REMEMBERED_TOKENS,
    },
    scoring::{Fingerprint, Model, Tenant},
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

    fn keys(&self, bytes: &[u8], named: &[NamedFile]) -> Result<Keys, AuthenticationError> {
        let name = self.0.display().to_string();
        Ok(read_keys(&name, self.text(bytes)?, named)?)
    }
}

impl Files for KeysFile {
    type Made = Known;
    type Error = AuthenticationError;

    const NAME: &'static str = "the keys";

    async fn read(&self) -> Result<Vec<Vec<u8>>, AuthenticationError> {
        let keys = followed::read(&self.0, MAX_KEYS_BYTES).await?;
        let beside = self.0.parent().unwrap_or_else(|| Path::new(""));
        let mut named: Vec<NamedFile> = Vec::new();
        for path in files_named(self.text(&keys)?) {
            let read = followed::read(&beside.join(path), MAX_KEY_SET_BYTES).await;
            named.push(read.map_err(|error| error.to_string()));
        }
        if named.iter().any(Result::is_err) {
            // Told with everything else that is wrong.
            self.keys(&keys, &named)?;
        }
        let named = named.into_iter().flatten();
        Ok(iter::once(keys).chain(named).collect())
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Known, AuthenticationError> {
        let (keys, named) = contents
            .split_first()
            .unwrap_or((const { &Vec::new() }, &[]));
        let named: Vec<NamedFile> = named.iter().cloned().map(Ok).collect();
        let keys = self.keys(keys, &named)?;
        Ok(Known {
            limits: Limits::new(&keys.quotas),
            keys: Arc::new(keys),
        })
    }
}

/// What a keys file says, and what is left of its quotas.
struct Known {
    keys: Arc<Keys>,
    limits: Limits,
}

/// Tells callers apart. Cheap to clone.
#[derive(Clone)]
pub struct Authentication {
    /// `None` asks nobody.
    asked: Option<Arc<Asked>>,
    clock: Clock,
}

struct Asked {
    file: Followed<KeysFile>,
    sets: KeySets,
    /// Bearers of tokens, by the digest of the token.
    bearers: Cache<[u8; 32], Bearer>,
    /// What roles see, by role and model.
    seen: Cache<(String, Fingerprint), (Arc<Role>, Seen)>,
}

/// Whoever bears a token, as these keys say.
#[derive(Clone)]
struct Bearer {
    principal: Arc<Principal>,
    keys: Arc<Keys>,
    /// How often sets of keys had changed.
    sets: u64,
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
            file: Followed::load(KeysFile(path)).await?,
            sets: KeySets::default(),
            bearers: Cache::new(MAX_REMEMBERED_TOKENS),
            seen: Cache::new(MAX_REMEMBERED_SIGHTS),
        };
        asked.fetch_sets().await;
        Ok(Self {
            asked: Some(Arc::new(asked)),
            clock,
        })
    }

    /// How many keys, certificates and issuers there are; `None` where nobody is asked.
    pub fn keys(&self) -> Option<usize> {
        self.asked.as_ref().map(|asked| asked.keys().count())
    }

    /// The keys file, and what it says now; `None` where nobody is asked.
    pub(super) fn file(&self) -> Option<(&Path, Arc<Keys>)> {
        let asked = self.asked.as_ref()?;
        Some((&asked.file.files().0, asked.keys()))
    }

    /// Whether some are told by their certificates.
    pub fn knows_certificates(&self) -> bool {
        let asked = self.asked.as_ref();
        asked.is_some_and(|asked| asked.keys().has_certificates())
    }

    /// Follows the keys file and what issuers publish, for ever.
    /// `refused` hears of each time that the file cannot be used.
    pub async fn follow(&self, refused: impl Fn() + Send) -> Infallible {
        let Some(asked) = &self.asked else {
            return std::future::pending().await;
        };
        tokio::select! {
            never = asked.file.follow(refused) => never,
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
        let (keys, now) = (asked.keys(), (self.clock)());
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

    /// What a role sees by a model; found out once for each pair of them.
    pub fn seen(&self, role: &Arc<Role>, model: &Model) -> Seen {
        let Some(asked) = &self.asked else {
            return Seen::of(role, model);
        };
        let key = (role.name.clone(), model.fingerprint());
        // A role of the same name may be of another keys file.
        if let Some((known, seen)) = asked.seen.get(&key)
            && Arc::ptr_eq(&known, role)
        {
            return seen;
        }
        let seen = Seen::of(role, model);
        asked.seen.insert(key, (Arc::clone(role), seen.clone()));
        seen
    }

    /// Takes so much of the quota of a tenant, all or nothing. `key` is what the tenant is known by.
    ///
    /// # Errors
    /// When so much is not left.
    pub fn take(
        &self,
        tenant: &Tenant,
        key: impl FnOnce() -> TenantKey,
        bounded: Bounded,
        count: usize,
    ) -> Result<(), Exceeded> {
        match &self.asked {
            Some(asked) => {
                let known = asked.file.current();
                known.limits.take(tenant, key, bounded, count)
            }
            None => Ok(()),
        }
    }

    /// How many profiles a tenant may have.
    pub fn most_profiles(&self, tenant: &Tenant) -> Option<NonZeroU64> {
        let known = self.asked.as_ref()?.file.current();
        known.keys.quotas.profiles(tenant)
    }

    /// Fetches the keys of whoever has issued a token, when it names one that is not known.
    pub async fn look_again(&self, credentials: &Credentials) {
        let (Some(asked), Credentials::Token(token)) = (&self.asked, credentials) else {
            return;
        };
        let keys = asked.keys();
        let claimed = claimed_issuer(&token.text);
        let issuer = claimed.and_then(|claimed| keys.issuer(&claimed));
        if let Some(TokenKeys::Url(url)) = issuer.map(|issuer| &issuer.keys) {
            asked.sets.refresh(url).await;
        }
    }
}

impl Asked {
    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.file.current().keys)
    }

    /// A secret of a key, or a token of somebody whose tokens are trusted.
    fn credentials(&self, secret: &str) -> Credentials {
        let digest = digest_of(secret);
        let looks_like_a_token = secret.bytes().filter(|byte| *byte == b'.').count() == 2;
        let keys = self.keys();
        if looks_like_a_token && keys.issuers().next().is_some() {
            let text = secret.into();
            return Credentials::Token(Token { text, digest });
        }
        Credentials::Secret(digest)
    }

    fn bearer(
        &self,
        token: &Token,
        keys: Arc<Keys>,
        check: impl FnOnce(&Issuer, Option<&jsonwebtoken::jwk::JwkSet>) -> Result<Principal, Denied>,
    ) -> Result<Arc<Principal>, Denied> {
        // A signature that was right is right while neither the keys file nor what issuers publish has
        // changed.
        let sets = self.sets.generation();
        if let Some(known) = self.bearers.get(&token.digest)
            && Arc::ptr_eq(&known.keys, &keys)
            && known.sets == sets
        {
            return Ok(known.principal);
        }
        let bad = |reason: &str| Denied::BadToken {
            reason: reason.to_owned(),
        };
        let claimed = claimed_issuer(&token.text);
        let claimed = claimed.ok_or_else(|| bad("it is no JWT that says its issuer (iss)"))?;
        let issuer = keys.issuer(&claimed);
        let issuer = issuer.ok_or_else(|| {
            bad("its issuer (iss) is none of the keys file, where it stands letter by letter")
        })?;
        let set = match &issuer.keys {
            TokenKeys::Url(url) => self.sets.get(url),
            TokenKeys::Secret(_) | TokenKeys::Set(_) => None,
        };
        let principal = Arc::new(check(issuer, set.as_deref())?);
        let bearer = Bearer {
            principal: Arc::clone(&principal),
            keys: Arc::clone(&keys),
            sets,
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
        let keys = self.keys();
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
