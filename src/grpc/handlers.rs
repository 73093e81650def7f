//! One handler per RPC: read the request, call the service, write the response.

use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    caller::Caller,
    calls::StreamDeadline,
    draining::Draining,
    event_stream::{self, ResponseStream},
    transport::Reserved,
    unread::Unread,
};
use crate::{
    access::Seen,
    api::{self, TokenSeal},
    proto::v1::{self, scoring_service_server::ScoringService},
    service::{AuditObject, AuditedMethod, Service},
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
fn within<T>(room: Option<Reserved>, mut response: Response<T>) -> Response<T> {
    if let Some(room) = room {
        response.extensions_mut().insert(room);
    }
    response
}

#[async_trait]
impl<S: Store> ScoringService for Handlers<S> {
    async fn score_event(
        &self,
        request: Request<v1::ScoreEventRequest>,
    ) -> Result<Response<v1::ScoreEventResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let (tenant, event, view) = api::score_event(request.into_inner())?;
        let entered = caller.enter_to_write(&self.service, &tenant, 1).await?;
        let scored = self.service.score_event(&tenant, event, view).await;
        let scored = scored.map_err(|error| entered.failed(error))?;
        Ok(entered.tell(api::scored(scored, api::EventPath::Single)))
    }

    type ScoreEventsStream = ResponseStream;

    async fn score_events(
        &self,
        request: Request<Streaming<v1::ScoreEventsRequest>>,
    ) -> Result<Response<ResponseStream>, Status> {
        let deadline = request.extensions().get::<StreamDeadline>().copied();
        let caller = Caller::of(request.extensions())?;
        let responses = event_stream::answer(
            self.service.clone(),
            caller,
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
        let caller = Caller::of(request.extensions())?;
        let (tenant, profile_id, query) = api::get_profile(request.get_ref())?;
        let entered = caller.enter(&self.service, &tenant).await?;
        let profile = self.service.profile(&tenant, &profile_id, query).await;
        let profile = profile.map_err(|error| entered.failed(error))?;
        Ok(entered.tell(v1::GetProfileResponse {
            profile: Some(api::profile(profile)),
        }))
    }

    async fn batch_get_profiles(
        &self,
        request: Request<v1::BatchGetProfilesRequest>,
    ) -> Result<Response<v1::BatchGetProfilesResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let (tenant, ids, query) = api::batch_get_profiles(request.get_ref())?;
        let entered = caller.enter(&self.service, &tenant).await?;
        let room = caller.reserve(request.extensions(), ids.len()).await?;
        let profiles = self.service.profiles(&tenant, &ids, query).await;
        let profiles = profiles.map_err(|error| entered.failed(error))?;
        Ok(within(room, entered.tell(api::profiles(profiles))))
    }

    async fn update_profile(
        &self,
        request: Request<v1::UpdateProfileRequest>,
    ) -> Result<Response<v1::UpdateProfileResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let (tenant, update, view) = api::update_profile(request.into_inner())?;
        let entered = caller.enter_to_write(&self.service, &tenant, 1).await?;
        let profile = self.service.update_profile(&tenant, update, view).await;
        let profile = profile.map_err(|error| entered.failed_at("attributes", error))?;
        Ok(entered.tell(api::updated(profile)))
    }

    async fn batch_update_profiles(
        &self,
        request: Request<v1::BatchUpdateProfilesRequest>,
    ) -> Result<Response<v1::BatchUpdateProfilesResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let caller = Caller::of(&extensions)?;
        let (tenant, read, view) = api::batch_update_profiles(request)?;
        let entered = caller.enter_to_write(&self.service, &tenant, read.len());
        let entered = entered.await?;
        let turn = self.service.batch_turn();
        let _turn = turn.map_err(|error| entered.failed(error))?;
        let answered = view.map_or(0, |_| read.len());
        let room = caller.reserve(&extensions, answered).await?;
        let (mut updates, mut refused) = (Vec::new(), Vec::new());
        for update in read {
            refused.push(update.map(|update| updates.push(update)).err());
        }
        let made = self.service.update_profiles(&tenant, updates, view).await;
        let made = made.map_err(|error| entered.failed(error))?;
        Ok(within(
            room,
            entered.tell(api::batch_updated(refused, made)),
        ))
    }

    async fn get_subject(
        &self,
        request: Request<v1::GetSubjectRequest>,
    ) -> Result<Response<v1::GetSubjectResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let (tenant, subject, query) = api::get_subject(request.get_ref())?;
        let entered = caller.enter(&self.service, &tenant).await?;
        let subject = self.service.profile(&tenant, &subject, query).await;
        let subject = subject.map_err(|error| entered.failed(error))?;
        Ok(entered.tell(v1::GetSubjectResponse {
            subject: Some(api::subject(subject)),
        }))
    }

    async fn update_subject(
        &self,
        request: Request<v1::UpdateSubjectRequest>,
    ) -> Result<Response<v1::UpdateSubjectResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let (tenant, update, view) = api::update_subject(request.into_inner())?;
        let entered = caller.enter_to_write(&self.service, &tenant, 1).await?;
        let subject = self.service.update_profile(&tenant, update, view).await;
        let subject = subject.map_err(|error| entered.failed_at("attributes", error))?;
        Ok(entered.tell(api::updated_subject(subject)))
    }

    async fn rank_segment(
        &self,
        request: Request<v1::RankSegmentRequest>,
    ) -> Result<Response<v1::RankSegmentResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let caller = Caller::of(&extensions)?;
        let paged = api::segment_query(&self.seal, request)?;
        let (tenant, query) = (paged.tenant, paged.query);
        let condition = query.condition.as_deref();
        if condition.is_some() {
            caller.is_bulk();
        }
        let entered = caller.enter(&self.service, &tenant).await?;
        entered.check(|seen| seen.check_segment(&query.segment))?;
        // Before the room of the answer, which others need while this one waits.
        let _turn = match condition {
            Some(condition) => {
                let turn = self.service.condition_turn().await;
                let turn = turn.map_err(|error| entered.failed(error))?;
                if entered.sees_in_part() {
                    let inputs = self
                        .service
                        .condition_inputs(&tenant, &query.segment, condition);
                    let inputs = inputs.await.map_err(|error| entered.failed(error))?;
                    entered.check(|seen| seen.check_condition(&inputs))?;
                }
                Some(turn)
            }
            None => None,
        };
        let room = caller.reserve(&extensions, query.paging.page_size).await?;
        let page = self.service.rank_segment(&tenant, query).await;
        let page = page.map_err(|error| entered.failed(error))?;
        let answer = api::segment_page(&self.seal, page, paged.hash);
        Ok(within(room, entered.tell(answer)))
    }

    async fn get_funnel(
        &self,
        request: Request<v1::GetFunnelRequest>,
    ) -> Result<Response<v1::GetFunnelResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let (tenant, as_of) = api::get_funnel(request.get_ref())?;
        let entered = caller.enter(&self.service, &tenant).await?;
        entered.check(Seen::check_stages)?;
        let funnel = self.service.funnel(&tenant, as_of).await;
        let funnel = funnel.map_err(|error| entered.failed(error))?;
        Ok(entered.tell(api::funnel(funnel)))
    }

    async fn top_influencers(
        &self,
        request: Request<v1::TopInfluencersRequest>,
    ) -> Result<Response<v1::TopInfluencersResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let caller = Caller::of(&extensions)?;
        let paged = api::influencer_query(&self.seal, request)?;
        let (tenant, query) = (paged.tenant, paged.query);
        let entered = caller.enter(&self.service, &tenant).await?;
        entered.check(|seen| seen.check_topic(&query.topic))?;
        if !query.stage.is_empty() {
            entered.check(Seen::check_stages)?;
        }
        let room = caller.reserve(&extensions, query.paging.page_size).await?;
        let page = self.service.top_influencers(&tenant, query).await;
        let page = page.map_err(|error| entered.failed(error))?;
        let answer = api::influencer_page(&self.seal, page, paged.hash);
        Ok(within(room, entered.tell(answer)))
    }

    async fn get_catalog(
        &self,
        request: Request<v1::GetCatalogRequest>,
    ) -> Result<Response<v1::GetCatalogResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let tenant = api::get_catalog(request.get_ref())?;
        let entered = caller.enter(&self.service, &tenant).await?;
        let model = self.service.model(&tenant).await;
        let model = model.map_err(|error| entered.failed(error))?;
        Ok(entered.tell(api::catalog(&model)))
    }

    async fn get_audit(
        &self,
        request: Request<v1::GetAuditRequest>,
    ) -> Result<Response<v1::GetAuditResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let (tenant, limit) = api::get_audit(request.get_ref())?;
        let entered = caller.enter(&self.service, &tenant).await?;
        let entries = self.service.audit(&tenant, limit).await;
        let entries = entries.map_err(|error| entered.failed(error))?;
        Ok(entered.tell(api::audit(entries, entered.is_for_all_tenants())))
    }

    async fn retract_event(
        &self,
        request: Request<v1::RetractEventRequest>,
    ) -> Result<Response<v1::RetractEventResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let request = request.into_inner();
        let object = AuditObject {
            event_id: request
                .event
                .as_ref()
                .map(|event| event.event_id.clone())
                .unwrap_or_default(),
            ..AuditObject::default()
        };
        let (tenant, event, view) = api::retract_event(request)?;
        let entered = caller.enter_to_write(&self.service, &tenant, 1).await?;
        let checked = self.service.check_retraction(&tenant, &event).await;
        checked.map_err(|error| entered.failed(error))?;
        let noted = entered.note(&self.service, &tenant, AuditedMethod::RetractEvent, object);
        noted.await?;
        let retracted = self.service.retract_event(&tenant, event, view).await;
        let retracted = retracted.map_err(|error| entered.failed(error))?;
        entered.audit(
            &tenant,
            AuditedMethod::RetractEvent,
            format_args!("retracted an event"),
        );
        Ok(entered.tell(api::retracted(retracted)))
    }

    async fn list_quarantine(
        &self,
        request: Request<v1::ListQuarantineRequest>,
    ) -> Result<Response<v1::ListQuarantineResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let caller = Caller::of(&extensions)?;
        let paged = api::quarantine_query(&self.seal, request)?;
        let (tenant, query) = (paged.tenant, paged.query);
        let entered = caller.enter(&self.service, &tenant).await?;
        entered.check(|seen| seen.check_quarantine(Some(&query.rule)))?;
        let room = caller.reserve(&extensions, query.paging.page_size).await?;
        let page = self.service.quarantine(&tenant, query).await;
        let page = page.map_err(|error| entered.failed(error))?;
        let answer = api::quarantine_page(&self.seal, page, paged.hash);
        Ok(within(room, entered.tell(answer)))
    }

    async fn release_events(
        &self,
        request: Request<v1::ReleaseEventsRequest>,
    ) -> Result<Response<v1::ReleaseEventsResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let request = request.into_inner();
        let object = AuditObject {
            event_id: request.event_id.clone(),
            rule: request.rule.clone(),
            ..AuditObject::default()
        };
        let (tenant, profile_id, selection, view) = api::release_events(request)?;
        let entered = caller.enter(&self.service, &tenant).await?;
        entered.check(|seen| seen.check_quarantine(selection.rule.as_deref()))?;
        let checked = self.service.check_selection(&tenant, selection).await;
        let selection = checked.map_err(|error| entered.failed(error))?;
        let noted = entered.note(&self.service, &tenant, AuditedMethod::ReleaseEvents, object);
        noted.await?;
        let released = self
            .service
            .release_events(&tenant, &profile_id, selection, view)
            .await;
        let released = released.map_err(|error| entered.failed(error))?;
        let done = format_args!("released {} events", released.outcome);
        entered.audit(&tenant, AuditedMethod::ReleaseEvents, done);
        Ok(entered.tell(api::released(released)))
    }

    async fn get_segment_topics(
        &self,
        request: Request<v1::GetSegmentTopicsRequest>,
    ) -> Result<Response<v1::GetSegmentTopicsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let caller = Caller::of(&extensions)?;
        let (tenant, query) = api::segment_topics_query(request)?;
        let entered = caller.enter(&self.service, &tenant).await?;
        entered.check(|seen| seen.check_segment(&query.segment))?;
        // The answer is small; what is read for it is not.
        let _room = caller.reserve(&extensions, query.members).await?;
        let topics = self.service.segment_topics(&tenant, query).await;
        let topics = topics.map_err(|error| entered.failed(error))?;
        Ok(entered.tell(api::segment_topics(topics)))
    }
}
