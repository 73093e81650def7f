//! `bellwether check`: every mistake of a model file, each with its place.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{failure::Failure, output};
use crate::scoring::{Diagnostic, Model};

/// Checks a model file, or every model file of a directory.
///
/// Prints each mistake as FILE:LINE:COLUMN: MESSAGE, or a summary of the model. What is allowed and
/// hardly meant is a warning, and no mistake.
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    /// The model file, or a directory with one <tenant>.toml for each tenant.
    file: PathBuf,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut count = 0;
        for file in model_files(&self.file)? {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::io(file.display(), &error))?;
            let (report, found) = report(&file, &text);
            output::print(&report)?;
            count += found;
        }
        match count {
            0 => Ok(()),
            count => Err(failed(count)),
        }
    }
}

/// A model file that another command needs; its mistakes are printed as here.
pub(super) fn load(file: &Path) -> Result<Arc<Model>, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::io(file.display(), &error))?;
    match Model::parse(&text) {
        Ok(model) => Ok(Arc::new(model)),
        Err(_) => {
            let (report, count) = report(file, &text);
            output::print(&report)?;
            Err(failed(count))
        }
    }
}

/// Every model file of a path; mistakes are printed as here.
pub(super) fn load_all(path: &Path) -> Result<Vec<Arc<Model>>, Failure> {
    let files = model_files(path)?;
    files.iter().map(|file| load(file)).collect()
}

pub(super) fn failed(count: usize) -> Failure {
    match count {
        1 => Failure::new("1 mistake"),
        more => Failure::new(format!("{more} mistakes")),
    }
}

/// The file itself, or the model files of a directory in order of their names.
fn model_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failure = |error| Failure::io(path.display(), &error);
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failure)? {
        let file = entry.map_err(failure)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Failure::new(format!(
            "{} has no model file; one is named <tenant>.toml",
            path.display()
        )));
    }
    files.sort();
    Ok(files)
}

/// What to print about a model file, and how many mistakes it has.
fn report(file: &Path, text: &str) -> (String, usize) {
    match Model::parse(text) {
        Ok(model) => {
            let warnings = model.warnings().iter();
            let warnings = warnings.map(|found| warning(file, found));
            let warnings: String = warnings.collect();
            (
                format!("{warnings}{}: {}\n", file.display(), summary(&model)),
                0,
            )
        }
        Err(diagnostics) => {
            let lines = diagnostics
                .iter()
                .map(|diagnostic| format!("{}:{diagnostic}\n", file.display()));
            (lines.collect(), diagnostics.len())
        }
    }
}

/// What is allowed and hardly meant, with its place.
pub(super) fn warning(file: &Path, found: &Diagnostic) -> String {
    let Diagnostic {
        line,
        column,
        message,
    } = found;
    format!("{}:{line}:{column}: warning: {message}\n", file.display())
}

/// What a good model has, in one line.
fn summary(model: &Model) -> String {
    let counts = [
        (model.score_names().len(), "score"),
        (model.signal_names().len(), "signal"),
        (model.stage_names().len(), "stage"),
        (model.segment_names().len(), "segment"),
        (model.topic_names().len(), "topic"),
    ];
    let parts = counts.map(|(count, noun)| plural(count, noun)).join(", ");
    let ranks = plural(model.ranks_per_profile(), "rank");
    format!("good: {parts}; a profile stands in at most {ranks}")
}

pub(super) fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_stands_with_file_line_and_column() {
        let (text, diagnostics) = report(Path::new("shop.toml"), "[scores.interest\n");
        assert!(diagnostics > 0);
        assert!(text.starts_with("shop.toml:1:"), "{text}");
    }

    #[test]
    fn a_warning_is_no_mistake() {
        let model = "[scores.s]\n[[stages]]\nname = \"customer\"\nwhen = 'seen(\"purchse\")'\n[[signals]]\nname = \"buys\"\non = \"purchase\"\npoints = { s = 1 }\n";
        let (text, diagnostics) = report(Path::new("shop.toml"), model);
        assert_eq!(diagnostics, 0);
        assert!(text.starts_with("shop.toml:4:15: warning: "), "{text}");
        assert!(text.contains("did you mean \"purchase\"?"), "{text}");
        assert!(text.contains("shop.toml: good: "), "{text}");
    }

    #[test]
    fn a_directory_is_checked_file_by_file() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "readme.md"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let files = model_files(directory.path()).unwrap();
        let names: Vec<_> = files.iter().filter_map(|file| file.file_name()).collect();
        assert_eq!(names, ["a.toml", "b.toml"]);
    }

    #[test]
    fn a_directory_without_models_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        assert!(model_files(directory.path()).is_err());
    }
}
