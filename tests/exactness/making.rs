//! Stories, made up at random.

use proptest::{prelude::*, sample::Index};

use crate::story::{
    ACCOUNTS, Attributes, DAY, Event, HOUR, NOW, PEOPLE, SECOND, START, Step, Story, Value,
};

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
    const TEXTS: [&str; 13] = [
        "",
        "Far TOO dear!",
        "Pricey, not priced",
        "what a price",
        "Looking FOR shoes",
        "overlooking forests",
        "Not now. Looking for new shoes",
        "Rather not\nLooking for new shoes",
        "I am not looking for shoes",
        "looking for followers, not shoes",
        "Tres  CHER! À LA RECHERCHE DE bottes",
        "à la recherche de/des bottes, bientôt",
        "J'AIMERAIS? Aime\u{301}rais des bottes tre\u{300}s che\u{300}res",
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
            campaign: if content == "offer" { "spring" } else { "" },
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
        Just(("seats", Some(Value::Text("many")))),
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
