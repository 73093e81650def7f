//! One handler per RPC: read the request, call the service, write the response.

use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    caller::Caller,
    calls::StreamDeadline,
    draining::Draining,
    event_stream::{self, ResponseStream},
    transport::{Reserved, reserve},
    unread::Unread,
};
use crate::{
    api::{self, TokenSeal, status::of_service},
    proto::v1::{self, scoring_service_server::ScoringService},
    service::{Service, ServiceError},
    store::Store,
    telemetry::Telemetry,
};

/// The handlers of `bellwether.v1.ScoringService`.
pub struct Handlers<S> {
    service: Service<S>,
    draining: Draining,
    unread: Unread,
    telemetry: Telemetry,
    seal: TokenSeal,
}

impl<S: Store> Handlers<S> {
    /// Handlers on a service, whose streams end when the server drains.
    pub fn new(
        service: Service<S>,
        draining: Draining,
        telemetry: Telemetry,
        seal: TokenSeal,
    ) -> Self {
        Self {
            seal,
            service,
            draining,
            unread: Unread::default(),
            telemetry,
        }
    }

    /// The answers of its streams that wait to be taken.
    pub fn unread(&self) -> Unread {
        self.unread.clone()
    }
}

/// An answer that keeps its room until it is known how large it is.
fn within<T>(room: Option<Reserved>, answer: T) -> Response<T> {
    let mut response = Response::new(answer);
    if let Some(room) = room {
        response.extensions_mut().insert(room);
    }
    response
}

fn failed(error: ServiceError) -> Status {
    of_service(&error, "event.time")
}

