//! What else comes of events: influence, accounts, quarantine, and taking events back.

use std::collections::BTreeMap;

use bellwether::scoring::IdHash;

use super::{
    Change, Match, Moment, Term, World,
    counts::{faded_sum, is_left, remaining},
};
use crate::{
    story::{Event, NOW, Value},
    table::Signal,
};

/// Touches that a person remembers for the next advance.
const REMEMBERED_TOUCHES: usize = 32;

/// An engagement with somebody's content that no advance has used.
#[derive(Clone, Debug)]
pub(super) struct Touch {
    event: (i64, String),
    time: i64,
    author: &'static str,
    topics: Vec<&'static str>,
    stage: &'static str,
}

/// What an author earned on a topic, with people at a stage.
#[derive(Clone, Debug, Default)]
pub(super) struct Earned {
    pub credits: Vec<Term>,
    pub touches: u64,
    pub advance_millionths: u64,
}

/// An event in quarantine.
#[derive(Clone)]
pub(super) struct Held {
    pub rule: &'static str,
    pub event: Event,
    pub topics: Vec<&'static str>,
    pub matches: Vec<Match>,
    /// The account that it was for when it came, whatever the person has stated since.
    pub account: Option<&'static str>,
}

/// Values that read the past that are remembered.
const REMEMBERED_VALUES: usize = 64;

/// Whether a value reads what other events have made of somebody.
fn reads_past(value: &str) -> bool {
    let past = [
        "count(",
        "rate(",
        "scores.",
        "stage",
        "seen(",
        "author.",
        "seconds_since_last",
    ];
    past.iter().any(|part| value.contains(part))
}

impl World {
    /// Notes the first arrival at a stage above all before, and shares an advance over the
    /// touches that led there.
    pub(super) fn arrive(&mut self, id: &'static str, at: i64) {
        let stage = self.shown_stage(id, at);
        let influence = self.model.influence;
        let person = self.person(id);
        if stage <= person.highest_stage {
            return;
        }
        person.highest_stage = stage;
        let touches = std::mem::take(&mut person.touches);
        let half_life = Some(influence.attribution_half_life);
        let weight = |touch: &Touch| remaining(half_life, touch.time, at);
        let whole: f64 = touches.iter().map(weight).sum();
        for touch in &touches {
            let millionths = (1e6 * weight(touch) / whole).round();
            if millionths == 0.0 {
                continue;
            }
            let value = influence.advance * millionths / 1e6;
            for topic in &touch.topics {
                let cell = (*topic, touch.stage);
                let earned = self.person(touch.author).earned.entry(cell).or_default();
                earned.advance_millionths += millionths as u64;
                earned.credits.push(Term { time: at, value });
            }
        }
    }

