//! Who calls: found out for every call, before anything of it is read.

use std::{convert::Infallible, path::PathBuf, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};

use super::transport::Connection;
use crate::{
    access::{Denied, Keys, KeysError, Principal, digest_of, read_keys},
    clock::Clock,
    followed::{self, Files, Followed, Unreadable},
    limits::MAX_KEYS_BYTES,
};

/// Why nobody can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The file is no text.
    #[error("{0} is no text in UTF-8")]
    NoText(String),
    /// The file does not say who may call.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// The file of who may call.
pub struct KeysFile(PathBuf);

impl Files for KeysFile {
    type Made = Keys;
    type Error = AuthenticationError;

    const NAME: &'static str = "the keys";

    async fn read(&self) -> Result<Vec<Vec<u8>>, AuthenticationError> {
        Ok(vec![followed::read(&self.0, MAX_KEYS_BYTES).await?])
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Keys, AuthenticationError> {
        let name = self.0.display().to_string();
        let bytes = contents.first().map_or(&[][..], Vec::as_slice);
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| AuthenticationError::NoText(name.clone()))?;
        Ok(read_keys(&name, text)?)
    }
}

/// Tells callers apart. Cheap to clone.
#[derive(Clone)]
pub struct Authentication {
    /// `None` asks nobody.
    keys: Option<Arc<Followed<KeysFile>>>,
    clock: Clock,
}

/// What a caller shows.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nothing, and nothing is asked for.
    Unasked,
    /// A secret, of which this is the SHA-256.
    Secret([u8; 32]),
    /// A certificate, on this connection.
    Certificate(Connection),
}

impl Authentication {
    /// Asks nobody who they are.
    pub fn none(clock: Clock) -> Self {
        Self { keys: None, clock }
    }

    /// By a keys file.
    ///
    /// # Errors
    /// When it does not say who may call.
    pub async fn load(path: PathBuf, clock: Clock) -> Result<Self, AuthenticationError> {
        let keys = Followed::load(KeysFile(path)).await?;
        Ok(Self {
            keys: Some(Arc::new(keys)),
            clock,
        })
    }

    /// How many keys and certificates there are; `None` where nobody is asked.
    pub fn keys(&self) -> Option<usize> {
        self.keys.as_ref().map(|keys| keys.current().count())
    }

    /// Follows the keys file, for ever.
    pub async fn follow(&self) -> Infallible {
        match &self.keys {
            Some(keys) => keys.follow().await,
            None => std::future::pending().await,
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
        if self.keys.is_none() {
            return Ok(Credentials::Unasked);
        }
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (Some(authorization), None) => {
                let text = authorization.to_str().map_err(|_| Denied::Malformed)?;
                let (scheme, secret) = text.split_once(' ').ok_or(Denied::Malformed)?;
                if !scheme.eq_ignore_ascii_case("bearer") || secret.trim().is_empty() {
                    return Err(Denied::Malformed);
                }
                Ok(Credentials::Secret(digest_of(secret.trim())))
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

    /// Who has shown these, as the keys file says now.
    ///
    /// # Errors
    /// When it is nobody, or nobody any more.
    pub fn principal(&self, credentials: &Credentials) -> Result<Arc<Principal>, Denied> {
        let Some(keys) = &self.keys else {
            return Ok(Principal::anonymous());
        };
        let (keys, now) = (keys.current(), (self.clock)());
        match credentials {
            Credentials::Unasked => Err(Denied::NoCredentials),
            Credentials::Secret(digest) => keys.by_digest(digest, now),
            Credentials::Certificate(connection) => {
                let names = connection.certificate_names().iter().map(String::as_str);
                keys.by_certificate(names, now)
            }
        }
    }
}

impl std::fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authentication")
    }
}
