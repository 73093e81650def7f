//! Puts signals together: what they match and count, the counts that records keep for them, and
//! what their terms do not go with.

use std::collections::{BTreeSet, HashMap, HashSet};

use rustc_hash::FxHashMap;
use typed_index_collections::{TiSlice, TiVec};

use super::Compiler;
use crate::scoring::{
    limits::{DEFAULT_KEYS, DEFAULT_ONCE_KEYS, MAX_KEYS, MAX_ONCE_KEYS},
    model::{
        definition::{Score, Term},
        expr::{Expression, Scope, Wanted},
        file::{ModelFile, SignalTable},
        ids::{AskedId, ScoreId, SignalId, SlotId},
        signal::{OncePerKey, Signal},
        slot::Slot,
    },
    written::{Spanned, suggestion},
};

/// What a signal may keep of its matches.
const KEPT: [&str; 2] = ["sum", "latest"];

impl Compiler<'_> {
    /// The signals, before it is known which counts they have.
    pub(crate) fn signals(&mut self, file: &ModelFile) -> TiVec<SignalId, Signal> {
        let tables = file.signals.iter().enumerate();
        tables
            .filter_map(|(position, table)| {
                self.check_terms(table);
                let phrases = file.topics.len() + position;
                self.signal(table, phrases)
            })
            .collect()
    }

    fn signal(&mut self, table: &SignalTable, phrases: usize) -> Option<Signal> {
        let when = self.optional_expression(table.when.as_ref(), Wanted::Condition);
        let per = self.optional_expression(table.per.as_ref(), Wanted::Keys);
        let value = self.value(&table.value, Scope::Event);
        Some(Signal {
            name: table.name.value.as_str().into(),
            phrases: (!table.phrases.is_empty()).then_some(phrases),
            when: when?,
            value: value?,
            max_keys: match (&table.keys, &table.per) {
                // Keys of a model before go to the rest.
                (_, None) => 0,
                (None, Some(_)) => DEFAULT_KEYS,
                (Some(keys), Some(_)) => keys.value as usize,
            },
            per: per?,
            limit: table.limit,
            once_per_key: counts_each_key_once(table).then(|| OncePerKey {
                most: table
                    .once_keys
                    .as_ref()
                    .map_or(DEFAULT_ONCE_KEYS, |most| most.value as usize),
                counts_beyond: table
                    .once_beyond
                    .as_ref()
                    .is_some_and(|beyond| beyond.value),
            }),
            cooldown_nanos: if is_once(table) && table.per.is_none() {
                Some(i64::MAX)
            } else {
                table.cooldown.as_ref().map(|cooldown| cooldown.value)
            },
            keeps_latest: keeps_latest(table),
            slots: Vec::new(),
        })
    }

    /// `None` for an expression with mistakes.
    fn optional_expression(
        &mut self,
        text: Option<&Spanned<String>>,
        wanted: Wanted,
    ) -> Option<Option<Expression>> {
        match text {
            Some(text) => self.expression(text, Scope::Event, wanted).map(Some),
            None => Some(None),
        }
    }

    /// Refuses terms that do not go together.
    fn check_terms(&mut self, table: &SignalTable) {
        if let Some(keep) = &table.keep
            && !KEPT.contains(&keep.value.as_str())
        {
            let hint = suggestion(&keep.value, KEPT);
            let message = format!("\"keep\" cannot be {:?}; {hint}", keep.value);
            self.diagnostics.add(keep.span.clone(), message);
        }
        if let Some(keys) = &table.keys
            && (table.per.is_none() || keys.value.fract() != 0.0)
        {
            let message = if table.per.is_none() {
                "\"keys\" is how many keys of \"per\" are kept; write what to count by, such as per = 'event.tags', or leave \"keys\" out".to_owned()
            } else {
                format!("\"keys\" must be a whole number from 1 to {MAX_KEYS}")
            };
            self.diagnostics.add(keys.span.clone(), message);
        }
        if let Some(most) = table
            .once_keys
            .as_ref()
            .filter(|most| most.value.fract() != 0.0)
        {
            let message = format!("\"once_keys\" must be a whole number from 1 to {MAX_ONCE_KEYS}");
            self.diagnostics.add(most.span.clone(), message);
        }
        let latest = table.keep.as_ref().filter(|_| keeps_latest(table));
        let once = table.once.as_ref().filter(|once| once.value);
        let pairs = [
            (
                latest.map(|latest| &latest.span),
                table.per.is_some(),
                "keep = \"latest\" keeps one value, and \"per\" counts each key by itself; leave one of them out",
            ),
            (
                table.once_keys.as_ref().map(|keys| &keys.span),
                !counts_each_key_once(table),
                "\"once_keys\" is how many keys are remembered to have counted; write once = true and what to count by, such as per = 'event.tags', or leave \"once_keys\" out",
            ),
            (
                table.once_beyond.as_ref().map(|beyond| &beyond.span),
                !counts_each_key_once(table),
                "\"once_beyond\" is what becomes of keys when so many are remembered; write once = true and what to count by, such as per = 'event.tags', or leave \"once_beyond\" out",
            ),
            (
                once.map(|once| &once.span),
                table.cooldown.is_some(),
                "once = true counts nothing after the first match; leave \"cooldown\" out",
            ),
            (
                latest.map(|latest| &latest.span),
                table.cooldown.is_some(),
                "keep = \"latest\" takes the latest match, however near it is to others; leave \"cooldown\" out",
            ),
            (
                once.map(|once| &once.span),
                latest.is_some(),
                "once = true counts the first match and keep = \"latest\" the last; leave one of them out",
            ),
        ];
        for (span, clashes, message) in pairs {
            if let Some(span) = span.filter(|_| clashes) {
                self.diagnostics.add(span.clone(), message);
            }
        }
    }

    /// The counts that records keep, and the positions of those that expressions ask for. Gives
    /// signals their counts, and scores their terms.
    pub(crate) fn lay_out(
        &mut self,
        file: &ModelFile,
        signals: &mut TiSlice<SignalId, Signal>,
        scores: &mut TiSlice<ScoreId, Score>,
    ) -> (TiVec<SlotId, Slot>, TiVec<AskedId, SlotId>) {
        let mut slots: BTreeSet<Slot> = self.asked.iter().cloned().collect();
        let mut terms = Vec::new();
        for (signal, table) in file.signals.iter().enumerate() {
            let name = &table.name.value;
            match &table.points {
                Some(points) => {
                    for (score, weight, _) in self.score_points(points) {
                        let slot = Slot {
                            half_life: scores[score].half_life,
                            signal: name.as_str().into(),
                        };
                        slots.insert(slot.clone());
                        terms.push((score, SignalId::from(signal), slot, weight));
                    }
                }
                None if !self.asked.iter().any(|slot| slot.signal == *name) => {
                    let message = format!(
                        "[[signals]] lacks \"points\": what a count is worth, such as points = {{ interest = 5 }}; only a signal that an expression counts, as in count({name:?}, \"7d\"), may have none"
                    );
                    self.diagnostics.add(table.span.clone(), message);
                }
                None => {}
            }
        }
        let slots: TiVec<SlotId, Slot> = slots.into_iter().collect();
        let mut slots_of: HashMap<&str, Vec<SlotId>> = HashMap::new();
        for (id, slot) in slots.iter_enumerated() {
            slots_of.entry(&slot.signal).or_default().push(id);
        }
        for signal in signals {
            signal.slots = slots_of.remove(signal.name.as_str()).unwrap_or_default();
        }
        let position = |slot: &Slot| slots.binary_search(slot).ok();
        for (score, signal, slot, weight) in terms {
            if let Some(slot) = position(&slot) {
                scores[score].terms.push(Term {
                    signal,
                    slot,
                    weight,
                });
            }
        }
        let asked = self.asked.iter().filter_map(position).collect();
        (slots, asked)
    }
}

