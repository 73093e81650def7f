//! What everything that came in means at an instant.

use super::{Facts, MAX_VALUE, Person, World, counts::faded_sum, effects::by_rule};
use crate::{
    answers::{Answers, FADED_AWAY},
    story::ACCOUNTS,
    table::{Calibration, Confidence, Score, Segment, Stage, Standing},
};

/// Below it a score that fades is zero.
pub(super) const NOISE_FLOOR: f64 = 1.0 / 1_048_576.0;
/// How far below a bound it is met, in log2.
const SLACK: f64 = 1e-6;
/// How near its share a signal counts for the breadth, as a share of the share.
const NEAR_SHARE: f64 = 1e-6;

/// Whether points are at least a bound.
pub(super) fn meets(points: f64, bound: f64) -> bool {
    points > 0.0 && points.log2() >= bound.log2() - SLACK
}

pub(super) fn probability(calibration: Calibration, points: f64) -> f64 {
    match calibration {
        Calibration::Logistic { midpoint, slope } => {
            1.0 / (1.0 + (slope * (midpoint - points)).exp())
        }
        Calibration::Table(steps) => {
            let (first, last) = (steps[0], steps[steps.len() - 1]);
            let between = steps.windows(2).find_map(|step| {
                let ((from, low), (to, high)) = (step[0], step[1]);
                let share = (points - from) / (to - from);
                (0.0..=1.0)
                    .contains(&share)
                    .then_some(low + (high - low) * share)
            });
            let outside = if points < first.0 { first.1 } else { last.1 };
            between.unwrap_or(outside)
        }
    }
}

/// Whether anything has counted, is stated or was earned.
pub(super) fn is_counted(person: &Person) -> bool {
    person.event_count > 0 || !person.attributes.is_empty()
}

/// One term of a score.
struct Contribution {
    name: &'static str,
    count: f64,
    weight: f64,
    /// The limit of the signal, and whether the count stood at it at the last event.
    limit: Option<f64>,
    cut_off: f64,
    /// The parts by key.
    keys: Option<Vec<(String, f64)>>,
}

impl Contribution {
    fn points(&self) -> f64 {
        self.count * self.weight
    }
}

impl World {
    fn score(&self, name: &str) -> &Score {
        let mut scores = self.model.scores.iter();
        scores.find(|score| score.name == name).unwrap()
    }

    fn holds(&self, condition: Option<Standing>, person: &Person) -> bool {
        let facts = self.facts(person);
        condition.is_none_or(|condition| (condition.same)(&facts) == Some(true))
    }

    pub(super) fn facts<'a>(&'a self, person: &'a Person) -> Facts<'a> {
        let nobody = Facts {
            world: self,
            person,
            identity: 0.0,
        };
        let evidence = self.model.identity.iter();
        let doubts = evidence.filter_map(|evidence| {
            let holds = (evidence.when.same)(&nobody) == Some(true);
            let confidence = match evidence.confidence {
                Confidence::Number(number) => number,
                Confidence::Expression(value) => (value.same)(&nobody)?,
            };
            holds.then_some(1.0 - confidence.clamp(0.0, 1.0))
        });
        let doubt: f64 = doubts.product();
        Facts {
            world: self,
            person,
            identity: 1.0 - doubt,
        }
    }

