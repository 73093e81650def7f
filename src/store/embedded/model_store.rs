//! Models of the embedded store.

use std::{sync::Arc, time::Duration};

use tokio::task;

use super::{
    super::{ModelStore, Publication, SavedModel, StoreError},
    Embedded,
};
use crate::scoring::Fingerprint;

impl ModelStore for Embedded {
    async fn publications(
        &self,
        scopes: &[String],
    ) -> Result<Vec<Option<Publication>>, StoreError> {
        let latest = scopes.iter().map(|scope| self.publications.latest(scope));
        latest.collect()
    }

    async fn publish(
        &self,
        scope: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
        let publications = Arc::clone(&self.publications);
        let (scope, publication, source) = (scope.to_owned(), *publication, source.to_owned());
        task::spawn_blocking(move || publications.publish(&scope, &publication, &source))
            .await
            .unwrap_or_else(|error| Err(StoreError::OutcomeUnknown(error.to_string())))
    }

    async fn published_source(&self, scope: &str) -> Result<Option<String>, StoreError> {
        self.publications.source(scope)
    }

    async fn revision(&self, scope: &str, model: Fingerprint) -> Result<Option<u64>, StoreError> {
        self.publications.revision(scope, model)
    }

    async fn save_model(&self, model: &SavedModel) -> Result<(), StoreError> {
        self.rollouts.save_model(model);
        Ok(())
    }

    async fn model(&self, fingerprint: Fingerprint) -> Result<Option<SavedModel>, StoreError> {
        Ok(self.rollouts.model(fingerprint))
    }

    async fn forget_models(
        &self,
        needed: &[Fingerprint],
        unsaved_for: Duration,
    ) -> Result<u64, StoreError> {
        let latest = self.publications.latest_models()?;
        let needed: Vec<Fingerprint> = needed.iter().copied().chain(latest).collect();
        let left = self.rollouts.forget_models(&needed, unsaved_for);
        let publications = Arc::clone(&self.publications);
        task::spawn_blocking(move || publications.forget_sources(&needed))
            .await
            .unwrap_or_else(|error| Err(StoreError::OutcomeUnknown(error.to_string())))?;
        Ok(left)
    }
}
