//! Whose call it is, and what it may: every handler asks here once it knows the tenant, and gets what
//! the caller sees of the answer.

use std::sync::Arc;

use tonic::{Extensions, Response, Status};

use super::authentication::{Authentication, Credentials};
use crate::{
    access::{Denied, Principal, Seen},
    admission::Ticket,
    api::{self, Redact, status},
    scoring::Tenant,
    service::{Service, ServiceError},
    store::Store,
    telemetry::Shed,
};

/// Whoever makes a call, and the right of the call to be in work until its handler is done.
#[derive(Clone, Debug)]
pub struct Caller {
    ticket: Option<Arc<Ticket>>,
    authentication: Authentication,
    credentials: Credentials,
    principal: Arc<Principal>,
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
            principal,
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
    pub fn check(&self, tenant: Option<&Tenant>) -> Result<(), Status> {
        let check = || {
            let principal = self.authentication.principal(&self.credentials)?;
            principal.check_call(self.call)?;
            principal.check_tenant(tenant)
        };
        check().map_err(|denied| api::denied(&denied))
    }

    /// Lets a call in, now that its tenant is known; an error when the tenant is somebody else's, or
    /// others have to come first.
    pub async fn enter<S: Store>(
        &self,
        service: &Service<S>,
        tenant: &Tenant,
    ) -> Result<Entered, Status> {
        self.check(Some(tenant))?;
        if let Some(ticket) = &self.ticket {
            let identified = ticket.identify(service.known(tenant));
            identified.map_err(|refused| {
                service.shed(Shed::Share);
                status::overloaded(refused.retry_after)
            })?;
        }
        if self.principal.role.sight.is_whole() {
            return Ok(Entered { seen: Seen::all() });
        }
        let model = service.model(tenant).await;
        let model = model.map_err(|error| status::of_service(&error, ""))?;
        let seen = Seen::of(&self.principal, &model);
        Ok(Entered { seen })
    }
}

/// Who was let in: what they are told of answers and errors.
pub struct Entered {
    seen: Seen,
}

impl Entered {
    /// Whether something is hidden from them.
    pub fn sees_in_part(&self) -> bool {
        !self.seen.is_all()
    }

    /// Refuses what a caller asks for and does not see.
    pub fn check(&self, check: impl FnOnce(&Seen) -> Result<(), Denied>) -> Result<(), Status> {
        check(&self.seen).map_err(|denied| api::denied(&denied))
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
