//! What is asked: events of a forum, profiles in no particular order, pages of a segment.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bellwether::proto::v1::{self, ProfileView as View};
use pbjson_types::{Struct, Timestamp};

pub const PROFILES: u64 = 10_000;
/// Unless the arguments say otherwise.
pub const EVENTS_PER_PROFILE: u64 = 10;
pub const EVENTS_PER_BATCH: u64 = 100;
/// How much of a profile is asked for.
pub const VIEWS: [View; 2] = [View::Basic, View::Full];
const SEGMENT: &str = "unknown_place";
/// Events begin this long ago.
const PAST: Duration = Duration::from_secs(30 * 24 * 3600);
/// The time between two events: the events of one profile lie farther apart than any cooldown of
/// the model, and 26 million events find room in the past.
const BETWEEN_EVENTS: Duration = Duration::from_millis(100);

/// Events of the forum, each new, on profiles in no particular order. One in four engages
/// with another member on a topic, so that it also earns credit for its author.
pub struct Events {
    next: AtomicU64,
    first_time: SystemTime,
    /// Whose all of them are; absent for everybody's.
    only_of: Option<String>,
}

impl Events {
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a client stamps its own events")]
        let first_time = SystemTime::now() - PAST;
        Self {
            next: AtomicU64::new(0),
            first_time,
            only_of: None,
        }
    }

    /// Events of one profile.
    pub fn of_one() -> Self {
        Self {
            only_of: Some("everybodys-darling".to_owned()),
            ..Self::new()
        }
    }

    fn event(&self) -> v1::Event {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let kind = (number + number / PROFILES) % 4;
        let kind = ["question", "answer", "comment", "badge"][kind as usize];
        let (author_id, tags) = match kind {
            "comment" => (profile_id(number / 4), vec!["tools".to_owned()]),
            _ => (String::new(), Vec::new()),
        };
        let attributes = HashMap::from([
            ("length".to_owned(), 640.0.into()),
            ("badge".to_owned(), "Supporter".into()),
            ("grade".to_owned(), "bronze".into()),
        ]);
        // An event of the future would be refused, and the bench would measure refusals.
        let since_first = BETWEEN_EVENTS * u32::try_from(number).unwrap();
        assert!(since_first < PAST, "the past has no room for more events");
        let since_epoch = (self.first_time + since_first).duration_since(UNIX_EPOCH);
        let since_epoch = since_epoch.unwrap();
        v1::Event {
            event_id: format!("event-{number}"),
            profile_id: self.only_of.clone().unwrap_or_else(|| profile_id(number)),
            r#type: kind.to_owned(),
            time: Some(Timestamp {
                seconds: since_epoch.as_secs() as i64,
                nanos: since_epoch.subsec_nanos() as i32,
            }),
            channel: "forum".to_owned(),
            attributes: Some(Struct { fields: attributes }),
            author_id,
            tags,
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
}

/// Every event of a batch has counted: a refused one is work that was not done.
pub fn assert_all_applied(answer: &v1::ScoreEventsResponse) {
    assert_eq!(answer.results.len() as u64, EVENTS_PER_BATCH);
    for result in &answer.results {
        match &result.result {
            Some(v1::score_events_result::Result::Response(scored)) => assert_applied(scored),
            other => panic!("an event was not counted: {other:?}"),
        }
    }
}

/// The event has counted.
pub fn assert_applied(scored: &v1::ScoreEventResponse) {
    assert_eq!(scored.outcome(), v1::EventOutcome::Applied, "{scored:?}");
    assert!(!scored.profile.as_ref().unwrap().scores.is_empty());
}

/// A page is full: the segment has more members than any page has entries.
pub fn assert_full(page: &v1::RankSegmentResponse, page_size: i32) {
    assert_eq!(page.members.len(), page_size as usize);
}

/// The profile that was asked for, or for the service that does nothing any other, with scores,
/// and with their percentiles in the full view.
pub fn assert_scored(answer: &v1::GetProfileResponse, view: View) {
    let profile = answer.profile.as_ref().unwrap();
    assert!(profile.event_count > 0, "{profile:?}");
    assert!(!profile.scores.is_empty());
    let has_percentiles = profile
        .scores
        .iter()
        .any(|score| score.percentile.is_some());
    assert_eq!(has_percentiles, view == View::Full, "{profile:?}");
}

/// A profile; numbers that follow each other lie far apart.
fn profile_id(number: u64) -> String {
    format!("member-{}", number * 7_919 % PROFILES)
}

pub fn profile_request(number: u64, view: View) -> v1::GetProfileRequest {
    v1::GetProfileRequest {
        profile_id: profile_id(number),
        view: view.into(),
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
