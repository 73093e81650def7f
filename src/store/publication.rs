//! Which model is the latest of a scope: what servers were last started with, or were last
//! told to apply. Rollouts follow it.

use std::{future::Future, time::Duration};

use super::{SavedModel, StoreError};
use crate::scoring::Fingerprint;

/// A model that became the latest of a scope. A scope is a tenant that has a model of its
/// own, or `""` for all tenants that share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// When it became the latest, in milliseconds since 1970, but later than the one before.
    pub revision: u64,
    /// The revision of the publication that it may replace; 0 for the first of a scope.
    pub after: u64,
    /// The model.
    pub model: Fingerprint,
}

impl Publication {
    /// Makes a model the latest after the one that is.
    pub fn following(latest: Option<Self>, model: Fingerprint, at_millis: u64) -> Self {
        let after = latest.map_or(0, |latest| latest.revision);
        Self {
            // By the time, so that it is later than one that a failover has lost.
            revision: at_millis.max(after + 1),
            after,
            model,
        }
    }

    /// The same once more, after what a failover has brought back.
    pub fn again_after(self, latest: Option<Self>) -> Self {
        Self {
            after: latest.map_or(0, |latest| latest.revision),
            ..self
        }
    }
}

/// The latest model of each scope, and the sources of all models that are needed.
pub trait ModelStore: Send + Sync + 'static {
    /// The latest model of each scope, in the order asked for; `None` where there never was one.
    fn publications(
        &self,
        scopes: &[String],
    ) -> impl Future<Output = Result<Vec<Option<Publication>>, StoreError>> + Send;

    /// Makes a model the latest of a scope, in the place of the one that it may replace, and
    /// keeps its source. Returns whether the given one is now, or was already, the latest.
    fn publish(
        &self,
        scope: &str,
        publication: &Publication,
        source: &str,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The source of the latest model of a scope.
    fn published_source(
        &self,
        scope: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;

    /// The revision with which a model was last published in a scope; `None` when it never was.
    fn revision(
        &self,
        scope: &str,
        model: Fingerprint,
    ) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Keeps a model for every server to read, once for all tenants that have it.
    fn save_model(&self, model: &SavedModel)
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A model that was saved.
    fn model(
        &self,
        fingerprint: Fingerprint,
    ) -> impl Future<Output = Result<Option<SavedModel>, StoreError>> + Send;

    /// Deletes the models that are neither among those needed nor the latest of a scope, and that
    /// nobody has saved for that long, because somebody may be about to use what was just saved.
    /// Returns how many are left that nobody needs.
    fn forget_models(
        &self,
        needed: &[Fingerprint],
        unsaved_for: Duration,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_follow_the_time_and_never_stand_still() {
        let first = Publication::following(None, Fingerprint(1), 5_000);
        assert_eq!((first.revision, first.after), (5_000, 0));
        let later = Publication::following(Some(first), Fingerprint(2), 7_000);
        assert_eq!((later.revision, later.after), (7_000, 5_000));
        let behind = Publication::following(Some(later), Fingerprint(1), 6_000);
        assert_eq!((behind.revision, behind.after), (7_001, 7_000));
    }
}
