//! Whose call it is, and what it may: every handler asks here once it knows the tenant, and gets what
//! the caller sees of the answer.

use std::{fmt, future::Future, num::NonZeroU32, pin::pin, sync::Arc, task::Poll};

use futures_util::poll;
use tokio::time::Instant;
use tonic::{Extensions, Response, Status};

use super::{
    authentication::{Authentication, Credentials},
    quotas::{Bounded, Exceeded},
    transport::{Reserved, reserve},
};
use crate::{
    access::{Denied, Hidden, Principal, Seen},
    admission::Ticket,
    api::{self, Redact, status},
    limits::MAX_QUOTA_WAIT,
    scoring::{Model, Tenant},
    service::{AuditObject, AuditedCaller, AuditedMethod, Service, ServiceError},
    store::Store,
    telemetry::Shed,
};

/// Whoever makes a call, and the right of the call to be in work until its handler is done.
#[derive(Clone, Debug)]
pub struct Caller {
    ticket: Option<Arc<Ticket>>,
    authentication: Authentication,
    credentials: Credentials,
    /// The name of the method.
    call: &'static str,
}

impl Caller {
    /// Whoever has shown these credentials.
    ///
    /// # Errors
    /// When it is nobody who may make such a call.
    pub fn new(
        authentication: &Authentication,
        credentials: Credentials,
        call: &'static str,
    ) -> Result<Self, Denied> {
        let principal = authentication.principal(&credentials)?;
        principal.check_call(call)?;
        Ok(Self {
            ticket: None,
            authentication: authentication.clone(),
            credentials,
            call,
        })
    }

    /// With the right to be in work.
    pub fn with_ticket(self, ticket: Option<Arc<Ticket>>) -> Self {
        Self { ticket, ..self }
    }

    /// Of a request, by its extensions.
    ///
    /// # Errors
    /// When nobody has asked who it is: such a call is never answered.
    pub fn of(extensions: &Extensions) -> Result<Self, Status> {
        let caller = extensions.get::<Self>().cloned();
        caller.ok_or_else(status::inconsistent)
    }

    /// Says that the call is bulk work, which its method alone does not tell.
    pub fn is_bulk(&self) {
        if let Some(ticket) = &self.ticket {
            ticket.is_bulk();
        }
    }

    /// Refuses a tenant that is somebody else's; `None` is what is for all of them. Whether the
    /// caller may still call is asked again, because a stream may be older than that.
    pub fn check(&self, tenant: Option<&Tenant>) -> Result<Arc<Principal>, Status> {
        let check = || {
            let principal = self.authentication.principal(&self.credentials)?;
            principal.check_call(self.call)?;
            principal.check_tenant(tenant)?;
            Ok(principal)
        };
        check().map_err(|denied| api::denied(&denied))
    }

    /// Takes so many of a tenant's quota.
    fn take<S: Store>(
        &self,
        service: &Service<S>,
        tenant: &Tenant,
        (bounded, count): (Bounded, usize),
    ) -> Result<(), Exceeded> {
        let key = || service.known(tenant);
        self.authentication.take(tenant, key, bounded, count)
    }

