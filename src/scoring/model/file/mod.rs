//! The model file as it is written: TOML read into plain definitions, each with its
//! place in the file. Whether the definitions fit together is for `compile`.

mod calibration;
mod duration;
mod names;
mod numbers;
mod phrases;
mod quarantine;
mod subjects;

use std::ops::Range;

use toml::de::DeValue;

use quarantine::read_quarantine;
use subjects::{read_of, read_subject};

pub(crate) use phrases::{NearTable, PhraseTable};
pub(crate) use quarantine::QuarantineTable;
pub(crate) use subjects::{PEOPLE, SubjectTable};

use super::{calibration::Calibration, fingerprint::Fingerprint};
use crate::scoring::{
    HalfLife,
    limits::{
        MAX_BREADTH, MAX_COOLDOWN, MAX_KEYS, MAX_NAME_BYTES, MAX_ONCE_KEYS, MAX_POINTS,
        MAX_TAG_BYTES, MAX_VALUE, NOISE_FLOOR,
    },
    written::{Diagnostics, Spanned, Table, parse},
};

/// A table `name = number`.
pub(crate) type Points = Vec<(Spanned<String>, f64)>;

#[derive(Debug, Default)]
pub(crate) struct ModelFile {
    pub fingerprint: Fingerprint,
    pub scores: Vec<ScoreTable>,
    pub signals: Vec<SignalTable>,
    pub rules: Vec<RuleTable>,
    pub identity: Vec<IdentityTable>,
    pub stages: Vec<StageTable>,
    pub segments: Vec<SegmentTable>,
    pub topics: Vec<TopicTable>,
    pub word_lists: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
    pub interests_half_life: Option<HalfLife>,
    pub influence: Option<InfluenceTable>,
    pub subjects: Vec<SubjectTable>,
    pub quarantine: Vec<QuarantineTable>,
}

#[derive(Debug)]
pub(crate) struct ScoreTable {
    pub name: Spanned<String>,
    pub description: String,
    pub half_life: Option<HalfLife>,
    pub base: Option<Spanned<f64>>,
    pub breadth: Option<Spanned<f64>>,
    pub breadth_share: Option<Spanned<f64>>,
    pub calibration: Option<Calibration>,
}

#[derive(Debug)]
pub(crate) struct SignalTable {
    pub span: Range<usize>,
    pub name: Spanned<String>,
    pub description: String,
    pub on: Vec<String>,
    pub phrases: Vec<PhraseTable>,
    pub when: Option<Spanned<String>>,
    pub value: NumberOrExpression,
    pub per: Option<Spanned<String>>,
    pub keys: Option<Spanned<f64>>,
    pub limit: Option<f64>,
    pub cooldown: Option<Spanned<i64>>,
    pub keep: Option<Spanned<String>>,
    pub once: Option<Spanned<bool>>,
    pub once_keys: Option<Spanned<f64>>,
    /// Whether other keys than those that are remembered count.
    pub once_beyond: Option<Spanned<bool>>,
    /// `None` when nothing is said of points.
    pub points: Option<Points>,
}

#[derive(Debug)]
pub(crate) enum NumberOrExpression {
    Number(f64),
    Expression(Spanned<String>),
}

#[derive(Debug)]
pub(crate) struct RuleTable {
    pub name: Spanned<String>,
    pub description: String,
    pub when: Option<Spanned<String>>,
    pub value: NumberOrExpression,
    pub points: Points,
}

#[derive(Debug)]
pub(crate) struct IdentityTable {
    pub name: Spanned<String>,
    pub when: Spanned<String>,
    pub confidence: NumberOrExpression,
}

#[derive(Debug)]
pub(crate) struct StageTable {
    pub name: Spanned<String>,
    pub description: String,
    pub when: Option<Spanned<String>>,
    pub min: Points,
    pub keep: Points,
}

#[derive(Debug)]
pub(crate) struct SegmentTable {
    pub name: Spanned<String>,
    pub description: String,
    pub of: Spanned<String>,
    pub when: Option<Spanned<String>>,
    pub min_confidence: Option<Spanned<f64>>,
    pub rank_by: Vec<Spanned<String>>,
    pub min: Option<f64>,
    pub max: Option<Spanned<f64>>,
    pub calibration: Option<Calibration>,
}

#[derive(Debug)]
pub(crate) struct TopicTable {
    pub name: Spanned<String>,
    pub description: String,
    pub keywords: Vec<PhraseTable>,
}

