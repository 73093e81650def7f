//! Puts together what is looked for in texts: the keywords of topics, and the phrases of signals.

use super::Compiler;
use crate::scoring::{
    model::{
        file::{ModelFile, NearTable, PhraseTable},
        phrases::{Near, Phrase, Phrases, is_seen},
    },
    written::{Spanned, suggestion},
};

/// The keywords of topics and the phrases of signals, each with its owner: topics come first.
pub(super) fn all_phrases(file: &ModelFile) -> impl Iterator<Item = (usize, &PhraseTable)> + Clone {
    let keywords = file.topics.iter().map(|topic| &topic.keywords);
    let phrases = file.signals.iter().map(|signal| &signal.phrases);
    let owners = keywords.chain(phrases).enumerate();
    owners.flat_map(|(owner, phrases)| phrases.iter().map(move |phrase| (owner, phrase)))
}

impl Compiler<'_> {
    pub(super) fn phrases(&mut self, file: &ModelFile) -> Option<Phrases> {
        for (_, words) in &file.word_lists {
            self.check_words(words, true);
        }
        let mut phrases = Vec::new();
        for (owner, table) in all_phrases(file) {
            let folds_diacritics = table.folds_diacritics;
            self.check_words(&table.forms, folds_diacritics);
            let near = table.near.as_ref();
            let unless_near = table.unless_near.as_ref();
            phrases.push(Phrase {
                owner,
                forms: texts(&table.forms),
                folds_diacritics,
                near: near.map(|near| self.near(file, near, folds_diacritics)),
                unless_near: unless_near.map(|near| self.near(file, near, folds_diacritics)),
            });
        }
        match Phrases::new(phrases) {
            Ok(phrases) => Some(phrases),
            Err(message) => {
                let message = format!("the keywords and phrases are too many: {message}");
                self.diagnostics.add(0..0, message);
                None
            }
        }
    }

    fn near<'f>(
        &mut self,
        file: &'f ModelFile,
        table: &'f NearTable,
        folds_diacritics: bool,
    ) -> Near<'f> {
        self.check_words(&table.words, folds_diacritics);
        let mut lists = vec![texts(&table.words)];
        if let Some(name) = &table.list {
            let known = file.word_lists.iter();
            match known.clone().find(|(known, _)| known.value == name.value) {
                Some((_, words)) => lists.push(texts(words)),
                None => {
                    let known = known.map(|(known, _)| known.value.as_str());
                    let hint = suggestion(&name.value, known);
                    let message = format!("[word_lists] has no list {:?}; {hint}", name.value);
                    self.diagnostics.add(name.span.clone(), message);
                }
            }
        }
        lists.retain(|words| !words.is_empty());
        Near {
            lists,
            before: table.before,
            after: table.after,
        }
    }

    /// Refuses words of which nothing is left to look for.
    fn check_words(&mut self, words: &[Spanned<String>], folds_diacritics: bool) {
        for word in words {
            if !is_seen(&word.value, folds_diacritics) {
                let message = "nobody sees any of this; write a word or a phrase";
                self.diagnostics.add(word.span.clone(), message);
            }
        }
    }
}

fn texts(words: &[Spanned<String>]) -> Vec<&str> {
    words.iter().map(|word| word.value.as_str()).collect()
}
