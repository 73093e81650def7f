//! The form in which texts and phrases are compared.

use std::{borrow::Cow, ops::RangeInclusive};

use icu_normalizer::{
    ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed,
    properties::CanonicalCombiningClassMap,
};
use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};

/// The combining classes of marks that stand above a letter, below it or attached to it. Others
/// make another letter, such as the voicing marks of Japanese, or are vowels.
const DIACRITICS: RangeInclusive<u8> = 200..=240;

/// What a run of white space with a line end in it becomes; any other becomes a blank.
pub(super) const LINE_END: char = '\n';

/// What looks alike to a reader made alike: upper and lower case, each run of white space and one
/// blank or [`LINE_END`], apostrophes, and letters with their marks in one character or several;
/// without what nobody sees. To upper case first, so that letters with several lower-case forms
/// (`ς` and `σ`) or none of their own (`ß` and `SS`) meet.
pub(super) fn fold(text: &str) -> String {
    if is_plain(text) {
        return text.to_ascii_lowercase();
    }
    let unseen = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '!'..='~' => folded.push(character.to_ascii_lowercase()),
            blank if blank.is_whitespace() => push_blank(&mut folded, blank),
            '\u{2019}' | '\u{2bc}' => folded.push('\''),
            other if unseen.contains(other) => {}
            other => folded.extend(other.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    match ComposingNormalizerBorrowed::new_nfc().normalize(&folded) {
        Cow::Borrowed(_) => folded,
        Cow::Owned(composed) => composed,
    }
}

/// Adds a blank to the run that a text ends with.
fn push_blank(text: &mut String, blank: char) {
    let ends_a_line = matches!(blank, LINE_END | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    match text.chars().next_back() {
        Some(LINE_END) => {}
        Some(' ') if !ends_a_line => {}
        before => {
            if before == Some(' ') {
                text.pop();
            }
            text.push(if ends_a_line { LINE_END } else { ' ' });
        }
    }
}

/// A folded text in which lines do not matter: byte for byte as long.
pub(super) fn in_one_line(folded: &str) -> Cow<'_, str> {
    match folded.contains(LINE_END) {
        true => Cow::Owned(folded.replace(LINE_END, " ")),
        false => Cow::Borrowed(folded),
    }
}

/// A folded text without diacritics: `e` for `é`, and two letters for the ligatures `œ` and `æ`.
pub(super) fn without_diacritics(folded: &str) -> Cow<'_, str> {
    if folded.is_ascii() {
        return Cow::Borrowed(folded);
    }
    let classes = CanonicalCombiningClassMap::new();
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize_iter(folded.chars());
    let mut bare = String::with_capacity(folded.len());
    for character in decomposed {
        match character {
            // Two blanks with a mark between them are one.
            blank @ (' ' | LINE_END) => push_blank(&mut bare, blank),
            'œ' => bare.push_str("oe"),
            'æ' => bare.push_str("ae"),
            mark if DIACRITICS.contains(&classes.get_u8(mark)) => {}
            other => bare.push(other),
        }
    }
    Cow::Owned(bare)
}

/// Whether a text is ASCII with single blanks and no other white space, as most are. Looks at
/// every byte, because that is done for many at a time where leaving early is not.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_blank = |byte: &u8| *byte == b' ';
    let has_control = bytes
        .iter()
        .fold(false, |found, byte| found | byte.is_ascii_control());
    let neighbours = bytes.iter().zip(bytes.iter().skip(1));
    let has_run = neighbours.fold(false, |found, (one, next)| {
        found | (is_blank(one) & is_blank(next))
    });
    text.is_ascii() && !has_control && !has_run
}
