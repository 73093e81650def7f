//! Models, all in two hashes, for there are few: the latest of each scope, which is asked for every
//! other second, and the texts, each once however many tenants have it.

use std::time::Duration;

use redis::Value;

use super::{
    super::{ModelStore, Publication, SavedModel, StoreError},
    Redis,
    failure::unexpected,
    keys::{MODELS, TEXTS, published_field, text_field},
    list,
    scripts::{FORGET, PUBLISH, SAVE},
    text,
};
use crate::scoring::{Fingerprint, RankName};

/// What is read of a publication.
const FIELDS: [&str; 3] = ["revision", "after", "latest"];

/// What ends the name of the field of a scope's latest model.
const LATEST: &str = ":latest";

impl ModelStore for Redis {
    async fn publications(
        &self,
        scopes: &[String],
    ) -> Result<Vec<Option<Publication>>, StoreError> {
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(MODELS);
        for scope in scopes {
            for field in FIELDS {
                command.arg(published_field(scope, field));
            }
        }
        let values = list(self.read(&command, MODELS).await?)?;
        if values.len() != scopes.len() * FIELDS.len() {
            return Err(unexpected());
        }
        values.chunks_exact(FIELDS.len()).map(publication).collect()
    }

    async fn publish(
        &self,
        scope: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
        self.check_note().await?;
        // First, because nobody could follow a model without it.
        self.write_text(publication.model, source, "").await?;
        let mut call = PUBLISH.call(1, 4, 256);
        call.arg(MODELS)
            .arg(scope)
            .arg(publication.after)
            .arg(publication.revision)
            .arg(publication.model.to_string());
        Ok(self.decide(&PUBLISH, &call, MODELS).await? == 1)
    }

    async fn published_source(&self, scope: &str) -> Result<Option<String>, StoreError> {
        let latest = self.publications(&[scope.to_owned()]).await?;
        match latest.into_iter().flatten().next() {
            Some(latest) => self.read_source(latest.model).await,
            None => Ok(None),
        }
    }

    async fn revision(&self, scope: &str, model: Fingerprint) -> Result<Option<u64>, StoreError> {
        number(self.field(published_field(scope, model)).await?)
    }

    async fn save_model(&self, model: &SavedModel) -> Result<(), StoreError> {
        self.check_note().await?;
        let ranks: Vec<&str> = model.ranks.iter().map(RankName::as_str).collect();
        let ranks = serde_json::to_string(&ranks)
            .map_err(|error| StoreError::Corrupt(format!("ranks have no text: {error}")))?;
        self.write_text(model.fingerprint, &model.source, &ranks)
            .await
    }

    async fn model(&self, fingerprint: Fingerprint) -> Result<Option<SavedModel>, StoreError> {
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

    async fn forget_models(
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
}

impl Redis {
    /// Writes what is known of a model; no ranks when they are not.
    async fn write_text(
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

    async fn read_source(&self, model: Fingerprint) -> Result<Option<String>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(TEXTS).arg(text_field(model, "source"));
        text(self.read(&command, TEXTS).await?)
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

    async fn field(&self, field: String) -> Result<Value, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(MODELS).arg(field);
        self.read(&command, MODELS).await
    }
}

fn publication(fields: &[Value]) -> Result<Option<Publication>, StoreError> {
    let [revision, after, model] = fields else {
        return Err(unexpected());
    };
    let (revision, after) = (number(revision.clone())?, number(after.clone())?);
    let model = match text(model.clone())? {
        None => None,
        Some(model) => Some(u64::from_str_radix(&model, 16).map_err(|_| damaged())?),
    };
    Ok(match (revision, after, model) {
        (Some(revision), Some(after), Some(model)) => Some(Publication {
            revision,
            after,
            model: Fingerprint(model),
        }),
        _ => None,
    })
}

fn number(value: Value) -> Result<Option<u64>, StoreError> {
    text(value)?
        .map(|text| text.parse().map_err(|_| damaged()))
        .transpose()
}

fn damaged() -> StoreError {
    StoreError::Corrupt("the latest models cannot be read".to_owned())
}
