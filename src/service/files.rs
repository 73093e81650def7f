//! The model files while the server runs: read again every few seconds, and at once when the
//! process is told to (SIGHUP). What has changed is applied, what is wrong is refused, and
//! the model of before keeps serving.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::Notify;

use super::{
    Models, ModelsError, Service, ServiceError, Shell,
    latest::SHARED,
    models::{files_in, parse, read},
};
use crate::{
    limits::{FILES_INTERVAL, FILES_SPREAD},
    scoring::{Fingerprint, Model},
    store::Store,
};

/// The files that a server was started with, as they were last read.
#[derive(Debug)]
pub struct ModelFiles {
    path: PathBuf,
    is_directory: bool,
    /// By scope.
    seen: BTreeMap<String, Seen>,
    /// What was last said of the path as a whole, so that it is said once.
    complaint: Option<String>,
}

/// A file as it was last read.
#[derive(Debug)]
struct Seen {
    text: String,
    /// The last model that it said without a mistake.
    model: Fingerprint,
    is_missing: bool,
}

/// What was read of one scope.
type Source = (String, PathBuf, Result<String, ModelsError>);

impl ModelFiles {
    /// The files at a path that these models were loaded from.
    pub fn new(path: &Path, models: &Models) -> Self {
        let seen = |model: &Model| Seen {
            text: model.source().to_owned(),
            model: model.fingerprint(),
            is_missing: false,
        };
        let (is_directory, seen) = match models {
            Models::Shared(model) => (false, BTreeMap::from([(SHARED.to_owned(), seen(model))])),
            Models::ByTenant(models) => {
                let all = models.iter();
                let all = all.map(|(tenant, model)| (tenant.as_str().to_owned(), seen(model)));
                (true, all.collect())
            }
        };
        Self {
            path: path.to_owned(),
            is_directory,
            seen,
            complaint: None,
        }
    }
}

/// Reads every file at a path.
fn sources(path: &Path, is_directory: bool) -> Result<Vec<Source>, ModelsError> {
    if !is_directory {
        let text = read(path)?;
        return Ok(vec![(SHARED.to_owned(), path.to_owned(), Ok(text))]);
    }
    let files = files_in(path)?.into_iter();
    let sources = files.map(|(tenant, file)| {
        let text = read(&file);
        (tenant.as_str().to_owned(), file, text)
    });
    Ok(sources.collect())
}

impl<S: Store> Service<S> {
    /// Follows the model files for as long as the service lives, and at once at each `reload`.
    pub fn follow_files(&self, mut files: ModelFiles, reload: Arc<Notify>) {
        let shell = Arc::clone(&self.shell);
        self.shell.tasks.spawn(async move {
            loop {
                let is_told = tokio::select! {
                    () = shell.stopping.cancelled() => return,
                    () = reload.notified() => true,
                    () = tokio::time::sleep(FILES_INTERVAL) => false,
                };
                let stopping = shell.stopping.clone();
                let looked = shell.look_at_files(&mut files, is_told);
                if stopping.run_until_cancelled(looked).await.is_none() {
                    return;
                }
            }
        });
    }
}

impl<S: Store> Shell<S> {
    async fn look_at_files(&self, files: &mut ModelFiles, is_told: bool) {
        let (path, is_directory) = (files.path.clone(), files.is_directory);
        let read = tokio::task::spawn_blocking(move || sources(&path, is_directory)).await;
        let sources = match read {
            Ok(Ok(sources)) => sources,
            Ok(Err(error)) => return complain(files, error.to_string(), is_told),
            Err(error) => return complain(files, error.to_string(), is_told),
        };
        files.complaint = None;
        for (scope, seen) in &mut files.seen {
            let is_missing = !sources.iter().any(|(found, ..)| found == scope);
            if is_missing && !seen.is_missing {
                tracing::warn!(%scope, path = %files.path.display(), "the model file is gone; its last model keeps serving");
            }
            seen.is_missing = is_missing;
        }
        let mut changed = 0;
        for (scope, path, text) in sources {
            let text = match text {
                Ok(text) => text,
                // Between two files when they are replaced, perhaps; the next look finds out.
                Err(error) => {
                    tracing::warn!(%scope, %error, "a model file cannot be read; its last model keeps serving");
                    continue;
                }
            };
            let is_news = files.seen.get(&scope).is_none_or(|seen| seen.text != text);
            if !is_news {
                continue;
            }
            changed += 1;
            match self.take_in(files, &scope, &path, text).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%scope, %error, "a changed model cannot be applied now; it is tried again");
                }
            }
        }
        if is_told && changed == 0 {
            tracing::info!(path = %files.path.display(), "read again: no model file has changed");
        }
    }

    /// Applies what a file says now. An error is one of the store, and worth another try.
    async fn take_in(
        &self,
        files: &mut ModelFiles,
        scope: &str,
        path: &Path,
        text: String,
    ) -> Result<(), ServiceError> {
        let (owned, source) = (path.to_owned(), text.clone());
        let parsed = tokio::task::spawn_blocking(move || parse(&owned, &source)).await;
        let model = match parsed {
            Ok(Ok(model)) => model,
            refused => {
                let reasons = match refused {
                    Ok(Err(error)) => error.to_string(),
                    _ => "it cannot be read".to_owned(),
                };
                tracing::error!(%scope, "a changed model file is refused, and the model of before keeps serving:\n{reasons}");
                crate::telemetry::count_refused_model();
                if let Some(seen) = files.seen.get_mut(scope) {
                    seen.text = text;
                }
                return Ok(());
            }
        };
        let fingerprint = model.fingerprint();
        match files.seen.get(scope).map(|seen| seen.model) {
            None => {
                tracing::info!(%scope, "a new model file");
                self.publish_configured(scope, &model).await?;
            }
            Some(before) if before == fingerprint => {}
            Some(before) if self.was_taken_in(scope, before, fingerprint).await? => {
                tracing::info!(%scope, model = %fingerprint, "another server has applied the changed model file");
            }
            Some(_) => {
                self.publish(scope, model).await?;
            }
        }
        let seen = Seen {
            text,
            model: fingerprint,
            is_missing: false,
        };
        files.seen.insert(scope.to_owned(), seen);
        Ok(())
    }

    /// Whether another server has seen the same change of the file sooner: then whatever was
    /// applied since is later, and must stay.
    async fn was_taken_in(
        &self,
        scope: &str,
        before: Fingerprint,
        now: Fingerprint,
    ) -> Result<bool, ServiceError> {
        let Some(applied) = self.store.revision(scope, now).await? else {
            return Ok(false);
        };
        let before = self.store.revision(scope, before).await?;
        let spread = u64::try_from(FILES_SPREAD.as_millis()).unwrap_or(u64::MAX);
        let is_recent = applied.saturating_add(spread) > self.now().millis();
        Ok(is_recent && before.is_some_and(|before| before < applied))
    }
}

/// Says once what is wrong with the path as a whole, and again when told to read it.
fn complain(files: &mut ModelFiles, complaint: String, is_told: bool) {
    if is_told || files.complaint.as_ref() != Some(&complaint) {
        tracing::warn!(error = %complaint, "the model files cannot be read; the last models keep serving");
        files.complaint = Some(complaint);
    }
}
