//! Holds the scoring core to its mathematics and its model files to their promises.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod breadth;
mod calibration;
mod catalog;
mod comparing;
mod conditions;
mod corrections;
mod cost;
mod counted_values;
mod counting;
mod effects;
mod explanation;
mod expressions;
mod failing;
mod failover;
mod half_life_migration;
mod influence;
mod keys;
mod models;
mod once;
mod order_free;
mod origins;
mod path;
mod phrase_mistakes;
mod phrases;
mod properties;
mod quarantine;
mod ratios;
mod signals;
mod size;
mod stated;
mod subjects;
mod topics;
mod unfading;

use bellwether::scoring::{
    AttributeValue, Attributes, Context, Detail, Event, EventOutcome, IdHash, Model, Profile,
    ProfileId, Record, RecordEdit, Score, Timestamp, explain,
};

/// Noon of 2026-01-01.
pub const START: i64 = 1_767_268_800_000_000_000;
pub const SECOND: i64 = 1_000_000_000;
pub const DAY: i64 = 86_400 * SECOND;

pub fn at(offset_nanos: i64) -> Timestamp {
    Timestamp::from_nanos(START + offset_nanos).unwrap()
}

pub fn model(source: &str) -> Model {
    Model::parse(source).unwrap_or_else(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

pub fn event(id: &str, event_type: &str) -> Event {
    Event {
        id: IdHash::of_event(id),
        profile_id: ProfileId::new("ann").unwrap(),
        event_type: event_type.to_owned(),
        time: None,
        channel: String::new(),
        attributes: Attributes::new(),
        text: String::new(),
        tags: Vec::new(),
        sentiment: None,
        author_id: None,
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: Vec::new(),
    }
}

pub fn context(at: Timestamp) -> Context<'static> {
    Context::at(at, 256)
}

/// Counts events one after the other, each in a write of its own.
pub fn replay(model: &Model, events: &[(Timestamp, Event)]) -> (Record, Vec<EventOutcome>) {
    let mut record = Record::default();
    let mut outcomes = Vec::new();
    for (time, event) in events {
        let mut edit = RecordEdit::new(model, event.profile_id.clone(), record);
        outcomes.push(edit.apply(event, &context(*time)));
        record = edit.finish().record;
    }
    (record, outcomes)
}

pub fn view(model: &Model, record: &Record, at: Timestamp) -> Profile {
    let ann = ProfileId::new("ann").unwrap();
    explain(model, &ann, record, at, Detail::Contributions)
}

/// The names of the segments that a profile belongs to.
pub fn segments(profile: &Profile) -> Vec<&str> {
    let segments = profile.segments.iter();
    segments.map(|segment| segment.segment.as_str()).collect()
}

pub fn points(model: &Model, record: &Record, at: Timestamp, score: &str) -> f64 {
    let profile = view(model, record, at);
    let score = profile.scores.into_iter().find(|found| found.name == score);
    score.unwrap().points
}

pub fn score<'p>(profile: &'p Profile, name: &str) -> &'p Score {
    let mut scores = profile.scores.iter();
    scores.find(|score| score.name == name).unwrap()
}

pub fn stating(attributes: &[(&str, AttributeValue)]) -> Record {
    Record {
        attributes: attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..Record::default()
    }
}

pub fn text(value: &str) -> AttributeValue {
    AttributeValue::String(value.to_owned())
}
