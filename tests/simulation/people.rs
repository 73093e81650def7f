//! Who does what in a run: the models, the people, and what they do, all from the seed.
//! The models agree on everything that a record remembers (counts, stages, topics, influence)
//! and on nothing that a rank does, so that a record is the same whichever model counted.

use std::sync::{Arc, LazyLock};

use bellwether::{
    scoring::{
        AttributeValue, Attributes, Event, HalfLife, IdHash, Model, ProfileId, Tenant, Timestamp,
    },
    service::ProfileUpdate,
};

use crate::dice::Dice;

/// As every model has it, unless it says otherwise, as none does.
pub static INTERESTS_HALF_LIFE: LazyLock<HalfLife> = LazyLock::new(|| days(30));
/// As every model has it.
pub static INFLUENCE_HALF_LIFE: LazyLock<HalfLife> = LazyLock::new(|| days(10));
/// Accounts that people work for.
const COMPANY_COUNT: u64 = 2;
const SECOND: i64 = 1_000_000_000;
pub const DAY: i64 = 86_400 * SECOND;
/// When a run begins, by the clock of its servers.
const START: i64 = 1_767_268_800 * SECOND;

fn days(count: i64) -> HalfLife {
    HalfLife::from_nanos(count * DAY).unwrap()
}

pub fn tenant() -> Tenant {
    Tenant::new("").unwrap()
}

pub fn at(offset: i64) -> Timestamp {
    Timestamp::from_nanos(START + offset).unwrap()
}

/// Whether what is done to one profile is done in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One client for each profile, which waits for every answer: stages and advances are
    /// those of that order.
    Kept,
    /// Many clients at once, each event perhaps sent by several: nothing depends on order.
    Free,
}

/// The name of a model's score that every model weighs differently.
pub fn taste(model: usize) -> String {
    format!("taste_{model}")
}

/// Segments that every model has.
pub const EVERYONE: &str = "everyone";
pub const COMPANIES: &str = "companies";
/// Where everybody stands who is known.
pub const FIRST_STAGE: &str = "awareness";
pub const TOPICS: [&str; 2] = ["price", "quality"];

/// The models of every run of an order; the one of the highest number is the newest.
pub fn models(order: Order) -> &'static [Arc<Model>] {
    static KEPT: LazyLock<Vec<Arc<Model>>> = LazyLock::new(|| compile(Order::Kept));
    static FREE: LazyLock<Vec<Arc<Model>>> = LazyLock::new(|| compile(Order::Free));
    match order {
        Order::Kept => &KEPT,
        Order::Free => &FREE,
    }
}

fn compile(order: Order) -> Vec<Arc<Model>> {
    (0..3).map(|number| model(number, order)).collect()
}

