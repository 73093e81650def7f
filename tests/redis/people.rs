//! People who do things, clients that report them, and what a server then says of everybody.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use bellwether::proto::v1::{
    self, batch_get_profiles_result::Result as Answer, scoring_service_client::ScoringServiceClient,
};
use pbjson_types::{Struct, Timestamp, value::Kind};
use serde_json::{Map, Value, json};
use tonic::{Status, transport::Channel};

use super::world::{Bellwether, MODEL, PATIENCE, may_be_sent_again, score_request};

type Client = ScoringServiceClient<Channel>;

const DAY: i64 = 86_400;
/// The first of January 2026, in seconds since 1970.
const START: i64 = 1_767_225_600;
/// When everything is over, and what is compared.
const END: i64 = START + 60 * DAY;
/// Events of one message of a stream.
const BATCH: usize = 10;
/// Before the same event is sent again.
const PAUSE: Duration = Duration::from_millis(20);
/// What a stated number may differ by: sums of the same numbers in another order.
const ROUNDING: f64 = 1e-9;

/// The same seed, the same numbers.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.roll(last as u64 + 1) as usize);
        }
    }
}

/// What many people do: `parts` follow each other, and within one no order matters.
pub struct Story {
    pub people: u64,
    pub parts: [Vec<v1::Event>; 3],
}

impl Story {
    /// So many events of so many people: everybody visits, then much happens, then
    /// everybody buys.
    pub fn new(seed: u64, people: u64, events: u64) -> Self {
        let mut dice = Dice(seed);
        let visits = (0..people).map(|person| event("visit", person, person as i64));
        let middle = events - 2 * people;
        // Over two weeks, no two at the same second.
        let step = (14 * DAY / middle as i64).max(1);
        let middle = (0..middle).map(|number| {
            let kind = ["visit", "reply", "share", "complaint"][dice.roll(4) as usize];
            let person = dice.roll(people);
            let mut event = event(kind, person, DAY + step * number as i64);
            let length = Kind::NumberValue(dice.roll(40) as f64);
            event.attributes = Some(Struct {
                fields: [("length".to_owned(), length.into())].into(),
            });
            event.tags = vec![["price", "quality"][dice.roll(2) as usize].to_owned()];
            let author = dice.roll(people / 5);
            event.author_id = format!("person-{author}");
            event
        });
        let middle = middle.collect();
        let purchases =
            (0..people).map(|person| event("purchase", person, 20 * DAY + person as i64));
        Self {
            people,
            parts: [visits.collect(), middle, purchases.collect()],
        }
    }

    pub fn events(&self) -> impl Iterator<Item = &v1::Event> {
        self.parts.iter().flatten()
    }

    /// How many events each person has.
    pub fn counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for event in self.events() {
            *counts.entry(event.profile_id.clone()).or_default() += 1;
        }
        counts
    }
}

fn event(kind: &str, person: u64, second: i64) -> v1::Event {
    v1::Event {
        event_id: format!("{kind}-{person}-{second}"),
        profile_id: format!("person-{person}"),
        r#type: kind.to_owned(),
        time: Some(instant(START + second)),
        ..Default::default()
    }
}

