//! Models, in the place that all servers share.

use bellwether::{
    scoring::Fingerprint,
    store::{ModelStore, Publication, SavedModel, StoreError},
};
use tokio::time::{Duration, Instant};

use crate::{
    network::{Connection, Kind, Place, World},
    state::Flaw,
};

impl ModelStore for Connection {
    async fn publications(
        &self,
        scopes: &[String],
    ) -> Result<Vec<Option<Publication>>, StoreError> {
        let read = |world: &mut World| world.common.publication;
        let latest = self.ask(Place::Common, Kind::Read, read).await?;
        Ok(vec![latest; scopes.len()])
    }

    async fn publish(
        &self,
        _: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
        let (publication, source, server) = (*publication, source.to_owned(), self.name);
        let publish = move |world: &mut World| {
            world.earlier.push((Instant::now(), world.common.clone()));
            let published = world.common.publish(&publication, &source);
            let model = publication.model;
            world.note(&format!("{server} publishes {model}: {published}"));
            published
        };
        self.ask(Place::Common, Kind::Write, publish).await
    }

    async fn published_source(&self, _: &str) -> Result<Option<String>, StoreError> {
        let read = |world: &mut World| world.common.source.clone();
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn revision(&self, _: &str, model: Fingerprint) -> Result<Option<u64>, StoreError> {
        let read = move |world: &mut World| {
            let known = world.common.revisions.get(&model).copied();
            known.filter(|_| world.flaw != Some(Flaw::ForgetsRevisions))
        };
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn save_model(&self, model: &SavedModel) -> Result<(), StoreError> {
        let model = model.clone();
        let save = move |world: &mut World| {
            let saved = (model.clone(), Instant::now());
            world.common.models.insert(model.fingerprint, saved);
        };
        self.ask(Place::Common, Kind::Write, save).await
    }

    async fn model(&self, fingerprint: Fingerprint) -> Result<Option<SavedModel>, StoreError> {
        let read = move |world: &mut World| {
            let saved = world.common.models.get(&fingerprint);
            saved.map(|(model, _)| model.clone())
        };
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn forget_models(
        &self,
        needed: &[Fingerprint],
        unsaved_for: Duration,
    ) -> Result<u64, StoreError> {
        let needed = needed.to_vec();
        let forget = move |world: &mut World| {
            let left = world.common.forget_models(&needed, unsaved_for);
            world.note(&format!("models are forgotten, {left} are left"));
            left
        };
        self.ask(Place::Common, Kind::Write, forget).await
    }
}
