//! The latest model of each scope, on disk: what was applied stays when the process starts
//! again with an older file. And the key of page tokens.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    super::{Publication, StoreError, TokenKey},
    records::Records,
};
use crate::scoring::Fingerprint;

/// Publications of every scope.
pub struct Publications {
    records: Arc<Records>,
    /// Held from the comparison to the write.
    publishing: Mutex<()>,
}

impl Publications {
    /// Those that stand beside the records.
    pub fn new(records: Arc<Records>) -> Self {
        Self {
            records,
            publishing: Mutex::new(()),
        }
    }

    /// The latest model of a scope.
    pub fn latest(&self, scope: &str) -> Result<Option<Publication>, StoreError> {
        let Some(text) = self.records.model_entry(&latest_key(scope))? else {
            return Ok(None);
        };
        let latest = parse(&text).ok_or_else(|| self.records.damaged_models())?;
        Ok(Some(latest))
    }

    /// The source of the latest model of a scope.
    pub fn source(&self, scope: &str) -> Result<Option<String>, StoreError> {
        match self.latest(scope)? {
            Some(latest) => self.records.model_entry(&source_key(latest.model)),
            None => Ok(None),
        }
    }

    /// The latest models of all scopes.
    pub fn latest_models(&self) -> Result<Vec<Fingerprint>, StoreError> {
        let mut models = Vec::new();
        for key in self.records.model_keys()? {
            if let Some(scope) = key.strip_suffix(LATEST) {
                models.extend(self.latest(scope)?.map(|latest| latest.model));
            }
        }
        Ok(models)
    }

    /// Deletes the sources of models that are not needed, unless one has become the latest since.
    pub fn forget_sources(&self, needed: &[Fingerprint]) -> Result<(), StoreError> {
        let _publishing = self
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let latest = self.latest_models()?;
        let kept: Vec<String> = needed
            .iter()
            .chain(&latest)
            .map(|model| source_key(*model))
            .collect();
        let mut old = self.records.model_keys()?;
        old.retain(|key| key.starts_with(SOURCE) && !kept.contains(key));
        if old.is_empty() {
            return Ok(());
        }
        self.records
            .write_models(old.into_iter().map(|key| (key, None)))
    }

    /// The revision with which a model was last published in a scope.
    pub fn revision(&self, scope: &str, model: Fingerprint) -> Result<Option<u64>, StoreError> {
        let Some(text) = self.records.model_entry(&revision_key(scope, model))? else {
            return Ok(None);
        };
        let revision = text.parse().map_err(|_| self.records.damaged_models())?;
        Ok(Some(revision))
    }

    /// Makes a model the latest of a scope in the place of the one that it may replace.
    /// Returns whether it is now.
    pub fn publish(
        &self,
        scope: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
        let _publishing = self
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let latest = self.latest(scope)?;
        if latest == Some(*publication) {
            return Ok(true);
        }
        if latest.map_or(0, |latest| latest.revision) != publication.after {
            return Ok(false);
        }
        let Publication {
            revision,
            after,
            model,
        } = publication;
        let text = format!("{revision} {after} {model}");
        self.records.write_models([
            (latest_key(scope), Some(text)),
            (revision_key(scope, *model), Some(revision.to_string())),
            (source_key(*model), Some(source.to_owned())),
        ])?;
        Ok(true)
    }

    /// The key of page tokens, which stands beside what is noted of models: the one that is kept,
    /// or else the proposed one, which is kept from now on.
    pub fn token_key(&self, proposed: &TokenKey) -> Result<TokenKey, StoreError> {
        let _publishing = self
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = self.records.model_entry(TOKEN_KEY)? {
            return TokenKey::from_text(&kept);
        }
        let entry = (TOKEN_KEY.to_owned(), Some(proposed.to_text()));
        self.records.write_models([entry])?;
        Ok(proposed.clone())
    }
}

/// What ends the keys of latest models, and begins those of sources. A name of a scope has neither
/// `:` nor `=`, and a fingerprint is not called `latest`.
const LATEST: &str = ":latest";
const SOURCE: &str = "=";
const TOKEN_KEY: &str = "token-key";

fn latest_key(scope: &str) -> String {
    format!("{scope}{LATEST}")
}

fn revision_key(scope: &str, model: Fingerprint) -> String {
    format!("{scope}:{model}")
}

/// One for all scopes that have the model.
fn source_key(model: Fingerprint) -> String {
    format!("{SOURCE}{model}")
}

fn parse(text: &str) -> Option<Publication> {
    let mut words = text.split(' ');
    let publication = Publication {
        revision: words.next()?.parse().ok()?,
        after: words.next()?.parse().ok()?,
        model: Fingerprint(u64::from_str_radix(words.next()?, 16).ok()?),
    };
    words.next().is_none().then_some(publication)
}
