//! The model file as it is written: TOML read into plain definitions, each with its
//! place in the file. Whether the definitions fit together is for `compile`.

use std::{fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::mistake::{Mistakes, suggestion};
use crate::scoring::{
    HalfLife,
    limits::{
        MAX_CONDITION_BYTES, MAX_COOLDOWN, MAX_HALF_LIFE, MAX_NAME_BYTES, MAX_POINTS,
        MAX_TAG_BYTES, NOISE_FLOOR,
    },
};

/// Something of the file, and where it stands.
#[derive(Clone)]
pub(super) struct Placed<T> {
    pub value: T,
    pub place: Range<usize>,
}

/// Without the place, so that the fingerprint of a model is that of its meaning.
impl<T: fmt::Debug> fmt::Debug for Placed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(formatter)
    }
}

/// A table `name = number`.
pub(super) type Points = Vec<(Placed<String>, f64)>;

#[derive(Debug, Default)]
pub(super) struct ModelFile {
    pub scores: Vec<ScoreTable>,
    pub signals: Vec<SignalTable>,
    pub rules: Vec<RuleTable>,
    pub stages: Vec<StageTable>,
    pub segments: Vec<SegmentTable>,
    pub topics: Vec<TopicTable>,
    pub interests_half_life: Option<HalfLife>,
    pub influence: Option<InfluenceTable>,
}

#[derive(Debug)]
pub(super) struct ScoreTable {
    pub name: Placed<String>,
    pub half_life: Option<HalfLife>,
    pub base: Option<Placed<f64>>,
}

#[derive(Debug)]
pub(super) struct SignalTable {
    pub name: Placed<String>,
    pub on: Vec<String>,
    pub when: Option<Placed<String>>,
    pub value: SignalValue,
    pub limit: Option<f64>,
    pub cooldown_nanos: Option<i64>,
    pub points: Points,
}

#[derive(Debug)]
pub(super) enum SignalValue {
    Number(f64),
    Expression(Placed<String>),
}

#[derive(Debug)]
pub(super) struct RuleTable {
    pub name: Placed<String>,
    pub when: Placed<String>,
    pub points: Points,
}

#[derive(Debug)]
pub(super) struct StageTable {
    pub name: Placed<String>,
    pub when: Option<Placed<String>>,
    pub min: Points,
}

#[derive(Debug)]
pub(super) struct SegmentTable {
    pub name: Placed<String>,
    pub when: Option<Placed<String>>,
    pub rank_by: Vec<Placed<String>>,
    pub min: Option<f64>,
    pub max: Option<Placed<f64>>,
}

#[derive(Debug)]
pub(super) struct TopicTable {
    pub name: Placed<String>,
    pub keywords: Vec<Placed<String>>,
}

#[derive(Debug)]
pub(super) struct InfluenceTable {
    pub event_types: Points,
    pub half_life: HalfLife,
    pub attribution_half_life: HalfLife,
    pub advance: f64,
    pub reach: Option<String>,
}

/// Reads the file, with the mistakes noted; `None` when it is no TOML.
pub(super) fn read(source: &str, mistakes: &mut Mistakes<'_>) -> Option<ModelFile> {
    let (root, errors) = DeTable::parse_recoverable(source);
    for error in errors {
        mistakes.add(error.span().unwrap_or(0..0), error.message());
    }
    if !mistakes.is_empty() {
        return None;
    }
    let mut file = ModelFile::default();
    let mut root = Table::new("the file", root.span(), root.get_ref(), mistakes);
    file.scores = root.named_tables("scores", read_score);
    file.signals = root.tables("signals", read_signal);
    file.rules = root.tables("attributes", read_rule);
    file.stages = root.tables("stages", read_stage);
    file.segments = root.tables("segments", read_segment);
    file.topics = root.tables("topics", read_topic);
    file.interests_half_life = root
        .table("interests", |table| table.half_life("half_life"))
        .flatten();
    file.influence = root.table("influence", read_influence).flatten();
    root.finish();
    Some(file)
}

fn read_score(name: Placed<String>, table: &mut Table<'_, '_, '_>) -> Option<ScoreTable> {
    Some(ScoreTable {
        name,
        half_life: table.half_life("half_life"),
        base: table.number("base", -MAX_POINTS, MAX_POINTS),
    })
}

