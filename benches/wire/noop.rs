//! A service that does nothing: what gRPC alone costs with the same messages.

use std::{collections::HashMap, net::SocketAddr, pin::Pin};

use bellwether::proto::v1::{
    self,
    scoring_service_server::{ScoringService, ScoringServiceServer},
};
use futures_util::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming, async_trait,
    transport::{Server, server::TcpIncoming},
};

use crate::{
    clients::Client,
    events::{Events, VIEWS, page_request, profile_request},
};

/// Answers every call with what the real server answered to one like it.
pub struct Noop {
    profiles: HashMap<i32, v1::GetProfileResponse>,
    scored: v1::ScoreEventResponse,
    pages: HashMap<i32, v1::RankSegmentResponse>,
    batch: v1::ScoreEventsResponse,
}

impl Noop {
    /// Asks the real server what to answer.
    pub async fn like(mut client: Client, events: &Events, page_sizes: &[i32]) -> Self {
        let mut profiles = HashMap::new();
        for view in VIEWS {
            let profile = client.get_profile(profile_request(0, view)).await.unwrap();
            profiles.insert(view.into(), profile.into_inner());
        }
        let scored = client.score_event(events.request()).await.unwrap();
        let mut pages = HashMap::new();
        for &size in page_sizes {
            let page = client.rank_segment(page_request(size)).await.unwrap();
            let page = page.into_inner();
            assert_eq!(page.members.len(), size as usize);
            pages.insert(size, page);
        }
        let batch = futures_util::stream::iter([events.batch()]);
        let mut answers = client.score_events(batch).await.unwrap().into_inner();
        Self {
            profiles,
            scored: scored.into_inner(),
            pages,
            batch: answers.next().await.unwrap().unwrap(),
        }
    }

    /// Serves to the end of the process.
    pub async fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(ScoringServiceServer::new(self));
        tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
        address
    }
}

#[async_trait]
impl ScoringService for Noop {
    async fn score_event(
        &self,
        _: Request<v1::ScoreEventRequest>,
    ) -> Result<Response<v1::ScoreEventResponse>, Status> {
        Ok(Response::new(self.scored.clone()))
    }

    type ScoreEventsStream =
        Pin<Box<dyn Stream<Item = Result<v1::ScoreEventsResponse, Status>> + Send>>;

    async fn score_events(
        &self,
        request: Request<Streaming<v1::ScoreEventsRequest>>,
    ) -> Result<Response<Self::ScoreEventsStream>, Status> {
        let answer = self.batch.clone();
        let answers = request
            .into_inner()
            .map(move |request| request.map(|_| answer.clone()));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_profile(
        &self,
        request: Request<v1::GetProfileRequest>,
    ) -> Result<Response<v1::GetProfileResponse>, Status> {
        let profile = self.profiles.get(&request.get_ref().view);
        let profile = profile.ok_or_else(|| Status::invalid_argument("view"))?;
        Ok(Response::new(profile.clone()))
    }

    async fn rank_segment(
        &self,
        request: Request<v1::RankSegmentRequest>,
    ) -> Result<Response<v1::RankSegmentResponse>, Status> {
        let page = self.pages.get(&request.get_ref().page_size);
        let page = page.ok_or_else(|| Status::invalid_argument("page_size"))?;
        Ok(Response::new(page.clone()))
    }

    async fn batch_get_profiles(
        &self,
        _: Request<v1::BatchGetProfilesRequest>,
    ) -> Result<Response<v1::BatchGetProfilesResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_audit(
        &self,
        _: Request<v1::GetAuditRequest>,
    ) -> Result<Response<v1::GetAuditResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_catalog(
        &self,
        _: Request<v1::GetCatalogRequest>,
    ) -> Result<Response<v1::GetCatalogResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn batch_update_profiles(
        &self,
        _: Request<v1::BatchUpdateProfilesRequest>,
    ) -> Result<Response<v1::BatchUpdateProfilesResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn update_profile(
        &self,
        _: Request<v1::UpdateProfileRequest>,
    ) -> Result<Response<v1::UpdateProfileResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_subject(
        &self,
        _: Request<v1::GetSubjectRequest>,
    ) -> Result<Response<v1::GetSubjectResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn update_subject(
        &self,
        _: Request<v1::UpdateSubjectRequest>,
    ) -> Result<Response<v1::UpdateSubjectResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn retract_event(
        &self,
        _: Request<v1::RetractEventRequest>,
    ) -> Result<Response<v1::RetractEventResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn list_quarantine(
        &self,
        _: Request<v1::ListQuarantineRequest>,
    ) -> Result<Response<v1::ListQuarantineResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn release_events(
        &self,
        _: Request<v1::ReleaseEventsRequest>,
    ) -> Result<Response<v1::ReleaseEventsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_segment_topics(
        &self,
        _: Request<v1::GetSegmentTopicsRequest>,
    ) -> Result<Response<v1::GetSegmentTopicsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_funnel(
        &self,
        _: Request<v1::GetFunnelRequest>,
    ) -> Result<Response<v1::GetFunnelResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn top_influencers(
        &self,
        _: Request<v1::TopInfluencersRequest>,
    ) -> Result<Response<v1::TopInfluencersResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
