//! A server that does what a test says, and knows what it saw.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bellwether::proto::{
    google,
    v1::{
        BatchGetProfilesRequest, BatchGetProfilesResponse, BatchUpdateProfilesRequest,
        BatchUpdateProfilesResponse, Event, EventOutcome, GetAuditRequest, GetAuditResponse,
        GetCatalogRequest, GetCatalogResponse, GetFunnelRequest, GetFunnelResponse,
        GetProfileRequest, GetProfileResponse, GetSegmentTopicsRequest, GetSegmentTopicsResponse,
        GetSubjectRequest, GetSubjectResponse, IgnoredReason, ListQuarantineRequest,
        ListQuarantineResponse, RankSegmentRequest, RankSegmentResponse, ReleaseEventsRequest,
        ReleaseEventsResponse, RetractEventRequest, RetractEventResponse, ScoreEventRequest,
        ScoreEventResponse, ScoreEventsRequest, ScoreEventsResponse, ScoreEventsResult,
        TopInfluencersRequest, TopInfluencersResponse, UpdateProfileRequest, UpdateProfileResponse,
        UpdateSubjectRequest, UpdateSubjectResponse, score_events_result,
        scoring_service_server::{ScoringService, ScoringServiceServer},
    },
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::{Code, Request, Response, Status, Streaming, transport::Server};

/// What the server does, and what it saw.
#[derive(Default)]
pub struct Script {
    /// Breaks the stream before it answers these batches, counted over all streams.
    pub break_before: HashSet<usize>,
    /// Breaks every stream with this code before it answers.
    pub always_break: Option<Code>,
    /// Answers an event with these codes before it takes it.
    pub event_errors: HashMap<String, VecDeque<Code>>,
    /// Refuses an event with these before it takes it.
    pub event_refusals: HashMap<String, VecDeque<Status>>,
    /// Fails an update with these codes before it takes it.
    pub update_errors: HashMap<String, VecDeque<Code>>,
    /// How long each update takes.
    pub update_delay: Duration,
    /// How long each batch takes.
    pub batch_delay: Duration,
    pub batches: usize,
    pub counted: HashSet<String>,
    /// What happened to each profile, in order: ids of events, and `update`.
    history: HashMap<String, Vec<String>>,
    pub largest_batch: usize,
}

#[derive(Clone, Default)]
pub struct Scripted(pub Arc<Mutex<Script>>);

impl Scripted {
    pub fn with(change: impl FnOnce(&mut Script)) -> Self {
        let server = Self::default();
        change(&mut server.0.lock().unwrap());
        server
    }

    pub fn history(&self, profile_id: &str) -> Vec<String> {
        let script = self.0.lock().unwrap();
        script.history.get(profile_id).cloned().unwrap_or_default()
    }

    fn score(&self, event: &Event) -> ScoreEventsResult {
        let mut script = self.0.lock().unwrap();
        let refusals = script.event_refusals.get_mut(&event.event_id);
        if let Some(refusal) = refusals.and_then(VecDeque::pop_front) {
            let refusal = google::rpc::Status::decode(refusal.details()).unwrap();
            let result = score_events_result::Result::Error(refusal);
            return ScoreEventsResult {
                result: Some(result),
            };
        }
        let errors = script.event_errors.get_mut(&event.event_id);
        let result = if let Some(code) = errors.and_then(VecDeque::pop_front) {
            score_events_result::Result::Error(google::rpc::Status {
                code: code.into(),
                message: "scripted".to_owned(),
                details: Vec::new(),
            })
        } else {
            let mut response = ScoreEventResponse::default();
            if event.r#type == "old" {
                response.set_outcome(EventOutcome::Ignored);
                response.set_ignored_reason(IgnoredReason::TooOld);
            } else if script.counted.insert(event.event_id.clone()) {
                response.set_outcome(EventOutcome::Applied);
                let history = script.history.entry(event.profile_id.clone()).or_default();
                history.push(event.event_id.clone());
            } else {
                response.set_outcome(EventOutcome::Duplicate);
            }
            score_events_result::Result::Response(response)
        };
        ScoreEventsResult {
            result: Some(result),
        }
    }

    async fn answer(&self, request: ScoreEventsRequest) -> Result<ScoreEventsResponse, Status> {
        let (delay, breaks) = {
            let mut script = self.0.lock().unwrap();
            script.batches += 1;
            script.largest_batch = script.largest_batch.max(request.events.len());
            if let Some(code) = script.always_break {
                return Err(Status::new(code, "scripted"));
            }
            (
                script.batch_delay,
                script.break_before.contains(&script.batches),
            )
        };
        tokio::time::sleep(delay).await;
        // The events count and the connection breaks before anybody hears of it.
        let results = request
            .events
            .iter()
            .map(|event| self.score(event))
            .collect();
        if breaks {
            return Err(Status::unavailable("the connection broke"));
        }
        Ok(ScoreEventsResponse { results })
    }
}

