//! What would change if another model answered: every record evaluated by two models, and
//! nothing written.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{Service, ServiceError};
use crate::{
    limits::{INDEX_BATCH, RETRY_UNAVAILABLE_AFTER},
    scoring::{Comparison, ComparisonReport, Model, Tenant, Timestamp},
    store::{Scan, Store},
    stretch::Stretch,
};

/// Which models to compare.
#[derive(Clone, Debug)]
pub struct ModelComparison {
    /// `None` for the one that answers.
    pub old: Option<Arc<Model>>,
    /// The other one.
    pub new: Arc<Model>,
    /// Profiles to name for each score.
    pub movers: usize,
    /// The instant to evaluate at; `None` for now.
    pub as_of: Option<Timestamp>,
}

/// How far a comparison is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparing {
    /// Profiles that were evaluated.
    pub evaluated: u64,
    /// About how many there are.
    pub total: u64,
}

impl<S: Store> Service<S> {
    /// Evaluates every record of a tenant by two models at one instant, as fast as ranks are built
    /// beside the calls. Ends early when nobody listens to `progress` any more.
    pub async fn compare_models(
        &self,
        tenant: &Tenant,
        comparison: ModelComparison,
        progress: mpsc::Sender<Comparing>,
    ) -> Result<ComparisonReport, ServiceError> {
        let shell = &self.shell;
        let overloaded = |_| ServiceError::Overloaded {
            retry_after: RETRY_UNAVAILABLE_AFTER,
        };
        let _turn = shell.comparing.try_acquire().map_err(overloaded)?;
        let snapshot = shell.deployment.snapshot(tenant).await?;
        let old = match comparison.old {
            Some(old) => old,
            None => Arc::clone(&snapshot.active.model),
        };
        let active = snapshot.rollout.active;
        let active = shell.deployment.tenant_model(tenant, active).await?;
        let total = active.map_or(0, |active| active.indexed);
        let at = comparison.as_of.unwrap_or_else(|| shell.now());
        let steps = old.clock_free_steps() + comparison.new.clock_free_steps();
        let mut stretch = Stretch::default();
        let mut compared = Comparison::new(old, comparison.new, at, comparison.movers);
        let mut evaluated = 0;
        let mut scan = Scan::new(&*shell.store, tenant, None, INDEX_BATCH);
        while !progress.is_closed() {
            let Some(records) = scan.next().await? else {
                break;
            };
            for stored in &records {
                compared.add(&stored.profile_id, &stored.record);
                stretch.took(steps).await;
            }
            evaluated += records.len() as u64;
            let total = total.max(evaluated);
            // Who reads slowly misses steps, and who reads nothing more has gone.
            let _ = progress.try_send(Comparing { evaluated, total });
            let rate = f64::from(shell.settings.rollout.rebuild_rate.max(1));
            tokio::time::sleep(Duration::from_secs_f64(records.len() as f64 / rate)).await;
        }
        Ok(compared.finish())
    }
}
