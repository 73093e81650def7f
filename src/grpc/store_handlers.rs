//! One handler per RPC of `StoreService`.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, async_trait};

use super::{
    caller::{Caller, audit, note},
    calls::StreamDeadline,
    draining::Draining,
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

const BACKUP_IN_FULL: &str = "bellwether.v1.StoreService/Backup";

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

fn gone() -> Status {
    Status::cancelled("the caller has gone")
}

/// The parts of a backup.
pub type BackupStream = Pin<Box<dyn Stream<Item = Result<v1::BackupResponse, Status>> + Send>>;

#[async_trait]
impl<S: Store> StoreService for StoreHandlers<S> {
    type BackupStream = BackupStream;

    async fn backup(
        &self,
        request: Request<v1::BackupRequest>,
    ) -> Result<Response<BackupStream>, Status> {
        let started = Instant::now();
        let deadline = request.extensions().get::<StreamDeadline>().copied();
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
        let (answers, answered) = mpsc::channel(BACKUP_PARTS_WAITING);
        let service = self.service.clone();
        let mut draining = self.draining.clone();
        let telemetry = self.telemetry.clone();
        tokio::spawn(async move {
            let end = async {
                match deadline {
                    Some(StreamDeadline(deadline)) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let last = tokio::select! {
                made = back_up(&service, &caller, tenant.as_ref(), &answers) => made,
                () = end => Err(status::deadline_exceeded()),
                () = tokio::time::sleep_until(started + MAX_BACKUP_TIME) => {
                    Err(status::backup_too_long(MAX_BACKUP_TIME))
                }
                () = draining.begun() => Err(status::draining()),
                () = answers.closed() => Err(gone()),
            };
            drop(turn);
            let code = last.as_ref().map_or_else(Status::code, |_| Code::Ok);
            telemetry.call_ended(BACKUP_IN_FULL, code, started.elapsed());
            if let Ok(made) = &last {
                let held = made.exported;
                let (profiles, tenants) = (held.profiles, held.tenants);
                let done = format_args!("backed up {profiles} profiles of {tenants} tenants");
                audit(&principal, tenant.as_ref(), AuditedMethod::Backup, done);
            }
            // A caller that has gone hears nothing.
            let _ = answers.send(last.map(api::backup_end)).await;
        });
        Ok(Response::new(ReceiverStream::new(answered).boxed()))
    }
}

/// Backs up, part by part.
async fn back_up<S: Store>(
    service: &Service<S>,
    caller: &Caller,
    tenant: Option<&Tenant>,
    answers: &mpsc::Sender<Result<v1::BackupResponse, Status>>,
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
