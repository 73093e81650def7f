//! A plain recomputation of what the service should say: everything is a sum over all
//! matches, as `docs/model.md` defines it. No faded state is kept, no rank keys, and none of
//! the crate's computation is used. Only what the definitions make depend on the order of
//! arrival is followed in that order.

mod counts;
mod effects;
mod half_life_migration;
mod lists;
mod meaning;
mod moment;
mod path;
mod phrases;

use std::collections::{BTreeMap, BTreeSet};

use bellwether::scoring::IdHash;

use counts::{Counts, Slot, Term, nanos, remaining};
use effects::{Earned, Held, Touch, keys_of};
pub use moment::{Facts, Moment};
use phrases::mentions;

use crate::{
    story::{Attributes, Event, NOW, Step, Value},
    table::{Model, Signal},
};

/// The most that one match may add.
const MAX_VALUE: f64 = 1e6;

/// A topic, and the stage of those who were touched.
type Cell = (&'static str, &'static str);

/// A behaviour, as an event shows it.
#[derive(Clone)]
struct Match {
    signal: Signal,
    value: f64,
    /// What it counts under: nothing at all, unless the signal is counted by key.
    keys: Vec<String>,
}

/// What a match has changed of a count, at the person's last event.
struct Change {
    slot: Slot,
    key: String,
    change: f64,
}