#[derive(Debug)]
pub(crate) struct InfluenceTable {
    pub event_types: Points,
    pub half_life: HalfLife,
    pub attribution_half_life: HalfLife,
    pub advance: f64,
    pub reach: Option<String>,
}

/// Reads the file, with the mistakes noted; `None` when it is no TOML.
pub(crate) fn read(source: &str, diagnostics: &mut Diagnostics<'_>) -> Option<ModelFile> {
    let root = parse(source, diagnostics)?;
    let mut file = ModelFile {
        fingerprint: Fingerprint::of(root.get_ref()),
        ..ModelFile::default()
    };
    let mut root = Table::new("the file", root.span(), root.get_ref(), diagnostics);
    file.scores = root.named_tables("scores", read_score);
    file.signals = root.tables("signals", read_signal);
    file.rules = root.tables("attributes", read_rule);
    file.identity = root.tables("identity", read_identity);
    file.stages = root.tables("stages", read_stage);
    file.segments = root.tables("segments", read_segment);
    file.topics = root.tables("topics", read_topic);
    file.word_lists = root.named_lists(
        "word_lists",
        "words, such as negation = [\"not\", \"never\"]",
    );
    file.interests_half_life = root
        .table("interests", |table| table.half_life("half_life"))
        .flatten();
    file.influence = root.table("influence", read_influence).flatten();
    file.subjects = root.named_tables("subjects", read_subject);
    file.quarantine = root.tables("quarantine", read_quarantine);
    root.finish();
    Some(file)
}

fn read_score(name: Spanned<String>, table: &mut Table<'_, '_, '_>) -> ScoreTable {
    table.check_name(&name);
    ScoreTable {
        name,
        description: table.description(),
        half_life: table.half_life("half_life"),
        base: table.number("base", -MAX_POINTS, MAX_POINTS),
        breadth: table.number("breadth", 2.0, MAX_BREADTH as f64),
        breadth_share: table.number("breadth_share", f64::MIN_POSITIVE, 1.0),
        calibration: table.table("calibration", calibration::read).flatten(),
    }
}

/// A number above 0 and at most `greatest`, or an expression.
fn number_or_expression(
    table: &mut Table<'_, '_, '_>,
    value: &toml::Spanned<DeValue<'_>>,
    key: &str,
    greatest: f64,
) -> NumberOrExpression {
    let read = if value.get_ref().is_str() {
        let text = table.condition_text(value);
        text.map(NumberOrExpression::Expression)
    } else {
        let number = table.number_in(value, key, f64::MIN_POSITIVE, greatest);
        number.map(|number| NumberOrExpression::Number(number.value))
    };
    read.unwrap_or(NumberOrExpression::Number(1.0))
}

/// How much a match or a rule counts; 1 unless the file says otherwise.
fn value(table: &mut Table<'_, '_, '_>) -> NumberOrExpression {
    match table.get("value") {
        None => NumberOrExpression::Number(1.0),
        Some(value) => number_or_expression(table, value, "value", MAX_VALUE),
    }
}

fn read_signal(table: &mut Table<'_, '_, '_>) -> SignalTable {
    let name = table.required_name();
    let on = table.strings(
        "on",
        "the event type that this signal counts, such as on = \"visit\"",
    );
    let value = value(table);
    let phrases = phrases::read(
        table,
        "phrases",
        "words, such as phrases = [\"looking for\"]",
    );
    let when = table.condition("when");
    let per = table.condition("per");
    let keys = table.number("keys", 1.0, MAX_KEYS as f64);
    let limit = table.number("limit", f64::MIN_POSITIVE, MAX_POINTS);
    let cooldown = table.duration("cooldown", 1, MAX_COOLDOWN.as_nanos() as i64);
    let keep = table.text("keep", MAX_NAME_BYTES);
    let once = table.truth("once");
    let once_keys = table.number("once_keys", 1.0, MAX_ONCE_KEYS as f64);
    let once_beyond = match table.has("once_beyond") {
        true => table.choice("once_beyond", &[("ignore", false), ("count", true)]),
        false => None,
    };
    let has_points = table.has("points");
    let points = table.points("points");
    SignalTable {
        span: table.span.clone(),
        name,
        description: table.description(),
        on: on.into_iter().map(|on| on.value).collect(),
        phrases,
        when,
        value,
        per,
        keys,
        limit: limit.map(|limit| limit.value),
        cooldown,
        keep,
        once,
        once_keys,
        once_beyond,
        points: has_points.then_some(points),
    }
}