    /// What a touch by an event is worth to its author; `None` when it is none.
    fn touch_of(&self, event: &Event, topics: &[&'static str]) -> Option<(&'static str, f64)> {
        let listed = self.model.influence.event_types.iter();
        let (_, credit) = listed.copied().find(|(kind, _)| *kind == event.kind)?;
        let author = event.author.filter(|author| *author != event.person)?;
        (!topics.is_empty()).then_some((author, credit))
    }

    pub(super) fn touch(&mut self, event: &Event, topics: &[&'static str], stage: &'static str) {
        let Some((author, value)) = self.touch_of(event, topics) else {
            return;
        };
        let time = event.time();
        for topic in topics {
            let earned = self
                .person(author)
                .earned
                .entry((topic, stage))
                .or_default();
            earned.touches += 1;
            earned.credits.push(Term { time, value });
        }
        let touches = &mut self.person(event.person).touches;
        touches.push(Touch {
            event: (event.known_by(), event.id.clone()),
            time,
            author,
            topics: topics.to_vec(),
            stage,
        });
        touches.sort_by_key(|touch| touch.time);
        if touches.len() > REMEMBERED_TOUCHES {
            touches.remove(0);
        }
    }

    /// Forgets a touch that no advance has used, and what its author earned by it.
    fn take_touch_back(&mut self, event: &Event, topics: &[&'static str]) {
        let known = (event.known_by(), event.id.clone());
        let touches = &mut self.person(event.person).touches;
        let Some(position) = touches.iter().position(|touch| touch.event == known) else {
            return;
        };
        let touch = touches.remove(position);
        let value = self.touch_of(event, topics).unwrap().1;
        for topic in &touch.topics {
            let cells = &mut self.person(touch.author).earned;
            let earned = cells.get_mut(&(*topic, touch.stage)).unwrap();
            let term = Term {
                time: touch.time,
                value,
            };
            let credit = earned.credits.iter().position(|credit| *credit == term);
            earned.credits.remove(credit.unwrap());
            earned.touches -= 1;
            if earned.credits.is_empty() {
                cells.remove(&(*topic, touch.stage));
            }
        }
    }

    /// The account that an event counts for: that of its arrival, its own, or the one that the
    /// person states.
    pub(super) fn account_of(&self, event: &Event) -> Option<&'static str> {
        let attribute = self.model.accounts?;
        let pair = (event.known_by(), IdHash::of_event(&event.id).0);
        if let Some(account) = self.people[event.person].accounts.get(&pair) {
            return *account;
        }
        let stated = match self.people[event.person].attributes.get(attribute) {
            Some(Value::Text(account)) => Some(*account),
            _ => None,
        };
        event.account.or(stated)
    }

    /// Has an account count what an event has changed.
    pub(super) fn share(
        &mut self,
        account: &'static str,
        event: &Event,
        topics: &[&'static str],
        changes: &[Change],
        now: i64,
    ) {
        let signals = self.model.signals.clone();
        let account = self.person(account);
        account.note_event(event, topics);
        let pair = (event.known_by(), IdHash::of_event(&event.id).0);
        account.shared.insert((event.person, pair));
        let last = account.last_event_time;
        for change in changes {
            let Change { slot, key, change } = change;
            let counts = &mut account.counts;
            if *change < 0.0 {
                let value = -change * remaining(slot.1, now, last);
                counts.take(*slot, key, value, last);
            } else if *change > 0.0 {
                let term = Term {
                    time: now,
                    value: *change,
                };
                counts.add(*slot, key, term, None, last);
            }
        }
        // Once all keys of the event are there: none of them came before the others.
        for Change { slot, .. } in changes {
            let signal = signals.iter().find(|signal| signal.name == slot.0);
            let own = changes.iter().filter(|change| change.slot.0 == slot.0);
            let counted: Vec<String> = own.map(|change| change.key.clone()).collect();
            let counts = &mut account.counts;
            counts.keep_greatest(*slot, signal.unwrap().most_keys(), &counted, last);
        }
    }

    /// The first quarantine rule that holds.
    pub(super) fn rule_against(&self, moment: &Moment<'_>) -> Option<&'static str> {
        let rules = self.model.quarantine.iter();
        let rules = rules.filter(|rule| rule.on.is_empty() || rule.on.contains(&moment.event.kind));
        rules
            .clone()
            .find(|rule| (rule.when.same)(moment) == Some(true))
            .map(|rule| rule.name)
    }

    /// Counts held events, all or those that one rule holds, in the order in which they came.
    pub(super) fn release(&mut self, id: &'static str, rule: Option<&str>) -> String {
        if !self.people.contains_key(id) {
            return "unknown".to_owned();
        }
        let held = std::mem::take(&mut self.person(id).held);
        let is_released = |held: &Held| rule.is_none_or(|rule| rule == held.rule);
        let (released, kept): (Vec<_>, Vec<_>) = held.into_iter().partition(is_released);
        self.person(id).held = kept;
        for held in &released {
            let mut matches = held.matches.clone();
            let person = &self.people[id];
            matches.retain(|matched| !person.cools_down(&matched.signal, held.event.time()));
            let matches: Vec<Match> = matches
                .into_iter()
                .filter_map(|matched| person.first_times(matched))
                .collect();
            self.count_event(&held.event, &held.topics, &matches, held.account);
        }
        format!("released {}", released.len())
    }

    /// Takes an event back, or keeps it from ever counting.
    pub(super) fn retract(&mut self, event: &Event) -> String {
        let person = self.person(event.person);
        let pair = (event.known_by(), IdHash::of_event(&event.id).0);
        if !person.retracted.insert(pair) {
            return "duplicate".to_owned();
        }
        if person.known.insert(pair) {
            return "retracted in advance".to_owned();
        }
        let is_it = |held: &Held| held.event.id == event.id && held.event.known_by() == pair.0;
        match person.held.iter().position(is_it) {
            Some(position) => drop(person.held.remove(position)),
            None => self.take_back(event),
        }
        "retracted".to_owned()
    }

    /// Takes back what the model makes of an event now, at the person's last event.
    fn take_back(&mut self, event: &Event) {
        let topics = self.topics_of(event);
        let now = self.people[event.person].last_event_time;
        let written = self.fall(event.person, NOW.max(now));
        let stood = self.shown_stage(event.person, written);
        let points = self.bounded_points(event.person, now);
        let mut matches = self.matches(&self.moment(event, &topics, now));
        self.recall_past_values(event, &mut matches);
        let pair = (event.known_by(), IdHash::of_event(&event.id).0);
        // An account that has not counted the event has nothing to lose.
        let account = self.account_of(event);
        let account =
            account.filter(|account| self.person(account).shared.remove(&(event.person, pair)));
        let mut changes = Vec::new();
        for matched in &matches {
            changes.extend(self.uncount(event, matched, now));
        }
        let both = [Some(event.person), account];
        for id in both.into_iter().flatten() {
            self.forget(id, event, &topics);
        }
        if let Some(account) = account {
            let account = self.person(account);
            let last = account.last_event_time;
            for Change { slot, key, change } in &changes {
                let value = -change * remaining(slot.1, now, last);
                account.counts.take(*slot, key, value, last);
            }
        }
        self.take_touch_back(event, &topics);
        // Of a score that has changed, only what is reached is kept.
        let after = self.bounded_points(event.person, now);
        let changed = points
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after);
        for ((score, _), _) in changed {
            self.person(event.person).kept_stages.remove(score);
        }
        self.judge(event.person, now);
        self.note(event.person, stood, written);
        self.arrive(event.person, now);
    }

    /// Remembers what values came to that read the past: the event will not say it again.
    pub(super) fn note_past_values(&mut self, event: &Event, matches: &[Match]) {
        let pair = (event.known_by(), IdHash::of_event(&event.id).0);
        let signals = self.model.signals.clone();
        for signal in signals {
            let reads_past = signal.value.is_some_and(|value| reads_past(value.text));
            if reads_past && signal.on.contains(&event.kind) {
                let mut matches = matches.iter();
                let matched = matches.find(|matched| matched.signal.name == signal.name);
                let value = matched.map_or(0.0, |matched| matched.value);
                let values = &mut self.person(event.person).past_values;
                values.push((pair, signal.name, value));
                values.drain(..values.len().saturating_sub(REMEMBERED_VALUES));
            }
        }
    }

    /// Has an event match what it matched when it counted, where that is remembered.
    fn recall_past_values(&mut self, event: &Event, matches: &mut Vec<Match>) {
        let pair = (event.known_by(), IdHash::of_event(&event.id).0);
        let values = std::mem::take(&mut self.person(event.person).past_values);
        let (own, others): (Vec<_>, Vec<_>) = values.into_iter().partition(|(of, ..)| *of == pair);
        self.person(event.person).past_values = others;
        for (_, name, value) in own {
            let found = matches.iter().position(|found| found.signal.name == name);
            let keys = found.map(|found| matches.remove(found).keys);
            let mut signals = self.model.signals.iter();
            let signal = *signals.find(|signal| signal.name == name).unwrap();
            if value > 0.0 && (signal.per.is_none() || keys.is_some()) {
                let keys = keys.unwrap_or_default();
                matches.push(Match {
                    signal,
                    value,
                    keys,
                });
            }
        }
    }

    /// Takes a match from the counts of a person; what that changed.
    fn uncount(&mut self, event: &Event, matched: &Match, now: i64) -> Vec<Change> {
        let Match {
            signal,
            value,
            keys,
        } = matched;
        let time = event.time();
        let kept = self.half_lives_of(signal);
        let person = self.person(event.person);
        let last = person.last_counted.get(signal.name).copied();
        // Of matches that are nearer than the cooldown only one has counted, of those that
        // replace each other only the latest does.
        let is_alone = signal.latest || person.cools_down(signal, time);
        if is_alone && last != Some(time) {
            return Vec::new();
        }
        let mut keys = keys.clone();
        if let Some((most, counts_beyond)) = signal.once_keys {
            let known = person.counted_keys.entry(signal.name).or_default();
            let was_full = known.len() >= most;
            keys.retain(|key| match known.get(key) {
                Some(counted) if *counted == time => known.remove(key).is_some(),
                Some(_) => false,
                None => counts_beyond && was_full,
            });
        }
        let mut value = *value;
        if signal.latest {
            value = value.min(signal.limit.unwrap_or(f64::INFINITY));
            let is_replaced = kept.into_iter().any(|half_life| {
                let count = person.counts.sum((signal.name, half_life), now);
                is_left(count, value * remaining(half_life, time, now))
            });
            if is_replaced {
                return Vec::new();
            }
            value = f64::INFINITY;
        }
        if signal.latest || signal.once {
            // Whatever comes next is the latest, or the first.
            person.last_counted.remove(signal.name);
        }
        let mut changes = Vec::new();
        // Also those that the model has no more.
        let half_lives: Vec<_> = person.counts.half_lives_of(signal.name).collect();
        for half_life in half_lives {
            let slot = (signal.name, half_life);
            let value = value * remaining(half_life, time, now);
            for key in keys_of(signal, &keys) {
                let change = -person.counts.take(slot, key, value, now);
                let key = key.clone();
                changes.push(Change { slot, key, change });
            }
        }
        changes
    }
}

impl World {
    /// Has a person or an account forget that an event of this kind has counted; one that
    /// never knew of it has nothing to forget.
    fn forget(&mut self, id: &'static str, event: &Event, topics: &[&'static str]) {
        let half_life = Some(self.model.interests_half_life);
        let party = self.person(id);
        let last = party.last_event_time;
        party.event_count = party.event_count.saturating_sub(1);
        for topic in topics {
            let terms = party.interests.entry(topic).or_default();
            let taken = remaining(half_life, event.time(), last);
            let value = -taken.min(faded_sum(terms, half_life, last));
            terms.push(Term { time: last, value });
        }
        if let Some(count) = party.seen.get_mut(event.kind) {
            *count -= 1;
        }
        party.seen.retain(|_, count| *count > 0);
    }
}

/// The keys that a match counts under; the empty one for a signal that is not counted by key.
pub(super) fn keys_of<'a>(signal: &Signal, keys: &'a [String]) -> &'a [String] {
    const WHOLE: &[String] = &[String::new()];
    if signal.per.is_some() { keys } else { WHOLE }
}

/// How many events each rule holds.
pub(super) fn by_rule(held: &[Held]) -> BTreeMap<&'static str, usize> {
    let mut rules = BTreeMap::new();
    for held in held {
        *rules.entry(held.rule).or_default() += 1;
    }
    rules
}