    /// The names of the evidence that holds of somebody.
    pub fn evidence(&self) -> impl Iterator<Item = &'static str> {
        let evidence = self.model.identity.iter();
        let found = evidence.filter(|evidence| {
            let mut people = self.people.values();
            people.any(|person| self.holds(Some(evidence.when), person))
        });
        found.map(|evidence| evidence.name)
    }

    fn contributions(&self, person: &Person, score: &Score, at: i64) -> Vec<Contribution> {
        let weight_in = |points: &[(&str, f64)]| {
            let found = points.iter().find(|(name, _)| *name == score.name);
            found.map(|(_, weight)| *weight)
        };
        let signals = self.model.signals.iter().filter_map(|signal| {
            let weight = weight_in(signal.points)?;
            let slot = (signal.name, score.half_life);
            let keys = |at| {
                let keys = person.counts.keys(slot, at).into_iter();
                let keys = keys.map(|(key, count)| (key.to_owned(), count));
                keys.collect::<Vec<_>>()
            };
            Some(Contribution {
                name: signal.name,
                count: person.counts.sum(slot, at),
                weight,
                keys: signal.per.map(|_| keys(at)),
                limit: signal.limit,
                cut_off: person.counts.cut_off(slot, at),
            })
        });
        let rules = self.model.attribute_rules.iter().filter_map(|rule| {
            let weight = weight_in(rule.points)?;
            let value = rule.value.map_or(Some(1.0), |value| {
                (value.same)(&self.facts(person)).filter(|value| *value > 0.0)
            })?;
            self.holds(Some(rule.when), person).then_some(Contribution {
                name: rule.name,
                count: value.min(MAX_VALUE),
                weight,
                limit: None,
                cut_off: 0.0,
                keys: None,
            })
        });
        signals.chain(rules).collect()
    }

    /// How many signals and rules give the share of the greatest one that a score asks for.
    fn breadth(&self, person: &Person, score: &Score) -> usize {
        // Whenever: all terms of a score fade alike. At the last event none has faded away.
        let terms = self.contributions(person, score, person.last_event_time);
        let giving = || terms.iter().map(Contribution::points);
        let greatest = giving().fold(0.0, f64::max);
        let share = score.breadth.map_or(0.0, |(_, share)| share);
        let least = greatest * share * (1.0 - NEAR_SHARE);
        giving()
            .filter(|points| *points > 0.0 && *points >= least)
            .count()
    }

    /// The points of a score, however few.
    fn exact_points(&self, person: &Person, score: &Score, at: i64) -> f64 {
        if let Some((required, _)) = score.breadth
            && self.breadth(person, score) < required
        {
            return 0.0;
        }
        self.sum(person, score, at).max(0.0)
    }

    fn sum(&self, person: &Person, score: &Score, at: i64) -> f64 {
        let terms = self.contributions(person, score, at);
        score.base + terms.iter().map(Contribution::points).sum::<f64>()
    }

    /// The points of a score, as they are shown.
    pub(super) fn points(&self, person: &Person, score: &str, at: i64) -> f64 {
        let score = self.score(score);
        let points = self.exact_points(person, score, at);
        let is_shown = score.half_life.is_none() || meets(points, NOISE_FLOOR);
        if is_shown { points } else { 0.0 }
    }

    /// The highest stage that holds.
    pub(super) fn stage(&self, id: &str, at: i64) -> Option<usize> {
        let person = &self.people[id];
        let holds = |position: &usize| {
            let least = self.least(id, *position);
            self.holds(self.model.stages[*position].when, person)
                && least.is_none_or(|(score, least)| meets(self.points(person, score, at), least))
        };
        (0..self.model.stages.len()).rev().find(holds)
    }

    /// Where a person is said to stand: whoever has nothing counted, stated or earned stands
    /// nowhere, and accounts have no stages.
    pub(super) fn shown_stage(&self, id: &str, at: i64) -> Option<usize> {
        let person = &self.people[id];
        let is_staged = is_counted(person) && !ACCOUNTS.contains(&id);
        is_staged.then(|| self.stage(id, at)).flatten()
    }

    pub(super) fn stage_name(&self, stage: Option<usize>) -> &'static str {
        stage.map_or("", |stage| self.model.stages[stage].name)
    }

    /// What a segment ranks a person by: the product of scores, and of ratios of two.
    pub(super) fn product(&self, person: &Person, segment: &Segment, at: i64) -> f64 {
        let points = |score: &str| self.exact_points(person, self.score(score), at);
        let factors = segment.rank_by.iter().map(|factor| {
            let Some((above, below)) = factor.split_once(" / ") else {
                return points(factor);
            };
            let has_both = [above, below].iter().all(|score| {
                let last = person.last_event_time;
                self.exact_points(person, self.score(score), last) > 0.0
            });
            if has_both {
                points(above) / points(below)
            } else {
                0.0
            }
        });
        factors.product()
    }

    pub(super) fn belongs(&self, person: &Person, segment: &Segment, at: i64) -> bool {
        let product = self.product(person, segment, at);
        let confidence = self.facts(person).identity;
        is_counted(person)
            && self.holds(segment.when, person)
            && segment.min_confidence.is_none_or(|min| confidence >= min)
            && meets(product, segment.min.unwrap_or(NOISE_FLOOR))
            && segment.max.is_none_or(|max| !meets(product, max))
    }

    /// All that the service should say at an instant after everything that happened.
    pub fn answers(&self, at: i64) -> Answers {
        let mut answers = Answers::default();
        let is_known = |person: &Person| {
            is_counted(person)
                || person.was_stated
                || !person.known.is_empty()
                || !person.earned.is_empty()
                || person.last_event_time != 0
        };
        for (id, person) in self.people.iter().filter(|(_, person)| is_known(person)) {
            self.say_person(&mut answers, id, person, at);
        }
        for rule in &self.model.quarantine {
            self.say_quarantine(&mut answers, rule.name);
        }
        for segment in &self.model.segments {
            self.say_segment(&mut answers, segment, at);
        }
        self.say_funnel(&mut answers, at);
        for topic in &self.model.topics {
            let stages = self.model.stages.iter().map(|stage| stage.name);
            for stage in stages.chain([""]) {
                self.say_influencers(&mut answers, topic.name, stage, at);
            }
        }
        answers
    }

    fn say_person(&self, answers: &mut Answers, id: &'static str, person: &Person, at: i64) {
        for score in &self.model.scores {
            let name = format!("{id}, {}", score.name);
            let points = self.points(person, score.name, at);
            answers.number(format!("{name}: points"), points);
            answers.number(format!("{name}: base"), score.base);
            if let Some(percentile) = self.percentile(id, score.name, at) {
                answers.number(format!("{name}: percentile"), percentile);
            }
            for term in self.contributions(person, score, at) {
                let name = format!("{name}, {}", term.name);
                for (key, count) in term.keys.iter().flatten() {
                    answers.number(format!("{name}, by {key:?}"), *count);
                }
                answers.number(format!("{name}: count"), term.count);
                answers.number(format!("{name}: points"), term.points());
                let limit = term.limit.filter(|_| !ACCOUNTS.contains(&id));
                if let Some(limit) = limit.filter(|_| term.count > FADED_AWAY) {
                    answers.number(format!("{name}: limit"), limit);
                }
                if term.cut_off > FADED_AWAY {
                    answers.number(format!("{name}: cut off"), term.cut_off);
                }
            }
            if let Some((required, _)) = score.breadth {
                let present = self.breadth(person, score) as f64;
                answers.number(format!("{name}: breadth"), present);
                answers.number(format!("{name}: breadth asked for"), required as f64);
            }
            if let Some(calibration) = score.calibration {
                let probability = probability(calibration, points);
                answers.number(format!("{name}: probability"), probability);
            }
        }
        let identity = self.facts(person).identity;
        answers.number(format!("{id}: identity"), identity);
        let stage = self.shown_stage(id, at);
        answers.words(format!("{id}: stage"), self.stage_name(stage));
        if let Some(entered) = self.entered(id, at) {
            answers.number(format!("{id}: entered"), entered as f64);
        }
        let next = stage.map_or(0, |stage| stage + 1);
        for (rule, count) in by_rule(&person.held) {
            answers.number(format!("{id}: held by {rule}"), count as f64);
        }
        let stages = [("held", stage), ("next", Some(next))];
        for (what, stage) in stages.into_iter().filter(|_| !ACCOUNTS.contains(&id)) {
            let position = stage.unwrap_or(usize::MAX);
            if let Some(stage) = self.model.stages.get(position) {
                let least = self.least(id, position);
                let name = format!("{id}, stage {what}");
                self.say_stage(answers, &name, person, (stage, least), at);
            }
        }
        let segments = self.model.segments.iter();
        let segments = segments.filter(|segment| {
            segment.of_accounts == ACCOUNTS.contains(&id) && self.belongs(person, segment, at)
        });
        let segments: Vec<&Segment> = segments.collect();
        let names: Vec<&str> = segments.iter().map(|segment| segment.name).collect();
        answers.words(format!("{id}: segments"), names.join(" "));
        for segment in segments {
            let product = self.product(person, segment, at);
            let name = format!("{id} in {}", segment.name);
            answers.number(format!("{name}: points"), product);
            if let Some(calibration) = segment.calibration {
                let probability = probability(calibration, product);
                answers.number(format!("{name}: probability"), probability);
            }
        }
        let half_life = Some(self.model.interests_half_life);
        for (topic, terms) in &person.interests {
            let points = faded_sum(terms, half_life, at);
            if points >= NOISE_FLOOR {
                answers.number(format!("{id}, about {topic}"), points);
            }
        }
        for (name, value) in &person.attributes {
            answers.words(format!("{id} states {name}"), value);
        }
        answers.number(format!("{id}: events"), person.event_count as f64);
        let times = (person.first_event_time, person.last_event_time);
        let times = (person.event_count > 0).then_some(times);
        answers.words(format!("{id}: first and last"), format!("{times:?}"));
    }

    /// What a stage asks for, and how far a person is.
    fn say_stage(
        &self,
        answers: &mut Answers,
        name: &str,
        person: &Person,
        (stage, least): (&Stage, Option<(&str, f64)>),
        at: i64,
    ) {
        answers.words(format!("{name}: name"), stage.name);
        answers.words(
            format!("{name}: when"),
            stage.when.map_or("", |when| when.text),
        );
        let holds = self.holds(stage.when, person);
        answers.number(format!("{name}: holds"), f64::from(holds));
        if let Some(((score, min), (_, least))) = stage.min.zip(least) {
            let points = self.points(person, score, at);
            let asked = self.score(score);
            let (mut missing, mut signals) = (0.0, 0);
            if !meets(points, least) {
                missing = (least - self.sum(person, asked, at)).max(0.0);
                signals = asked.breadth.map_or(0, |(required, _)| {
                    required.saturating_sub(self.breadth(person, asked))
                });
            }
            answers.words(format!("{name}: score"), score);
            answers.number(format!("{name}: min"), min);
            answers.number(format!("{name}: keep"), stage.keep.unwrap_or(0.0));
            answers.number(format!("{name}: points"), points);
            answers.number(format!("{name}: missing"), missing);
            answers.number(format!("{name}: signals missing"), signals as f64);
        }
    }

    /// Of those with points on a score, the share that has at most as many.
    fn percentile(&self, id: &str, score: &str, at: i64) -> Option<f64> {
        let person = self.people.get(id).filter(|person| is_counted(person))?;
        let points = self.points(person, score, at);
        let all: Vec<f64> = self
            .alike(ACCOUNTS.contains(&id))
            .map(|(_, person)| self.points(person, score, at))
            .filter(|points| *points > 0.0)
            .collect();
        let at_most = all
            .iter()
            .filter(|other| other.log2() < points.log2() + SLACK)
            .count();
        (points > 0.0).then(|| 100.0 * at_most as f64 / all.len() as f64)
    }
}
