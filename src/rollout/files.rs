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
    Deployment, Models, ModelsError, RolloutError,
    latest::{SHARED, named},
    models::{Found, files_in, read},
};
use crate::{
    limits::{FILES_INTERVAL, FILES_SPREAD},
    scoring::{Fingerprint, Model},
    store::Store,
    telemetry::is_new,
};

/// The files that a server was started with, as they were last read.
#[derive(Debug)]
pub struct ModelFiles {
    path: PathBuf,
    is_directory: bool,
    /// By scope.
    seen: BTreeMap<String, Seen>,
    complaints: Complaints,
}

/// A file as it was last read.
#[derive(Debug, Default)]
struct Seen {
    /// `None` before the first read.
    text: Option<String>,
    /// Whether the text was taken in or refused: not yet when it was read only once, because it
    /// may be in the middle of being written.
    is_settled: bool,
    /// The last model that it said without a mistake.
    model: Option<Fingerprint>,
    /// Why the text is refused.
    refusal: Option<String>,
}

/// What is wrong with each path: said once, and again when the operator has it read.
#[derive(Debug, Default)]
struct Complaints {
    said: BTreeMap<PathBuf, String>,
    /// Those of the look that is going on.
    current: BTreeMap<PathBuf, String>,
}

impl Complaints {
    fn add(&mut self, path: &Path, complaint: String, is_told: bool) {
        if is_told || self.said.get(path) != Some(&complaint) {
            tracing::error!(path = %path.display(), "{complaint}");
        }
        self.current.insert(path.to_owned(), complaint);
    }

    /// Ends a look. Returns whether nothing is wrong.
    fn finish(&mut self) -> bool {
        self.said = std::mem::take(&mut self.current);
        self.said.is_empty()
    }
}

/// What was read of one scope.
struct Source {
    scope: String,
    path: PathBuf,
    text: Result<String, ModelsError>,
}

impl ModelFiles {
    /// The files at a path that these models were loaded from.
    pub fn new(path: &Path, models: &Models) -> Self {
        let seen = |model: &Model| Seen {
            text: Some(model.source().to_owned()),
            is_settled: true,
            model: Some(model.fingerprint()),
            refusal: None,
        };
        let (is_directory, seen) = match models {
            Models::BuiltIn(model) | Models::Shared(model) => {
                (false, BTreeMap::from([(SHARED.to_owned(), seen(model))]))
            }
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
            complaints: Complaints::default(),
        }
    }

    /// Complains of files that are gone, and forgets those that never said a model.
    fn check_gone(&mut self, sources: &[Source], is_told: bool) {
        let is_there = |scope: &String| sources.iter().any(|source| source.scope == *scope);
        self.seen
            .retain(|scope, seen| seen.model.is_some() || is_there(scope));
        for scope in self.seen.keys().filter(|scope| !is_there(scope)) {
            let path = self.path.join(format!("{scope}.toml"));
            let complaint = "the model file is gone; its last model keeps serving".to_owned();
            self.complaints.add(&path, complaint, is_told);
        }
    }

    /// Whether a file says what was not taken in or refused yet, and says it for certain: when
    /// two looks have found the same, or when the operator says so.
    fn is_news(&mut self, source: &Source, text: &str, is_told: bool) -> bool {
        let seen = self.seen.entry(source.scope.clone()).or_default();
        if seen.text.as_deref() != Some(text) {
            seen.text = Some(text.to_owned());
            seen.is_settled = false;
            seen.refusal = None;
            return is_told;
        }
        if let Some(refusal) = &seen.refusal {
            self.complaints.add(&source.path, refusal.clone(), is_told);
        }
        !seen.is_settled
    }

    /// Notes what became of a text: the model of it, or why it is refused.
    fn settle(&mut self, source: &Source, outcome: Result<Fingerprint, String>, is_told: bool) {
        let seen = self.seen.entry(source.scope.clone()).or_default();
        seen.is_settled = true;
        match outcome {
            Ok(model) => seen.model = Some(model),
            Err(refusal) => {
                seen.refusal = Some(refusal.clone());
                self.complaints.add(&source.path, refusal, is_told);
            }
        }
    }
}

/// Reads every file at a path. Returns what is named like no tenant beside.
fn sources(
    path: &Path,
    is_directory: bool,
) -> Result<(Vec<Source>, Vec<ModelsError>), ModelsError> {
    if !is_directory {
        let source = Source {
            scope: SHARED.to_owned(),
            path: path.to_owned(),
            text: read(path),
        };
        return Ok((vec![source], Vec::new()));
    }
    let Found { files, misnamed } = files_in(path)?;
    let sources = files.into_iter().map(|(tenant, path)| Source {
        scope: tenant.as_str().to_owned(),
        text: read(&path),
        path,
    });
    Ok((sources.collect(), misnamed))
}

