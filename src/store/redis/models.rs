//! The texts of models, each once however many tenants have it, all in one hash: there are few.

use std::time::Duration;

use redis::Value;

use super::{
    super::{SavedModel, StoreError},
    Redis,
    failure::unexpected,
    keys::{MODELS, TEXTS, text_field},
    list,
    scripts::{FORGET, SAVE},
    text,
};
use crate::scoring::{Fingerprint, RankName};

/// What ends the name of the field of a scope's latest model.
const LATEST: &str = ":latest";

impl Redis {
    pub(super) async fn write_model(&self, model: &SavedModel) -> Result<(), StoreError> {
        let ranks: Vec<&str> = model.ranks.iter().map(RankName::as_str).collect();
        let ranks = serde_json::to_string(&ranks)
            .map_err(|error| StoreError::Corrupt(format!("ranks have no text: {error}")))?;
        self.write_text(model.fingerprint, &model.source, &ranks)
            .await
    }

    /// Writes what is known of a model; no ranks when they are not.
    pub(super) async fn write_text(
        &self,
        model: Fingerprint,
        source: &str,
        ranks: &str,
    ) -> Result<(), StoreError> {
        let mut call = SAVE.call(1, 3, 128 + source.len() + ranks.len());
        call.arg(TEXTS)
            .arg(model.to_string())
            .arg(source)
            .arg(ranks);
        self.decide(&SAVE, &call, TEXTS).await.map(|_| ())
    }

    pub(super) async fn read_model(
        &self,
        fingerprint: Fingerprint,
    ) -> Result<Option<SavedModel>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(TEXTS).arg(text_field(fingerprint, "source"));
        command.arg(text_field(fingerprint, "ranks"));
        let fields = list(self.read(&command, TEXTS).await?)?;
        let [source, ranks] = <[Value; 2]>::try_from(fields).map_err(|_| unexpected())?;
        let (Some(source), Some(ranks)) = (text(source)?, text(ranks)?) else {
            return Ok(None);
        };
        let ranks: Vec<String> = serde_json::from_str(&ranks).map_err(|error| {
            StoreError::Corrupt(format!(
                "the ranks of model {fingerprint} cannot be read: {error}"
            ))
        })?;
        Ok(Some(SavedModel {
            fingerprint,
            source,
            ranks: ranks.into_iter().map(RankName::new).collect(),
        }))
    }

    pub(super) async fn read_source(
        &self,
        model: Fingerprint,
    ) -> Result<Option<String>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(TEXTS).arg(text_field(model, "source"));
        text(self.read(&command, TEXTS).await?)
    }

    pub(super) async fn delete_models(
        &self,
        needed: &[Fingerprint],
        unsaved_for: Duration,
    ) -> Result<u64, StoreError> {
        let mut needed: Vec<String> = needed.iter().map(Fingerprint::to_string).collect();
        needed.extend(self.latest_models().await?);
        needed.sort_unstable();
        needed.dedup();
        let mut call = FORGET.call(1, 1 + needed.len(), 64 + 24 * needed.len());
        call.arg(TEXTS).arg(unsaved_for.as_secs());
        for model in needed {
            call.arg(model);
        }
        self.decide(&FORGET, &call, TEXTS).await
    }

    /// The latest models of all scopes, as text.
    async fn latest_models(&self) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd("HKEYS");
        command.arg(MODELS);
        let mut read = redis::cmd("HMGET");
        read.arg(MODELS);
        let mut count = 0;
        for name in list(self.read(&command, MODELS).await?)? {
            let name = text(name)?.unwrap_or_default();
            if name.ends_with(LATEST) {
                read.arg(name);
                count += 1;
            }
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let models = list(self.read(&read, MODELS).await?)?;
        let models = models.into_iter().map(text);
        let models: Vec<Option<String>> = models.collect::<Result<_, _>>()?;
        Ok(models.into_iter().flatten().collect())
    }
}