/// The model of this number. All differ in weights, scores and segments.
fn model(number: usize, order: Order) -> Arc<Model> {
    let taste = taste(number);
    let [visit, reply, complaint] = [[3, 5, -2], [1, 7, 4], [9, 2, 1]][number % 3];
    let stages = match order {
        Order::Free => "",
        Order::Kept => {
            r#"
[[stages]]
name = "consideration"
min = { path = 12 }
keep = { path = 6 }
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[stages]]
name = "advocate"
when = 'seen("purchase")'
min = { path = 20 }
keep = { path = 13 }
[[signals]]
name = "asked"
on = ["visit", "reply"]
limit = 3
points = { path = 1 }
[[signals]]
name = "grumbled"
on = ["complaint", "reply"]
cooldown = "1d"
points = { path = 0.5 }
[[signals]]
name = "last_length"
on = ["reply", "purchase"]
value = 'event.attributes.length'
keep = "latest"
points = { path = 0.25 }
"#
        }
    };
    let source = format!(
        r#"
[scores.path]
half_life = "2d"
[scores.{taste}]
half_life = "40d"
[scores.fit]
base = 1
[[signals]]
name = "visited"
on = "visit"
points = {{ path = 3, {taste} = {visit} }}
[[signals]]
name = "replied"
on = "reply"
value = 'event.attributes.length'
points = {{ path = 5, {taste} = {reply} }}
[[signals]]
name = "complained"
on = "complaint"
points = {{ path = -2, {taste} = {complaint} }}
[[attributes]]
name = "in_retail"
when = 'profile.attributes.industry == "retail"'
points = {{ fit = {visit} }}
[[stages]]
name = "{FIRST_STAGE}"
{stages}
[[segments]]
name = "{EVERYONE}"
rank_by = "{taste}"
[[segments]]
name = "{COMPANIES}"
of = "account"
rank_by = "{taste}"
[[segments]]
name = "strangers"
when = '!has(profile.attributes.crm_id)'
rank_by = ["{taste}", "fit"]
[[segments]]
name = "only_in_{number}"
when = 'seen("{only}")'
rank_by = ["path", "fit"]
[[topics]]
name = "price"
keywords = ["price"]
[[topics]]
name = "quality"
[subjects.account]
key = 'profile.attributes.company'
[influence]
event_types = {{ reply = 2, visit = 1 }}
half_life = "10d"
attribution_half_life = "3d"
advance = 4
"#,
        only = ["visit", "reply", "complaint"][number % 3],
    );
    Arc::new(Model::parse(&source).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

/// Something that is asked of the service until it is done.
#[derive(Clone, Debug)]
pub enum Action {
    Event(Event),
    /// Takes back an event.
    Retraction(Event),
    /// An event that is sent once, and taken back whatever has become of it.
    Regretted(Event),
    Update(ProfileUpdate),
}

impl Action {
    pub fn profile_id(&self) -> &ProfileId {
        match self {
            Self::Event(event) | Self::Retraction(event) | Self::Regretted(event) => {
                &event.profile_id
            }
            Self::Update(update) => &update.profile_id,
        }
    }
}

/// What is done in a run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub order: Order,
    /// How many events a record remembers.
    pub remembered_events: usize,
    /// Whether that is fewer than there are.
    pub forgets: bool,
    /// Those of one profile in their order.
    pub actions: Vec<Action>,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "people");
        let order = *dice.pick(&[Order::Kept, Order::Free]);
        let people = dice.between(2, 12);
        let count = dice.between(10, 45);
        let jobs = (0..people).map(|_| match order {
            Order::Free => Job::Any,
            Order::Kept => *dice.pick(&[Job::None, Job::Sent, Job::Stated]),
        });
        let jobs: Vec<Job> = jobs.collect();
        // A short memory is enough when times rise and one event follows the other.
        let short = order == Order::Kept && dice.once_in(3);
        let mut actions: Vec<Action> = Vec::new();
        for number in 0..count {
            actions.push(Action::Event(event(&mut dice, number, &jobs)));
        }
        if !short {
            for _ in 0..dice.roll(count) {
                let one = dice.roll(count) as usize;
                let other = (one + dice.roll(6) as usize).min(count as usize - 1);
                actions.swap(one, other);
            }
        }
        if dice.once_in(2) {
            let retracted = actions.clone().into_iter().filter(|_| dice.once_in(4));
            for action in retracted.collect::<Vec<_>>() {
                retract(&mut dice, &mut actions, action, order, short);
            }
        }
        for number in 0..dice.roll(8) {
            let place = dice.roll(actions.len() as u64 + 1) as usize;
            let update = update(&mut dice, number, people);
            actions.insert(place, Action::Update(update));
        }
        for (number, job) in (0..).zip(&jobs) {
            if *job == Job::Stated {
                actions.insert(0, Action::Update(employment(number)));
            }
        }
        Self {
            order,
            remembered_events: if short { 8 } else { 256 },
            forgets: short,
            actions,
        }
    }
}

pub fn person(number: u64) -> ProfileId {
    ProfileId::new(&format!("person-{number}")).unwrap()
}

/// The account that a person of this number works for, if for one.
pub fn company(number: u64) -> ProfileId {
    ProfileId::of_subject("account", &company_name(number)).unwrap()
}