fn read_signal(table: &mut Table<'_, '_, '_>) -> Option<SignalTable> {
    let name = table.required_name();
    let on = table.strings(
        "on",
        "the event type that this signal counts, such as on = \"visit\"",
    );
    let value = match table.get("value") {
        None => Some(SignalValue::Number(1.0)),
        Some(value) if value.get_ref().is_str() => {
            table.condition_text(value).map(SignalValue::Expression)
        }
        Some(value) => table
            .number_in(
                value,
                "value",
                f64::MIN_POSITIVE,
                crate::scoring::limits::MAX_VALUE,
            )
            .map(|number| SignalValue::Number(number.value)),
    };
    let when = table.condition("when");
    let limit = table.number("limit", f64::MIN_POSITIVE, MAX_POINTS);
    let cooldown = table.duration("cooldown", 1, MAX_COOLDOWN.as_nanos() as i64);
    let points = table.points("points");
    if points.is_empty() && !table.has("points") {
        table.missing(
            "points",
            "what a count is worth, such as points = { interest = 5 }",
        );
    }
    Some(SignalTable {
        name: name?,
        on: on.into_iter().map(|on| on.value).collect(),
        when,
        value: value?,
        limit: limit.map(|limit| limit.value),
        cooldown_nanos: cooldown.map(|cooldown| cooldown.value),
        points,
    })
}

fn read_rule(table: &mut Table<'_, '_, '_>) -> Option<RuleTable> {
    let name = table.required_name();
    let when = table.condition("when");
    if !table.has("when") {
        table.missing(
            "when",
            "whom the rule holds for, such as when = 'has(profile.attributes.crm_id)'",
        );
    }
    let points = table.points("points");
    if !table.has("points") {
        table.missing(
            "points",
            "what the rule is worth, such as points = { fit = 20 }",
        );
    }
    Some(RuleTable {
        name: name?,
        when: when?,
        points,
    })
}

fn read_stage(table: &mut Table<'_, '_, '_>) -> Option<StageTable> {
    let name = table.required_name();
    let when = table.condition("when");
    let min = table.bounds("min");
    Some(StageTable {
        name: name?,
        when,
        min,
    })
}

fn read_segment(table: &mut Table<'_, '_, '_>) -> Option<SegmentTable> {
    let name = table.required_name();
    let when = table.condition("when");
    let rank_by = table.strings(
        "rank_by",
        "the score to rank by, such as rank_by = \"interest\"",
    );
    let min = table.number("min", NOISE_FLOOR, f64::MAX);
    let max = table.number("max", NOISE_FLOOR, f64::MAX);
    Some(SegmentTable {
        name: name?,
        when,
        rank_by,
        min: min.map(|min| min.value),
        max,
    })
}

fn read_topic(table: &mut Table<'_, '_, '_>) -> Option<TopicTable> {
    let name = table.text("name", MAX_TAG_BYTES);
    if !table.has("name") {
        table.missing(
            "name",
            "what the topic is called, such as name = \"coverage\"",
        );
    }
    let keywords = if table.has("keywords") {
        table.strings("keywords", "words")
    } else {
        Vec::new()
    };
    Some(TopicTable {
        name: name?,
        keywords,
    })
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

/// A table of the file while it is read: knows which keys were asked for, so that the
/// others can be told as mistakes.
struct Table<'table, 'mistakes, 'source> {
    title: &'static str,
    place: Range<usize>,
    entries: &'table DeTable<'table>,
    asked: Vec<&'static str>,
    mistakes: &'mistakes mut Mistakes<'source>,
}

impl<'table, 'mistakes, 'source> Table<'table, 'mistakes, 'source> {
    fn new(
        title: &'static str,
        place: Range<usize>,
        entries: &'table DeTable<'table>,
        mistakes: &'mistakes mut Mistakes<'source>,
    ) -> Self {
        Self {
            title,
            place,
            entries,
            asked: Vec::new(),
            mistakes,
        }
    }

    fn get(&mut self, key: &'static str) -> Option<&'table Spanned<DeValue<'table>>> {
        self.asked.push(key);
        let entry = self.entries.iter().find(|(name, _)| name.get_ref() == key);
        entry.map(|(_, value)| value)
    }

    fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// Tells the keys that nobody asked for.
    fn finish(self) {
        for (name, _) in self.entries {
            if !self.asked.contains(&name.get_ref().as_ref()) {
                let hint = suggestion(name.get_ref(), self.asked.iter().copied());
                let message = format!("{} has no key {:?}; {hint}", self.title, name.get_ref());
                self.mistakes.add(name.span(), message);
            }
        }
    }

    fn missing(&mut self, key: &str, hint: &str) {
        let place = self.place.clone();
        self.mistakes
            .add(place, format!("{} lacks {key:?}: {hint}", self.title));
    }