#[async_trait]
impl<S: Store> ScoringService for Handlers<S> {
    async fn score_event(
        &self,
        request: Request<v1::ScoreEventRequest>,
    ) -> Result<Response<v1::ScoreEventResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, event, view) = api::score_event(request.into_inner())?;
        caller.identify(&self.service, &tenant)?;
        let scored = self.service.score_event(&tenant, event, view).await;
        Ok(Response::new(api::scored(
            scored.map_err(failed)?,
            api::EventPath::Single,
        )))
    }

    type ScoreEventsStream = ResponseStream;

    async fn score_events(
        &self,
        request: Request<Streaming<v1::ScoreEventsRequest>>,
    ) -> Result<Response<ResponseStream>, Status> {
        let deadline = request.extensions().get::<StreamDeadline>().copied();
        let responses = event_stream::answer(
            self.service.clone(),
            request.into_inner(),
            deadline,
            self.draining.clone(),
            &self.unread,
            self.telemetry.clone(),
        );
        Ok(Response::new(responses))
    }

    async fn get_profile(
        &self,
        request: Request<v1::GetProfileRequest>,
    ) -> Result<Response<v1::GetProfileResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, profile_id, query) = api::get_profile(request.get_ref())?;
        caller.identify(&self.service, &tenant)?;
        let profile = self.service.profile(&tenant, &profile_id, query).await;
        Ok(Response::new(v1::GetProfileResponse {
            profile: Some(api::profile(profile.map_err(failed)?)),
        }))
    }

    async fn batch_get_profiles(
        &self,
        request: Request<v1::BatchGetProfilesRequest>,
    ) -> Result<Response<v1::BatchGetProfilesResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, ids, query) = api::batch_get_profiles(request.get_ref())?;
        caller.identify(&self.service, &tenant)?;
        let room = reserve(request.extensions(), ids.len()).await?;
        let profiles = self.service.profiles(&tenant, &ids, query).await;
        Ok(within(room, api::profiles(profiles.map_err(failed)?)))
    }

    async fn update_profile(
        &self,
        request: Request<v1::UpdateProfileRequest>,
    ) -> Result<Response<v1::UpdateProfileResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, update, view) = api::update_profile(request.into_inner())?;
        caller.identify(&self.service, &tenant)?;
        let profile = self.service.update_profile(&tenant, update, view).await;
        let profile = profile.map_err(|error| of_service(&error, "attributes"))?;
        Ok(Response::new(api::updated(profile)))
    }

    async fn batch_update_profiles(
        &self,
        request: Request<v1::BatchUpdateProfilesRequest>,
    ) -> Result<Response<v1::BatchUpdateProfilesResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let (tenant, read, view) = api::batch_update_profiles(request)?;
        Caller::of(&extensions).identify(&self.service, &tenant)?;
        let _turn = self.service.batch_turn().map_err(failed)?;
        let answered = view.map_or(0, |_| read.len());
        let room = reserve(&extensions, answered).await?;
        let (mut updates, mut refused) = (Vec::new(), Vec::new());
        for update in read {
            refused.push(update.map(|update| updates.push(update)).err());
        }
        let made = self.service.update_profiles(&tenant, updates, view).await;
        Ok(within(
            room,
            api::batch_updated(refused, made.map_err(failed)?),
        ))
    }

    async fn get_subject(
        &self,
        request: Request<v1::GetSubjectRequest>,
    ) -> Result<Response<v1::GetSubjectResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, subject, query) = api::get_subject(request.get_ref())?;
        caller.identify(&self.service, &tenant)?;
        let subject = self.service.profile(&tenant, &subject, query).await;
        Ok(Response::new(v1::GetSubjectResponse {
            subject: Some(api::subject(subject.map_err(failed)?)),
        }))
    }

    async fn update_subject(
        &self,
        request: Request<v1::UpdateSubjectRequest>,
    ) -> Result<Response<v1::UpdateSubjectResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, update, view) = api::update_subject(request.into_inner())?;
        caller.identify(&self.service, &tenant)?;
        let subject = self.service.update_profile(&tenant, update, view).await;
        let subject = subject.map_err(|error| of_service(&error, "attributes"))?;
        Ok(Response::new(api::updated_subject(subject)))
    }

    async fn rank_segment(
        &self,
        request: Request<v1::RankSegmentRequest>,
    ) -> Result<Response<v1::RankSegmentResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let paged = api::segment_query(&self.seal, request)?;
        let caller = Caller::of(&extensions);
        let has_condition = paged.query.condition.is_some();
        if has_condition {
            caller.is_bulk();
        }
        caller.identify(&self.service, &paged.tenant)?;
        // Before the room of the answer, which others need while this one waits.
        let _turn = match has_condition {
            true => Some(self.service.condition_turn().await.map_err(failed)?),
            false => None,
        };
        let room = reserve(&extensions, paged.query.paging.page_size).await?;
        let page = self.service.rank_segment(&paged.tenant, paged.query).await;
        let page = page.map_err(failed)?;
        Ok(within(
            room,
            api::segment_page(&self.seal, page, paged.hash),
        ))
    }

    async fn get_funnel(
        &self,
        request: Request<v1::GetFunnelRequest>,
    ) -> Result<Response<v1::GetFunnelResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, as_of) = api::get_funnel(request.get_ref())?;
        caller.identify(&self.service, &tenant)?;
        let funnel = self.service.funnel(&tenant, as_of).await;
        Ok(Response::new(api::funnel(funnel.map_err(failed)?)))
    }

    async fn top_influencers(
        &self,
        request: Request<v1::TopInfluencersRequest>,
    ) -> Result<Response<v1::TopInfluencersResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let paged = api::influencer_query(&self.seal, request)?;
        Caller::of(&extensions).identify(&self.service, &paged.tenant)?;
        let room = reserve(&extensions, paged.query.paging.page_size).await?;
        let page = self
            .service
            .top_influencers(&paged.tenant, paged.query)
            .await;
        let page = page.map_err(failed)?;
        Ok(within(
            room,
            api::influencer_page(&self.seal, page, paged.hash),
        ))
    }

    async fn get_catalog(
        &self,
        request: Request<v1::GetCatalogRequest>,
    ) -> Result<Response<v1::GetCatalogResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let tenant = api::get_catalog(request.get_ref())?;
        caller.identify(&self.service, &tenant)?;
        let model = self.service.model(&tenant).await.map_err(failed)?;
        Ok(Response::new(api::catalog(&model)))
    }

    async fn retract_event(
        &self,
        request: Request<v1::RetractEventRequest>,
    ) -> Result<Response<v1::RetractEventResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, event, view) = api::retract_event(request.into_inner())?;
        caller.identify(&self.service, &tenant)?;
        let retracted = self.service.retract_event(&tenant, event, view).await;
        Ok(Response::new(api::retracted(retracted.map_err(failed)?)))
    }

    async fn list_quarantine(
        &self,
        request: Request<v1::ListQuarantineRequest>,
    ) -> Result<Response<v1::ListQuarantineResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let paged = api::quarantine_query(&self.seal, request)?;
        Caller::of(&extensions).identify(&self.service, &paged.tenant)?;
        let room = reserve(&extensions, paged.query.paging.page_size).await?;
        let page = self.service.quarantine(&paged.tenant, paged.query).await;
        let page = page.map_err(failed)?;
        Ok(within(
            room,
            api::quarantine_page(&self.seal, page, paged.hash),
        ))
    }

    async fn release_events(
        &self,
        request: Request<v1::ReleaseEventsRequest>,
    ) -> Result<Response<v1::ReleaseEventsResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let (tenant, profile_id, selection, view) = api::release_events(request.into_inner())?;
        caller.identify(&self.service, &tenant)?;
        let released = self
            .service
            .release_events(&tenant, &profile_id, selection, view)
            .await;
        Ok(Response::new(api::released(released.map_err(failed)?)))
    }

    async fn get_segment_topics(
        &self,
        request: Request<v1::GetSegmentTopicsRequest>,
    ) -> Result<Response<v1::GetSegmentTopicsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let (tenant, query) = api::segment_topics_query(request)?;
        Caller::of(&extensions).identify(&self.service, &tenant)?;
        // The answer is small; what is read for it is not.
        let _room = reserve(&extensions, query.members).await?;
        let topics = self.service.segment_topics(&tenant, query).await;
        Ok(Response::new(api::segment_topics(topics.map_err(failed)?)))
    }
}
