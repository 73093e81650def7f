//! What happens to some people, printed so that a person can read it.

use std::{collections::BTreeMap, fmt};

use proptest::prelude::*;

pub const SECOND: i64 = 1_000_000_000;
pub const HOUR: i64 = 3_600 * SECOND;
pub const DAY: i64 = 24 * HOUR;
/// When stories begin, in nanoseconds since 1970.
pub const START: i64 = 1_767_268_800 * SECOND;
/// What the service's clock shows, and so what an event without a time happens at.
pub const NOW: i64 = START + 60 * DAY;

/// The people of a story, who are authors too.
pub const PEOPLE: [&str; 3] = ["ann", "bob", "cyd"];

/// The accounts that events count for as well.
pub const ACCOUNTS: [&str; 2] = ["acme", "zenith"];

/// What is stated, or sent with an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(f64),
    Text(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => write!(formatter, "{text:?}"),
        }
    }
}

pub type Attributes = BTreeMap<&'static str, Value>;

/// Something a person does.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: String,
    pub person: &'static str,
    pub kind: &'static str,
    /// Since the start, in nanoseconds; `None` for an event that is sent without a time.
    pub offset: Option<i64>,
    pub channel: &'static str,
    pub tags: Vec<&'static str>,
    pub text: &'static str,
    pub sentiment: Option<f64>,
    pub attributes: Attributes,
    pub author: Option<&'static str>,
    pub content: &'static str,
    pub campaign: &'static str,
    pub account: Option<&'static str>,
}

impl Event {
    pub fn text(&self, name: &str) -> Option<&'static str> {
        match self.attributes.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The instant that it counts at: its own, or its arrival when it has none or claims to
    /// come from the future.
    pub fn time(&self) -> i64 {
        self.known_by().min(NOW)
    }

    /// The instant that it is known by, with its id: as it was sent.
    pub fn known_by(&self) -> i64 {
        self.offset.map_or(NOW, |offset| START + offset)
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        match self.attributes.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// What happens next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// An event is sent, for the first time or again.
    Send(Event),
    /// An event is taken back, or kept from ever counting.
    Retract(Event),
    /// Held events of a person are released, those of one rule or all.
    Release {
        person: &'static str,
        rule: Option<&'static str>,
    },
    /// A person, or an account, states an attribute, or takes it back.
    State {
        person: &'static str,
        name: &'static str,
        value: Option<Value>,
    },
    /// The service stops, and starts again on what is stored.
    Reload,
}

/// Steps in their order. Its debug form is for reading.
#[derive(Clone, PartialEq)]
pub struct Story(pub Vec<Step>);

impl Story {
    /// An instant at which everything has happened that has a time, so that everybody can be
    /// asked for.
    pub fn end(&self) -> i64 {
        let times = self.0.iter().filter_map(|step| match step {
            Step::Send(event) => Some(event.time()),
            _ => None,
        });
        times.max().unwrap_or(START)
    }

    /// The story without some steps.
    pub fn without(mut self, is_left_out: impl Fn(&Step) -> bool) -> Self {
        self.0.retain(|step| !is_left_out(step));
        self
    }

    /// The events that are taken back somewhere.
    pub fn retracted(&self) -> Vec<Event> {
        let steps = self.0.iter();
        let retracted = steps.filter_map(|step| match step {
            Step::Retract(event) => Some(event.clone()),
            _ => None,
        });
        retracted.collect()
    }

    /// The story after people and accounts have stated something, so that they are known.
    pub fn after_everybody_stated_something(self) -> Self {
        let stated = PEOPLE
            .into_iter()
            .chain(ACCOUNTS)
            .map(|person| Step::State {
                person,
                name: "nick",
                value: Some(Value::Text("x")),
            });
        Self(stated.chain(self.0).collect())
    }

    /// The story with each event for the account of its person.
    pub fn with_accounts(mut self, members: &[(&'static str, &[&str])]) -> Self {
        for step in &mut self.0 {
            if let Step::Send(event) | Step::Retract(event) = step {
                let mut accounts = members.iter();
                let account = accounts.find(|(_, people)| people.contains(&event.person));
                event.account = account.map(|(account, _)| *account);
            }
        }
        self
    }

    /// The steps in another order, in which each person's statements keep theirs: the later of
    /// two is what the person states.
    pub fn shuffled(&self, dice: &mut Dice) -> Self {
        let is_statement = |step: &&Step| matches!(step, Step::State { .. });
        let mut statements = self.0.iter().filter(is_statement);
        let mut steps = self.0.clone();
        for position in (1..steps.len()).rev() {
            steps.swap(position, dice.roll(position + 1));
        }
        for step in &mut steps {
            if is_statement(&&*step) {
                step.clone_from(statements.next().unwrap());
            }
        }
        Self(steps)
    }

    /// The story with some events sent again, each at a later place.
    pub fn with_repeats(&self, dice: &mut Dice) -> Self {
        let mut steps = self.0.clone();
        for step in &self.0 {
            if matches!(step, Step::Send(_) | Step::Retract(_)) && dice.roll(3) == 0 {
                let first = steps.iter().position(|other| other == step).unwrap();
                let place = first + 1 + dice.roll(steps.len() - first);
                steps.insert(place, step.clone());
            }
        }
        Self(steps)
    }
}

/// A small generator of pseudo-random numbers: the same seed, the same numbers.
#[derive(Clone)]
pub struct Dice(pub u64);

impl fmt::Debug for Dice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "dice {}", self.0)
    }
}

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Any dice.
pub fn dice() -> impl Strategy<Value = Dice> {
    any::<u64>().prop_map(Dice)
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.person, self.kind, self.id)?;
        match self.offset {
            None => write!(formatter, " without a time")?,
            Some(offset) => {
                let (days, rest) = (offset / DAY, offset % DAY / SECOND);
                let (hours, minutes, seconds) = (rest / 3_600, rest / 60 % 60, rest % 60);
                write!(
                    formatter,
                    " at {days}d {hours:02}:{minutes:02}:{seconds:02}"
                )?;
            }
        }
        write!(formatter, " by {}", self.channel)?;
        if !self.tags.is_empty() {
            write!(formatter, " tags {:?}", self.tags)?;
        }
        if !self.text.is_empty() {
            write!(formatter, " text {:?}", self.text)?;
        }
        if let Some(sentiment) = self.sentiment {
            write!(formatter, " sentiment {sentiment}")?;
        }
        for (name, value) in &self.attributes {
            write!(formatter, " {name}={value}")?;
        }
        if let Some(author) = self.author {
            write!(formatter, " author {author}")?;
        }
        if !self.campaign.is_empty() {
            write!(formatter, " campaign {}", self.campaign)?;
        }
        if !self.content.is_empty() {
            write!(formatter, " content {}", self.content)?;
        }
        if let Some(account) = self.account {
            write!(formatter, " account {account}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(event) => write!(formatter, "send {event}"),
            Self::Retract(event) => write!(formatter, "retract {} {}", event.person, event.id),
            Self::Release { person, rule } => {
                write!(formatter, "release of {person} {}", rule.unwrap_or("all"))
            }
            Self::State {
                person,
                name,
                value: Some(value),
            } => write!(formatter, "{person} states {name}={value}"),
            Self::State { person, name, .. } => write!(formatter, "{person} takes back {name}"),
            Self::Reload => write!(formatter, "reload"),
        }
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            write!(formatter, "\n  {:2}. {step}", number + 1)?;
        }
        Ok(())
    }
}
