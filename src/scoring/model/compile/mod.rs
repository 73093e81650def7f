//! Puts the definitions of a model file together: resolves names, refuses what would make a
//! rank depend on the clock, and lays out counts and ranks.

mod budgets;
mod clock_free;
mod condition;
mod path;
mod phrases;
mod quarantine;
mod ranking;
mod scores;
mod signals;
mod stack;
mod subjects;

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
};

use typed_index_collections::{TiSlice, TiVec};

use phrases::all_phrases;
use signals::{signals_by_type, types_of};
use stack::on_a_large_stack;

use super::{
    catalog::Catalog,
    definition::{Influence, Model, Score},
    expr::{self, Declared, Expression, Scope, Wanted},
    file::{self, ModelFile, PhraseTable, Points},
    ids::{ConditionId, ScoreId, SignalId, SlotId},
    quarantine::QuarantineRule,
    signal::Signal,
    slot::Slot,
    topics::Topics,
};
pub use condition::Condition;

use crate::scoring::{
    HalfLife, Name, Slope,
    limits::{
        MAX_KEYWORDS, MAX_MODEL_BYTES, MAX_NEAR_CONDITIONS, MAX_QUARANTINE_RULES, MAX_RULES,
        MAX_SCORES, MAX_SEGMENTS, MAX_STAGES, MAX_SUBJECT_KINDS, MAX_TOPICS, MAX_TYPE_BYTES,
        MAX_WORD_LISTS,
    },
    written::{Diagnostic, Diagnostics, Spanned, char_boundary_before, suggestion},
};

const DEFAULT_INTERESTS_HALF_LIFE_NANOS: i64 = 30 * 86_400 * 1_000_000_000;

impl Model {
    /// Reads and checks a model file; all its mistakes at once when it has any.
    pub fn parse(source: &str) -> Result<Self, Vec<Diagnostic>> {
        compile_as(source, false)
    }
}

/// A model whose expressions may never be right.
#[cfg(test)]
pub(crate) fn compile_unchecked(source: &str) -> Result<Model, Vec<Diagnostic>> {
    compile_as(source, true)
}

fn compile_as(source: &str, is_unchecked: bool) -> Result<Model, Vec<Diagnostic>> {
    let read = on_a_large_stack(|| compile_recursively(source, is_unchecked));
    read.unwrap_or_else(|error| {
        let mut diagnostics = Diagnostics::new(source);
        diagnostics.add(0..0, format!("the file cannot be read: {error}"));
        Err(diagnostics.into_sorted())
    })
}

fn compile_recursively(source: &str, is_unchecked: bool) -> Result<Model, Vec<Diagnostic>> {
    let mut diagnostics = Diagnostics::new(source);
    if source.len() > MAX_MODEL_BYTES {
        diagnostics.add(0..0, format!("the file has over {MAX_MODEL_BYTES} bytes"));
        return Err(diagnostics.into_sorted());
    }
    let Some(file) = file::read(source, &mut diagnostics) else {
        return Err(diagnostics.into_sorted());
    };
    let scores = file.scores.iter();
    let mut compiler = Compiler {
        source,
        fading_scores: scores.map(|score| score.half_life.is_some()).collect(),
        score_names: file
            .scores
            .iter()
            .map(|score| score.name.value.clone())
            .collect(),
        stage_names: file
            .stages
            .iter()
            .map(|stage| stage.name.value.clone())
            .collect(),
        signal_names: file
            .signals
            .iter()
            .map(|signal| signal.name.value.clone())
            .collect(),
        subject_names: file
            .subjects
            .iter()
            .map(|kind| kind.name.value.clone())
            .collect(),
        warnings: Diagnostics::new(source),
        diagnostics,
        conditions: TiVec::new(),
        asked: Vec::new(),
        seen_types: Vec::new(),
        topic_names: file
            .topics
            .iter()
            .map(|topic| topic.name.value.as_str().into())
            .collect(),
        is_unchecked,
    };
    // What is too much by far would take too long to look through.
    if !compiler.check_sizes(&file) {
        return Err(compiler.diagnostics.into_sorted());
    }
    compiler.check_names(&file);
    let model = compiler.build(&file);
    if compiler.diagnostics.is_empty() {
        model.ok_or_else(Vec::new)
    } else {
        Err(compiler.diagnostics.into_sorted())
    }
}

