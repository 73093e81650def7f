//! Everybody who may call, as a keys file says.

use std::{collections::HashMap, sync::Arc};

use subtle::ConstantTimeEq as _;

use super::{Denied, Issuer, Principal, Quotas, names::RoleName, warnings::Declared};
use crate::scoring::Timestamp;

/// Everybody who may call.
#[derive(Debug, Default)]
pub struct Keys {
    /// By the first bytes of the digest, which tell nobody anything of the secret.
    pub(super) by_digest: HashMap<[u8; 8], Vec<Key>>,
    /// By a name in the certificate that they show.
    pub(super) by_certificate: HashMap<String, Arc<Principal>>,
    /// By what tokens say of who has issued them.
    pub(super) issuers: HashMap<String, Issuer>,
    /// Names of models in the roles of the file.
    pub(super) named: Vec<RoleName>,
    /// What may be declared and hardly meant.
    pub(super) declared: Declared,
    /// How much tenants may ask for.
    pub quotas: Quotas,
}

/// A key: whose secret has this digest.
#[derive(Debug)]
pub(super) struct Key {
    pub digest: [u8; 32],
    pub principal: Arc<Principal>,
}

impl Keys {
    /// Whose secret has this digest.
    ///
    /// # Errors
    /// When it is nobody's, or expired.
    pub fn by_digest(&self, digest: &[u8; 32], now: Timestamp) -> Result<Arc<Principal>, Denied> {
        let mut found = None;
        for key in self.by_digest.get(&prefix_of(digest)).into_iter().flatten() {
            if bool::from(key.digest.ct_eq(digest)) {
                found = Some(&key.principal);
            }
        }
        let principal = found.ok_or(Denied::UnknownKey)?;
        principal.check_expiry(now)?;
        Ok(Arc::clone(principal))
    }

    /// Whose certificate has one of these names.
    ///
    /// # Errors
    /// When it is nobody's, or expired.
    pub fn by_certificate<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        now: Timestamp,
    ) -> Result<Arc<Principal>, Denied> {
        let mut names = names.into_iter();
        let principal = names.find_map(|name| self.by_certificate.get(name));
        let principal = principal.ok_or(Denied::UnknownCertificate)?;
        principal.check_expiry(now)?;
        Ok(Arc::clone(principal))
    }

    /// Whether some are told by their certificates.
    pub fn has_certificates(&self) -> bool {
        !self.by_certificate.is_empty()
    }

    /// Who has issued a token, by what it says.
    pub fn issuer(&self, claimed: &str) -> Option<&Issuer> {
        self.issuers.get(claimed)
    }

    /// Everybody whose tokens are trusted.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.values()
    }

    /// How many there are, issuers of tokens among them.
    pub fn count(&self) -> usize {
        self.count_of_secrets() + self.count_of_certificates() + self.issuers.len()
    }

    /// How many are told by a secret.
    pub fn count_of_secrets(&self) -> usize {
        self.by_digest.values().map(Vec::len).sum()
    }

    /// How many are told by a certificate.
    pub fn count_of_certificates(&self) -> usize {
        self.by_certificate.len()
    }
}

pub(super) fn prefix_of(digest: &[u8; 32]) -> [u8; 8] {
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&digest[..8]);
    prefix
}
