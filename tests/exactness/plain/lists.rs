//! What everything that came in means for the lists of people and accounts at an instant.

use std::collections::BTreeMap;

use super::{
    Person, World,
    counts::faded_sum,
    effects::{Earned, Held},
    meaning::{NOISE_FLOOR, is_counted, meets, probability},
};
use crate::{
    answers::Answers,
    story::{ACCOUNTS, SECOND, Value},
    table::Segment,
};

/// Touches at the mean of a topic that an author's own are weighed against.
const PRIOR_TOUCHES: f64 = 10.0;

/// How much too early a list may be asked for, to be answered for the later instant.
const SKEW: i64 = 300 * SECOND;

impl World {
    /// The instant that a list is answered for which is asked for one. The error is the earliest
    /// that can be asked for.
    pub fn list_instant(&self, at: i64) -> Result<i64, i64> {
        let last_events = self.people.values().map(|person| person.last_event_time);
        let latest = last_events.max().unwrap_or(0);
        let latest = (latest + SECOND - 1) / SECOND * SECOND;
        if at + SKEW < latest {
            return Err(latest);
        }
        Ok(at.max(latest))
    }

    pub(super) fn say_segment(&self, answers: &mut Answers, segment: &Segment, at: i64) {
        let mut members: Vec<(f64, &str, &Person)> = self
            .alike(segment.of_accounts)
            .filter(|(_, person)| self.belongs(person, segment, at))
            .map(|(id, person)| (self.product(person, segment, at), id, person))
            .collect();
        let name = format!("segment {}", segment.name);
        let ids: Vec<&str> = members.iter().map(|(_, id, _)| *id).collect();
        answers.words(format!("{name}: members"), ids.join(" "));
        answers.number(format!("{name}: size"), members.len() as f64);
        members.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        for (place, (product, ..)) in (1..).zip(&members) {
            answers.number(format!("{name}, place {place}"), *product);
            if let Some(calibration) = segment.calibration {
                let probability = probability(calibration, *product);
                answers.number(format!("{name}, place {place}: probability"), probability);
            }
        }
        // Half of them, rounded up; which half it is of equals is for the service to say.
        answers.number(format!("{name}: half"), members.len().div_ceil(2) as f64);
        let half_life = Some(self.model.interests_half_life);
        let mut topics: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (_, _, person) in members {
            for (topic, terms) in &person.interests {
                let points = faded_sum(terms, half_life, at);
                if points >= NOISE_FLOOR {
                    let topic = topics.entry(topic).or_default();
                    *topic = (topic.0 + points, topic.1 + 1.0);
                }
            }
        }
        for (topic, (points, members)) in topics {
            answers.number(format!("{name}, about {topic}"), points);
            answers.number(format!("{name}, members about {topic}"), members);
        }
    }

    /// Those of whom something is counted, all of them people or all of them accounts.
    pub(super) fn alike(
        &self,
        are_accounts: bool,
    ) -> impl Iterator<Item = (&'static str, &Person)> {
        let all = self.people.iter().map(|(id, person)| (*id, person));
        all.filter(move |(id, person)| ACCOUNTS.contains(id) == are_accounts && is_counted(person))
    }

    pub(super) fn say_quarantine(&self, answers: &mut Answers, rule: &str) {
        let mut size = 0.0;
        for (id, person) in &self.people {
            let mut held: Vec<&Held> = person.held.iter().collect();
            held.retain(|held| held.rule == rule);
            held.sort_by_key(|held| held.event.time());
            if held.is_empty() {
                continue;
            }
            size += 1.0;
            let held: Vec<String> = held
                .into_iter()
                .map(|held| {
                    let matches = held.matches.iter();
                    let matches: Vec<&str> = matches.map(|matched| matched.signal.name).collect();
                    format!("{} {} {matches:?}", held.event.time(), held.event.kind)
                })
                .collect();
            answers.words(format!("held by {rule} of {id}"), held.join(", "));
        }
        answers.number(format!("held by {rule}: size"), size);
    }

    pub(super) fn say_funnel(&self, answers: &mut Answers, at: i64) {
        let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
        for (id, _) in self.alike(false) {
            let stage = self.stage_name(self.shown_stage(id, at));
            *counts.entry(stage).or_default() += 1.0;
        }
        for (stage, count) in counts {
            answers.number(format!("funnel, {stage:?}"), count);
        }
    }

    /// Who influences people on a topic, at a stage or at all of them.
    pub(super) fn say_influencers(&self, answers: &mut Answers, topic: &str, stage: &str, at: i64) {
        let on_topic = |person: &Person, stage: &str| {
            let mut sum = Earned::default();
            for ((about, of), earned) in &person.earned {
                if *about == topic && (stage.is_empty() || *of == stage) {
                    sum.credits.extend(&earned.credits);
                    sum.touches += earned.touches;
                    sum.advance_millionths += earned.advance_millionths;
                }
            }
            sum
        };
        let all = self.people.values().map(|person| on_topic(person, ""));
        let (touches, advances) = all.fold((0.0, 0.0), |(touches, advances), earned| {
            let millionths = earned.advance_millionths as f64;
            (touches + earned.touches as f64, advances + millionths / 1e6)
        });
        let mean = if touches > 0.0 {
            advances / touches
        } else {
            0.0
        };
        for (id, person) in &self.people {
            let earned = on_topic(person, stage);
            let half_life = Some(self.model.influence.half_life);
            let influence = faded_sum(&earned.credits, half_life, at);
            if !meets(influence, NOISE_FLOOR) {
                continue;
            }
            let name = format!("{id} on {topic} at {stage:?}");
            let (touches, advances) = (
                earned.touches as f64,
                earned.advance_millionths as f64 / 1e6,
            );
            answers.number(format!("{name}: influence"), influence);
            answers.number(format!("{name}: touches"), touches);
            answers.number(format!("{name}: advances"), advances);
            let probability = (advances + PRIOR_TOUCHES * mean) / (touches + PRIOR_TOUCHES);
            answers.number(format!("{name}: probability"), probability);
            let reach = match person.attributes.get(self.model.influence.reach) {
                Some(Value::Number(reach)) => *reach,
                _ => 0.0,
            };
            answers.number(format!("{name}: reach"), reach);
        }
    }
}
