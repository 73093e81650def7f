//! What stands near a phrase: so many words before it and after it, in the same sentence.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use unicode_segmentation::UnicodeSegmentation as _;

use super::folding::LINE_END;

/// What a search costs, however little it looks through.
const LOOKS_PER_SEARCH: usize = 16;

/// The words of a text, by the rules of Unicode (UAX #29).
pub(super) struct Surroundings<'text> {
    text: &'text str,
    /// Where words, and what stands between them, begin or end, ascending.
    boundaries: Vec<usize>,
    /// Told when somebody asks what is near.
    sentences: Option<Sentences>,
}

struct Sentences {
    /// What has a letter or a digit.
    words: Vec<Range<usize>>,
    /// The places of what ends a sentence.
    ends: Vec<usize>,
}

impl<'text> Surroundings<'text> {
    pub(super) fn of(text: &'text str) -> Self {
        let starts = text.split_word_bound_indices().map(|(start, _)| start);
        Self {
            text,
            boundaries: starts.chain([text.len()]).collect(),
            sentences: None,
        }
    }

    /// Whether a place is one of whole words.
    pub(super) fn are_words(&self, place: &Range<usize>) -> bool {
        let is_boundary = |position| self.boundaries.binary_search(position).is_ok();
        is_boundary(&place.start) && is_boundary(&place.end)
    }

    fn sentences(&mut self) -> &Sentences {
        self.sentences.get_or_insert_with(|| {
            let (mut words, mut ends) = (Vec::new(), Vec::new());
            for pair in self.boundaries.windows(2) {
                let piece = pair[0]..pair[1];
                let text = &self.text[piece.clone()];
                if text.contains(char::is_alphanumeric) {
                    words.push(piece);
                } else if text.starts_with(ends_a_sentence) {
                    ends.push(piece.start);
                }
            }
            Sentences { words, ends }
        })
    }
}

impl Sentences {
    /// So many words before a position, as far as the sentence goes.
    fn before(&self, position: usize, words: usize) -> Range<usize> {
        let own = self.words.partition_point(|word| word.end <= position);
        let first = self.words[..own].iter().rev().take(words).next_back();
        let ends = self.ends.partition_point(|end| *end < position);
        let sentence = ends.checked_sub(1).map_or(0, |last| self.ends[last]);
        first.map_or(position, |word| word.start.max(sentence))..position
    }

    /// So many words after a position, as far as the sentence goes.
    fn after(&self, position: usize, words: usize) -> Range<usize> {
        let own = self.words.partition_point(|word| word.start < position);
        let last = self.words[own..].iter().take(words).next_back();
        let ends = self.ends.partition_point(|end| *end < position);
        let sentence = self.ends.get(ends).copied().unwrap_or(usize::MAX);
        position..last.map_or(position, |word| word.end.min(sentence))
    }
}

fn ends_a_sentence(character: char) -> bool {
    matches!(
        character,
        '.' | '!' | '?' | '…' | '。' | '！' | '？' | LINE_END
    )
}

/// Words that are looked for near a phrase.
#[derive(Debug)]
pub(super) struct NearWords {
    pub lists: Vec<AhoCorasick>,
    pub before: usize,
    pub after: usize,
}

impl NearWords {
    /// Whether one of the words stands near a place. `None` when there are no more looks, of which
    /// each search, each byte and each word takes some.
    pub(super) fn stand_near(
        &self,
        surroundings: &mut Surroundings<'_>,
        place: &Range<usize>,
        looks: &mut usize,
    ) -> Option<bool> {
        let sentences = surroundings.sentences();
        let before = sentences.before(place.start, self.before);
        let after = sentences.after(place.end, self.after);
        let text = surroundings.text;
        for window in [before, after].iter().filter(|window| !window.is_empty()) {
            for words in &self.lists {
                *looks = looks.checked_sub(LOOKS_PER_SEARCH + window.len())?;
                for word in words.find_overlapping_iter(&text[window.clone()]) {
                    *looks = looks.checked_sub(1)?;
                    let place = window.start + word.start()..window.start + word.end();
                    if surroundings.are_words(&place) {
                        return Some(true);
                    }
                }
            }
        }
        Some(false)
    }
}
