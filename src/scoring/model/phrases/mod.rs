//! Finds phrases in texts: as whole words, upper and lower case alike, whatever white space
//! stands between them and whatever stands in them that nobody sees. One search finds the phrases
//! of all who have some.

mod folding;

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::FxHashSet;
use unicode_segmentation::UnicodeSegmentation as _;

use folding::fold;

/// Finds the owners of phrases.
#[derive(Debug)]
pub(crate) struct Phrases {
    /// Matches folded phrases, each once; absent when there are none.
    phrases: Option<AhoCorasick>,
    /// The owners of each phrase of `phrases`.
    owners_of_phrase: Vec<Vec<usize>>,
}

impl Phrases {
    /// Phrases with their owners. Fails when there are too many for the matcher.
    pub(crate) fn new<'a>(
        phrases: impl IntoIterator<Item = (usize, &'a str)>,
    ) -> Result<Self, String> {
        let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (owner, phrase) in phrases {
            owners.entry(folded(phrase)).or_default().push(owner);
        }
        let (folded, owners_of_phrase): (Vec<String>, Vec<Vec<usize>>) = owners.into_iter().unzip();
        let phrases = if folded.is_empty() {
            None
        } else {
            let matcher = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(&folded)
                .map_err(|error| error.to_string())?;
            Some(matcher)
        };
        Ok(Self {
            phrases,
            owners_of_phrase,
        })
    }

    /// Whose phrases stand in a text, ascending.
    pub(crate) fn find(&self, text: &str) -> Vec<usize> {
        let Some(phrases) = self.phrases.as_ref().filter(|_| !text.is_empty()) else {
            return Vec::new();
        };
        let text = fold(text);
        let mut found = FxHashSet::default();
        // Word boundaries cost more than the search, and most texts have no phrase.
        let mut boundaries: Option<Vec<usize>> = None;
        for candidate in phrases.find_overlapping_iter(&text) {
            let phrase = candidate.pattern().as_usize();
            if within_a_word(&text, candidate.start())
                || within_a_word(&text, candidate.end())
                || found.contains(&phrase)
            {
                continue;
            }
            let boundaries = boundaries.get_or_insert_with(|| word_boundaries(&text));
            if boundaries.binary_search(&candidate.start()).is_ok()
                && boundaries.binary_search(&candidate.end()).is_ok()
            {
                found.insert(phrase);
                if found.len() == self.owners_of_phrase.len() {
                    break;
                }
            }
        }
        let phrases = found.into_iter();
        let owners = phrases.flat_map(|phrase| &self.owners_of_phrase[phrase]);
        let owners: BTreeSet<usize> = owners.copied().collect();
        owners.into_iter().collect()
    }
}

/// Whether a phrase has something that anybody sees.
pub(crate) fn is_seen(phrase: &str) -> bool {
    !folded(phrase).is_empty()
}

/// A phrase as it is looked for.
fn folded(phrase: &str) -> String {
    fold(phrase).trim().to_owned()
}

/// Whether a position is within a word for certain, told by its neighbours alone: no word of
/// ASCII letters, digits and underscores is ever divided.
fn within_a_word(text: &str, position: usize) -> bool {
    let of_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (before, after) = text.as_bytes().split_at(position);
    of_word(before.last()) && of_word(after.first())
}

/// Where words begin or end, by the rules of Unicode (UAX #29), ascending.
fn word_boundaries(text: &str) -> Vec<usize> {
    let starts = text.split_word_bound_indices().map(|(start, _)| start);
    starts.chain([text.len()]).collect()
}
