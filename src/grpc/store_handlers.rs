//! One handler per RPC of `StoreService`.

use tokio::sync::mpsc;
use tonic::{Request, Response, Status, async_trait};

use super::{
    caller::{Caller, audit, note},
    draining::Draining,
    long_call::{Answering, Answers, LongCall, gone},
};
use crate::{
    api::{
        self,
        status::{self, of_service},
    },
    limits::{BACKUP_PARTS_WAITING, MAX_BACKUP_TIME},
    proto::v1::{self, store_service_server::StoreService},
    scoring::Tenant,
    service::{AuditObject, AuditedMethod, BackedUp, Service, ServiceError},
    store::Store,
    telemetry::Telemetry,
};

const BACKUP: &str = "bellwether.v1.StoreService/Backup";

/// The handlers of `bellwether.v1.StoreService`.
pub struct StoreHandlers<S> {
    service: Service<S>,
    draining: Draining,
    telemetry: Telemetry,
}

impl<S: Store> StoreHandlers<S> {
    /// Handlers on a service, whose streams end when the server drains.
    pub fn new(service: Service<S>, draining: Draining, telemetry: Telemetry) -> Self {
        Self {
            service,
            draining,
            telemetry,
        }
    }
}

fn failed(error: impl Into<ServiceError>) -> Status {
    of_service(&error.into(), "")
}

#[async_trait]
impl<S: Store> StoreService for StoreHandlers<S> {
    type BackupStream = Answers<v1::BackupResponse>;

    async fn backup(
        &self,
        request: Request<v1::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let call = LongCall::new(
            BACKUP,
            request.extensions(),
            &self.draining,
            &self.telemetry,
        );
        let caller = Caller::of(request.extensions())?;
        let tenant = api::backup(request.get_ref())?;
        let principal = caller.check(tenant.as_ref())?;
        if let Some(tenant) = &tenant {
            // Whether anybody knows the tenant.
            self.service.model(tenant).await.map_err(failed)?;
        }
        let turn = self.service.backup_turn().map_err(failed)?;
        let object = AuditObject::default();
        let noted = note(
            &self.service,
            &principal,
            tenant.as_ref(),
            AuditedMethod::Backup,
            object,
        );
        noted.await.map_err(failed)?;
        let service = self.service.clone();
        let answers = call.answer_with(BACKUP_PARTS_WAITING, async move |answers| {
            let work = back_up(&service, &caller, tenant.as_ref(), &answers);
            let made = tokio::time::timeout(MAX_BACKUP_TIME, work).await;
            drop(turn);
            let made = made.unwrap_or_else(|_| Err(status::backup_too_long(MAX_BACKUP_TIME)))?;
            let held = made.exported;
            let (profiles, tenants) = (held.profiles, held.tenants);
            let done = format_args!("backed up {profiles} profiles of {tenants} tenants");
            audit(&principal, tenant.as_ref(), AuditedMethod::Backup, done);
            Ok(api::backup_end(made))
        });
        Ok(Response::new(answers))
    }
}

/// Backs up, part by part.
async fn back_up<S: Store>(
    service: &Service<S>,
    caller: &Caller,
    tenant: Option<&Tenant>,
    answers: &Answering<v1::BackupResponse>,
) -> Result<BackedUp, Status> {
    let (parts, mut made) = mpsc::channel(1);
    let tell = async move {
        while let Some(part) = made.recv().await {
            // It takes long: whoever may not have it any more does not get the rest.
            caller.check(tenant)?;
            if answers.send(Ok(api::backup_part(&part))).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let make = async { service.back_up(tenant, parts).await.map_err(failed) };
    let (made, ()) = tokio::try_join!(make, tell)?;
    made.ok_or_else(gone)
}
