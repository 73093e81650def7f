//! What a model declares, for people and for programs that show it: names, each with what the file
//! says of it. Nothing is counted by it.

use super::file::ModelFile;
use crate::scoring::written::Spanned;

/// Everything that a model declares, in the order of the file, stages lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The scores.
    pub scores: Vec<CatalogEntry>,
    /// The signals, with the event types that each counts.
    pub signals: Vec<(CatalogEntry, Vec<String>)>,
    /// The attribute rules.
    pub rules: Vec<CatalogEntry>,
    /// The stages.
    pub stages: Vec<CatalogEntry>,
    /// The segments.
    pub segments: Vec<SegmentEntry>,
    /// The topics.
    pub topics: Vec<CatalogEntry>,
    /// The kinds of subjects.
    pub subject_kinds: Vec<CatalogEntry>,
}

/// A segment that a model declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Its name, and what the file says of it.
    pub entry: CatalogEntry,
    /// Whom it is of: `people` or a kind of subjects.
    pub of: String,
    /// The scores that it multiplies, and ratios of two, as the file writes them.
    pub rank_by: Vec<String>,
}

/// Something that a model declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The name.
    pub name: String,
    /// What the file says of it; empty when it says nothing.
    pub description: String,
}

impl CatalogEntry {
    fn new(name: &Spanned<String>, description: &str) -> Self {
        Self {
            name: name.value.clone(),
            description: description.to_owned(),
        }
    }
}

impl Catalog {
    /// What a file declares.
    pub(crate) fn of(file: &ModelFile) -> Self {
        let scores = file.scores.iter();
        let rules = file.rules.iter();
        let stages = file.stages.iter();
        let topics = file.topics.iter();
        Self {
            scores: scores
                .map(|score| CatalogEntry::new(&score.name, &score.description))
                .collect(),
            signals: file
                .signals
                .iter()
                .map(|signal| {
                    let entry = CatalogEntry::new(&signal.name, &signal.description);
                    (entry, signal.on.clone())
                })
                .collect(),
            rules: rules
                .map(|rule| CatalogEntry::new(&rule.name, &rule.description))
                .collect(),
            stages: stages
                .map(|stage| CatalogEntry::new(&stage.name, &stage.description))
                .collect(),
            segments: file
                .segments
                .iter()
                .map(|segment| SegmentEntry {
                    entry: CatalogEntry::new(&segment.name, &segment.description),
                    of: segment.of.value.clone(),
                    rank_by: {
                        let factors = segment.rank_by.iter();
                        factors.map(|factor| factor.value.clone()).collect()
                    },
                })
                .collect(),
            topics: topics
                .map(|topic| CatalogEntry::new(&topic.name, &topic.description))
                .collect(),
            subject_kinds: file
                .subjects
                .iter()
                .map(|kind| CatalogEntry::new(&kind.name, &kind.description))
                .collect(),
        }
    }
}
