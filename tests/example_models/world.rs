//! A service with an example model on an empty store, and people who do things by a script.

use std::{path::Path, sync::Arc};

use bellwether::{
    config::{Config, Flags},
    rollout::Models,
    scoring::{
        AttributeValue, Attributes, Contribution, Event, EventOutcome, IdHash, Model, Name,
        Profile, ProfileId, Ranked, RetractionOutcome, Score, Selection, Tenant, Timestamp,
    },
    server::service_settings,
    service::{Paging, ProfileQuery, ProfileUpdate, QuarantineQuery, SegmentQuery, Service, View},
    store::embedded::Embedded,
    telemetry::Counters,
};
use serde_json::Value;
use tempfile::TempDir;

const START_SECONDS: i64 = 1_767_268_800;
const DAY_NANOS: f64 = 86_400.0 * 1e9;
/// As far as a script may go.
const LAST_DAY: f64 = 1_000.0;

/// An instant, in days from the start.
pub fn at(day: f64) -> Timestamp {
    Timestamp::from_nanos(START_SECONDS * 1_000_000_000 + (day * DAY_NANOS) as i64).unwrap()
}

pub fn tenant() -> Tenant {
    Tenant::new("").unwrap()
}

/// Something that somebody does.
pub struct Action(Event, f64);

/// What somebody does on a day, with attributes as JSON.
pub fn did(who: &str, event_type: &str, day: f64, attributes: Value) -> Action {
    let event = Event {
        id: IdHash::of_event(""),
        profile_id: ProfileId::new(who).unwrap(),
        event_type: event_type.to_owned(),
        time: Some(at(day)),
        channel: String::new(),
        attributes: attributes_of(attributes),
        text: String::new(),
        tags: Vec::new(),
        sentiment: None,
        author_id: None,
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: Vec::new(),
    };
    Action(event, day)
}

impl Action {
    /// With somebody on the other side.
    pub fn with(mut self, author: &str) -> Self {
        self.0.author_id = Some(ProfileId::new(author).unwrap());
        self
    }

    pub fn tagged(mut self, tags: &[&str]) -> Self {
        self.0.tags = tags.iter().map(|&tag| tag.into()).collect();
        self
    }

    /// With a piece of content.
    pub fn about(mut self, content_id: &str) -> Self {
        self.0.content_id = content_id.to_owned();
        self
    }

    pub fn saying(mut self, text: &str) -> Self {
        self.0.text = text.to_owned();
        self
    }

    pub fn feeling(mut self, sentiment: f64) -> Self {
        self.0.sentiment = Some(sentiment);
        self
    }

    pub fn through(mut self, channel: &str) -> Self {
        self.0.channel = channel.to_owned();
        self
    }
}

fn attributes_of(value: Value) -> Attributes {
    match attribute_of(value) {
        AttributeValue::Map(attributes) => attributes,
        AttributeValue::Null => Attributes::new(),
        other => panic!("{other:?} is no map"),
    }
}

fn attribute_of(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null,
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(value) => AttributeValue::Number(value.as_f64().unwrap()),
        Value::String(value) => AttributeValue::String(value),
        Value::Array(values) => {
            AttributeValue::List(values.into_iter().map(attribute_of).collect())
        }
        Value::Object(values) => AttributeValue::Map(
            values
                .into_iter()
                .map(|(name, value)| (name, attribute_of(value)))
                .collect(),
        ),
    }
}

/// A model at work.
pub struct World {
    pub service: Service<Embedded>,
    actions: u64,
    _directory: TempDir,
}

impl World {
    /// An empty store under a model of `models/`.
    pub async fn of(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("models")
            .join(file);
        let model = Model::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        let directory = TempDir::new().unwrap();
        let config = Config::load(&Flags::default(), |_| None).unwrap();
        let settings = service_settings(&config, 1);
        let service = Service::open(
            Embedded::open(directory.path()).unwrap(),
            Models::Shared(Arc::new(model)),
            settings,
            Arc::new(|| at(LAST_DAY)),
            Counters::disabled(),
        )
        .await
        .unwrap();
        Self {
            service,
            actions: 0,
            _directory: directory,
        }
    }

    /// Somebody states something.
    pub async fn states(&self, who: &str, attributes: Value) {
        let update = ProfileUpdate {
            profile_id: ProfileId::new(who).unwrap(),
            attributes: attributes_of(attributes),
            removed: Vec::new(),
        };
        self.service
            .update_profile(&tenant(), update, None)
            .await
            .unwrap();
    }

    /// Evaluates a deed.
    async fn evaluates(&mut self, action: Action) -> EventOutcome {
        let Action(mut event, day) = action;
        assert!(day < LAST_DAY, "the clock of the service stands there");
        self.actions += 1;
        event.id = IdHash::of_event(&format!("deed-{}", self.actions));
        let scored = self
            .service
            .score_event(&tenant(), event, None)
            .await
            .unwrap();
        scored.outcome
    }

    /// The quarantine rule that holds a deed, if one does.
    pub async fn holds(&mut self, action: Action) -> Option<String> {
        match self.evaluates(action).await {
            EventOutcome::Quarantined { rule } => Some(rule.into()),
            EventOutcome::Applied { .. } => None,
            other => panic!("{other:?}"),
        }
    }

    /// Counts a deed, and says which signals it matched.
    pub async fn sees(&mut self, action: Action) -> Vec<Name> {
        match self.evaluates(action).await {
            EventOutcome::Applied {
                matched_signals, ..
            } => matched_signals,
            other => panic!("{other:?}"),
        }
    }

