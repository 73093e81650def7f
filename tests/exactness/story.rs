//! What happens to some people, made up at random and printed so that a person can read it.

use std::{collections::BTreeMap, fmt};

use proptest::{prelude::*, sample::Index};

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
    Null,
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Null => write!(formatter, "null"),
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
                name: "city",
                value: Some(Value::Null),
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

/// What an event carries: some of these.
fn any_attributes() -> impl Strategy<Value = Attributes> {
    let number =
        |most: i32| (0..most).prop_map(|quarters| Value::Number(f64::from(quarters) / 4.0));
    let text = |texts: &[&'static str]| prop::sample::select(texts.to_vec()).prop_map(Value::Text);
    (
        prop::option::weighted(0.8, number(200)),
        prop::option::weighted(0.8, text(&["red", "blue", "green", ""])),
        prop::option::weighted(0.2, text(&["robot", "phone"])),
        prop::option::weighted(0.7, text(&["ann@shop.example", "x@Shop.EXAMPLE", "nobody"])),
    )
        .prop_map(|(amount, group, agent, email)| {
            let named = [
                ("amount", amount),
                ("group", group),
                ("agent", agent),
                ("email", email),
            ];
            let sent = named.into_iter();
            sent.filter_map(|(name, value)| Some((name, value?)))
                .collect()
        })
}

/// When an event is done: some times meet exactly, some lie a cooldown apart, some a long time.
fn any_offset() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        6 => (0..40 * 24_i64).prop_map(|hours| Some(hours * HOUR)),
        6 => (0..30 * 24 * 60_i64).prop_map(|minutes| Some(10 * DAY + minutes * 60 * SECOND)),
        3 => (0..7_200_i64).prop_map(|seconds| Some(20 * DAY + seconds * SECOND)),
        // Late, so that much is before them and little after.
        3 => (0..3_i64).prop_map(|hours| Some(38 * DAY + hours * HOUR)),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    const KINDS: [&str; 16] = [
        "visit",
        "visit",
        "view",
        "view",
        "join",
        "join",
        "post",
        "reply",
        "reply",
        "share",
        "share",
        "complaint",
        "complaint",
        "purchase",
        "purchase",
        "other",
    ];
    const TEXTS: [&str; 6] = [
        "",
        "Far TOO dear!",
        "Pricey, not priced",
        "what a price",
        "Looking FOR shoes",
        "overlooking forests",
    ];
    let done = (
        prop::sample::select(PEOPLE.to_vec()),
        prop::sample::select(KINDS.to_vec()),
        any_offset(),
    );
    let said = (
        prop::sample::subsequence(vec!["price", "quality", "unheard_of", "shoes"], 0..=3),
        prop::sample::select(TEXTS.to_vec()),
        prop::sample::select(vec!["web", "mail"]),
        prop::option::weighted(
            0.8,
            (-4..=4_i32).prop_map(|quarters| f64::from(quarters) / 4.0),
        ),
        any_attributes(),
    );
    let others = (
        prop::option::weighted(0.6, prop::sample::select(PEOPLE.to_vec())),
        prop::option::weighted(0.6, prop::sample::select(ACCOUNTS.to_vec())),
        prop::sample::select(vec!["", "home", "offer"]),
    );
    (done, said, others).prop_map(|(done, said, (author, account, content))| {
        let (person, kind, offset) = done;
        let (tags, text, channel, sentiment, attributes) = said;
        Event {
            id: String::new(),
            person,
            kind,
            offset,
            channel,
            tags,
            text,
            sentiment,
            attributes,
            author,
            content,
            account,
        }
    })
}

/// A step before events have their ids.
#[derive(Clone, Debug)]
enum Draft {
    Send(Event),
    /// An event that comes, or has come, at its own place too.
    Again(Index),
    Retract(Index),
    Release(&'static str, Option<&'static str>),
    State(&'static str, &'static str, Option<Value>),
    Reload,
}

fn any_statement() -> impl Strategy<Value = Draft> {
    let stated = prop_oneof![
        Just(("industry", Some(Value::Text("retail")))),
        Just(("industry", Some(Value::Text("finance")))),
        Just(("industry", None)),
        Just(("seats", Some(Value::Number(7.0)))),
        Just(("seats", Some(Value::Number(3.0)))),
        Just(("seats", Some(Value::Null))),
        Just(("seats", None)),
        Just(("followers", Some(Value::Number(300.0)))),
        Just(("followers", Some(Value::Number(3_000.0)))),
        Just(("company", Some(Value::Text("acme")))),
        Just(("company", None)),
        Just(("email", Some(Value::Text("me@SHOP.example")))),
        Just(("role", Some(Value::Text("manager")))),
        Just(("role", Some(Value::Text("")))),
    ];
    let parties = [&PEOPLE[..], &PEOPLE[..], &ACCOUNTS[..]].concat();
    (prop::sample::select(parties), stated)
        .prop_map(|(person, (name, value))| Draft::State(person, name, value))
}

fn any_draft() -> impl Strategy<Value = Draft> {
    prop_oneof![
        24 => any_event().prop_map(Draft::Send),
        // Without a time, and ahead of the clock by less than is allowed.
        1 => (any_event(), prop::option::of(1..100_i64)).prop_map(|(event, ahead)| {
            let offset = ahead.map(|seconds| NOW - START + seconds * SECOND);
            Draft::Send(Event { offset, ..event })
        }),
        4 => any::<Index>().prop_map(Draft::Again),
        3 => any::<Index>().prop_map(Draft::Retract),
        2 => (
            prop::sample::select(PEOPLE.to_vec()),
            prop::sample::select(vec![None, Some("robots"), Some("hasty")]),
        ).prop_map(|(person, rule)| Draft::Release(person, rule)),
        7 => any_statement(),
        1 => Just(Draft::Reload),
    ]
}

/// Stories of up to `most` steps.
pub fn any_story(most: usize) -> impl Strategy<Value = Story> {
    prop::collection::vec(any_draft(), 1..=most).prop_map(|drafts| {
        let mut events = Vec::new();
        for draft in &drafts {
            if let Draft::Send(event) = draft {
                let id = format!("e{}", events.len() + 1);
                events.push(Event {
                    id,
                    ..event.clone()
                });
            }
        }
        let mut first_times = events.iter();
        let steps = drafts.into_iter().filter_map(|draft| match draft {
            Draft::Send(_) => first_times.next().cloned().map(Step::Send),
            Draft::Again(_) | Draft::Retract(_) if events.is_empty() => None,
            Draft::Retract(index) => Some(Step::Retract(index.get(&events).clone())),
            Draft::Release(person, rule) => Some(Step::Release { person, rule }),
            Draft::Again(index) => Some(Step::Send(index.get(&events).clone())),
            Draft::State(person, name, value) => Some(Step::State {
                person,
                name,
                value,
            }),
            Draft::Reload => Some(Step::Reload),
        });
        Story(steps.collect())
    })
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
