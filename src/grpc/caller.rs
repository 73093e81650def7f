//! Whose call it is: told to the gate once the message is read.

use std::sync::Arc;

use tonic::{Extensions, Status};

use crate::{
    admission::Ticket, api::status, scoring::Tenant, service::Service, store::Store,
    telemetry::Shed,
};

/// The right of a call to be in work, until its handler is done.
pub struct Caller(Option<Arc<Ticket>>);

impl Caller {
    /// Of a request, by its extensions.
    pub fn of(extensions: &Extensions) -> Self {
        Self(extensions.get::<Arc<Ticket>>().cloned())
    }

    /// Says that the call is bulk work, which its method alone does not tell.
    pub fn is_bulk(&self) {
        if let Some(ticket) = &self.0 {
            ticket.is_bulk();
        }
    }

    /// Says whose call it is; an error when others have to come first.
    pub fn identify<S: Store>(&self, service: &Service<S>, tenant: &Tenant) -> Result<(), Status> {
        let identified = match &self.0 {
            Some(ticket) => ticket.identify(service.known(tenant)),
            None => Ok(()),
        };
        identified.map_err(|refused| {
            service.shed(Shed::Share);
            status::overloaded(refused.retry_after)
        })
    }
}