fn read_rule(table: &mut Table<'_, '_, '_>) -> RuleTable {
    let name = table.required_name();
    let when = table.condition("when");
    if !table.has("when") && !table.has("value") {
        table.missing(
            "when",
            "whom the rule holds for, such as when = 'has(profile.attributes.crm_id)'; or \"value\", how much it counts for everybody who has some, such as value = 'profile.attributes.shops'",
        );
    }
    let value = value(table);
    let points = table.points("points");
    if !table.has("points") {
        table.missing(
            "points",
            "what the rule is worth, such as points = { fit = 20 }",
        );
    }
    RuleTable {
        name,
        description: table.description(),
        when,
        value,
        points,
    }
}

fn read_identity(table: &mut Table<'_, '_, '_>) -> IdentityTable {
    let name = table.required_name();
    let when = table.condition("when");
    if !table.has("when") {
        table.missing(
            "when",
            "what shows who it is, such as when = 'has(profile.attributes.crm_id)'",
        );
    }
    let confidence = match table.get("confidence") {
        Some(confidence) => number_or_expression(table, confidence, "confidence", 1.0),
        None => {
            table.missing(
                "confidence",
                "how sure it makes by itself, above 0 and at most 1, such as confidence = 0.9",
            );
            NumberOrExpression::Number(1.0)
        }
    };
    IdentityTable {
        name,
        when: when.unwrap_or_else(|| table.placeholder("true")),
        confidence,
    }
}

fn read_stage(table: &mut Table<'_, '_, '_>) -> StageTable {
    let name = table.required_name();
    let when = table.condition("when");
    let min = table.bounds("min");
    let keep = table.bounds("keep");
    StageTable {
        name,
        description: table.description(),
        when,
        min,
        keep,
    }
}

fn read_segment(table: &mut Table<'_, '_, '_>) -> SegmentTable {
    let name = table.required_name();
    let of = read_of(table);
    let when = table.condition("when");
    let min_confidence = table.number("min_confidence", f64::MIN_POSITIVE, 1.0);
    let rank_by = table.strings(
        "rank_by",
        "the score to rank by, such as rank_by = \"interest\"",
    );
    let ratio = rank_by.iter().find(|name| name.value.contains('/'));
    if let Some(ratio) = ratio {
        check_ratio(table, ratio);
    }
    let least = ratio.map_or(NOISE_FLOOR, |_| f64::MIN_POSITIVE);
    let min = table.number("min", least, f64::MAX);
    let max = table.number("max", least, f64::MAX);
    let calibration = table.table("calibration", calibration::read).flatten();
    SegmentTable {
        name,
        description: table.description(),
        of,
        when,
        min_confidence,
        rank_by,
        min: min.map(|min| min.value),
        max,
        calibration,
    }
}

/// Tells what must stand beside a ratio and does not.
fn check_ratio(table: &mut Table<'_, '_, '_>, ratio: &Spanned<String>) {
    if !(table.has("min") && table.has("max")) {
        let message = "a ratio needs both min and max: it falls for everybody who does nothing, and never ends; write such as min = 0.001 and max = 0.2";
        table.diagnostic(ratio.span.clone(), message);
    }
    if !table.has("when") {
        let message = "a ratio needs a `when` that asks for enough to compare: whoever came once falls like all others; write such as when = 'scores.visits >= 10', where scores.visits has no half_life";
        table.diagnostic(ratio.span.clone(), message);
    }
}

fn read_topic(table: &mut Table<'_, '_, '_>) -> TopicTable {
    let name = table.text("name", MAX_TAG_BYTES);
    if !table.has("name") {
        table.missing(
            "name",
            "what the topic is called, such as name = \"coverage\"",
        );
    }
    let keywords = phrases::read(table, "keywords", "words");
    TopicTable {
        name: name.unwrap_or_else(|| table.placeholder("")),
        description: table.description(),
        keywords,
    }
}

fn read_influence(table: &mut Table<'_, '_, '_>) -> Option<InfluenceTable> {
    let event_types = table.bounds("event_types");
    if !table.has("event_types") {
        table.missing(
            "event_types",
            "what is a touch and its credit, such as event_types = { reply = 2 }",
        );
    }
    let half_life = table.required_half_life("half_life");
    let attribution_half_life = table.required_half_life("attribution_half_life");
    let advance = table.number("advance", 0.0, MAX_POINTS);
    let reach = table.text("reach", MAX_NAME_BYTES);
    Some(InfluenceTable {
        event_types,
        half_life: half_life?,
        attribution_half_life: attribution_half_life?,
        advance: advance.map_or(0.0, |advance| advance.value),
        reach: reach.map(|reach| reach.value),
    })
}
