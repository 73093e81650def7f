//! Finds phrases in texts: as whole words, upper and lower case alike, whatever white space
//! stands between them and whatever stands in them that nobody sees. One search finds the phrases
//! of all who have some, and one more those that fold diacritics.

mod finder;
mod folding;
mod surroundings;

use std::{borrow::Cow, collections::BTreeSet};

use finder::Finder;
use folding::{fold, in_one_line, without_diacritics};

/// Something to look for.
#[derive(Debug)]
pub(crate) struct Phrase<'a> {
    /// Whose it is.
    pub owner: usize,
    /// What may stand in a text for it.
    pub forms: Vec<&'a str>,
    /// Whether `é` is the same as `e`, in the words near it as well.
    pub folds_diacritics: bool,
    /// What must stand near it.
    pub near: Option<Near<'a>>,
    /// What must not.
    pub unless_near: Option<Near<'a>>,
}

/// Words of which one stands near a phrase, in the same sentence.
#[derive(Debug)]
pub(crate) struct Near<'a> {
    /// All that is in any of them.
    pub lists: Vec<Vec<&'a str>>,
    /// How many words before the phrase are looked at.
    pub before: usize,
    /// How many words after it are.
    pub after: usize,
}

/// Finds the owners of phrases.
#[derive(Debug)]
pub(crate) struct Phrases {
    /// Finds those for which `é` is not `e`.
    exact: Finder,
    /// Finds those for which it is.
    folding: Finder,
}

impl Phrases {
    /// Fails when there are too many for the matcher.
    pub(crate) fn new(phrases: Vec<Phrase<'_>>) -> Result<Self, String> {
        let (folding, exact): (Vec<_>, Vec<_>) = phrases
            .into_iter()
            .partition(|phrase| phrase.folds_diacritics);
        Ok(Self {
            exact: Finder::new(&exact)?,
            folding: Finder::new(&folding)?,
        })
    }

    /// Whose phrases stand in a text, ascending.
    pub(crate) fn find(&self, text: &str) -> Vec<usize> {
        if self.exact.is_empty() && self.folding.is_empty() {
            return Vec::new();
        }
        let text = fold(text);
        let mut owners = BTreeSet::new();
        self.exact.find(&text, &mut owners);
        if !self.folding.is_empty() {
            self.folding.find(&without_diacritics(&text), &mut owners);
        }
        owners.into_iter().collect()
    }
}

/// Whether a phrase has something that anybody sees.
pub(crate) fn is_seen(phrase: &str, folds_diacritics: bool) -> bool {
    !folded(phrase, folds_diacritics).is_empty()
}

/// A phrase as it is looked for.
fn folded(phrase: &str, folds_diacritics: bool) -> String {
    let folded = fold(phrase);
    let folded = match folds_diacritics {
        true => without_diacritics(&folded),
        false => Cow::Borrowed(folded.as_str()),
    };
    in_one_line(folded.trim()).into_owned()
}
