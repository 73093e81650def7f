//! How a model is written down, once for both: as TOML for the service, and as data and Rust
//! for the recomputation.

use std::fmt::Write as _;

use crate::plain::{Facts, Moment};

/// An expression of the model file, and the same in Rust. `None` is what the expression fails
/// on, such as a missing attribute.
#[derive(Clone, Copy)]
pub struct Said<Same> {
    pub text: &'static str,
    pub same: Same,
}

/// In signals, of an event and the person just before it.
pub type When = Said<fn(&Moment<'_>) -> Option<bool>>;
pub type Value = Said<fn(&Moment<'_>) -> Option<f64>>;
pub type Per = Said<fn(&Moment<'_>) -> Option<Vec<String>>>;
/// Elsewhere, of what a person has done and states.
pub type Standing = Said<fn(&Facts<'_>) -> Option<bool>>;
pub type StandingValue = Said<fn(&Facts<'_>) -> Option<f64>>;

/// Points or bounds by score.
pub type ByScore = &'static [(&'static str, f64)];

#[derive(Clone, Copy)]
pub struct Score {
    pub name: &'static str,
    pub half_life: Option<&'static str>,
    pub base: f64,
    /// How many signals and rules must give what share of what the greatest one gives.
    pub breadth: Option<(usize, f64)>,
    pub calibration: Option<Calibration>,
}

/// A score that says nothing.
pub const SCORE: Score = Score {
    name: "",
    half_life: None,
    base: 0.0,
    breadth: None,
    calibration: None,
};

/// From points to a probability.
#[derive(Clone, Copy)]
pub enum Calibration {
    /// Points and probabilities; linear between them, level outside.
    Table(&'static [(f64, f64)]),
    Logistic {
        midpoint: f64,
        slope: f64,
    },
}

#[derive(Clone, Copy)]
pub struct Signal {
    pub name: &'static str,
    pub on: &'static [&'static str],
    pub when: Option<When>,
    pub value: Option<Value>,
    pub per: Option<Per>,
    /// How many keys are kept.
    pub keys: Option<usize>,
    pub phrases: &'static [Phrase],
    /// Whether the count is the value of the latest match.
    pub latest: bool,
    /// Whether only the first match counts.
    pub once: bool,
    /// For one that counts each key once: how many keys are remembered, and whether others count.
    pub once_keys: Option<(usize, bool)>,
    pub limit: Option<f64>,
    pub cooldown: Option<&'static str>,
    pub points: ByScore,
    /// Whether an expression reads what was before the event, of whomever.
    pub reads_history: bool,
}

/// A signal that says nothing.
pub const SIGNAL: Signal = Signal {
    name: "",
    on: &[],
    when: None,
    value: None,
    per: None,
    keys: None,
    phrases: &[],
    latest: false,
    once: false,
    once_keys: None,
    limit: None,
    cooldown: None,
    points: &[],
    reads_history: false,
};

impl Signal {
    /// Whether what it counts is the same for every order of events.
    pub const fn is_order_free(&self) -> bool {
        let saturates = self.limit.is_some() && !self.latest;
        !saturates && self.cooldown.is_none() && !self.once && !self.reads_history
    }

    /// How many keys are kept of it.
    pub fn most_keys(&self) -> usize {
        self.keys.unwrap_or(16)
    }
}

#[derive(Clone, Copy)]
pub struct AttributeRule {
    pub name: &'static str,
    pub when: Standing,
    pub value: Option<StandingValue>,
    pub points: ByScore,
}

/// A piece of evidence of who somebody is.
#[derive(Clone, Copy)]
pub struct Evidence {
    pub name: &'static str,
    pub when: Standing,
    pub confidence: Confidence,
}

#[derive(Clone, Copy)]
pub enum Confidence {
    Number(f64),
    Expression(StandingValue),
}

#[derive(Clone, Copy)]
pub struct Stage {
    pub name: &'static str,
    pub when: Option<Standing>,
    pub min: Option<(&'static str, f64)>,
    /// The least points to stay, when that is less.
    pub keep: Option<f64>,
}

#[derive(Clone, Copy)]
pub struct Segment {
    pub name: &'static str,
    pub when: Option<Standing>,
    pub min_confidence: Option<f64>,
    pub rank_by: &'static [&'static str],
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub calibration: Option<Calibration>,
    pub of_accounts: bool,
}

/// A segment that says nothing.
pub const SEGMENT: Segment = Segment {
    name: "",
    when: None,
    min_confidence: None,
    rank_by: &[],
    min: None,
    max: None,
    calibration: None,
    of_accounts: false,
};

/// A rule that keeps events apart.
#[derive(Clone, Copy)]
pub struct QuarantineRule {
    pub name: &'static str,
    /// Event types; all when empty.
    pub on: &'static [&'static str],
    pub when: When,
    /// Whether `when` reads what was before the event.
    pub reads_history: bool,
}

#[derive(Clone, Copy)]
pub struct Topic {
    pub name: &'static str,
    pub keywords: &'static [Phrase],
}

/// Something to look for in a text.
#[derive(Clone, Copy)]
pub struct Phrase {
    pub forms: &'static [&'static str],
    pub folds_diacritics: bool,
    pub near: Option<Near>,
    pub unless_near: Option<Near>,
}

/// A phrase without forms.
pub const PHRASE: Phrase = Phrase {
    forms: &[],
    folds_diacritics: false,
    near: None,
    unless_near: None,
};

/// Words near a phrase.
#[derive(Clone, Copy)]
pub struct Near {
    pub words: &'static [&'static str],
    /// Whether those of `NEGATION` are meant as well.
    pub negation: bool,
    pub before: usize,
    pub after: usize,
}