    fn wrong_kind(&mut self, value: &Spanned<DeValue<'_>>, key: &str, wanted: &str) {
        let found = value.get_ref().type_str();
        self.mistakes.add(
            value.span(),
            format!("{key:?} must be {wanted}, not {found}"),
        );
    }

    fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'_, '_, '_>) -> T,
    ) -> Option<T> {
        let value = self.get(key)?;
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_kind(value, key, "a table");
            return None;
        };
        let mut inner = Table::new(key, value.span(), entries, self.mistakes);
        let result = read(&mut inner);
        inner.finish();
        Some(result)
    }

    /// `[[key]]` tables, in the order of the file.
    fn tables<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Table<'_, '_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            let wanted = format!("a list of tables, each headed [[{key}]]");
            self.wrong_kind(value, key, &wanted);
            return Vec::new();
        };
        let mut result = Vec::new();
        for element in array.iter() {
            let Some(entries) = element.get_ref().as_table() else {
                let wanted = format!("a table, headed [[{key}]]");
                self.wrong_kind(element, key, &wanted);
                continue;
            };
            let mut inner = Table::new(key, element.span(), entries, self.mistakes);
            result.extend(read(&mut inner));
            inner.finish();
        }
        result
    }

    /// `[key.name]` tables, in the order of the file.
    fn named_tables<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Placed<String>, &mut Table<'_, '_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_table() else {
            let wanted = format!("tables, each headed [{key}.name]");
            self.wrong_kind(value, key, &wanted);
            return Vec::new();
        };
        let mut ordered: Vec<_> = entries.iter().collect();
        ordered.sort_by_key(|(name, _)| name.span().start);
        let mut result = Vec::new();
        for (name, value) in ordered {
            let Some(entries) = value.get_ref().as_table() else {
                let wanted = format!("a table, headed [{key}.{}]", name.get_ref());
                self.wrong_kind(value, name.get_ref(), &wanted);
                continue;
            };
            let placed = self.checked_name(name.get_ref(), name.span());
            let mut inner = Table::new(key, value.span(), entries, self.mistakes);
            if let Some(placed) = placed {
                result.extend(read(placed, &mut inner));
            }
            inner.finish();
        }
        result
    }

    fn checked_name(&mut self, name: &str, place: Range<usize>) -> Option<Placed<String>> {
        let mut characters = name.chars();
        let valid = name.len() <= MAX_NAME_BYTES
            && characters
                .next()
                .is_some_and(|first| first.is_ascii_lowercase())
            && characters
                .all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_');
        if !valid {
            let message = format!(
                "{name:?} is no name: write a lower-case letter, then lower-case letters, digits and _, at most {MAX_NAME_BYTES} in all"
            );
            self.mistakes.add(place, message);
            return None;
        }
        Some(Placed {
            value: name.to_owned(),
            place,
        })
    }

    fn required_name(&mut self) -> Option<Placed<String>> {
        match self.get("name") {
            None => {
                self.missing(
                    "name",
                    "what it is called, such as name = \"visited_pricing\"",
                );
                None
            }
            Some(value) => match value.get_ref().as_str() {
                Some(name) => self.checked_name(name, value.span()),
                None => {
                    self.wrong_kind(value, "name", "a string");
                    None
                }
            },
        }
    }

    fn text(&mut self, key: &'static str, max_bytes: usize) -> Option<Placed<String>> {
        let value = self.get(key)?;
        self.text_of(value, key, max_bytes)
    }

    fn text_of(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
        max_bytes: usize,
    ) -> Option<Placed<String>> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_kind(value, key, "a string");
            return None;
        };
        if text.trim().is_empty() || text.len() > max_bytes || text.chars().any(|c| c.is_control())
        {
            let message = format!(
                "{key:?} must be 1 to {max_bytes} bytes of text without control characters"
            );
            self.mistakes.add(value.span(), message);
            return None;
        }
        Some(Placed {
            value: text.to_owned(),
            place: value.span(),
        })
    }

    fn condition(&mut self, key: &'static str) -> Option<Placed<String>> {
        let value = self.get(key)?;
        self.condition_text(value)
    }

    fn condition_text(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Placed<String>> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_kind(value, "an expression", "a string");
            return None;
        };
        if text.len() > MAX_CONDITION_BYTES {
            let message = format!("an expression has at most {MAX_CONDITION_BYTES} bytes");
            self.mistakes.add(value.span(), message);
            return None;
        }
        Some(Placed {
            value: text.to_owned(),
            place: value.span(),
        })
    }

    /// A string, or a list of strings; `hint` says what is missing when there is none.
    fn strings(&mut self, key: &'static str, hint: &str) -> Vec<Placed<String>> {
        let Some(value) = self.get(key) else {
            self.missing(key, hint);
            return Vec::new();
        };
        if let Some(array) = value.get_ref().as_array() {
            if array.is_empty() {
                self.mistakes
                    .add(value.span(), format!("{key:?} is empty; write {hint}"));
            }
            array
                .iter()
                .filter_map(|element| self.text_of(element, key, MAX_TAG_BYTES))
                .collect()
        } else {
            self.text_of(value, key, MAX_TAG_BYTES)
                .into_iter()
                .collect()
        }
    }

    fn number(&mut self, key: &'static str, least: f64, greatest: f64) -> Option<Placed<f64>> {
        let value = self.get(key)?;
        self.number_in(value, key, least, greatest)
    }

    fn number_in(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
        least: f64,
        greatest: f64,
    ) -> Option<Placed<f64>> {
        let number = match value.get_ref() {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .map(|integer| integer as f64),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => {
                self.wrong_kind(value, key, "a number");
                return None;
            }
        };
        match number {
            Some(number) if (least..=greatest).contains(&number) => Some(Placed {
                value: number,
                place: value.span(),
            }),
            _ => {
                let range = match (least, greatest) {
                    (least, f64::MAX) => format!("of at least {least}"),
                    (f64::MIN_POSITIVE, greatest) => format!("above 0 and at most {greatest}"),
                    (least, greatest) => format!("from {least} to {greatest}"),
                };
                self.mistakes
                    .add(value.span(), format!("{key:?} must be a number {range}"));
                None
            }
        }
    }

    /// A table of numbers by name, none of them zero.
    fn points(&mut self, key: &'static str) -> Points {
        self.numbers_by_name(key, -MAX_POINTS)
    }

    /// A table of numbers above the noise floor by name.
    fn bounds(&mut self, key: &'static str) -> Points {
        self.numbers_by_name(key, NOISE_FLOOR)
    }

    fn numbers_by_name(&mut self, key: &'static str, least: f64) -> Points {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_kind(value, key, "a table such as { name = 5 }");
            return Vec::new();
        };
        if entries.is_empty() {
            self.mistakes.add(
                value.span(),
                format!("{key:?} is empty; write {{ name = 5 }}"),
            );
        }
        let mut ordered: Vec<(&Spanned<DeString<'_>>, _)> = entries.iter().collect();
        ordered.sort_by_key(|(name, _)| name.span().start);
        let mut result = Vec::new();
        for (name, value) in ordered {
            if let Some(number) = self.number_in(value, name.get_ref(), least, MAX_POINTS) {
                let placed = Placed {
                    value: name.get_ref().to_string(),
                    place: name.span(),
                };
                result.push((placed, number.value));
            }
        }
        result
    }

    fn half_life(&mut self, key: &'static str) -> Option<HalfLife> {
        let least = crate::scoring::limits::MIN_HALF_LIFE.as_nanos() as i64;
        let duration = self.duration(key, least, MAX_HALF_LIFE.as_nanos() as i64)?;
        HalfLife::from_nanos(duration.value)
    }

    fn required_half_life(&mut self, key: &'static str) -> Option<HalfLife> {
        if !self.has(key) {
            self.missing(
                key,
                &format!("how long half of it takes to fade, such as {key} = \"7d\""),
            );
        }
        self.half_life(key)
    }

    fn duration(&mut self, key: &'static str, least: i64, greatest: i64) -> Option<Placed<i64>> {
        let value = self.get(key)?;
        let parsed = value.get_ref().as_str().and_then(duration_nanos);
        match parsed {
            Some(nanos) if (least..=greatest).contains(&nanos) => Some(Placed {
                value: nanos,
                place: value.span(),
            }),
            Some(_) => {
                let message = if least > 1 {
                    format!("{key:?} must be from 1m to 36500d")
                } else {
                    format!("{key:?} must be above 0 and at most 36500d")
                };
                self.mistakes.add(value.span(), message);
                None
            }
            None => {
                let message = format!(
                    "{key:?} must be a number and a unit (s, m, h, d or w) in quotes, such as \"7d\""
                );
                self.mistakes.add(value.span(), message);
                None
            }
        }
    }
}

/// `7d` and the like, in nanoseconds.
fn duration_nanos(text: &str) -> Option<i64> {
    let unit_at = text.len().checked_sub(1)?;
    let (number, unit) = (text.get(..unit_at)?, text.get(unit_at..)?);
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    let number: f64 = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        .then(|| number.parse().ok())
        .flatten()?;
    let nanos = number * seconds as f64 * 1e9;
    (nanos.is_finite() && nanos < i64::MAX as f64).then_some(nanos as i64)
}
