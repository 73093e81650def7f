//! Everything that is said about all people at one instant, by the service or by the
//! recomputation: numbers and words under names that a person can read.

use std::{collections::BTreeMap, fmt};

/// How far two numbers may be apart, as a share of the greater one.
const TOLERANCE: f64 = 1e-9;
/// What rounding leaves of counts that cancel each other out, in points.
const RESIDUE: f64 = 1e-10;
/// Counts below it are what rounding leaves, or what underflows: nothing is said of them but
/// the number.
pub const FADED_AWAY: f64 = 1e-9;
/// Differences that a failure shows; what is wrong once is often wrong all over.
const MAX_SHOWN: usize = 12;

/// One thing that is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The same within rounding. One that is not said is 0.
    Number(f64),
    /// The same to the letter.
    Words(String),
}

/// All that is said, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers(BTreeMap<String, Said>);

impl Answers {
    pub fn number(&mut self, name: impl fmt::Display, number: f64) {
        self.say(name, Said::Number(number));
    }

    pub fn words(&mut self, name: impl fmt::Display, words: impl fmt::Display) {
        self.say(name, Said::Words(words.to_string()));
    }

    fn say(&mut self, name: impl fmt::Display, said: Said) {
        let name = name.to_string();
        let before = self.0.insert(name.clone(), said);
        assert_eq!(before, None, "{name} is said twice");
    }

    /// What is said under the names that `keep` keeps.
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| keep(name));
        self
    }

    /// The number under a name; 0 when it is not said.
    pub fn of(&self, name: &str) -> f64 {
        match self.0.get(name) {
            Some(Said::Number(number)) => *number,
            _ => 0.0,
        }
    }

    /// The words under a name.
    pub fn words_of(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Said::Words(words)) => Some(words),
            _ => None,
        }
    }

    /// The names of all numbers that are not 0.
    pub fn numbers(&self) -> impl Iterator<Item = &str> {
        let said = self.0.iter();
        said.filter(|(_, said)| matches!(said, Said::Number(number) if *number != 0.0))
            .map(|(name, _)| name.as_str())
    }

    /// All words, by name.
    pub fn words_by_name(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, said)| match said {
            Said::Words(words) => Some((name.as_str(), words.as_str())),
            Said::Number(_) => None,
        })
    }

    /// How the other answers differ from these, in words; `None` when they are the same.
    pub fn differences(&self, other: &Self) -> Option<String> {
        let names: std::collections::BTreeSet<&String> =
            self.0.keys().chain(other.0.keys()).collect();
        let differing: Vec<String> = names
            .into_iter()
            .filter(|name| !same(self.0.get(*name), other.0.get(*name)))
            .map(|name| {
                let (this, other) = (self.0.get(name), other.0.get(name));
                format!("  {name}: {} and {}", shown(this), shown(other))
            })
            .collect();
        if differing.is_empty() {
            return None;
        }
        let more = differing.len().saturating_sub(MAX_SHOWN);
        let more = (more > 0).then(|| format!("  and {more} more"));
        let lines = differing.into_iter().take(MAX_SHOWN).chain(more);
        Some(lines.collect::<Vec<_>>().join("\n"))
    }
}

fn same(this: Option<&Said>, other: Option<&Said>) -> bool {
    match (this, other) {
        (Some(Said::Number(this)), Some(Said::Number(other))) => close(*this, *other),
        (Some(Said::Number(number)), None) | (None, Some(Said::Number(number))) => {
            close(*number, 0.0)
        }
        (this, other) => this == other,
    }
}

pub fn close(this: f64, other: f64) -> bool {
    (this - other).abs() <= RESIDUE + TOLERANCE * this.abs().max(other.abs())
}

fn shown(said: Option<&Said>) -> String {
    match said {
        Some(Said::Number(number)) => number.to_string(),
        Some(Said::Words(words)) => format!("{words:?}"),
        None => "nothing".to_owned(),
    }
}