/// All that came in about a person or an account.
#[derive(Clone, Default)]
pub struct Person {
    attributes: Attributes,
    /// Whether it was ever said what the person states.
    was_stated: bool,
    /// What the latest values came to that read the past, by event and signal; 0 for no match.
    past_values: Vec<((i64, u64), &'static str, f64)>,
    /// The pairs that are remembered, and the greatest that is not.
    known: BTreeSet<(i64, u64)>,
    horizon: Option<(i64, u64)>,
    retracted: BTreeSet<(i64, u64)>,
    event_count: usize,
    /// The earliest and the latest event that counted; 1970 before the first.
    first_event_time: i64,
    last_event_time: i64,
    /// Event types, and how often each counted.
    seen: BTreeMap<&'static str, usize>,
    counts: Counts,
    last_counted: BTreeMap<&'static str, i64>,
    /// The keys that have counted of signals that count each once, and when.
    counted_keys: BTreeMap<&'static str, BTreeMap<String, i64>>,
    interests: BTreeMap<&'static str, Vec<Term>>,
    /// Ascending by time.
    touches: Vec<Touch>,
    highest_stage: Option<usize>,
    /// By score: the highest stage that is kept, where one is easier to keep than to reach.
    kept_stages: BTreeMap<&'static str, usize>,
    /// When the stage changed, to which, and whether by fading alone.
    path: Vec<(i64, Option<usize>, bool)>,
    earned: BTreeMap<Cell, Earned>,
    held: Vec<Held>,
    /// Whose events an account has counted, by what they are known by.
    shared: BTreeSet<(&'static str, (i64, u64))>,
    /// The account that each event was for when it came, whatever is stated since.
    accounts: BTreeMap<(i64, u64), Option<&'static str>>,
}

impl Person {
    /// Whether a match at this instant is too near to the latest that counted.
    fn cools_down(&self, signal: &Signal, time: i64) -> bool {
        let last = self.last_counted.get(signal.name);
        last.is_some_and(|last| {
            let cooldown = signal.cooldown.map_or(0, nanos);
            (signal.once && signal.per.is_none()) || (time - last).abs() < cooldown
        })
    }

    /// What may still count of a match: each key once where the signal says so.
    fn first_times(&self, mut matched: Match) -> Option<Match> {
        let Some((most, counts_beyond)) = matched.signal.once_keys else {
            return Some(matched);
        };
        let none = BTreeMap::new();
        let known = self.counted_keys.get(matched.signal.name).unwrap_or(&none);
        let mut new = Vec::new();
        for key in matched.keys {
            let has_room = known.len() + new.len() < most;
            if !known.contains_key(&key) && (has_room || counts_beyond) {
                new.push(key);
            }
        }
        matched.keys = new;
        (!matched.keys.is_empty()).then_some(matched)
    }

    fn note_event(&mut self, event: &Event, topics: &[&'static str]) {
        let time = event.time();
        // What was taken back has been seen all the same.
        let is_first = self.event_count == 0 && self.first_event_time == 0;
        if is_first || time < self.first_event_time {
            self.first_event_time = time;
        }
        self.event_count += 1;
        self.last_event_time = self.last_event_time.max(time);
        *self.seen.entry(event.kind).or_default() += 1;
        for topic in topics {
            let terms = self.interests.entry(topic).or_default();
            terms.push(Term { time, value: 1.0 });
        }
    }
}

/// All people and accounts, and the model that says what they mean.
#[derive(Clone)]
pub struct World {
    model: Model,
    remembered_events: usize,
    people: BTreeMap<&'static str, Person>,
}

impl World {
    pub fn new(model: &Model, remembered_events: usize) -> Self {
        Self {
            model: model.clone(),
            remembered_events,
            people: BTreeMap::new(),
        }
    }

    /// Takes a step; what the service should answer to it.
    pub fn take(&mut self, step: &Step) -> String {
        match step {
            Step::Send(event) => self.send(event),
            Step::Retract(event) => self.retract(event),
            Step::Release { person, rule } => self.release(person, *rule),
            Step::State {
                person,
                name,
                value,
            } => self.state(person, name, value.as_ref()),
            Step::Reload => String::new(),
        }
    }

    fn person(&mut self, id: &'static str) -> &mut Person {
        self.people.entry(id).or_default()
    }

    fn state(&mut self, id: &'static str, name: &'static str, value: Option<&Value>) -> String {
        self.person(id).was_stated = true;
        // What is stated again is not noted.
        if self.person(id).attributes.get(name) == value {
            let last = self.people[id].last_event_time;
            self.judge(id, last);
            self.arrive(id, last);
            let stage = self.shown_stage(id, NOW);
            return format!("now at {:?}", self.stage_name(stage));
        }
        let written = NOW.max(self.person(id).last_event_time);
        let written = self.fall(id, written);
        let stood = self.shown_stage(id, written);
        let person = self.person(id);
        match value {
            Some(value) => person.attributes.insert(name, value.clone()),
            None => person.attributes.remove(name),
        };
        let last = self.people[id].last_event_time;
        self.judge(id, last);
        self.note(id, stood, written);
        self.arrive(id, last);
        let stage = self.shown_stage(id, NOW);
        format!("now at {:?}", self.stage_name(stage))
    }

    fn send(&mut self, event: &Event) -> String {
        let remembered_events = self.remembered_events;
        let person = self.person(event.person);
        let pair = (event.known_by(), IdHash::of_event(&event.id).0);
        if person.known.contains(&pair) {
            return "duplicate".to_owned();
        }
        if person.horizon.is_some_and(|horizon| pair <= horizon) {
            return "too old".to_owned();
        }
        person.known.insert(pair);
        if person.known.len() > remembered_events {
            person.horizon = person.horizon.max(person.known.pop_first());
        }

        let person = &self.people[event.person];
        let topics = self.topics_of(event);
        let moment = self.moment(event, &topics, event.time().max(person.last_event_time));
        let rule = self.rule_against(&moment);
        let mut matches = self.matches(&moment);
        matches.retain(|matched| !person.cools_down(&matched.signal, event.time()));
        let matches: Vec<Match> = matches
            .into_iter()
            .filter_map(|matched| person.first_times(matched))
            .collect();
        let account = self.account_of(event);
        self.person(event.person).accounts.insert(pair, account);
        if let Some(rule) = rule {
            let held = Held {
                rule,
                event: event.clone(),
                topics,
                matches,
                account,
            };
            self.person(event.person).held.push(held);
            return format!("held by {rule}");
        }
        self.count_event(event, &topics, &matches, account)
    }

    /// Counts an event with what it matches, for its account as well; the person stood just
    /// before it where it stands.
    fn count_event(
        &mut self,
        event: &Event,
        topics: &[&'static str],
        matches: &[Match],
        account: Option<&'static str>,
    ) -> String {
        let now = event.time().max(self.people[event.person].last_event_time);
        let from = self.stage(event.person, now);
        let person = self.person(event.person);
        if person.event_count == 0 && person.path.first().is_some_and(|(time, ..)| *time > now) {
            person.path.clear();
            self.note(event.person, None, now);
        }
        let noted = self.fall(event.person, now);
        let stood = self.shown_stage(event.person, noted);
        let before = self.stage(event.person, noted);
        self.judge(event.person, now);
        let mut changes = Vec::new();
        for matched in matches {
            self.count(event, matched, now, &mut changes);
        }
        self.note_past_values(event, matches);
        self.person(event.person).note_event(event, topics);
        if let Some(account) = account {
            self.share(account, event, topics, &changes, now);
        }
        self.judge(event.person, now);
        // Who is new begins at the first stage.
        let begins = stood != before;
        self.note(event.person, if begins { None } else { before }, noted);
        let to = self.stage(event.person, now);
        self.arrive(event.person, now);
        self.touch(event, topics, self.stage_name(from));
        let matched: Vec<&str> = matches.iter().map(|matched| matched.signal.name).collect();
        let moved = (from != to).then(|| (self.stage_name(from), self.stage_name(to)));
        format!("applied {matched:?}, moved {moved:?}")
    }

    fn moment<'a>(&'a self, event: &'a Event, topics: &'a [&'static str], now: i64) -> Moment<'a> {
        Moment {
            world: self,
            person: &self.people[event.person],
            event,
            topics,
            now,
        }
    }

    /// The declared topics of an event: by tag, or by a keyword in its text.
    fn topics_of(&self, event: &Event) -> Vec<&'static str> {
        let about = self.model.topics.iter().filter(|topic| {
            event.tags.contains(&topic.name) || mentions(topic.keywords, event.text)
        });
        about.map(|topic| topic.name).collect()
    }

    /// What an event matches, whatever cools down.
    fn matches(&self, moment: &Moment<'_>) -> Vec<Match> {
        let signals = self.model.signals.iter();
        let signals = signals.filter(|signal| signal.on.contains(&moment.event.kind));
        let matching = signals.filter_map(|signal| {
            let is_said = signal.phrases.is_empty() || mentions(signal.phrases, moment.event.text);
            let holds = signal
                .when
                .is_none_or(|when| (when.same)(moment) == Some(true));
            if !is_said || !holds {
                return None;
            }
            let value = signal
                .value
                .map_or(Some(1.0), |value| (value.same)(moment))?;
            let mut keys = signal
                .per
                .map_or(Some(Vec::new()), |per| (per.same)(moment))?;
            let mut seen = BTreeSet::new();
            keys.retain(|key| !key.is_empty() && seen.insert(key.clone()));
            let counts = value > 0.0 && (signal.per.is_none() || !keys.is_empty());
            counts.then(|| Match {
                signal: *signal,
                value: value.min(MAX_VALUE),
                keys,
            })
        });
        matching.collect()
    }

    /// Adds a match to the counts of a person.
    fn count(&mut self, event: &Event, matched: &Match, now: i64, changes: &mut Vec<Change>) {
        let time = event.time();
        let Match {
            signal,
            value,
            keys,
        } = matched;
        let half_lives = self.half_lives_of(signal);
        let person = self.person(event.person);
        let last = person.last_counted.get(signal.name).copied();
        for half_life in half_lives {
            let slot = (signal.name, half_life);
            let term = Term {
                time,
                value: *value,
            };
            if signal.latest {
                let before = person.counts.sum(slot, now);
                let cut_off = (value - signal.limit.unwrap_or(f64::INFINITY)).max(0.0);
                let value = value - cut_off;
                let after = value * remaining(half_life, time, now);
                let is_greater = last == Some(time) && after > before;
                if last.is_none_or(|last| time > last) || is_greater {
                    person.counts.set(slot, "", Term { time, value });
                    let value = cut_off;
                    person.counts.set_cut_off(slot, vec![Term { time, value }]);
                    changes.push(Change {
                        slot,
                        key: String::new(),
                        change: after - before,
                    });
                }
                continue;
            }
            for key in keys_of(signal, keys) {
                let change = person.counts.add(slot, key, term, signal.limit, now);
                let key = key.clone();
                changes.push(Change { slot, key, change });
            }
            let counts = &mut person.counts;
            counts.keep_greatest(slot, signal.most_keys(), keys, now);
        }
        if let Some((most, _)) = signal.once_keys {
            let known = person.counted_keys.entry(signal.name).or_default();
            for key in keys {
                if known.len() < most {
                    known.insert(key.clone(), time);
                }
            }
        }
        person
            .last_counted
            .insert(signal.name, last.map_or(time, |last| last.max(time)));
    }

    /// The half-lives that a signal is counted with: those of its scores, and those that
    /// expressions ask for.
    fn half_lives_of(&self, signal: &Signal) -> BTreeSet<Option<&'static str>> {
        let scores = self.model.scores.iter();
        let given =
            scores.filter(|score| signal.points.iter().any(|(name, _)| *name == score.name));
        let asked = self.model.asked.iter();
        let asked = asked.filter(|(name, _)| *name == signal.name);
        given
            .map(|score| score.half_life)
            .chain(asked.map(|(_, half_life)| *half_life))
            .collect()
    }
}