pub(crate) struct Compiler<'source> {
    source: &'source str,
    pub(crate) score_names: Vec<String>,
    /// By position in `score_names`.
    fading_scores: Vec<bool>,
    stage_names: Vec<String>,
    signal_names: Vec<String>,
    pub(crate) subject_names: Vec<String>,
    pub(crate) diagnostics: Diagnostics<'source>,
    pub(crate) conditions: TiVec<ConditionId, Expression>,
    /// The counts that expressions ask for.
    pub(crate) asked: Vec<Slot>,
    /// The event types that expressions ask `seen` for, and where.
    pub(crate) seen_types: Vec<(String, Range<usize>)>,
    pub(crate) warnings: Diagnostics<'source>,
    topic_names: Vec<Name>,
    is_unchecked: bool,
}

impl Compiler<'_> {
    /// Whether the file has no more of anything than is allowed.
    fn check_sizes(&mut self, file: &ModelFile) -> bool {
        let mut is_too_large = false;
        let forms = |phrases: &[PhraseTable]| phrases.iter().map(|phrase| phrase.forms.len()).sum();
        let keywords = file.topics.iter().map(|topic| forms(&topic.keywords));
        let phrases = file.signals.iter().map(|signal| forms(&signal.phrases));
        let near = all_phrases(file).flat_map(|(_, phrase)| phrase.conditions());
        let words = file.word_lists.iter().map(|(_, words)| words.len());
        let words = words.chain(near.clone().map(|near| near.words.len()));
        let counted = [
            ("scores", file.scores.len(), MAX_SCORES),
            ("signals", file.signals.len(), MAX_RULES),
            ("attribute rules", file.rules.len(), MAX_RULES),
            ("identity rules", file.identity.len(), MAX_RULES),
            ("stages", file.stages.len(), MAX_STAGES),
            ("segments", file.segments.len(), MAX_SEGMENTS),
            ("topics", file.topics.len(), MAX_TOPICS),
            ("kinds of subjects", file.subjects.len(), MAX_SUBJECT_KINDS),
            (
                "quarantine rules",
                file.quarantine.len(),
                MAX_QUARANTINE_RULES,
            ),
            ("keywords in one topic", most(keywords), MAX_KEYWORDS),
            ("phrases in one signal", most(phrases), MAX_KEYWORDS),
            ("lists of words", file.word_lists.len(), MAX_WORD_LISTS),
            ("words in one list", most(words), MAX_KEYWORDS),
            (
                "conditions on words near phrases",
                near.count(),
                MAX_NEAR_CONDITIONS,
            ),
        ];
        for (what, count, most) in counted {
            if count > most {
                let message = format!("the file has {count} {what}; at most {most} are allowed");
                self.diagnostics.add(0..0, message);
                is_too_large = true;
            }
        }
        if file.scores.is_empty() {
            let message = "the file has no score; write [scores.interest] with half_life = \"7d\"";
            self.diagnostics.add(0..0, message);
        }
        !is_too_large
    }

    fn check_names(&mut self, file: &ModelFile) {
        self.check_unique("signal or attribute rule", {
            let signals = file.signals.iter().map(|signal| &signal.name);
            signals.chain(file.rules.iter().map(|rule| &rule.name))
        });
        self.check_unique(
            "identity rule",
            file.identity.iter().map(|evidence| &evidence.name),
        );
        self.check_unique("stage", file.stages.iter().map(|stage| &stage.name));
        self.check_unique("segment", file.segments.iter().map(|segment| &segment.name));
        self.check_unique("topic", file.topics.iter().map(|topic| &topic.name));
        self.check_unique(
            "quarantine rule",
            file.quarantine.iter().map(|rule| &rule.name),
        );
    }

    fn check_unique<'a>(&mut self, what: &str, names: impl Iterator<Item = &'a Spanned<String>>) {
        let mut known = HashSet::new();
        for name in names {
            // What has no name has been told so.
            if !name.value.is_empty() && !known.insert(&name.value) {
                let message = format!("there are two {what}s called {:?}; rename one", name.value);
                self.diagnostics.add(name.span.clone(), message);
            }
        }
    }

    /// The positions of scores, with the number given to each.
    pub(crate) fn score_points(&mut self, points: &Points) -> Vec<(ScoreId, f64, Range<usize>)> {
        let mut found = Vec::new();
        for (name, number) in points {
            if let Some(position) = self.score(name) {
                found.push((position, *number, name.span.clone()));
            }
        }
        found
    }

    pub(crate) fn score(&mut self, name: &Spanned<String>) -> Option<ScoreId> {
        let position = self
            .score_names
            .iter()
            .position(|score| *score == name.value);
        if position.is_none() {
            let hint = suggestion(&name.value, self.score_names.iter().map(String::as_str));
            let message = format!("there is no score {:?}; {hint}", name.value);
            self.diagnostics.add(name.span.clone(), message);
        }
        position.map(ScoreId::from)
    }

    pub(crate) fn expression(
        &mut self,
        text: &Spanned<String>,
        scope: Scope,
        wanted: Wanted,
    ) -> Option<Expression> {
        if self.diagnostics.is_full() {
            return None;
        }
        let declared = Declared {
            scores: &self.score_names,
            fading_scores: &self.fading_scores,
            stages: &self.stage_names,
            signals: &self.signal_names,
            subject_kinds: &self.subject_names,
            topics: &self.topic_names,
            is_unchecked: self.is_unchecked,
        };
        match expr::compile(&text.value, scope, wanted, &declared, &mut self.asked) {
            Ok(expression) => {
                for event_type in expression.seen_types() {
                    let start = text.value.find(event_type.as_str()).unwrap_or(0);
                    let span = self.place_within(text, start..start + event_type.len());
                    self.seen_types.push((event_type.clone(), span));
                }
                Some(expression)
            }
            Err(diagnostics) => {
                for (range, message) in diagnostics {
                    let span = self.place_within(text, range);
                    self.diagnostics
                        .add(span, format!("the expression {message}"));
                }
                None
            }
        }
    }

    /// Where a range of an expression stands in the file.
    fn place_within(&self, text: &Spanned<String>, range: Range<usize>) -> Range<usize> {
        let raw = self.source.get(text.span.clone()).unwrap_or_default();
        match raw.find(&text.value) {
            Some(quote) => {
                let start = text.span.start + quote + range.start;
                char_boundary_before(self.source, start)..text.span.end
            }
            // Escapes moved the text against the file.
            None => text.span.clone(),
        }
    }

    /// The position of a condition on what no clock changes, shared by all who write the same.
    pub(crate) fn condition(
        &mut self,
        text: &Spanned<String>,
        scope: Scope,
    ) -> Option<ConditionId> {
        let known = self.conditions.position(|known| known.text() == text.value);
        known.or_else(|| {
            let expression = self.expression(text, scope, Wanted::Condition)?;
            Some(self.conditions.push_and_get_key(expression))
        })
    }

    fn build(&mut self, file: &ModelFile) -> Option<Model> {
        let mut ranks = TiVec::new();
        let subject_kinds = self.subject_kinds(file);
        let mut scores = self.scores(file, &subject_kinds, &mut ranks);
        let identity = self.identity(file);
        let identity_conditions = self.conditions.len();
        let mut signals = self.signals(file);
        let signals_by_type = signals_by_type(file);
        let quarantine = self.quarantine(file);
        // After all expressions that may ask for counts.
        let (slots, asked) = self.lay_out(file, &mut signals, &mut scores);
        let rules = self.rules(file, &mut scores);
        self.check_breadths(file, &scores);
        let segments = self.segments(file, &scores, &subject_kinds, &mut ranks);
        let path = self.path(file);
        let phrases = self.phrases(file);
        let topics = Topics::new(self.topic_names.clone());
        let interests_half_life = file
            .interests_half_life
            .or_else(|| HalfLife::from_nanos(DEFAULT_INTERESTS_HALF_LIFE_NANOS))?;
        let influence = file.influence.as_ref().map(|influence| Influence {
            credits: influence
                .event_types
                .iter()
                .map(|(name, credit)| (name.value.clone(), *credit))
                .collect(),
            half_life: influence.half_life,
            slope: Slope::of([influence.half_life]),
            attribution_half_life: influence.attribution_half_life,
            advance: influence.advance,
            reach: influence.reach.clone(),
        });
        let mut named_types: BTreeSet<String> = signals_by_type.keys().cloned().collect();
        named_types.extend(
            influence
                .iter()
                .flat_map(|influence| influence.credits.keys().cloned()),
        );
        named_types.extend(
            self.conditions
                .iter()
                .chain(signals.iter().flat_map(Signal::expressions))
                .chain(rules.iter().filter_map(|rule| rule.value.expression()))
                .chain(
                    identity
                        .iter()
                        .filter_map(|evidence| evidence.confidence.expression()),
                )
                .flat_map(|expression| expression.seen_types().cloned()),
        );
        named_types.extend(quarantine.iter().flat_map(QuarantineRule::named_types));
        self.check_events(file, &signals, &signals_by_type, &quarantine);
        let clock_free_steps = self.clock_free_steps(&identity, &rules);
        self.warn_of_unheard_types(file);
        for event_type in &named_types {
            if event_type.len() > MAX_TYPE_BYTES {
                let message =
                    format!("the event type {event_type:?} has over {MAX_TYPE_BYTES} bytes");
                self.diagnostics.add(0..0, message);
            }
        }
        Some(Model {
            source: self.source.to_owned(),
            fingerprint: file.fingerprint,
            catalog: Catalog::of(file),
            weights: weights(&scores, slots.len()),
            scores,
            slots,
            types_reading_author: types_of(&signals, &signals_by_type, Expression::reads_author),
            types_reading_subjects: subject_kinds
                .keys()
                .map(|kind| {
                    let reads = |expression: &Expression| {
                        expression.subject_kinds().any(|read| read == kind)
                    };
                    types_of(&signals, &signals_by_type, reads)
                })
                .collect(),
            asked,
            signals_by_name: self
                .signal_names
                .iter()
                .map(Name::from)
                .zip((0..).map(SignalId::from))
                .collect(),
            signals,
            signals_by_type,
            conditions_on_scores: {
                let conditions = self.conditions.iter_enumerated();
                let on_scores = conditions.filter(|(_, condition)| condition.reads_scores());
                on_scores.map(|(id, _)| id).collect()
            },
            conditions: std::mem::take(&mut self.conditions),
            identity_conditions,
            identity,
            rules,
            stages: path.stages,
            stage_conditions: path.conditions,
            kept_stages: path.kept,
            ladders: path.ladders,
            ranks,
            segments,
            topics,
            phrases: phrases?,
            interests_half_life,
            influence,
            subject_kinds,
            quarantine,
            named_types: named_types.into_iter().collect(),
            clock_free_steps,
            warnings: std::mem::take(&mut self.warnings).into_sorted(),
        })
    }
}

/// The greatest of some counts.
fn most(counts: impl Iterator<Item = usize>) -> usize {
    counts.max().unwrap_or(0)
}

/// The terms of all scores, by slot.
fn weights(scores: &TiSlice<ScoreId, Score>, slots: usize) -> TiVec<SlotId, Vec<(ScoreId, f64)>> {
    let mut weights: TiVec<SlotId, Vec<_>> = vec![Vec::new(); slots].into();
    for (id, score) in scores.iter_enumerated() {
        for term in &score.terms {
            weights[term.slot].push((id, term.weight));
        }
    }
    weights
}
