//! One search for many phrases, in a text that is folded as they are.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    ops::Range,
};

use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::FxHashSet;

use super::{
    Near, Phrase, folded,
    folding::in_one_line,
    surroundings::{NearWords, Surroundings},
};
use crate::scoring::limits::MAX_NEAR_LOOKS;

/// Finds the owners of phrases.
#[derive(Debug)]
pub(super) struct Finder {
    /// Matches folded forms, each once; absent when there are none.
    forms: Option<AhoCorasick>,
    /// Who looks for each form of `forms`.
    seekers: Vec<Seekers>,
    /// The phrases that look at what is near them.
    conditions: Vec<Condition>,
}

/// Who looks for a form.
#[derive(Debug, Default)]
struct Seekers {
    /// Owners to whom it does not matter what is near it.
    owners: Vec<usize>,
    /// Positions in `Finder::conditions`.
    conditions: Vec<usize>,
}

/// What must and what must not stand near a phrase.
#[derive(Debug)]
struct Condition {
    owner: usize,
    near: Option<NearWords>,
    unless_near: Option<NearWords>,
}

impl Finder {
    pub(super) fn new(phrases: &[Phrase<'_>]) -> Result<Self, String> {
        let mut seekers: BTreeMap<String, Seekers> = BTreeMap::new();
        let mut conditions = Vec::new();
        let mut lists = WordLists::default();
        for phrase in phrases {
            let fold = |form: &&str| folded(form, phrase.folds_diacritics);
            let near = phrase.near.as_ref().map(|near| lists.near(near, fold));
            let unless_near = phrase.unless_near.as_ref();
            let unless_near = unless_near.map(|near| lists.near(near, fold));
            let (near, unless_near) = (near.transpose()?, unless_near.transpose()?);
            let is_conditional = near.is_some() || unless_near.is_some();
            for form in &phrase.forms {
                let seekers = seekers.entry(fold(form)).or_default();
                if is_conditional {
                    seekers.conditions.push(conditions.len());
                } else {
                    seekers.owners.push(phrase.owner);
                }
            }
            if is_conditional {
                conditions.push(Condition {
                    owner: phrase.owner,
                    near,
                    unless_near,
                });
            }
        }
        let (forms, seekers): (Vec<String>, Vec<Seekers>) = seekers.into_iter().unzip();
        let forms = if forms.is_empty() {
            None
        } else {
            Some(matcher(&forms)?)
        };
        Ok(Self {
            forms,
            seekers,
            conditions,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forms.is_none()
    }

    /// Adds the owners of the phrases that stand in a folded text. A phrase may go on in the next
    /// line; what is near it may not.
    pub(super) fn find(&self, text: &str, owners: &mut BTreeSet<usize>) {
        let Some(forms) = &self.forms else { return };
        let in_one_line = in_one_line(text);
        let mut found = FxHashSet::default();
        // Word boundaries cost more than the search, and most texts have no phrase.
        let mut surroundings: Option<Surroundings<'_>> = None;
        let mut looks = MAX_NEAR_LOOKS;
        for candidate in forms.find_overlapping_iter(&*in_one_line) {
            let form = candidate.pattern().as_usize();
            let seekers = &self.seekers[form];
            let place = candidate.range();
            if within_a_word(text, place.start)
                || within_a_word(text, place.end)
                || (seekers.conditions.is_empty() && found.contains(&form))
            {
                continue;
            }
            let surroundings = surroundings.get_or_insert_with(|| Surroundings::of(text));
            if !surroundings.are_words(&place) {
                continue;
            }
            if found.insert(form) {
                owners.extend(&seekers.owners);
                if found.len() == self.seekers.len() && self.conditions.is_empty() {
                    break;
                }
            }
            for condition in &seekers.conditions {
                if looks == 0 {
                    break;
                }
                looks -= 1;
                let condition = &self.conditions[*condition];
                if owners.contains(&condition.owner) {
                    continue;
                }
                match condition.holds(surroundings, &place, &mut looks) {
                    Some(true) => {
                        owners.insert(condition.owner);
                    }
                    Some(false) => {}
                    None => looks = 0,
                }
            }
        }
    }
}

impl Condition {
    /// Whether it holds of a phrase at a place; `None` when that would take too many looks.
    fn holds(
        &self,
        surroundings: &mut Surroundings<'_>,
        place: &Range<usize>,
        looks: &mut usize,
    ) -> Option<bool> {
        let mut stand = |words: &NearWords| words.stand_near(surroundings, place, looks);
        let unless_near = self.unless_near.as_ref().map_or(Some(false), &mut stand)?;
        let near = self.near.as_ref().map_or(Some(true), stand)?;
        Some(near && !unless_near)
    }
}

/// The matchers of lists of folded words, each made once: many phrases may share one.
#[derive(Default)]
struct WordLists(BTreeMap<Vec<String>, AhoCorasick>);

impl WordLists {
    fn near(
        &mut self,
        near: &Near<'_>,
        fold: impl Fn(&&str) -> String,
    ) -> Result<NearWords, String> {
        let lists = near.lists.iter().map(|words| {
            let words: Vec<String> = words.iter().map(&fold).collect();
            Ok(match self.0.entry(words) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => {
                    let matcher = matcher(new.key())?;
                    new.insert(matcher).clone()
                }
            })
        });
        Ok(NearWords {
            lists: lists.collect::<Result<_, String>>()?,
            before: near.before,
            after: near.after,
        })
    }
}

/// Matches texts, also where they overlap.
fn matcher(texts: &[String]) -> Result<AhoCorasick, String> {
    let builder = &mut AhoCorasick::builder();
    let matcher = builder.match_kind(MatchKind::Standard).build(texts);
    matcher.map_err(|error| error.to_string())
}

/// Whether a position is within a word for certain, told by its neighbours alone: no word of
/// ASCII letters, digits and underscores is ever divided.
fn within_a_word(text: &str, position: usize) -> bool {
    let of_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (before, after) = text.as_bytes().split_at(position);
    of_word(before.last()) && of_word(after.first())
}