impl<S: Store> Deployment<S> {
    /// Follows the model files until the end, and at once at each `reload`.
    pub fn follow_files(self: &Arc<Self>, mut files: ModelFiles, reload: Arc<Notify>) {
        let deployment = Arc::clone(self);
        self.tasks.spawn(async move {
            loop {
                let is_told = tokio::select! {
                    () = deployment.stopping.cancelled() => return,
                    () = reload.notified() => true,
                    () = tokio::time::sleep(FILES_INTERVAL) => false,
                };
                let stopping = deployment.stopping.clone();
                let looked = deployment.look_at_files(&mut files, is_told);
                if stopping.run_until_cancelled(looked).await.is_none() {
                    return;
                }
            }
        });
    }
}

impl<S: Store> Deployment<S> {
    async fn look_at_files(&self, files: &mut ModelFiles, is_told: bool) {
        let (path, is_directory) = (files.path.clone(), files.is_directory);
        let read = tokio::task::spawn_blocking(move || sources(&path, is_directory)).await;
        let unreadable = match read {
            Ok(Ok((sources, misnamed))) => {
                return self
                    .look_at_sources(files, sources, misnamed, is_told)
                    .await;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let complaint =
            format!("the model files cannot be read; the last models keep serving: {unreadable}");
        let path = files.path.clone();
        files.complaints.add(&path, complaint, is_told);
        files.complaints.finish();
    }

    async fn look_at_sources(
        &self,
        files: &mut ModelFiles,
        sources: Vec<Source>,
        misnamed: Vec<ModelsError>,
        is_told: bool,
    ) {
        files.check_gone(&sources, is_told);
        for error in misnamed {
            let complaint = format!("{error}; the other files are followed");
            if let ModelsError::Misnamed(path) = error {
                files.complaints.add(&path, complaint, is_told);
            }
        }
        let mut changed = 0;
        for source in sources {
            let text = match &source.text {
                Ok(text) => text,
                Err(error) => {
                    let complaint =
                        format!("a model file cannot be read, and changes nothing: {error}");
                    files.complaints.add(&source.path, complaint, is_told);
                    continue;
                }
            };
            if !files.is_news(&source, text, is_told) {
                continue;
            }
            changed += 1;
            let before = files.seen.get(&source.scope).and_then(|seen| seen.model);
            match self.take_in(&source, text, before).await {
                Ok(outcome) => files.settle(&source, outcome, is_told),
                Err(error) => {
                    let line = "a changed model cannot be applied now; it is tried again";
                    if is_new([line, "", ""]) {
                        tracing::warn!(scope = %named(&source.scope), %error, "{line}");
                    }
                }
            }
        }
        let is_well = files.complaints.finish();
        if is_told && changed == 0 && is_well {
            tracing::info!(path = %files.path.display(), "read again: no model file has changed");
        }
    }

    /// Applies what a file says now, where it said another model before. Returns the model, or
    /// why it is refused. An error is one of the store, and worth another try.
    async fn take_in(
        &self,
        source: &Source,
        text: &str,
        before: Option<Fingerprint>,
    ) -> Result<Result<Fingerprint, String>, RolloutError> {
        let scope = &source.scope;
        let model = match self.reading.read(text.to_owned()).await? {
            Ok(model) => model,
            Err(diagnostics) => {
                self.counters.refused_model();
                let path = source.path.clone();
                let reasons = ModelsError::Invalid { path, diagnostics };
                let refusal = match self.latest.of_scope(scope) {
                    Some(_) => {
                        "a changed model file is refused, and the model of before keeps serving"
                    }
                    None => "a new model file is refused, and its tenant is not served until then",
                };
                return Ok(Err(format!("{refusal}:\n{reasons}")));
            }
        };
        let fingerprint = model.fingerprint();
        let scope_name = named(scope);
        match before {
            None => {
                tracing::info!(scope = %scope_name, "a new model file");
                self.publish_configured(scope, &model).await?;
            }
            Some(before) if before == fingerprint => {}
            Some(before) if self.was_taken_in(scope, before, fingerprint).await? => {
                tracing::warn!(scope = %scope_name, model = %fingerprint, "the model of the changed file was applied already, in the last ten minutes: what was applied since stays; `bellwether apply` goes back to the file's");
            }
            Some(_) => {
                let published = self.publish(scope, model, None).await?;
                if !published.is_new {
                    tracing::info!(scope = %scope_name, model = %fingerprint, "the model of the changed file is the latest already");
                }
            }
        }
        Ok(Ok(fingerprint))
    }

    /// Whether another server may have seen the same change of the file sooner: then whatever
    /// was applied since is later, and must stay.
    async fn was_taken_in(
        &self,
        scope: &str,
        before: Fingerprint,
        now: Fingerprint,
    ) -> Result<bool, RolloutError> {
        let latest = self.publication(scope).await?;
        if self.announce().await? == 0 || latest.is_some_and(|latest| latest.model == now) {
            return Ok(false);
        }
        let Some(applied) = self.store.revision(scope, now).await? else {
            return Ok(false);
        };
        let before = self.store.revision(scope, before).await?;
        let spread = u64::try_from(FILES_SPREAD.as_millis()).unwrap_or(u64::MAX);
        let is_recent = applied.saturating_add(spread) > self.now().millis();
        Ok(is_recent && before.is_some_and(|before| before < applied))
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
