//! What is said in a text, word for word.

use crate::table::{NEGATION, Near, Phrase};

/// Whether one of the phrases stands in a text as whole words, in any case, and near it what it
/// asks for and nothing that it does not allow.
pub(super) fn mentions(phrases: &[Phrase], text: &str) -> bool {
    phrases.iter().any(|phrase| {
        let words_of = |text: &str| words(text, phrase.folds_diacritics);
        let mut sentences = text.split(['.', '!', '?', '\n']).map(words_of);
        sentences.any(|sentence| {
            phrase.forms.iter().any(|form| {
                let form = words_of(form);
                places(&sentence, &form).any(|place| {
                    let (before, after) = (&sentence[..place], &sentence[place + form.len()..]);
                    let stand = |near: Near| stand_near(near, before, after, words_of);
                    phrase.near.is_none_or(stand) && !phrase.unless_near.is_some_and(stand)
                })
            })
        })
    })
}

/// Whether words stand among the last ones before a phrase or the first ones after it.
fn stand_near(
    near: Near,
    before: &[String],
    after: &[String],
    words_of: impl Fn(&str) -> Vec<String>,
) -> bool {
    let before = &before[before.len().saturating_sub(near.before)..];
    let after = &after[..near.after.min(after.len())];
    let shared = if near.negation { &NEGATION[..] } else { &[] };
    let mut asked = near.words.iter().chain(shared);
    asked.any(|words| {
        let words = words_of(words);
        let stand_in = |window| places(window, &words).next().is_some();
        stand_in(before) || stand_in(after)
    })
}

/// Where words stand among others.
fn places<'a>(among: &'a [String], words: &'a [String]) -> impl Iterator<Item = usize> + 'a {
    let windows = among.windows(words.len()).enumerate();
    windows.filter_map(move |(place, window)| (window == words).then_some(place))
}

/// The words of a text, in small letters, and without the accents of French where that is asked.
fn words(text: &str, folds_diacritics: bool) -> Vec<String> {
    let composed = text.replace("e\u{301}", "é").replace("e\u{300}", "è");
    let small = composed.to_lowercase();
    let folded: String = match folds_diacritics {
        false => small,
        true => small.chars().map(without_accent).collect(),
    };
    let is_of_a_word = |letter: char| letter.is_alphanumeric() || letter == '\'';
    let words = folded.split(|letter| !is_of_a_word(letter));
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn without_accent(letter: char) -> char {
    match letter {
        'à' | 'â' => 'a',
        'é' | 'è' | 'ê' => 'e',
        'ô' => 'o',
        other => other,
    }
}