    /// Counts a deed, which can be taken back with what is returned.
    pub async fn sees_mistake(&mut self, action: Action) -> Event {
        let mut event = action.0.clone();
        self.sees(action).await;
        event.id = IdHash::of_event(&format!("deed-{}", self.actions));
        event
    }

    /// Takes a deed back that counted.
    pub async fn takes_back(&mut self, event: Event) {
        let retracted = self.service.retract_event(&tenant(), event, None).await;
        assert_eq!(retracted.unwrap().outcome, RetractionOutcome::Retracted);
    }

    /// Counts deeds in their order.
    pub async fn sees_all(&mut self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            self.sees(action).await;
        }
    }

    /// Who has events that a rule holds, and how many, most first.
    pub async fn quarantined(&self, rule: &str) -> Vec<(String, usize)> {
        let query = QuarantineQuery {
            rule: rule.to_owned(),
            paging: Paging {
                as_of: None,
                page_size: 1_000,
                start: None,
            },
        };
        let page = self.service.quarantine(&tenant(), query).await.unwrap();
        let held = page.entries.into_iter();
        held.map(|held| (held.profile_id.as_str().to_owned(), held.events.len()))
            .collect()
    }

    /// Releases what a rule holds of somebody, and says how many events that were.
    pub async fn releases(&self, who: &str, rule: &str) -> usize {
        let selection = Selection {
            rule: Some(rule.to_owned()),
            event: None,
        };
        let id = ProfileId::new(who).unwrap();
        let checked = self.service.check_selection(&tenant(), selection).await;
        let released = self
            .service
            .release_events(&tenant(), &id, checked.unwrap(), None)
            .await;
        released.unwrap().outcome
    }

    /// Somebody as they stand on a day, in the full view, whose explanation must hold.
    pub async fn profile(&self, who: &str, day: f64) -> Profile {
        let profile = self
            .service
            .profile(
                &tenant(),
                &ProfileId::new(who).unwrap(),
                ProfileQuery {
                    view: View::Full,
                    as_of: Some(at(day)),
                    or_default: false,
                },
            )
            .await
            .unwrap();
        profile.scores.iter().for_each(check_explanation);
        profile
    }

    /// The points of somebody on a day.
    pub async fn points(&self, who: &str, name: &str, day: f64) -> f64 {
        score(&self.profile(who, day).await, name).points
    }

    /// The members of a segment on a day, highest first.
    pub async fn members(&self, segment: &str, day: f64) -> Vec<Ranked> {
        let query = SegmentQuery {
            segment: segment.to_owned(),
            condition: None,
            fraction: None,
            view: View::Basic,
            paging: Paging {
                as_of: Some(at(day)),
                page_size: 1_000,
                start: None,
            },
        };
        let page = self.service.rank_segment(&tenant(), query).await.unwrap();
        let entries = page.members.entries.into_iter();
        entries.map(|(_, member)| member).collect()
    }

    /// The ids of a segment on a day, highest first; those of accounts by their own names.
    pub async fn ranked(&self, segment: &str, day: f64) -> Vec<String> {
        let members = self.members(segment, day).await;
        let ids = members.iter().map(|member| &member.profile.profile_id);
        ids.map(|id| id.name().to_owned()).collect()
    }
}

/// A score of a profile.
pub fn score<'p>(profile: &'p Profile, name: &str) -> &'p Score {
    let found = profile.scores.iter().find(|score| score.name == name);
    found.unwrap_or_else(|| panic!("no score {name:?}"))
}

/// A term of a score; fails when the explanation does not name it.
pub fn term<'p>(profile: &'p Profile, score_name: &str, signal: &str) -> &'p Contribution {
    let terms = &score(profile, score_name).contributions;
    terms
        .iter()
        .find(|term| term.name == signal)
        .unwrap_or_else(|| panic!("{signal} does not explain {score_name}: {terms:?}"))
}

/// The names of the terms of a score.
pub fn reasons(profile: &Profile, score_name: &str) -> Vec<Name> {
    let terms = score(profile, score_name).contributions.iter();
    terms.map(|term| term.name.clone()).collect()
}

/// What explains a score: each signal or rule with its weight, and its limit.
fn explained(profile: &Profile, score_name: &str) -> Vec<(Name, f64, Option<f64>)> {
    let terms = score(profile, score_name).contributions.iter();
    terms
        .map(|term| (term.name.clone(), term.weight, term.limit))
        .collect()
}

/// What gives points, how many for a count of 1, and where its count stops.
pub type Term<'t> = (&'t str, f64, Option<f64>);

/// Fails unless exactly these terms explain a score.
#[track_caller]
pub fn assert_explained(profile: &Profile, score_name: &str, terms: &[Term<'_>]) {
    let expected: Vec<_> = terms
        .iter()
        .map(|&(signal, weight, limit)| (signal.into(), weight, limit))
        .collect();
    assert_eq!(explained(profile, score_name), expected, "{score_name}");
}

fn check_explanation(score: &Score) {
    let terms = score.contributions.iter();
    let sum: f64 = terms.clone().map(|term| term.points).sum();
    for term in terms {
        assert_close(term.points, term.count * term.weight);
        if !term.keys.is_empty() {
            assert_close(term.keys.iter().map(|key| key.count).sum(), term.count);
        }
    }
    let is_too_narrow = score
        .breadth
        .is_some_and(|breadth| breadth.present < breadth.required);
    let expected = if is_too_narrow { 0.0 } else { score.base + sum };
    assert_close(score.points, expected.max(0.0));
}

/// Equal but for rounding.
#[track_caller]
pub fn assert_close(actual: f64, expected: f64) {
    let tolerance = 1e-9 * expected.abs().max(1.0);
    assert!(
        (actual - expected).abs() <= tolerance,
        "{actual}, not {expected}"
    );
}
