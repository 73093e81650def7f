//! The service under test: a story is told to it, and it is asked everything.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bellwether::{
    scoring::{
        AttributeValue, Attributes, EventOutcome, IdHash, Model, Profile, ProfileId, Ranked,
        RetractionOutcome, Selection, StageRequirement, Tenant, Timestamp,
    },
    service::{
        InfluencerQuery, Models, PageStart, Paging, PendingScores, ProfileUpdate, QuarantineQuery,
        Scored, SegmentQuery, SegmentTopicsQuery, Service, ServiceError, Settings, Share, View,
    },
};

use crate::{
    answers::{Answers, FADED_AWAY, close},
    stores::Home,
    story::{ACCOUNTS, Event, NOW, PEOPLE, Step, Value},
};

/// Small, so that few people make several pages.
const PAGE_SIZE: usize = 2;

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
    model: Arc<Model>,
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
            max_unsettled_effects: 256,
            rebuild_rate: 20_000,
        };
        let clock = Arc::new(|| instant(NOW));
        let store = self.home.open().await;
        let service = Service::open(store, models, settings, clock).await;
        self.service = Some(service.unwrap());
    }

    fn service(&self) -> &Service<H::Store> {
        self.service.as_ref().unwrap()
    }

    fn tenant(&self) -> Tenant {
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
        let pending: PendingScores = self.service().submit_events(&self.tenant(), events).await;
        let results = pending.results().await;
        answers.extend(results.into_iter().map(|result| outcome(&result.unwrap())));
    }

    async fn state(&self, person: &str, name: &str, value: Option<&Value>) -> String {
        let mut attributes = Attributes::new();
        if let Some(value) = value {
            attributes.insert(name.to_owned(), attribute(value));
        }
        let update = ProfileUpdate {
            profile_id: profile_id(person),
            attributes,
            mask: vec![name.to_owned()],
        };
        let updated = self.service().update_profile(&self.tenant(), update).await;
        format!("now at {:?}", updated.unwrap().stage.unwrap_or_default())
    }

    async fn retract(&self, event: &Event) -> String {
        let (tenant, event) = (self.tenant(), event_of(event));
        let retracted = self.service().retract_event(&tenant, event).await;
        match retracted.unwrap().outcome {
            RetractionOutcome::Retracted => "retracted",
            RetractionOutcome::Duplicate => "duplicate",
            RetractionOutcome::Forestalled => "forestalled",
            RetractionOutcome::TooOld => "too old",
        }
        .to_owned()
    }

    async fn release(&self, person: &str, rule: Option<&str>) -> String {
        let selection = Selection {
            rule: rule.map(str::to_owned),
            event: None,
        };
        let (tenant, id) = (self.tenant(), profile_id(person));
        let released = self.service().release_events(&tenant, &id, selection).await;
        match released {
            Ok(released) => format!("released {}", released.count),
            Err(ServiceError::UnknownProfile(_)) => "unknown".to_owned(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Everything that the service says at an instant.
    pub async fn answers(&self, at: i64) -> Answers {
        let tenant = self.tenant();
        let mut answers = Answers::default();
        for id in PEOPLE.into_iter().chain(ACCOUNTS) {
            let (service, id_of) = (self.service(), profile_id(id));
            let asked = service.profile(&tenant, &id_of, View::Full, Some(instant(at)));
            match asked.await {
                Ok(profile) => say_person(&mut answers, id, &profile),
                Err(ServiceError::UnknownProfile(_) | ServiceError::UnknownAccount(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let names =
            |names: Vec<&str>| -> Vec<String> { names.into_iter().map(str::to_owned).collect() };
        for segment in names(self.model.segment_names().collect()) {
            self.say_segment(&mut answers, &segment, at).await;
        }
        for rule in names(self.model.quarantine_names().collect()) {
            self.say_quarantine(&mut answers, &rule, at).await;
        }
        let funnel = self.service().funnel(&tenant, Some(instant(at)));
        let funnel = funnel.await.unwrap();
        let unstaged = (String::new(), funnel.unstaged);
        for (stage, count) in funnel.stages.into_iter().chain([unstaged]) {
            answers.number(format!("funnel, {stage:?}"), count as f64);
        }
        for topic in names(self.model.topic_names().collect()) {
            let stages = names(self.model.stage_names().collect());
            for stage in stages.into_iter().chain([String::new()]) {
                self.say_influencers(&mut answers, &topic, &stage, at).await;
            }
        }
        answers
    }

    async fn say_segment(&self, answers: &mut Answers, segment: &str, at: i64) {
        let name = format!("segment {segment}");
        let (members, total) = self.members(segment, None, at).await;
        answers.number(format!("{name}: size"), total as f64);
        for (place, member) in &members {
            answers.number(format!("{name}, place {place}"), member.points);
            if let Some(probability) = &member.probability {
                let name = format!("{name}, place {place}: probability");
                answers.number(name, probability.value);
            }
        }
        let ids = |members: &[(u64, Ranked)]| -> Vec<String> {
            let ids = members.iter();
            ids.map(|(_, member)| member.profile.profile_id.name().to_owned())
                .collect()
        };
        let mut all = ids(&members);
        let (half, whole) = self.members(segment, Share::new(0.5), at).await;
        assert_eq!(whole, total, "a share leaves the size of {segment}");
        assert_eq!(ids(&half), all[..half.len()], "the highest of {segment}");
        answers.number(format!("{name}: half"), half.len() as f64);
        all.sort();
        answers.words(format!("{name}: members"), all.join(" "));

        let query = SegmentTopicsQuery {
            segment: segment.to_owned(),
            members: PEOPLE.len(),
            as_of: Some(instant(at)),
        };
        let told = self.service().segment_topics(&self.tenant(), query).await;
        let told = told.unwrap();
        assert_eq!((told.members as u64, told.total), (total, total));
        for topic in told.topics {
            let about = topic.topic;
            answers.number(format!("{name}, about {about}"), topic.points);
            answers.number(
                format!("{name}, members about {about}"),
                topic.members as f64,
            );
        }
    }

    /// All pages of a segment, or of its highest share; how many members it has.
    async fn members(
        &self,
        segment: &str,
        share: Option<Share>,
        at: i64,
    ) -> (Vec<(u64, Ranked)>, u64) {
        let mut members: Vec<(u64, Ranked)> = Vec::new();
        let mut start = None;
        loop {
            let query = SegmentQuery {
                segment: segment.to_owned(),
                stages: Vec::new(),
                share,
                view: View::Basic,
                paging: paging(start, at),
            };
            let page = self.service().rank_segment(&self.tenant(), query).await;
            let page = page.unwrap();
            for (place, member) in page.entries {
                assert_eq!(place, members.len() as u64 + 1, "places are without gaps");
                members.push((place, member));
            }
            start = page.next;
            if start.is_none() {
                return (members, page.total);
            }
        }
    }

    async fn say_quarantine(&self, answers: &mut Answers, rule: &str, at: i64) {
        let mut start = None;
        let mut most = usize::MAX;
        loop {
            let query = QuarantineQuery {
                rule: rule.to_owned(),
                paging: paging(start, at),
            };
            let page = self.service().quarantine(&self.tenant(), query).await;
            let page = page.unwrap();
            for entry in page.entries {
                assert!(entry.events.len() <= most, "most held events first");
                most = entry.events.len();
                let held: Vec<String> = entry
                    .events
                    .iter()
                    .map(|held| {
                        let matches = held.matches.iter();
                        let matches: Vec<&str> =
                            matches.map(|matched| matched.signal.as_str()).collect();
                        format!("{} {} {matches:?}", held.time.nanos(), held.event_type)
                    })
                    .collect();
                answers.words(
                    format!("held by {rule} of {}", entry.profile_id),
                    held.join(", "),
                );
            }
            start = page.next;
            if start.is_none() {
                answers.number(format!("held by {rule}: size"), page.total as f64);
                return;
            }
        }
    }

    async fn say_influencers(&self, answers: &mut Answers, topic: &str, stage: &str, at: i64) {
        let mut start = None;
        let mut last = f64::INFINITY;
        loop {
            let query = InfluencerQuery {
                topic: topic.to_owned(),
                stage: stage.to_owned(),
                paging: paging(start, at),
            };
            let page = self.service().top_influencers(&self.tenant(), query).await;
            let page = page.unwrap();
            for author in page.entries {
                assert!(
                    author.influence <= last || close(author.influence, last),
                    "influencers stand in order"
                );
                last = author.influence;
                let id = author.profile.profile_id.as_str();
                let name = format!("{id} on {topic} at {stage:?}");
                answers.number(format!("{name}: influence"), author.influence);
                answers.number(format!("{name}: touches"), author.touches as f64);
                answers.number(format!("{name}: advances"), author.advances);
                let probability = author.influence_probability;
                answers.number(format!("{name}: probability"), probability);
                answers.number(format!("{name}: reach"), author.reach);
            }
            start = page.next;
            if start.is_none() {
                return;
            }
        }
    }

    /// Ends the service.
    pub async fn end(self) {
        self.service().finish().await;
    }
}

fn say_person(answers: &mut Answers, id: &str, profile: &Profile) {
    for score in &profile.scores {
        let name = format!("{id}, {}", score.name);
        answers.number(format!("{name}: points"), score.points);
        answers.number(format!("{name}: base"), score.base);
        // Of whom nothing is known there is nothing to compare.
        let is_known = profile.event_count > 0 || !profile.attributes.is_empty();
        if let Some(percentile) = score.percentile.filter(|_| is_known) {
            answers.number(format!("{name}: percentile"), percentile);
        }
        for term in &score.contributions {
            let name = format!("{name}, {}", term.signal);
            for part in &term.keys {
                answers.number(format!("{name}, by {:?}", part.key), part.count);
            }
            answers.number(format!("{name}: count"), term.count);
            answers.number(format!("{name}: points"), term.points);
            if let Some(limit) = term.limit.filter(|_| term.count > FADED_AWAY) {
                answers.number(format!("{name}: limit"), limit);
                answers.number(format!("{name}: is capped"), f64::from(term.is_capped));
            }
        }
        if let Some(breadth) = score.breadth {
            answers.number(format!("{name}: breadth"), breadth.present as f64);
            let required = breadth.required as f64;
            answers.number(format!("{name}: breadth asked for"), required);
        }
        if let Some(probability) = &score.probability {
            answers.number(format!("{name}: probability"), probability.value);
        }
    }
    for (rule, count) in &profile.quarantined {
        answers.number(format!("{id}: held by {rule}"), f64::from(*count));
    }
    let identity = profile.identity_confidence.unwrap();
    answers.number(format!("{id}: identity"), identity);
    // Accounts stand at no stage.
    let explained = profile.stage_explanation.clone();
    let explained = explained.filter(|_| !ACCOUNTS.contains(&id));
    let stages = explained.map(|explained| [("held", explained.current), ("next", explained.next)]);
    for (what, stage) in stages.into_iter().flatten() {
        if let Some(stage) = stage {
            say_stage(answers, &format!("{id}, stage {what}"), &stage);
        }
    }
    let stage = profile.stage.as_deref().unwrap_or_default();
    answers.words(format!("{id}: stage"), stage);
    answers.words(format!("{id}: segments"), profile.segments.join(" "));
    for interest in &profile.topics {
        answers.number(format!("{id}, about {}", interest.topic), interest.points);
    }
    for (name, value) in &profile.attributes {
        answers.words(format!("{id} states {name}"), shown(value));
    }
    answers.number(format!("{id}: events"), profile.event_count as f64);
    let times = profile.first_seen_time.zip(profile.last_event_time);
    let times = times.map(|(first, last)| (first.nanos(), last.nanos()));
    answers.words(format!("{id}: first and last"), format!("{times:?}"));
}

fn say_stage(answers: &mut Answers, name: &str, stage: &StageRequirement) {
    answers.words(format!("{name}: name"), &stage.stage);
    answers.words(format!("{name}: when"), &stage.when);
    answers.number(format!("{name}: holds"), f64::from(stage.when_holds));
    if !stage.score.is_empty() {
        answers.words(format!("{name}: score"), &stage.score);
        answers.number(format!("{name}: min"), stage.min);
        answers.number(format!("{name}: points"), stage.points);
        answers.number(format!("{name}: missing"), stage.missing_points);
    }
}

fn paging(start: Option<PageStart>, at: i64) -> Paging {
    Paging {
        as_of: Some(instant(at)),
        page_size: PAGE_SIZE,
        start,
    }
}

fn outcome(scored: &Scored) -> String {
    match &scored.outcome {
        EventOutcome::Applied {
            matched_signals,
            stage_change,
        } => {
            let moved = stage_change.clone().map(|change| {
                let (from, to) = (change.from, change.to);
                (from.unwrap_or_default(), to.unwrap_or_default())
            });
            format!("applied {matched_signals:?}, moved {moved:?}")
        }
        EventOutcome::Duplicate => "duplicate".to_owned(),
        EventOutcome::TooOld => "too old".to_owned(),
        EventOutcome::Quarantined { rule } => format!("held by {rule}"),
    }
}

fn instant(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos).unwrap()
}

fn profile_id(id: &str) -> ProfileId {
    let named = if ACCOUNTS.contains(&id) {
        ProfileId::of_account(id)
    } else {
        ProfileId::new(id)
    };
    named.unwrap()
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Number(number) => AttributeValue::Number(*number),
        Value::Text(text) => AttributeValue::String((*text).to_owned()),
        Value::Null => AttributeValue::Null,
    }
}

fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Number(number) => number.to_string(),
        AttributeValue::String(text) => format!("{text:?}"),
        AttributeValue::Null => "null".to_owned(),
        other => format!("{other:?}"),
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
        tags: event.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        sentiment: event.sentiment,
        author_id: event.author.map(profile_id),
        content_id: event.content.to_owned(),
        account_id: event.account.map(profile_id),
    }
}
