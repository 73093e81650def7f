//! One handler per RPC of `ModelService`.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::{Request, Response, Status, async_trait};

use super::{
    caller::{Caller, audit, note},
    draining::Draining,
    long_call::{Answering, Answers, LongCall},
};
use crate::{
    api::{self, status::of_service},
    proto::v1::{self, model_service_server::ModelService},
    rollout::{ApplyOptions, ReadModel},
    scoring::Tenant,
    service::{AuditObject, AuditedMethod, ModelComparison, Service, ServiceError},
    store::Store,
    telemetry::Telemetry,
};

/// Steps of progress that wait for a caller.
const STEPS: usize = 4;

const COMPARE_MODELS: &str = "bellwether.v1.ModelService/CompareModels";

/// The handlers of `bellwether.v1.ModelService`.
pub struct ModelHandlers<S> {
    service: Service<S>,
    draining: Draining,
    telemetry: Telemetry,
}

impl<S: Store> ModelHandlers<S> {
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

/// Whose model an `ApplyModel` changes; `None` for that of all.
fn tenant_or_all(name: &str) -> Option<Tenant> {
    Tenant::new(name).filter(|_| !name.is_empty())
}

/// Reads a model of a request; `None` when it has none.
async fn read<S: Store>(
    service: &Service<S>,
    source: &mut String,
) -> Result<Option<ReadModel>, Status> {
    if source.is_empty() {
        return Ok(None);
    }
    let read = service.deployment().read_sent(std::mem::take(source)).await;
    read.map(Some).map_err(failed)
}

#[async_trait]
impl<S: Store> ModelService for ModelHandlers<S> {
    async fn apply_model(
        &self,
        request: Request<v1::ApplyModelRequest>,
    ) -> Result<Response<v1::ApplyModelResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let mut request = request.into_inner();
        // Before the model is read, which takes long.
        let principal = caller.check(tenant_or_all(&request.tenant).as_ref())?;
        let model = read(&self.service, &mut request.source).await?;
        let (tenant, model, options) = api::apply_model(&request, model)?;
        let apply = |options| {
            let deployment = self.service.deployment();
            deployment.apply_model(tenant.as_ref(), Arc::clone(&model), options)
        };
        let trial = ApplyOptions {
            validate_only: true,
            ..options
        };
        let tried = apply(trial).await.map_err(failed)?;
        if options.validate_only {
            return Ok(Response::new(api::applied(&model, tried)));
        }
        let fingerprint = model.fingerprint().to_string();
        let object = AuditObject {
            fingerprint: fingerprint.clone(),
            ..AuditObject::default()
        };
        let noted = note(
            &self.service,
            &principal,
            tenant.as_ref(),
            AuditedMethod::ApplyModel,
            object,
        )
        .await;
        noted.map_err(failed)?;
        let applied = apply(options).await.map_err(failed)?;
        let done = format_args!("applied model {fingerprint}");
        audit(&principal, tenant.as_ref(), AuditedMethod::ApplyModel, done);
        Ok(Response::new(api::applied(&model, applied)))
    }

    async fn get_models(
        &self,
        request: Request<v1::GetModelsRequest>,
    ) -> Result<Response<v1::GetModelsResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let tenant = api::get_models(request.get_ref())?;
        caller.check(Some(&tenant))?;
        let models = self
            .service
            .deployment()
            .models(&tenant)
            .await
            .map_err(failed)?;
        Ok(Response::new(api::models(&models)))
    }

    type CompareModelsStream = Answers<v1::CompareModelsResponse>;

    async fn compare_models(
        &self,
        request: Request<v1::CompareModelsRequest>,
    ) -> Result<Response<Self::CompareModelsStream>, Status> {
        let call = LongCall::new(
            COMPARE_MODELS,
            request.extensions(),
            &self.draining,
            &self.telemetry,
        );
        let caller = Caller::of(request.extensions())?;
        let mut request = request.into_inner();
        if let Some(tenant) = Tenant::new(&request.tenant) {
            caller.check(Some(&tenant))?;
        }
        let old = read(&self.service, &mut request.old_source).await?;
        let new = read(&self.service, &mut request.new_source).await?;
        let (tenant, comparison) = api::compare_models(&request, (old, new))?;
        let service = self.service.clone();
        let answers = call.answer_with(STEPS, async move |answers| {
            let compared = compare(&service, &tenant, comparison, &answers).await;
            // It took long, and shows everybody: whoever may not see it any more does not.
            caller.check(Some(&tenant)).and(compared)
        });
        Ok(Response::new(answers))
    }
}

/// Compares, telling how far it is.
async fn compare<S: Store>(
    service: &Service<S>,
    tenant: &Tenant,
    comparison: ModelComparison,
    answers: &Answering<v1::CompareModelsResponse>,
) -> Result<v1::CompareModelsResponse, Status> {
    let (progress, mut steps) = mpsc::channel(STEPS);
    let tell = async {
        while let Some(step) = steps.recv().await {
            // Room is left for the report.
            if answers.capacity() > 1 {
                let _ = answers.try_send(Ok(api::comparing(step)));
            }
        }
    };
    let compared = service.compare_models(tenant, comparison, progress);
    let (compared, ()) = tokio::join!(compared, tell);
    Ok(api::compared(compared.map_err(failed)?))
}
