//! Which declared topics an event is about: by tag, and by keyword in its text.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::scoring::Event;

/// Finds declared topics.
#[derive(Debug)]
pub(crate) struct Topics {
    names: Vec<String>,
    positions: HashMap<String, usize>,
    /// Matches folded keywords; absent when no topic has any.
    keywords: Option<AhoCorasick>,
    /// The topic of each keyword of `keywords`.
    topic_of_keyword: Vec<usize>,
}

impl Topics {
    /// Declares topics with their keywords. Fails when there are too many keywords for the
    /// matcher.
    pub(super) fn new(declared: &[(String, Vec<String>)]) -> Result<Self, String> {
        let mut folded = Vec::new();
        let mut topic_of_keyword = Vec::new();
        for (position, (_, keywords)) in declared.iter().enumerate() {
            for keyword in keywords {
                folded.push(fold(keyword.trim()));
                topic_of_keyword.push(position);
            }
        }
        let keywords = if folded.is_empty() {
            None
        } else {
            let matcher = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(&folded)
                .map_err(|error| error.to_string())?;
            Some(matcher)
        };
        let names: Vec<String> = declared.iter().map(|(name, _)| name.clone()).collect();
        let positions = names.iter().cloned().enumerate();
        Ok(Self {
            positions: positions.map(|(position, name)| (name, position)).collect(),
            names,
            keywords,
            topic_of_keyword,
        })
    }

    /// The names, in the order of the model.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a topic of this name is declared.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.positions.contains_key(name)
    }

    /// The position of a topic in the order of the model.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// The declared topics of an event, in the order of the model.
    pub(crate) fn find(&self, event: &Event) -> Vec<String> {
        if self.names.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<usize> = event
            .tags
            .iter()
            .filter_map(|tag| self.positions.get(tag).copied())
            .collect();
        if let Some(keywords) = &self.keywords
            && !event.text.is_empty()
        {
            self.find_keywords(keywords, &event.text, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|position| self.names[position].clone())
            .collect()
    }

    fn find_keywords(&self, keywords: &AhoCorasick, text: &str, found: &mut Vec<usize>) {
        let text = fold(text);
        // Word boundaries cost more than the search, and most texts have no keyword.
        let mut boundaries: Option<Vec<usize>> = None;
        for candidate in keywords.find_overlapping_iter(&text) {
            let topic = self.topic_of_keyword[candidate.pattern().as_usize()];
            if found.contains(&topic)
                || within_a_word(&text, candidate.start())
                || within_a_word(&text, candidate.end())
            {
                continue;
            }
            let boundaries = boundaries.get_or_insert_with(|| word_boundaries(&text));
            if boundaries.binary_search(&candidate.start()).is_ok()
                && boundaries.binary_search(&candidate.end()).is_ok()
            {
                found.push(topic);
            }
        }
    }
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

/// Upper and lower case made alike: to upper case first, so that letters with several
/// lower-case forms (`ς` and `σ`) or none of their own (`ß` and `SS`) meet.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            folded.push(character.to_ascii_lowercase());
        } else {
            folded.extend(character.to_uppercase().flat_map(char::to_lowercase));
        }
    }
    folded
}