    /// Lets in a message of a stream with so many events, once its tenant's quota has room for them: a
    /// stream is held back, not ended, unless that takes too long.
    pub async fn enter_in_stream<S: Store>(
        &self,
        service: &Service<S>,
        tenant: &Tenant,
        events: usize,
    ) -> Result<Entered, Status> {
        self.check(Some(tenant))?;
        let until = Instant::now() + MAX_QUOTA_WAIT;
        for (bounded, mut left) in [(Bounded::Calls, 1), (Bounded::Events, events)] {
            let mut part = left;
            while left > 0 {
                match self.take(service, tenant, (bounded, part)) {
                    Ok(()) => {
                        left -= part;
                        part = part.min(left);
                    }
                    // More than a second has: a second's worth at a time.
                    Err(Exceeded {
                        retry_after: None,
                        per_second,
                        ..
                    }) => {
                        part = usize::try_from(per_second.get()).unwrap_or(part);
                    }
                    Err(exceeded) => {
                        let pause = exceeded.retry_after.unwrap_or_default();
                        if Instant::now() + pause > until {
                            let fits = has_time_for(events, exceeded.per_second);
                            return Err(over_quota(
                                service,
                                tenant,
                                Exceeded {
                                    // Sent again it would be too much again.
                                    retry_after: exceeded.retry_after.filter(|_| fits),
                                    ..exceeded
                                },
                            ));
                        }
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        }
        // Who calls is asked after the wait.
        let principal = self.check(Some(tenant))?;
        self.entered(principal, || service.model_to_write(tenant))
            .await
    }

    /// Lets in a call that asks, now that its tenant is known; an error when the tenant is somebody
    /// else's, or others have to come first.
    pub async fn enter<S: Store>(
        &self,
        service: &Service<S>,
        tenant: &Tenant,
    ) -> Result<Entered, Status> {
        let principal = self.admit(service, tenant, 0).await?;
        self.entered(principal, || service.model(tenant)).await
    }

    /// The same for a call that writes so many events or updates.
    pub async fn enter_to_write<S: Store>(
        &self,
        service: &Service<S>,
        tenant: &Tenant,
        events: usize,
    ) -> Result<Entered, Status> {
        let principal = self.admit(service, tenant, events).await?;
        self.entered(principal, || service.model_to_write(tenant))
            .await
    }

    async fn admit<S: Store>(
        &self,
        service: &Service<S>,
        tenant: &Tenant,
        events: usize,
    ) -> Result<Arc<Principal>, Status> {
        let principal = self.check(Some(tenant))?;
        for (bounded, count) in [(Bounded::Calls, 1), (Bounded::Events, events)] {
            let taken = self.take(service, tenant, (bounded, count));
            taken.map_err(|exceeded| over_quota(service, tenant, exceeded))?;
        }
        let Some(ticket) = &self.ticket else {
            return Ok(principal);
        };
        let identified = ticket.identify(service.known(tenant));
        identified.map_err(|refused| {
            service.shed(Shed::Share);
            status::overloaded(refused.retry_after)
        })?;
        let mut turn = pin!(ticket.turn());
        if poll!(&mut turn).is_ready() {
            return Ok(principal);
        }
        turn.await;
        // Who calls is asked after the wait.
        self.check(Some(tenant))
    }

    /// Keeps room for an answer of so many profiles. The turn of the tenant is another call's while
    /// this one has to wait.
    pub async fn reserve(
        &self,
        extensions: &Extensions,
        profiles: usize,
    ) -> Result<Option<Reserved>, Status> {
        let mut room = pin!(reserve(extensions, profiles));
        if let Poll::Ready(room) = poll!(&mut room) {
            return room;
        }
        let ticket = self.ticket.as_ref().filter(|ticket| ticket.step_aside());
        let room = room.await?;
        if let Some(ticket) = ticket {
            ticket.turn().await;
        }
        Ok(room)
    }

    /// With what they see by the model that answers, which is looked up for those alone from whom
    /// something is hidden.
    async fn entered<M>(
        &self,
        principal: Arc<Principal>,
        model: impl FnOnce() -> M,
    ) -> Result<Entered, Status>
    where
        M: Future<Output = Result<Arc<Model>, ServiceError>>,
    {
        let seen = if principal.role.sees_everything() {
            Seen::all()
        } else {
            let model = model().await;
            let model = model.map_err(|error| status::of_service(&error, ""))?;
            self.authentication.seen(&principal.role, &model)
        };
        Ok(Entered { principal, seen })
    }
}

/// Whether so many events of one message ever fit into the time that a stream is held back.
fn has_time_for(events: usize, per_second: NonZeroU32) -> bool {
    let seconds = MAX_QUOTA_WAIT.as_secs() + 1;
    u64::try_from(events).is_ok_and(|events| events <= seconds * u64::from(per_second.get()))
}

fn over_quota<S: Store>(service: &Service<S>, tenant: &Tenant, exceeded: Exceeded) -> Status {
    service.shed(Shed::Quota);
    let Exceeded {
        bounded,
        per_second,
        retry_after,
    } = exceeded;
    api::over_quota(tenant, bounded.name(), per_second, retry_after)
}

/// Notes in the store what somebody is about to do that others may ask about later, so that nothing
/// is done that is not noted.
pub async fn note<S: Store>(
    service: &Service<S>,
    principal: &Principal,
    tenant: Option<&Tenant>,
    method: AuditedMethod,
    object: AuditObject,
) -> Result<(), ServiceError> {
    let caller = AuditedCaller {
        principal: principal.name.clone(),
        subject: principal.subject.clone(),
        role: principal.role.name.clone(),
    };
    service.note(tenant, caller, method, object).await
}

/// Says in the log what somebody has done. It says nothing of people.
pub fn audit(
    principal: &Principal,
    tenant: Option<&Tenant>,
    method: AuditedMethod,
    done: fmt::Arguments<'_>,
) {
    let call = method.name();
    let (who, role) = (&principal.name, &principal.role.name);
    let tenant = tenant.map_or("*", Tenant::as_str);
    let subject = principal.subject.as_deref();
    tracing::info!(target: "bellwether::audit", who, subject, role, tenant, call, "{done}");
}

/// Who was let in: what they are told of answers and errors.
pub struct Entered {
    principal: Arc<Principal>,
    seen: Seen,
}

impl Entered {
    /// Notes what they are about to do.
    pub async fn note<S: Store>(
        &self,
        service: &Service<S>,
        tenant: &Tenant,
        method: AuditedMethod,
        object: AuditObject,
    ) -> Result<(), Status> {
        let noted = note(service, &self.principal, Some(tenant), method, object).await;
        noted.map_err(|error| self.failed(error))
    }

    /// Says in the log what they have done.
    pub fn audit(&self, tenant: &Tenant, method: AuditedMethod, done: fmt::Arguments<'_>) {
        audit(&self.principal, Some(tenant), method, done);
    }

    /// Whether they may call for every tenant.
    pub fn is_for_all_tenants(&self) -> bool {
        self.principal.check_tenant(None).is_ok()
    }

    /// Whether something is hidden from them.
    pub fn sees_in_part(&self) -> bool {
        !self.seen.is_all()
    }

    /// Refuses what a caller asks for and does not see.
    pub fn check(&self, check: impl FnOnce(&Seen) -> Result<(), Hidden>) -> Result<(), Status> {
        check(&self.seen).map_err(|Hidden(what)| {
            api::denied(&Denied::Sight {
                who: self.principal.name.clone(),
                role: self.principal.role.name.clone(),
                what,
            })
        })
    }

    /// An answer.
    pub fn tell<T: Redact>(&self, answer: T) -> Response<T> {
        Response::new(self.redacted(answer))
    }

    /// An answer as its message.
    pub fn redacted<T: Redact>(&self, mut answer: T) -> T {
        if !self.seen.is_all() {
            answer.redact(&self.seen);
        }
        answer
    }

    /// Why a call failed. What an error may blame is the time of the event.
    pub fn failed(&self, error: ServiceError) -> Status {
        self.failed_at("event.time", error)
    }

    /// Why a call failed that an error may blame this field for.
    pub fn failed_at(&self, field: &str, error: ServiceError) -> Status {
        api::redacted_status(error, field, &self.seen)
    }
}