/// The words that phrases share.
pub const NEGATION: [&str; 2] = ["not", "n'en"];

impl Phrase {
    /// As a model file writes it; in full when it says more than one form.
    fn toml(&self) -> String {
        if let (&[form], false, None, None) = (
            self.forms,
            self.folds_diacritics,
            self.near,
            self.unless_near,
        ) {
            return format!("{form:?}");
        }
        let near = |key: &str, near: Option<Near>| {
            near.map_or_else(String::new, |near| {
                let list = if near.negation {
                    "list = \"negation\", "
                } else {
                    ""
                };
                let words = match near.words {
                    [] => String::new(),
                    words => format!("words = {words:?}, "),
                };
                let (before, after) = (near.before, near.after);
                format!(", {key} = {{ {list}{words}before = {before}, after = {after} }}")
            })
        };
        format!(
            "{{ forms = {:?}, fold_diacritics = {}{}{} }}",
            self.forms,
            self.folds_diacritics,
            near("near", self.near),
            near("unless_near", self.unless_near),
        )
    }
}

#[derive(Clone, Copy)]
pub struct Influence {
    pub event_types: ByScore,
    pub half_life: &'static str,
    pub attribution_half_life: &'static str,
    pub advance: f64,
    pub reach: &'static str,
}

/// A whole model.
#[derive(Clone)]
pub struct Model {
    pub scores: Vec<Score>,
    pub signals: Vec<Signal>,
    pub attribute_rules: Vec<AttributeRule>,
    pub identity: Vec<Evidence>,
    pub stages: Vec<Stage>,
    pub segments: Vec<Segment>,
    pub topics: Vec<Topic>,
    pub interests_half_life: &'static str,
    pub influence: Influence,
    pub quarantine: Vec<QuarantineRule>,
    /// The attribute that names the account of a person; `None` for a model without accounts.
    pub accounts: Option<&'static str>,
    /// What expressions ask the counts of, beside those that scores have.
    pub asked: Vec<(&'static str, Option<&'static str>)>,
}

impl Model {
    /// The model with only what is the same for every order of events.
    pub fn order_free(mut self) -> Self {
        self.signals
            .retain(|signal| signal.is_order_free() && !signal.points.is_empty());
        self.quarantine.retain(|rule| !rule.reads_history);
        self.asked.clear();
        for stage in &mut self.stages {
            stage.keep = None;
        }
        self
    }

    /// The model without signals that keep the latest match. Nobody knows which match was the
    /// latest before, once it is taken back; and what an account has of it is what each event
    /// changed when it came.
    pub fn without_latest(mut self) -> Self {
        self.signals.retain(|signal| !signal.latest);
        self
    }

    /// The model without accounts.
    pub fn without_accounts(mut self) -> Self {
        self.accounts = None;
        self.segments.retain(|segment| !segment.of_accounts);
        // What reads a kind of subjects that there is not is refused.
        let reads_accounts = |text: &str| text.contains("subjects.");
        self.signals.retain(|signal| {
            !signal.when.is_some_and(|when| reads_accounts(when.text))
                && !signal.value.is_some_and(|value| reads_accounts(value.text))
        });
        self
    }