#[tonic::async_trait]
impl ScoringService for Scripted {
    type ScoreEventsStream =
        Pin<Box<dyn Stream<Item = Result<ScoreEventsResponse, Status>> + Send>>;

    async fn score_events(
        &self,
        request: Request<Streaming<ScoreEventsRequest>>,
    ) -> Result<Response<Self::ScoreEventsStream>, Status> {
        let server = self.clone();
        let answers = request.into_inner().then(move |request| {
            let server = server.clone();
            async move { server.answer(request?).await }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn update_profile(
        &self,
        request: Request<UpdateProfileRequest>,
    ) -> Result<Response<UpdateProfileResponse>, Status> {
        let profile_id = request.into_inner().profile_id;
        let (delay, error) = {
            let mut script = self.0.lock().unwrap();
            let errors = script.update_errors.get_mut(&profile_id);
            let error = errors.and_then(VecDeque::pop_front);
            (script.update_delay, error)
        };
        tokio::time::sleep(delay).await;
        if let Some(code) = error {
            return Err(Status::new(code, "scripted"));
        }
        let mut script = self.0.lock().unwrap();
        let history = script.history.entry(profile_id).or_default();
        history.push("update".to_owned());
        Ok(Response::new(UpdateProfileResponse::default()))
    }

    async fn score_event(
        &self,
        _: Request<ScoreEventRequest>,
    ) -> Result<Response<ScoreEventResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn get_profile(
        &self,
        _: Request<GetProfileRequest>,
    ) -> Result<Response<GetProfileResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn batch_get_profiles(
        &self,
        _: Request<BatchGetProfilesRequest>,
    ) -> Result<Response<BatchGetProfilesResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn batch_update_profiles(
        &self,
        _: Request<BatchUpdateProfilesRequest>,
    ) -> Result<Response<BatchUpdateProfilesResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn get_subject(
        &self,
        _: Request<GetSubjectRequest>,
    ) -> Result<Response<GetSubjectResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn update_subject(
        &self,
        request: Request<UpdateSubjectRequest>,
    ) -> Result<Response<UpdateSubjectResponse>, Status> {
        let subject_id = request.into_inner().subject_id;
        let mut script = self.0.lock().unwrap();
        let history = script.history.entry(subject_id).or_default();
        history.push("update".to_owned());
        Ok(Response::new(UpdateSubjectResponse::default()))
    }

    async fn rank_segment(
        &self,
        _: Request<RankSegmentRequest>,
    ) -> Result<Response<RankSegmentResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn get_catalog(
        &self,
        _: Request<GetCatalogRequest>,
    ) -> Result<Response<GetCatalogResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn get_audit(
        &self,
        _: Request<GetAuditRequest>,
    ) -> Result<Response<GetAuditResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn retract_event(
        &self,
        _: Request<RetractEventRequest>,
    ) -> Result<Response<RetractEventResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn list_quarantine(
        &self,
        _: Request<ListQuarantineRequest>,
    ) -> Result<Response<ListQuarantineResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn release_events(
        &self,
        _: Request<ReleaseEventsRequest>,
    ) -> Result<Response<ReleaseEventsResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn get_segment_topics(
        &self,
        _: Request<GetSegmentTopicsRequest>,
    ) -> Result<Response<GetSegmentTopicsResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn get_funnel(
        &self,
        _: Request<GetFunnelRequest>,
    ) -> Result<Response<GetFunnelResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn top_influencers(
        &self,
        _: Request<TopInfluencersRequest>,
    ) -> Result<Response<TopInfluencersResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }
}

pub async fn serve(server: Scripted) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(ScoringServiceServer::new(server));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}
