//! Which model answers a tenant: model files are followed, what is applied is published to all
//! servers of the store, and a tenant comes to the latest model while it is served. Serving asks
//! only for a `ModelSnapshot`.

mod error;
mod files;
mod following;
mod ground;
mod latest;
mod models;
mod new_tenants;
mod publishing;
mod reading;
mod snapshot;
mod steps;
mod switches;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use error::RolloutError;
pub use files::ModelFiles;
pub use models::{Models, ModelsError};
pub use publishing::{Applied, ApplyOptions, TenantModel, TenantModels};
pub use reading::ReadModel;
pub(crate) use snapshot::ModelSnapshot;

use crate::{
    clock::Clock,
    scoring::{Model, Tenant, Timestamp},
    store::Store,
    telemetry::Counters,
};

/// Bounds that an operator may configure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tenants beyond which a first event makes none.
    pub max_tenants: u64,
    /// Whether a first event makes a tenant.
    pub auto_create_tenants: bool,
    /// Records per second whose ranks are built for another model beside the calls.
    pub rebuild_rate: u32,
}

/// The models of all tenants, as this server deploys them.
pub struct Deployment<S> {
    store: Arc<S>,
    latest: latest::Latest,
    snapshots: snapshot::ModelSnapshots,
    new_tenants: new_tenants::NewTenants,
    switches: switches::Switches,
    unfinished: following::Unfinished,
    ground: ground::Ground,
    /// Whether the start is over.
    is_ready: AtomicBool,
    settings: Settings,
    clock: Clock,
    /// What this server is known by among those on one store.
    server: u64,
    counters: Counters,
    reading: reading::Reading,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl<S> fmt::Debug for Deployment<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Deployment")
    }
}

impl<S: Store> Deployment<S> {
    /// Proposes the configured models where the store has others, and builds the ranks that nobody
    /// could be answered without. From then on follows what other servers do.
    pub(crate) async fn open(
        store: Arc<S>,
        models: Models,
        settings: Settings,
        clock: Clock,
        server: u64,
        counters: Counters,
    ) -> Result<Arc<Self>, RolloutError> {
        let deployment = Arc::new(Self {
            store,
            latest: latest::Latest::new(models),
            snapshots: snapshot::ModelSnapshots::default(),
            new_tenants: new_tenants::NewTenants::default(),
            switches: switches::Switches::default(),
            unfinished: following::Unfinished::default(),
            ground: ground::Ground::default(),
            is_ready: AtomicBool::new(false),
            settings,
            clock,
            server,
            counters,
            reading: reading::Reading::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        deployment.prepare().await?;
        let observer = Arc::downgrade(&deployment);
        deployment.tasks.spawn(following::follow(observer.clone()));
        deployment.tasks.spawn(following::advance(observer));
        Ok(deployment)
    }

    /// Begins nothing more in the background: no file is followed, no rollout driven.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Waits for what is done in the background, and has the store know that this server has
    /// ended.
    pub(crate) async fn finish(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
        // So that nobody waits for it, and an import knows that it is gone.
        if let Err(error) = self.store.announce(self.server, Duration::ZERO).await {
            tracing::warn!(%error, "the store could not be told that this server has ended");
        }
    }

    /// Whether the store still holds what it held; it says itself whether it can be reached.
    pub(crate) async fn ping(&self) -> Result<(), RolloutError> {
        let pinged = self.store.ping().await;
        self.ground.see(&pinged);
        Ok(pinged?)
    }

    /// The latest models, of all scopes.
    pub fn latest_models(&self) -> Vec<Arc<Model>> {
        self.latest.models()
    }

    /// How many tenants are remembered, and how many have something unfinished.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.snapshots.count(), self.unfinished.count())
    }

    /// Fails for a tenant that has no model.
    pub(crate) fn check_tenant(&self, tenant: &Tenant) -> Result<(), RolloutError> {
        self.latest_of(tenant).map(drop)
    }

    /// Whether the models of a tenant are remembered: it has records, or had some.
    pub(crate) fn knows(&self, tenant: &Tenant) -> bool {
        self.snapshots.knows(tenant)
    }

    /// The latest model of a tenant that this server knows of.
    fn latest_of(&self, tenant: &Tenant) -> Result<latest::Known, RolloutError> {
        self.latest
            .of(tenant)
            .ok_or_else(|| RolloutError::UnknownTenant {
                tenant: tenant.to_string(),
            })
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