fn instant(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

/// What the answers said, of all clients.
#[derive(Clone, Default)]
pub struct Answers {
    may_lose: bool,
    applied: Arc<Mutex<HashSet<String>>>,
    failures: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Answers {
    /// Of a store that may lose what it has answered: the same event may be said to count
    /// twice.
    pub fn of_what_may_be_lost() -> Self {
        Self {
            may_lose: true,
            ..Self::default()
        }
    }

    /// Notes an answer, and that no event is said to have counted twice.
    fn note(&self, event_id: &str, response: &v1::ScoreEventResponse) {
        match response.outcome() {
            v1::EventOutcome::Applied => {
                let is_first = self.applied.lock().unwrap().insert(event_id.to_owned());
                assert!(is_first || self.may_lose, "{event_id} counted twice");
            }
            v1::EventOutcome::Duplicate => {}
            other => panic!("{event_id}: {other:?}"),
        }
    }

    fn note_failure(&self, status: &Status) {
        assert!(may_be_sent_again(status), "{status:?}");
        let mut failures = self.failures.lock().unwrap();
        *failures.entry(format!("{:?}", status.code())).or_default() += 1;
    }

    /// How many events were said to count.
    pub fn applied(&self) -> usize {
        self.applied.lock().unwrap().len()
    }

    /// How many calls failed with a code.
    pub fn failed(&self, code: tonic::Code) -> u64 {
        let failures = self.failures.lock().unwrap();
        failures.get(&format!("{code:?}")).copied().unwrap_or(0)
    }
}

/// Reports an event until it is answered.
pub async fn report(client: &mut Client, tenant: &str, event: &v1::Event, answers: &Answers) {
    let answered = async {
        loop {
            let request = score_request(tenant, event.clone());
            match client.score_event(request).await {
                Ok(response) => return answers.note(&event.event_id, response.get_ref()),
                Err(status) => answers.note_failure(&status),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    assert!(answered.is_ok(), "{} was never taken", event.event_id);
}

/// Reports events over a stream, and those that it does not take one by one.
async fn stream(client: &mut Client, tenant: &str, events: &[v1::Event], answers: &Answers) {
    let requests: Vec<_> = events
        .chunks(BATCH)
        .map(|events| v1::ScoreEventsRequest {
            tenant: tenant.to_owned(),
            events: events.to_vec(),
            ..Default::default()
        })
        .collect();
    let mut left = events.iter();
    let mut refused = Vec::new();
    match client.score_events(tokio_stream::iter(requests)).await {
        Ok(responses) => {
            let mut responses = responses.into_inner();
            loop {
                match responses.message().await {
                    Ok(Some(response)) => {
                        for (result, event) in response.results.into_iter().zip(&mut left) {
                            match result.result.unwrap() {
                                v1::score_events_result::Result::Response(response) => {
                                    answers.note(&event.event_id, &response);
                                }
                                v1::score_events_result::Result::Error(error) => {
                                    let status = Status::new(error.code.into(), error.message);
                                    answers.note_failure(&status);
                                    refused.push(event);
                                }
                            }
                        }
                    }
                    Ok(None) => break,
                    Err(status) => {
                        answers.note_failure(&status);
                        break;
                    }
                }
            }
        }
        Err(status) => answers.note_failure(&status),
    }
    refused.extend(left);
    for event in refused {
        report(client, tenant, event, answers).await;
    }
}

/// Reports a part of a story by many clients at once, spread over the servers; a fifth of
/// it twice, by different clients. Odd clients stream.
pub async fn report_part(
    servers: &[&Bellwether],
    clients: usize,
    tenant: &str,
    part: &[v1::Event],
    answers: &Answers,
) {
    let mut dice = Dice(part.len() as u64);
    let mut twice: Vec<v1::Event> = part.to_vec();
    twice.extend(part.iter().filter(|_| dice.roll(5) == 0).cloned());
    dice.shuffle(&mut twice);
    let share = twice.len().div_ceil(clients);
    let tasks: Vec<_> = twice
        .chunks(share)
        .enumerate()
        .map(|(number, events)| {
            let mut client = servers[number / 2 % servers.len()].client();
            let (tenant, answers) = (tenant.to_owned(), answers.clone());
            let events = events.to_vec();
            tokio::spawn(async move {
                if number % 2 == 1 {
                    stream(&mut client, &tenant, &events, &answers).await;
                } else {
                    for event in &events {
                        report(&mut client, &tenant, event, &answers).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What a server of its own says after it was told the story in order, once.
pub async fn recount(story: &Story, settings: &[(&str, &str)]) -> Value {
    recount_by(MODEL, story, settings).await
}

/// The same with another model.
pub async fn recount_by(model: &str, story: &Story, settings: &[(&str, &str)]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").display().to_string();
    let server = Bellwether::start_with(&store, model, settings).await;
    let answers = Answers::default();
    for part in &story.parts {
        stream(&mut server.client(), "", part, &answers).await;
    }
    assert_eq!(answers.applied(), story.events().count());
    let picture = picture(&mut server.client(), "", story).await;
    server.stop().await;
    picture
}

/// Everything that a caller can ask of the people of a story.
pub async fn picture(client: &mut Client, tenant: &str, story: &Story) -> Value {
    let tenant = tenant.to_owned();
    let as_of = Some(instant(END));
    let mut profiles = Vec::new();
    for person in 0..story.people {
        let request = v1::GetProfileRequest {
            tenant: tenant.clone(),
            profile_id: format!("person-{person}"),
            view: v1::ProfileView::Full.into(),
            as_of,
            ..Default::default()
        };
        profiles.push(client.get_profile(request).await.unwrap().into_inner());
    }
    let funnel = v1::GetFunnelRequest {
        tenant: tenant.clone(),
        as_of,
    };
    let funnel = client.get_funnel(funnel).await.unwrap().into_inner();
    let mut segments = Vec::new();
    for segment in ["everyone", "loyal"] {
        let mut page_token = String::new();
        loop {
            let request = v1::RankSegmentRequest {
                tenant: tenant.clone(),
                segment: segment.to_owned(),
                page_size: 7,
                page_token,
                as_of,
                ..Default::default()
            };
            let mut page = client.rank_segment(request).await.unwrap().into_inner();
            page_token = std::mem::take(&mut page.next_page_token);
            segments.push(page);
            if page_token.is_empty() {
                break;
            }
        }
    }
    let mut influencers = Vec::new();
    for (topic, stage) in [("price", ""), ("quality", ""), ("price", "awareness")] {
        let mut all = v1::TopInfluencersResponse::default();
        let mut page_token = String::new();
        loop {
            let request = v1::TopInfluencersRequest {
                tenant: tenant.clone(),
                topic: topic.to_owned(),
                stage: stage.to_owned(),
                page_size: 100,
                page_token,
                as_of,
            };
            let page = client.top_influencers(request).await.unwrap().into_inner();
            all.influencers.extend(page.influencers);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        influencers.push(all);
    }
    json!({
        "profiles": profiles,
        "funnel": funnel,
        "segments": segments,
        "influencers": influencers,
    })
}

/// Checks touches and advances against the story itself: every touch counts once, and whoever
/// was touched shares one advance among the touches when buying.
pub fn assert_influence(picture: &Value, story: &Story) {
    let touches: Vec<&v1::Event> = story
        .events()
        .filter(|event| ["reply", "share"].contains(&event.r#type.as_str()))
        .filter(|event| event.author_id != event.profile_id)
        .collect();
    let touched: HashSet<&str> = touches
        .iter()
        .map(|touch| touch.profile_id.as_str())
        .collect();
    // One list for each topic, and every touch is of one topic.
    let lists = picture["influencers"].as_array().unwrap()[..2].iter();
    let influencers: Vec<&Value> = lists
        .flat_map(|list| list["influencers"].as_array().unwrap())
        .collect();
    let counted = influencers.iter().map(|influencer| {
        let touches = influencer["touches"].as_str().unwrap();
        touches.parse::<usize>().unwrap()
    });
    assert_eq!(counted.sum::<usize>(), touches.len());
    let advances = influencers
        .iter()
        .map(|influencer| influencer["advances"].as_f64());
    let advances: f64 = advances.flatten().sum();
    let difference = (advances - touched.len() as f64).abs();
    // An advance is shared in millionths.
    assert!(
        difference < 1e-3,
        "{advances} advances of {} people",
        touched.len()
    );
}

/// Fails with all differences that are more than rounding.
pub fn assert_same(found: &Value, expected: &Value) {
    let mut differences = Vec::new();
    compare("", found, expected, &mut differences);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn compare(place: &str, found: &Value, expected: &Value, differences: &mut Vec<String>) {
    let is_same = match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let names: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
            for name in names {
                let value = |object: &Map<String, Value>| object.get(name).cloned();
                let (found, expected) = (value(found), value(expected));
                let place = format!("{place}.{name}");
                let (found, expected) = (found.unwrap_or_default(), expected.unwrap_or_default());
                compare(&place, &found, &expected, differences);
            }
            true
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
                compare(
                    &format!("{place}[{position}]"),
                    found,
                    expected,
                    differences,
                );
            }
            true
        }
        (Value::Number(found), Value::Number(expected)) => {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            (found - expected).abs() <= ROUNDING * expected.abs().max(1.0)
        }
        _ => found == expected,
    };
    if !is_same {
        differences.push(format!("{place} is {found}, expected {expected}"));
    }
}

/// How many events of each person a server has counted.
pub async fn event_counts(
    client: &mut Client,
    tenant: &str,
    story: &Story,
) -> BTreeMap<String, i64> {
    let request = v1::BatchGetProfilesRequest {
        tenant: tenant.to_owned(),
        profile_ids: story.counts().into_keys().collect(),
        as_of: Some(instant(END)),
        ..Default::default()
    };
    let response = client.batch_get_profiles(request).await.unwrap();
    let results = response.into_inner().results.into_iter();
    results
        .filter_map(|result| match result.result? {
            Answer::Profile(profile) => Some((profile.profile_id, profile.event_count)),
            Answer::Error(_) => None,
        })
        .collect()
}