fn company_name(number: u64) -> String {
    format!("company-{}", number % COMPANY_COUNT)
}

/// Where the events of a person count as well. What asks for order takes from an account what the
/// same person gave it only while all events of a person are for one account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    None,
    /// Every event says the account.
    Sent,
    /// The person states the account before anything else, and some events say it.
    Stated,
    /// Every event is for any account or for none.
    Any,
}

fn employment(number: u64) -> ProfileUpdate {
    let company = AttributeValue::String(company_name(number));
    ProfileUpdate {
        profile_id: person(number),
        attributes: Attributes::from([("company".to_owned(), company)]),
        removed: Vec::new(),
    }
}

/// Has an event taken back: when one thing is done after the other after it, soon or late, or
/// before it; and otherwise whenever that comes about, perhaps when nobody knows whether it counted.
fn retract(dice: &mut Dice, actions: &mut Vec<Action>, action: Action, order: Order, short: bool) {
    let Action::Event(event) = action else { return };
    let is_it = |action: &Action| matches!(action, Action::Event(other) if other.id == event.id);
    let Some(sent) = actions.iter().position(is_it) else {
        return;
    };
    if order == Order::Free && dice.once_in(3) {
        actions[sent] = Action::Regretted(event);
        return;
    }
    let later = |dice: &mut Dice, actions: &[Action]| {
        dice.between(sent as u64 + 1, actions.len() as u64) as usize
    };
    let place = match dice.roll(4) {
        // What a short memory is to remember must not come before its time.
        0 if !short => dice.roll(sent as u64 + 1) as usize,
        1 => later(dice, actions),
        _ => sent + 1,
    };
    if dice.once_in(3) {
        let place = later(dice, actions);
        actions.insert(place, Action::Retraction(event.clone()));
    }
    actions.insert(place, Action::Retraction(event.clone()));
    if !short && dice.once_in(3) {
        actions.push(Action::Event(event));
    }
}

fn event(dice: &mut Dice, number: u64, jobs: &[Job]) -> Event {
    let people = jobs.len() as u64;
    let who = dice.roll(people);
    let account = match jobs[who as usize] {
        Job::None => None,
        Job::Sent => Some(company(who)),
        Job::Stated => dice.once_in(2).then(|| company(who)),
        Job::Any => dice.once_in(2).then(|| company(dice.roll(COMPANY_COUNT))),
    };
    let kinds = ["visit", "visit", "reply", "reply", "complaint", "purchase"];
    let length = AttributeValue::Number(dice.roll(10) as f64);
    Event {
        id: IdHash::of_event(&format!("event-{number}")),
        profile_id: person(who),
        event_type: (*dice.pick(&kinds)).to_owned(),
        time: Some(at((number as i64 - 100) * DAY / 8)),
        channel: String::new(),
        attributes: Attributes::from([("length".to_owned(), length)]),
        text: if dice.once_in(2) { "The price!" } else { "" }.to_owned(),
        tags: if dice.once_in(2) {
            vec!["quality".into()]
        } else {
            Vec::new()
        },
        sentiment: None,
        // Few authors, who are people of their own too.
        author_id: (!dice.once_in(4)).then(|| person(dice.roll(people / 2 + 1))),
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: account.into_iter().collect(),
    }
}

/// Every update states something of its own, so that any order of them gives the same.
fn update(dice: &mut Dice, number: u64, people: u64) -> ProfileUpdate {
    let profile_id = match dice.roll(4) {
        0 => company(dice.roll(COMPANY_COUNT)),
        _ => person(dice.roll(people)),
    };
    let (name, value) = match dice.roll(3) {
        0 => (
            "industry".to_owned(),
            AttributeValue::String("retail".to_owned()),
        ),
        1 => ("crm_id".to_owned(), AttributeValue::Number(7.0)),
        _ => (
            format!("fact_{number}"),
            AttributeValue::Number(number as f64),
        ),
    };
    ProfileUpdate {
        profile_id,
        attributes: Attributes::from([(name, value)]),
        removed: Vec::new(),
    }
}