    /// The model file.
    pub fn toml(&self) -> String {
        let mut file = File::default();
        for score in &self.scores {
            file.table(&format!("[scores.{}]", score.name));
            file.text("half_life", score.half_life);
            file.number("base", (score.base != 0.0).then_some(score.base));
            if let Some((required, fraction)) = score.breadth {
                file.number("breadth", Some(required as f64));
                file.number("breadth_share", Some(fraction));
            }
            file.calibration(score.calibration);
        }
        for signal in &self.signals {
            file.table("[[signals]]");
            file.text("name", Some(signal.name));
            file.list("on", signal.on);
            file.text("when", signal.when.map(|when| when.text));
            file.value(signal.value.map(|value| value.text));
            file.text("per", signal.per.map(|per| per.text));
            file.number("keys", signal.keys.map(|keys| keys as f64));
            file.phrases("phrases", signal.phrases);
            file.text("keep", signal.latest.then_some("latest"));
            file.flag("once", signal.once);
            if let Some((most, counts_beyond)) = signal.once_keys {
                file.number("once_keys", Some(most as f64));
                file.text(
                    "once_beyond",
                    Some(if counts_beyond { "count" } else { "ignore" }),
                );
            }
            file.number("limit", signal.limit);
            file.text("cooldown", signal.cooldown);
            file.by_name("points", signal.points);
        }
        for rule in &self.attribute_rules {
            file.table("[[attributes]]");
            file.text("name", Some(rule.name));
            file.text("when", Some(rule.when.text));
            file.value(rule.value.map(|value| value.text));
            file.by_name("points", rule.points);
        }
        for evidence in &self.identity {
            file.table("[[identity]]");
            file.text("name", Some(evidence.name));
            file.text("when", Some(evidence.when.text));
            match evidence.confidence {
                Confidence::Number(number) => file.number("confidence", Some(number)),
                Confidence::Expression(value) => file.text("confidence", Some(value.text)),
            }
        }
        for stage in &self.stages {
            file.table("[[stages]]");
            file.text("name", Some(stage.name));
            file.text("when", stage.when.map(|when| when.text));
            file.by_name("min", stage.min.as_slice());
            let keep = stage.min.zip(stage.keep);
            let keep = keep.map(|((score, _), keep)| (score, keep));
            file.by_name("keep", keep.as_slice());
        }
        for segment in &self.segments {
            file.table("[[segments]]");
            file.text("name", Some(segment.name));
            file.text("when", segment.when.map(|when| when.text));
            file.list("rank_by", segment.rank_by);
            file.number("min", segment.min);
            file.number("max", segment.max);
            file.number("min_confidence", segment.min_confidence);
            file.calibration(segment.calibration);
            file.text("of", segment.of_accounts.then_some("account"));
        }
        for rule in &self.quarantine {
            file.table("[[quarantine]]");
            file.text("name", Some(rule.name));
            file.list("on", rule.on);
            file.text("when", Some(rule.when.text));
        }
        for topic in &self.topics {
            file.table("[[topics]]");
            file.text("name", Some(topic.name));
            file.phrases("keywords", topic.keywords);
        }
        file.table("[word_lists]");
        file.list("negation", &NEGATION);
        file.table("[interests]");
        file.text("half_life", Some(self.interests_half_life));
        file.table("[influence]");
        let influence = &self.influence;
        file.by_name("event_types", influence.event_types);
        file.text("half_life", Some(influence.half_life));
        file.text(
            "attribution_half_life",
            Some(influence.attribution_half_life),
        );
        file.number("advance", Some(influence.advance));
        file.text("reach", Some(influence.reach));
        if let Some(attribute) = self.accounts {
            file.table("[subjects.account]");
            file.text("key", Some(&format!("profile.attributes.{attribute}")));
        }
        file.0
    }
}

/// A model file while it is written. What is not there is not written.
#[derive(Default)]
struct File(String);

impl File {
    fn table(&mut self, header: &str) {
        writeln!(self.0, "{header}").unwrap();
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            assert!(!text.contains('\''), "{text} has a quote");
            writeln!(self.0, "{key} = '{text}'").unwrap();
        }
    }

    /// What a match adds: a number, or an expression.
    fn value(&mut self, value: Option<&str>) {
        match value.map(str::parse) {
            Some(Ok(number)) => self.number("value", Some(number)),
            _ => self.text("value", value),
        }
    }

    fn number(&mut self, key: &str, number: Option<f64>) {
        if let Some(number) = number {
            writeln!(self.0, "{key} = {number:?}").unwrap();
        }
    }

    fn flag(&mut self, key: &str, is_set: bool) {
        if is_set {
            writeln!(self.0, "{key} = true").unwrap();
        }
    }

    fn calibration(&mut self, calibration: Option<Calibration>) {
        let curve = match calibration {
            None => return,
            Some(Calibration::Table(steps)) => {
                let steps: Vec<[f64; 2]> =
                    steps.iter().map(|(points, is)| [*points, *is]).collect();
                format!("table = {steps:?}")
            }
            Some(Calibration::Logistic { midpoint, slope }) => {
                format!("logistic = {{ midpoint = {midpoint:?}, slope = {slope:?} }}")
            }
        };
        writeln!(self.0, "calibration = {{ {curve}, outcome = 'buys' }}").unwrap();
    }

    fn list(&mut self, key: &str, texts: &[&str]) {
        if !texts.is_empty() {
            writeln!(self.0, "{key} = {texts:?}").unwrap();
        }
    }

    fn phrases(&mut self, key: &str, phrases: &[Phrase]) {
        if !phrases.is_empty() {
            let phrases: Vec<String> = phrases.iter().map(Phrase::toml).collect();
            writeln!(self.0, "{key} = [{}]", phrases.join(", ")).unwrap();
        }
    }

    fn by_name(&mut self, key: &str, numbers: &[(&str, f64)]) {
        if !numbers.is_empty() {
            let numbers: Vec<String> = numbers
                .iter()
                .map(|(name, number)| format!("{name} = {number:?}"))
                .collect();
            writeln!(self.0, "{key} = {{ {} }}", numbers.join(", ")).unwrap();
        }
    }
}
