//! The latest model of each scope, on disk: what was applied stays when the process starts
//! again with an older file.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    super::{Publication, StoreError},
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

    /// The latest model of a scope, with its source.
    pub fn latest(&self, scope: &str) -> Result<Option<(Publication, String)>, StoreError> {
        let Some(text) = self.records.model_entry(&latest_key(scope))? else {
            return Ok(None);
        };
        let latest = parse(&text).ok_or_else(|| self.records.damaged_models())?;
        Ok(Some(latest))
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
        let latest = self.latest(scope)?.map(|(latest, _)| latest);
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
        let text = format!("{revision} {after} {model}\n{source}");
        self.records.write_models([
            (latest_key(scope), text),
            (revision_key(scope, *model), revision.to_string()),
        ])?;
        Ok(true)
    }
}

/// A name of a scope has no `:`, and a fingerprint is not called `latest`.
fn latest_key(scope: &str) -> String {
    format!("{scope}:latest")
}

fn revision_key(scope: &str, model: Fingerprint) -> String {
    format!("{scope}:{model}")
}

fn parse(text: &str) -> Option<(Publication, String)> {
    let (head, source) = text.split_once('\n')?;
    let mut words = head.split(' ');
    let publication = Publication {
        revision: words.next()?.parse().ok()?,
        after: words.next()?.parse().ok()?,
        model: Fingerprint(u64::from_str_radix(words.next()?, 16).ok()?),
    };
    Some((publication, source.to_owned()))
}
