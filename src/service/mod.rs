//! Load, apply, commit: the thin shell around the scoring core. It stamps arrivals by the clock
//! that it is handed, and retries conflicts.

mod answers;
mod audit;
mod backup;
mod comparing;
mod conditions;
mod draft;
mod drafts;
mod effects;
mod error;
mod health;
mod instants;
mod lanes;
mod lookups;
mod new_records;
mod pages;
mod profile_quotas;
mod quarantine;
mod rankings;
mod read;
mod retraction;
mod round;
mod telling;
mod unsettled;
mod write;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use answers::{PendingScores, Released, Retracted, Scored, Written};
pub use audit::{AuditObject, Audited, AuditedCaller, AuditedMethod};
pub use backup::BackedUp;
pub use comparing::{Comparing, ModelComparison};
pub use conditions::ConditionTurn;
pub use error::ServiceError;
pub use pages::{Fraction, Page, PageStart, Paging};
pub use profile_quotas::ProfileLimits;
pub use quarantine::{CheckedSelection, QuarantinePage, QuarantineQuery, QuarantinedProfile};
pub use rankings::{
    Funnel, InfluencerPage, InfluencerQuery, SegmentPage, SegmentQuery, SegmentTopic,
    SegmentTopics, SegmentTopicsQuery,
};
pub use read::{ProfileQuery, View};
pub use write::ProfileUpdate;

use crate::{
    admission::Gate,
    clock::Clock,
    limits::MAX_BACKUPS,
    rollout::{self, Deployment, Models},
    scoring::Timestamp,
    store::{Store, StoreError, TokenKey},
    telemetry::{Counters, ServiceLoad, Shed},
};

/// Batches of updates that are worked on or wait at a time: each may hold a request of the greatest
/// size and the room of a thousand answers.
const MAX_BATCHES: usize = 4;

/// Bounds that an operator may configure, and the name of the server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the server is known by among those on one store; drawn at random when absent.
    pub server: Option<u64>,
    /// How far ahead of the server's clock an event may be.
    pub max_skew: Duration,
    /// How many events a record remembers.
    pub remembered_events: usize,
    /// Events in flight: a quarter for `ScoreEvent` and `UpdateProfile`, which are turned away
    /// beyond it, the rest for streams, which wait.
    pub max_events_in_flight: usize,
    /// Calls in work, of all connections.
    pub max_calls_in_flight: usize,
    /// Effects on one record that may be durable while what caused them is not, on this server. All
    /// servers together may have no more than a record remembers: when all of them stop, the events
    /// that are sent again must find their effects remembered, or they count twice.
    pub max_unsettled_effects: usize,
    /// Of models and tenants.
    pub rollout: rollout::Settings,
}

/// The service, shared by all requests.
pub struct Service<S> {
    shell: Arc<Shell<S>>,
}

impl<S> Clone for Service<S> {
    fn clone(&self) -> Self {
        Self {
            shell: Arc::clone(&self.shell),
        }
    }
}

impl<S> fmt::Debug for Service<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Service")
    }
}

/// What all work shares.
struct Shell<S> {
    store: Arc<S>,
    /// Which models answer.
    deployment: Arc<Deployment<S>>,
    writes: health::Writes,
    token_key: TokenKey,
    settings: Settings,
    clock: Clock,
    counters: Counters,
    /// What this server is known by among those on one store.
    server: u64,
    events: lanes::Lanes<write::Work>,
    /// Counts the work that was taken in, which has an order by this.
    turns: AtomicU64,
    /// Counts how often another writer was faster.
    conflicts: AtomicU64,
    effects: lanes::Lanes<effects::EffectWork>,
    /// How many profiles tenants may have.
    profile_quotas: profile_quotas::ProfileQuotas,
    /// Who may enter.
    gate: Gate,
    /// Room for single calls, which are turned away; a share of their own, because whoever
    /// waits takes all that is free.
    single: Arc<Semaphore>,
    most_single: usize,
    /// Room for effects whose causes are not durable yet.
    unsettled: unsettled::Unsettled,
    /// One comparison of models at a time: it reads every record.
    comparing: Arc<Semaphore>,
    /// Few backups at a time.
    backups: Arc<Semaphore>,
    /// Few batches of updates at a time: what they hold while they wait is large.
    batches: Arc<Semaphore>,
    /// Few calls with a condition at a time: they keep the processors busy.
    conditions: conditions::Turns,
    tasks: TaskTracker,
}

