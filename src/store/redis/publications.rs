//! The latest model of each scope, all in one hash: there are few, and each is asked for
//! every other second.

use redis::Value;

use super::{
    super::{Publication, StoreError},
    Redis,
    failure::unexpected,
    keys::{MODELS, published_field},
    list,
    scripts::PUBLISH,
    text,
};
use crate::scoring::Fingerprint;

/// What is read of a publication.
const FIELDS: [&str; 3] = ["revision", "after", "latest"];

impl Redis {
    pub(super) async fn read_publications(
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

    pub(super) async fn replace_publication(
        &self,
        scope: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
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

    pub(super) async fn read_published_source(
        &self,
        scope: &str,
    ) -> Result<Option<String>, StoreError> {
        let latest = self.read_publications(&[scope.to_owned()]).await?;
        match latest.into_iter().flatten().next() {
            Some(latest) => self.read_source(latest.model).await,
            None => Ok(None),
        }
    }

    pub(super) async fn read_revision(
        &self,
        scope: &str,
        model: Fingerprint,
    ) -> Result<Option<u64>, StoreError> {
        number(self.field(published_field(scope, model)).await?)
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