fn keeps_latest(table: &SignalTable) -> bool {
    table
        .keep
        .as_ref()
        .is_some_and(|keep| keep.value == "latest")
}

fn is_once(table: &SignalTable) -> bool {
    table.once.as_ref().is_some_and(|once| once.value)
}

/// Whether each key counts once, not the first match of all.
fn counts_each_key_once(table: &SignalTable) -> bool {
    is_once(table) && table.per.is_some()
}

/// The positions of the signals that look at an event type, in the order of the file.
pub(crate) fn signals_by_type(file: &ModelFile) -> FxHashMap<String, Vec<SignalId>> {
    let mut by_type: FxHashMap<String, Vec<SignalId>> = FxHashMap::default();
    for (position, table) in file.signals.iter().enumerate() {
        for event_type in &table.on {
            let listed = by_type.entry(event_type.clone()).or_default();
            let id = SignalId::from(position);
            if !listed.contains(&id) {
                listed.push(id);
            }
        }
    }
    by_type
}

/// The event types of signals with an expression that reads something.
pub(crate) fn types_of(
    signals: &TiSlice<SignalId, Signal>,
    by_type: &FxHashMap<String, Vec<SignalId>>,
    reads: impl Fn(&Expression) -> bool,
) -> HashSet<String> {
    let mut found = HashSet::new();
    for (event_type, positions) in by_type {
        let mut listening = positions
            .iter()
            .filter_map(|position| signals.get(*position));
        if listening.any(|signal| signal.expressions().any(&reads)) {
            found.insert(event_type.clone());
        }
    }
    found
}
