//! The service under test, which a story is told to.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bellwether::{
    rollout::{self, Models},
    scoring::{
        AttributeValue, Attributes, EventOutcome, IdHash, Model, ProfileId, RetractionOutcome,
        Selection, Tenant, Timestamp,
    },
    service::{ProfileUpdate, Scored, Service, ServiceError, Settings, View},
    telemetry::Counters,
};

use crate::{
    stores::Home,
    story::{ACCOUNTS, Event, NOW, Step, Value},
};

/// How events that follow each other are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once, and counted at once. In which order an account hears of those of different
    /// people is then open.
    Together,
    /// Each once the one before it has counted everywhere.
    OneByOne,
}

/// A service on a store that nobody else uses.
pub struct Served<H: Home> {
    home: H,
    pub model: Arc<Model>,
    remembered_events: usize,
    service: Option<Service<H::Store>>,
}

impl<H: Home> Served<H> {
    pub async fn start(model: &Arc<Model>, remembered_events: usize) -> Self {
        let mut served = Self {
            home: H::new().await,
            model: Arc::clone(model),
            remembered_events,
            service: None,
        };
        served.reload().await;
        served
    }

    /// Has another model answer, once the service has stopped and started again.
    pub async fn adopt(&mut self, model: &Arc<Model>) {
        self.model = Arc::clone(model);
        self.reload().await;
    }

    /// Stops the service, and starts another on what is stored.
    async fn reload(&mut self) {
        if let Some(service) = self.service.take() {
            service.finish().await;
        }
        let model = Arc::clone(&self.model);
        let models = Models::ByTenant(HashMap::from([(self.home.tenant(), model)]));
        let settings = Settings {
            server: H::SERVER,
            max_skew: Duration::from_secs(300),
            remembered_events: self.remembered_events,
            max_events_in_flight: 1_000,
            max_calls_in_flight: 1_000,
            rollout: rollout::Settings {
                max_tenants: 1_000,
                auto_create_tenants: true,
                rebuild_rate: 20_000,
            },
            max_unsettled_effects: 256,
        };
        let clock = Arc::new(|| instant(NOW));
        let store = self.home.open().await;
        let service = Service::open(store, models, settings, clock, Counters::disabled()).await;
        self.service = Some(service.unwrap());
    }

    pub fn service(&self) -> &Service<H::Store> {
        self.service.as_ref().unwrap()
    }

    pub fn tenant(&self) -> Tenant {
        self.home.tenant()
    }

    /// Tells steps of a story; the answers to them.
    pub async fn tell(&mut self, steps: &[Step], pace: Pace) -> Vec<String> {
        let mut answers = Vec::new();
        let mut together = Vec::new();
        for step in steps {
            if let Step::Send(event) = step {
                // What reads an account asks for everything that others did before.
                let is_alone =
                    pace == Pace::OneByOne || crate::rows::READS_ACCOUNTS.contains(&event.kind);
                if is_alone {
                    self.send(std::mem::take(&mut together), &mut answers).await;
                }
                together.push(event_of(event));
                if is_alone {
                    self.send(std::mem::take(&mut together), &mut answers).await;
                }
                continue;
            }
            self.send(std::mem::take(&mut together), &mut answers).await;
            answers.push(match step {
                Step::Send(_) => continue,
                Step::State {
                    person,
                    name,
                    value,
                } => self.state(person, name, value.as_ref()).await,
                Step::Retract(event) => self.retract(event).await,
                Step::Release { person, rule } => self.release(person, *rule).await,
                Step::Reload => {
                    self.reload().await;
                    String::new()
                }
            });
        }
        self.send(together, &mut answers).await;
        answers
    }

    async fn send(&self, events: Vec<bellwether::scoring::Event>, answers: &mut Vec<String>) {
        if events.is_empty() {
            return;
        }
        let service = self.service();
        let pending = service.submit_events(&self.tenant(), events, None).await;
        let results = pending.results().await;
        answers.extend(results.into_iter().map(|result| outcome(&result.unwrap())));
    }