impl<S: Store> Service<S> {
    /// Opens the service: proposes the configured models where the store has others, builds
    /// the ranks that nobody could be answered without, then is ready.
    pub async fn open(
        store: S,
        models: Models,
        settings: Settings,
        clock: Clock,
        counters: Counters,
    ) -> Result<Self, ServiceError> {
        let most_single = (settings.max_events_in_flight / 4).max(1);
        let most_streamed = settings
            .max_events_in_flight
            .saturating_sub(most_single)
            .max(1);
        let server = settings.server.map_or_else(getrandom::u64, Ok);
        let server = server.map_err(|error| {
            StoreError::Unavailable(format!("no randomness for the name of a server: {error}"))
        })?;
        let gate = Gate::new(settings.max_calls_in_flight, most_streamed);
        let store = Arc::new(store);
        let deployment = Deployment::open(
            Arc::clone(&store),
            models,
            settings.rollout.clone(),
            Arc::clone(&clock),
            server,
            counters.clone(),
        );
        let deployment = deployment.await?;
        let token_key = store.token_key(&TokenKey::random()?).await?;
        let shell = Arc::new(Shell {
            deployment,
            token_key,
            store,
            writes: health::Writes::default(),
            clock,
            counters,
            server,
            events: lanes::Lanes::new(),
            turns: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            effects: lanes::Lanes::new(),
            profile_quotas: profile_quotas::ProfileQuotas::default(),
            gate,
            single: Arc::new(Semaphore::new(most_single)),
            most_single,
            unsettled: unsettled::Unsettled::new(settings.max_unsettled_effects),
            comparing: Arc::new(Semaphore::new(1)),
            backups: Arc::new(Semaphore::new(MAX_BACKUPS)),
            batches: Arc::new(Semaphore::new(MAX_BATCHES)),
            conditions: conditions::Turns::new(),
            settings,
            tasks: TaskTracker::new(),
        });
        Ok(Self { shell })
    }

    /// Waits for the work that was taken in. The store closes with the last clone.
    pub async fn finish(&self) {
        self.shell.deployment.stop();
        self.shell.tasks.close();
        self.shell.tasks.wait().await;
        self.shell.deployment.finish().await;
    }

    /// Which models answer, and how to change them.
    pub fn deployment(&self) -> &Arc<Deployment<S>> {
        &self.shell.deployment
    }

    /// The key that page tokens are sealed with, on all servers of the store.
    pub fn token_key(&self) -> &TokenKey {
        &self.shell.token_key
    }

    /// Bounds from now on how many profiles tenants may have. To be called once, before anybody
    /// writes.
    pub fn limit_profiles(&self, limits: ProfileLimits) {
        self.shell.profile_quotas.set(limits);
    }

    /// Who may enter; whoever is in front of the service asks it.
    pub fn gate(&self) -> Gate {
        self.shell.gate.clone()
    }

    /// Counts a call that is turned away.
    pub fn shed(&self, reason: Shed) {
        self.shell.counters.shed(reason);
    }

    /// What the service is at, as long as it is there.
    pub fn load(&self) -> impl Fn() -> Option<ServiceLoad> + Send + Sync + 'static {
        let shell = Arc::downgrade(&self.shell);
        move || {
            let shell = shell.upgrade()?;
            let (streamed_events, waiting_events) = shell.gate.streamed();
            let (tenants, tenants_changing) = shell.deployment.load();
            let [reads, writes, other_calls] = shell.gate.in_work();
            Some(ServiceLoad {
                reads,
                writes,
                other_calls,
                single_events: shell.most_single - shell.single.available_permits(),
                streamed_events,
                waiting_events,
                tenants,
                tenants_changing,
            })
        }
    }

    /// Whether the service can answer and count now: what the store says of itself, and what
    /// the latest writes came to.
    pub async fn ping(&self) -> Result<(), ServiceError> {
        self.shell.deployment.ping().await?;
        Ok(self.shell.writes.check()?)
    }
}

impl<S> Shell<S> {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
