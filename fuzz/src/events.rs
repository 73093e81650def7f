//! Events as they come over the wire or from a file, all counted on one record.
//!
//! The first byte says what follows: a `ScoreEventRequest`, a `ScoreEventsRequest`, an
//! `UpdateProfileRequest`, or lines of JSON.

use std::sync::LazyLock;

use bellwether::{
    api,
    cli::replay::lines::{Entry, parse},
    proto::v1,
    scoring::{Event, Model, Record},
    service::ProfileUpdate,
};
use prost::Message as _;

use super::person::{Person, read_event};

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    Model::parse(include_str!("../model.toml")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
});

enum Step {
    Event(Event),
    Update(ProfileUpdate),
    Retraction(Event),
    Release,
}

/// Counts what the bytes say.
pub fn run(data: &[u8]) {
    let mut person = Person::new(&MODEL, "ann", Record::default());
    let mut author = Person::new(&MODEL, "bob", Record::default());
    let mut account = Person::new(&MODEL, "\u{1}account:a", Record::default());
    for step in steps(data) {
        let effects = match step {
            Step::Event(event) => person.score(&event),
            Step::Update(update) => {
                let after = person
                    .record
                    .attributes_after(&update.attributes, &update.removed);
                if bellwether::scoring::check_attributes(&after).is_err() {
                    continue;
                }
                person.update(after)
            }
            Step::Retraction(event) => person.retract(&event),
            Step::Release => person.release(),
        };
        author.take(&effects);
        account.take(&effects);
    }
    person.read();
    author.read();
    account.read();
}

fn steps(data: &[u8]) -> Vec<Step> {
    let Some((kind, rest)) = data.split_first() else {
        return Vec::new();
    };
    match kind % 6 {
        0 => {
            let request = v1::ScoreEventRequest::decode(rest).ok();
            let read = request.and_then(|request| api::score_event(request).ok());
            read.map(|(_, event, _)| Step::Event(event))
                .into_iter()
                .collect()
        }
        1 => {
            let request = v1::ScoreEventsRequest::decode(rest).ok();
            let read = request.and_then(|request| api::score_events(request).ok());
            let (_, events, _) = match read {
                Some(read) => read,
                None => return Vec::new(),
            };
            events
                .into_iter()
                .filter_map(read_event)
                .map(Step::Event)
                .collect()
        }
        2 => {
            let request = v1::UpdateProfileRequest::decode(rest).ok();
            request.and_then(update).into_iter().collect()
        }
        4 => {
            let request = v1::RetractEventRequest::decode(rest).ok();
            let read = request.and_then(|request| api::retract_event(request).ok());
            read.map(|(_, event, _)| Step::Retraction(event))
                .into_iter()
                .collect()
        }
        5 => vec![Step::Release],
        _ => {
            let Ok(text) = std::str::from_utf8(rest) else {
                return Vec::new();
            };
            text.lines()
                .filter_map(|line| parse(line).ok().flatten())
                .filter_map(|entry| match entry {
                    Entry::Event(event) => read_event(event).map(Step::Event),
                    Entry::Update(update) => update.read().ok().map(Step::Update),
                })
                .collect()
        }
    }
}

fn update(request: v1::UpdateProfileRequest) -> Option<Step> {
    let (_, update, _) = api::update_profile(request).ok()?;
    Some(Step::Update(update))
}
