//! Callers of a scoring service: connections, calls on them, and streams of batches.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bellwether::proto::v1::{ProfileView as View, scoring_service_client::ScoringServiceClient};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use crate::{
    events::{
        EVENTS_PER_BATCH, Events, PROFILES, assert_all_applied, assert_applied, assert_full,
        assert_scored, page_request, profile_request,
    },
    phases::{CONNECTIONS, Call, Latencies, Side, Stream},
};

/// Requests of a `ScoreEvents` stream that wait for their answer.
pub const BATCHES_IN_FLIGHT: usize = 8;

pub type Client = ScoringServiceClient<Channel>;

/// What is measured.
#[derive(Clone, Copy)]
pub enum Method {
    GetProfile { view: View },
    ScoreEvent,
    RankSegment { page_size: i32 },
    ScoreEvents,
}

impl Method {
    pub fn name(self) -> String {
        match self {
            Self::GetProfile { view } => {
                let view = view.as_str_name().trim_start_matches("PROFILE_VIEW_");
                format!("GetProfile {view}")
            }
            Self::ScoreEvent => "ScoreEvent".to_owned(),
            Self::RankSegment { page_size } => format!("RankSegment, page of {page_size}"),
            Self::ScoreEvents => "ScoreEvents, events".to_owned(),
        }
    }

    /// What is counted of a call, other than the call.
    pub fn events(self) -> u64 {
        match self {
            Self::ScoreEvents => EVENTS_PER_BATCH,
            _ => 1,
        }
    }
}

/// Connections to one service, which callers share.
#[derive(Clone)]
pub struct Clients(Arc<Vec<Client>>);

impl Clients {
    pub async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let channel = endpoint.clone().tcp_nodelay(true).connect().await.unwrap();
            clients.push(Client::new(channel));
        }
        Self(Arc::new(clients))
    }

    /// Connections to several servers of one store, by turns.
    pub fn to_all(servers: &[Self]) -> Self {
        let connections = (0..CONNECTIONS).flat_map(|caller| {
            let of_each = servers.iter().map(move |clients| clients.of(caller));
            of_each.collect::<Vec<_>>()
        });
        Self(Arc::new(connections.collect()))
    }

    /// The connection of a caller.
    pub fn of(&self, caller: usize) -> Client {
        self.0[caller % self.0.len()].clone()
    }

    /// Scores the first events of every profile.
    pub async fn preload(&self, events: &Arc<Events>, events_per_profile: u64) {
        let batches = PROFILES * events_per_profile / EVENTS_PER_BATCH;
        let events = Arc::clone(events);
        let requests = futures_util::stream::iter(0..batches).map(move |_| events.batch());
        let answers = self.of(0).score_events(requests).await.unwrap();
        let mut answers = answers.into_inner();
        while let Some(answer) = answers.next().await {
            assert_all_applied(&answer.unwrap());
        }
    }

    /// What these callers do.
    pub fn side(&self, method: Method, events: &Arc<Events>) -> Side {
        match method {
            Method::ScoreEvents => Side::Streams(self.score_events(events)),
            single => Side::Calls(self.call(single, events)),
        }
    }

    /// One call; of a stream, one batch.
    pub fn call(&self, method: Method, events: &Arc<Events>) -> Call {
        match method {
            Method::GetProfile { view } => self.get_profile(view),
            Method::ScoreEvent => self.score_event(events),
            Method::RankSegment { page_size } => self.rank_segment(page_size),
            Method::ScoreEvents => self.score_batch(events),
        }
    }

    fn get_profile(&self, view: View) -> Call {
        let (clients, next) = (self.clone(), AtomicU64::new(0));
        Arc::new(move |caller| {
            let mut client = clients.of(caller);
            let request = profile_request(next.fetch_add(1, Ordering::Relaxed), view);
            Box::pin(async move {
                let answer = client.get_profile(request).await.unwrap();
                assert_scored(answer.get_ref(), view);
            })
        })
    }

    fn score_event(&self, events: &Arc<Events>) -> Call {
        let (clients, events) = (self.clone(), Arc::clone(events));
        Arc::new(move |caller| {
            let mut client = clients.of(caller);
            let request = events.request();
            Box::pin(async move {
                let answer = client.score_event(request).await.unwrap();
                assert_applied(answer.get_ref());
            })
        })
    }

    fn rank_segment(&self, page_size: i32) -> Call {
        let clients = self.clone();
        Arc::new(move |caller| {
            let mut client = clients.of(caller);
            Box::pin(async move {
                let answer = client.rank_segment(page_request(page_size)).await.unwrap();
                assert_full(answer.get_ref(), page_size);
            })
        })
    }

    fn score_batch(&self, events: &Arc<Events>) -> Call {
        let (clients, events) = (self.clone(), Arc::clone(events));
        Arc::new(move |caller| {
            let mut client = clients.of(caller);
            let batch = futures_util::stream::iter([events.batch()]);
            Box::pin(async move {
                let mut answers = client.score_events(batch).await.unwrap().into_inner();
                assert_all_applied(&answers.next().await.unwrap().unwrap());
            })
        })
    }

    /// Keeps batches in flight on one stream.
    fn score_events(&self, events: &Arc<Events>) -> Stream {
        let (clients, events) = (self.clone(), Arc::clone(events));
        Arc::new(move |caller, end| {
            let (client, events) = (clients.of(caller), Arc::clone(&events));
            Box::pin(run_stream(client, events, end))
        })
    }
}

async fn run_stream(mut client: Client, events: Arc<Events>, end: Instant) -> Latencies {
    let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
    let requests = ReceiverStream::new(receiver);
    let mut answers = client.score_events(requests).await.unwrap().into_inner();
    let mut sent = VecDeque::new();
    let mut latencies = Latencies::new();
    loop {
        while sent.len() < BATCHES_IN_FLIGHT && Instant::now() < end {
            sent.push_back(Instant::now());
            sender.send(events.batch()).await.unwrap();
        }
        let Some(called) = sent.pop_front() else {
            return latencies;
        };
        let answer = answers.next().await.unwrap().unwrap();
        latencies.record(called);
        assert_all_applied(&answer);
    }
}
