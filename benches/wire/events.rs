//! What is asked: events of a forum, profiles in no particular order, pages of a segment.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bellwether::proto::v1;
use futures_util::StreamExt as _;
use pbjson_types::{Struct, Timestamp};

use crate::clients::Client;

pub const PROFILES: u64 = 10_000;
pub const EVENTS_PER_PROFILE: u64 = 10;
pub const EVENTS_PER_BATCH: u64 = 100;
const SEGMENT: &str = "unknown_place";
/// Events begin this long ago and come one every two seconds.
const PAST: Duration = Duration::from_secs(30 * 24 * 3600);
const BETWEEN_EVENTS: Duration = Duration::from_secs(2);

/// Events of the forum, each new, on profiles in no particular order. One in four engages
/// with another member on a topic, so that it also earns credit for its author.
pub struct Events {
    next: AtomicU64,
    /// In seconds since 1970.
    first_time: i64,
}

impl Events {
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a client stamps its own events")]
        let first_time = SystemTime::now() - PAST;
        let since_epoch = first_time.duration_since(UNIX_EPOCH).unwrap();
        Self {
            next: AtomicU64::new(0),
            first_time: since_epoch.as_secs() as i64,
        }
    }

    fn event(&self) -> v1::Event {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let kind = (number + number / PROFILES) % 4;
        let kind = ["question", "answer", "comment", "badge"][kind as usize];
        let (author_id, topics) = match kind {
            "comment" => (profile_id(number / 4), vec!["tools".to_owned()]),
            _ => (String::new(), Vec::new()),
        };
        let attributes = HashMap::from([
            ("length".to_owned(), 640.0.into()),
            ("badge".to_owned(), "Supporter".into()),
            ("grade".to_owned(), "bronze".into()),
        ]);
        let time = self.first_time + BETWEEN_EVENTS.as_secs() as i64 * number as i64;
        v1::Event {
            event_id: format!("event-{number}"),
            profile_id: profile_id(number),
            r#type: kind.to_owned(),
            time: Some(Timestamp {
                seconds: time,
                nanos: 0,
            }),
            channel: "forum".to_owned(),
            attributes: Some(Struct { fields: attributes }),
            author_id,
            topics,
            ..v1::Event::default()
        }
    }

    pub fn request(&self) -> v1::ScoreEventRequest {
        v1::ScoreEventRequest {
            event: Some(self.event()),
            ..v1::ScoreEventRequest::default()
        }
    }

    pub fn batch(&self) -> v1::ScoreEventsRequest {
        v1::ScoreEventsRequest {
            events: (0..EVENTS_PER_BATCH).map(|_| self.event()).collect(),
            ..v1::ScoreEventsRequest::default()
        }
    }

    /// Scores the first events of every profile.
    pub async fn preload(self: &Arc<Self>, client: &Client) {
        let batches = PROFILES * EVENTS_PER_PROFILE / EVENTS_PER_BATCH;
        let events = Arc::clone(self);
        let requests = futures_util::stream::iter(0..batches).map(move |_| events.batch());
        let answers = client.clone().score_events(requests).await.unwrap();
        let mut answers = answers.into_inner();
        while let Some(answer) = answers.next().await {
            assert_all_scored(&answer.unwrap());
        }
    }
}

pub fn assert_all_scored(answer: &v1::ScoreEventsResponse) {
    for result in &answer.results {
        let result = result.result.as_ref();
        assert!(matches!(
            result,
            Some(v1::score_events_result::Result::Response(_))
        ));
    }
}

/// A profile; numbers that follow each other lie far apart.
fn profile_id(number: u64) -> String {
    format!("member-{}", number * 7_919 % PROFILES)
}

pub fn profile_request(number: u64) -> v1::GetProfileRequest {
    v1::GetProfileRequest {
        profile_id: profile_id(number),
        ..v1::GetProfileRequest::default()
    }
}

pub fn page_request(page_size: i32) -> v1::RankSegmentRequest {
    v1::RankSegmentRequest {
        segment: SEGMENT.to_owned(),
        page_size,
        ..v1::RankSegmentRequest::default()
    }
}