    async fn state(&self, person: &str, name: &str, value: Option<&Value>) -> String {
        let (mut attributes, mut removed) = (Attributes::new(), Vec::new());
        match value {
            Some(value) => drop(attributes.insert(name.to_owned(), attribute(value))),
            None => removed.push(name.to_owned()),
        }
        let update = ProfileUpdate {
            profile_id: profile_id(person),
            attributes,
            removed,
        };
        let (service, basic) = (self.service(), Some(View::Basic));
        let updated = service.update_profile(&self.tenant(), update, basic).await;
        format!(
            "now at {:?}",
            updated.unwrap().unwrap().stage.unwrap_or_default()
        )
    }

    async fn retract(&self, event: &Event) -> String {
        let (tenant, event) = (self.tenant(), event_of(event));
        let retracted = self.service().retract_event(&tenant, event, None).await;
        match retracted.unwrap().outcome {
            RetractionOutcome::Retracted => "retracted",
            RetractionOutcome::Duplicate => "duplicate",
            RetractionOutcome::RetractedInAdvance => "retracted in advance",
            RetractionOutcome::TooOld => "too old",
            RetractionOutcome::OtherType => "other type",
        }
        .to_owned()
    }

    async fn release(&self, person: &str, rule: Option<&str>) -> String {
        let selection = Selection {
            rule: rule.map(str::to_owned),
            event: None,
        };
        let (tenant, id) = (self.tenant(), profile_id(person));
        let service = self.service();
        let selection = service.check_selection(&tenant, selection).await.unwrap();
        let released = service.release_events(&tenant, &id, selection, None).await;
        match released {
            Ok(released) => format!("released {}", released.outcome),
            Err(ServiceError::UnknownProfile(_)) => "unknown".to_owned(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends the service.
    pub async fn end(self) {
        self.service().finish().await;
    }
}

fn outcome(scored: &Scored) -> String {
    match &scored.outcome {
        EventOutcome::Applied {
            matched_signals,
            stage_change,
            ..
        } => {
            let moved = stage_change.clone().map(|change| {
                let (from, to) = (change.from_stage, change.to_stage);
                (from.unwrap_or_default(), to.unwrap_or_default())
            });
            format!("applied {matched_signals:?}, moved {moved:?}")
        }
        EventOutcome::Duplicate { .. } => "duplicate".to_owned(),
        EventOutcome::TooOld => "too old".to_owned(),
        EventOutcome::Quarantined { rule } => format!("held by {rule}"),
    }
}

pub fn instant(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos).unwrap()
}

pub fn profile_id(id: &str) -> ProfileId {
    let named = if ACCOUNTS.contains(&id) {
        ProfileId::of_subject("account", id)
    } else {
        ProfileId::new(id)
    };
    named.unwrap()
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Number(number) => AttributeValue::Number(*number),
        Value::Text(text) => AttributeValue::String((*text).to_owned()),
    }
}

fn event_of(event: &Event) -> bellwether::scoring::Event {
    let attributes = event.attributes.iter();
    bellwether::scoring::Event {
        id: IdHash::of_event(&event.id),
        profile_id: profile_id(event.person),
        event_type: event.kind.to_owned(),
        time: event.offset.map(|_| instant(event.known_by())),
        channel: event.channel.to_owned(),
        attributes: attributes
            .map(|(name, value)| ((*name).to_owned(), attribute(value)))
            .collect(),
        text: event.text.to_owned(),
        tags: event.tags.iter().map(|tag| (*tag).into()).collect(),
        sentiment: event.sentiment,
        author_id: event.author.map(profile_id),
        content_id: event.content.to_owned(),
        campaign_id: event.campaign.to_owned(),
        subjects: event.account.map(profile_id).into_iter().collect(),
    }
}
