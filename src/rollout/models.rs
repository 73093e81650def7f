//! The models that tenants are evaluated by: one for every tenant, or one file each.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::scoring::{Diagnostic, Model, Tenant, limits::MAX_MODEL_BYTES};

/// Models by tenant.
#[derive(Clone, Debug)]
pub enum Models {
    /// Nobody has named a model: this one serves every tenant of a store that has none yet.
    BuiltIn(Arc<Model>),
    /// One model serves every tenant.
    Shared(Arc<Model>),
    /// Each tenant has its own; other tenants do not exist.
    ByTenant(HashMap<Tenant, Arc<Model>>),
}

/// Why models could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A file or directory cannot be read.
    #[error("cannot read the model {path}: {error}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file in a directory of models is not named after a tenant.
    #[error("{0} is not named <tenant>.toml with a tenant of [a-z0-9_-], at most 64 characters")]
    Misnamed(PathBuf),
    /// A directory of models is empty.
    #[error("the model directory {0} has no <tenant>.toml")]
    Empty(PathBuf),
    /// A file has diagnostics.
    #[error("{}", in_lines(path, diagnostics))]
    Invalid {
        /// Which one.
        path: PathBuf,
        /// All of them.
        diagnostics: Vec<Diagnostic>,
    },
}

fn in_lines(path: &Path, diagnostics: &[Diagnostic]) -> impl fmt::Display {
    let lines = diagnostics
        .iter()
        .map(|diagnostic| format!("{}:{diagnostic}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Models {
    /// As the log says what a start names.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(model) => write!(
                formatter,
                "the latest of the store, else the built-in one ({})",
                model.fingerprint()
            ),
            Self::Shared(model) => write!(formatter, "{}", model.fingerprint()),
            Self::ByTenant(models) => write!(formatter, "of {} tenants", models.len()),
        }
    }
}

impl Models {
    /// The model that is built in.
    pub const BUILT_IN: &'static str = include_str!("../../models/forum.toml");

    /// Loads a file that serves every tenant, a directory of `<tenant>.toml`, or the
    /// built-in model without a path.
    pub fn load(path: Option<&Path>) -> Result<Self, ModelsError> {
        let Some(path) = path else {
            let built_in = parse(Path::new("models/forum.toml"), Self::BUILT_IN)?;
            return Ok(Self::BuiltIn(built_in));
        };
        if !path.is_dir() {
            return Ok(Self::Shared(parse(path, &read(path)?)?));
        }
        let mut models = HashMap::new();
        let Found { files, misnamed } = files_in(path)?;
        if let Some(error) = misnamed.into_iter().next() {
            return Err(error);
        }
        // Tenants with one text share one model.
        let mut by_text: HashMap<String, Arc<Model>> = HashMap::new();
        for (tenant, file) in files {
            let text = read(&file)?;
            let model = match by_text.get(&text) {
                Some(model) => Arc::clone(model),
                None => {
                    let model = parse(&file, &text)?;
                    by_text.insert(text, Arc::clone(&model));
                    model
                }
            };
            models.insert(tenant, model);
        }
        if models.is_empty() {
            return Err(ModelsError::Empty(path.to_owned()));
        }
        Ok(Self::ByTenant(models))
    }
}

/// What a directory of models has.
pub(super) struct Found {
    /// The model files with whose they are, in the order of tenants.
    pub files: Vec<(Tenant, PathBuf)>,
    /// [`ModelsError::Misnamed`] for each file that is no tenant's.
    pub misnamed: Vec<ModelsError>,
}

/// The model files of a directory.
pub(super) fn files_in(path: &Path) -> Result<Found, ModelsError> {
    let mut files = Vec::new();
    let mut misnamed = Vec::new();
    let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    for entry in entries.map_err(unreadable(path))? {
        let file = entry.path();
        if file.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = file.file_stem().and_then(|stem| stem.to_str());
        match name.and_then(Tenant::new) {
            Some(tenant) => files.push((tenant, file)),
            None => misnamed.push(ModelsError::Misnamed(file)),
        }
    }
    files.sort();
    Ok(Found { files, misnamed })
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ModelsError {
    let path = path.to_owned();
    |error| ModelsError::Unreadable { path, error }
}

/// The text of a model file.
pub(super) fn read(path: &Path) -> Result<String, ModelsError> {
    let length = fs::metadata(path).map_err(unreadable(path))?.len();
    if length > MAX_MODEL_BYTES as u64 {
        let error = io::Error::other(format!("it has {length} bytes; at most {MAX_MODEL_BYTES}"));
        return Err(unreadable(path)(error));
    }
    fs::read_to_string(path).map_err(unreadable(path))
}

/// The model that a file says.
pub(super) fn parse(path: &Path, source: &str) -> Result<Arc<Model>, ModelsError> {
    Model::parse(source)
        .map(Arc::new)
        .map_err(|diagnostics| ModelsError::Invalid {
            path: path.to_owned(),
            diagnostics,
        })
}
