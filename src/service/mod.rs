//! Load, apply, commit: the thin shell around the scoring core. It alone knows the clock,
//! stamps arrivals and retries conflicts.

mod comparing;
mod drafts;
mod effects;
mod error;
mod files;
mod following;
mod health;
mod lanes;
mod latest;
mod lookups;
mod models;
mod newcomers;
mod pages;
mod publishing;
mod quarantine;
mod rankings;
mod read;
mod reading;
mod retraction;
mod rollouts;
mod round;
mod snapshot;
mod stretch;
mod turns;
mod write;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use comparing::{Comparing, ModelComparison};
pub use error::ServiceError;
pub use files::ModelFiles;
pub use models::{Models, ModelsError};
pub use pages::{Fraction, Page, PageStart, Paging};
pub use publishing::{Applied, TenantModel, TenantModels};
pub use quarantine::{QuarantinePage, QuarantineQuery, QuarantinedProfile, Released};
pub use rankings::{
    Funnel, InfluencerPage, InfluencerQuery, SegmentPage, SegmentQuery, SegmentTopic,
    SegmentTopics, SegmentTopicsQuery,
};
pub use read::View;
pub use reading::ReadModel;
pub use retraction::Retracted;
pub use write::{PendingScores, ProfileUpdate, Scored};

use crate::{
    admission::Gate,
    scoring::{Tenant, Timestamp},
    store::{Store, StoreError},
};

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
    /// Effects on others that may be durable while what caused them is not, on this server: all
    /// servers together no more than a record remembers, or a stop of all could count some twice.
    pub max_unsettled_effects: usize,
    /// Tenants beyond which a first event makes none.
    pub max_tenants: u64,
    /// Whether a first event makes a tenant.
    pub auto_create_tenants: bool,
    /// Records per second whose ranks are built for another model beside the calls.
    pub rebuild_rate: u32,
}

/// Tells the instant.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that tells the time of events"
)]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since_epoch = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        let nanos = i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX);
        Timestamp::from_nanos(nanos).unwrap_or_default()
    })
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
    store: S,
    latest: latest::Latest,
    snapshots: snapshot::ModelSnapshots,
    newcomers: newcomers::Newcomers,
    unfinished: following::Unfinished,
    writes: health::Writes,
    ground: health::Ground,
    /// Whether the start is over.
    is_ready: AtomicBool,
    settings: Settings,
    clock: Clock,
    /// What this server is known by among those on one store.
    server: u64,
    events: lanes::Lanes<write::Work>,
    /// Counts the work that was taken in, which has an order by this.
    turns: AtomicU64,
    effects: lanes::Lanes<effects::EffectWork>,
    /// Who may enter.
    gate: Gate,
    /// Room for events of streams, which wait for it.
    streamed: Arc<turns::Room>,
    /// Room for single calls, which are turned away; a share of their own, because whoever
    /// waits takes all that is free.
    single: Arc<Semaphore>,
    /// Room for effects whose causes are not durable yet.
    unsettled: Semaphore,
    /// One comparison of models at a time: it reads every record.
    comparing: Arc<Semaphore>,
    reading: reading::Reading,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl<S: Store> Service<S> {
    /// Opens the service: proposes the configured models where the store has others, builds
    /// the ranks that nobody could be answered without, then is ready.
    pub async fn open(
        store: S,
        models: Models,
        settings: Settings,
        clock: Clock,
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
        let shell = Arc::new(Shell {
            store,
            latest: latest::Latest::new(models),
            snapshots: snapshot::ModelSnapshots::default(),
            newcomers: newcomers::Newcomers::default(),
            unfinished: following::Unfinished::default(),
            writes: health::Writes::default(),
            ground: health::Ground::default(),
            is_ready: AtomicBool::new(false),
            clock,
            server,
            events: lanes::Lanes::new(),
            turns: AtomicU64::new(0),
            effects: lanes::Lanes::new(),
            streamed: turns::Room::new(gate.clone()),
            gate,
            single: Arc::new(Semaphore::new(most_single)),
            unsettled: Semaphore::new(settings.max_unsettled_effects),
            comparing: Arc::new(Semaphore::new(1)),
            reading: reading::Reading::new(),
            settings,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        shell.prepare().await?;
        let observer = Arc::downgrade(&shell);
        shell.tasks.spawn(following::follow(observer.clone()));
        shell.tasks.spawn(following::advance(observer));
        Ok(Self { shell })
    }

    /// Waits for the work that was taken in. The store closes with the last clone.
    pub async fn finish(&self) {
        self.shell.stopping.cancel();
        self.shell.tasks.close();
        self.shell.tasks.wait().await;
        // So that nobody waits for it, and an import knows that it is gone.
        let told = self.shell.store.announce(self.shell.server, Duration::ZERO);
        if let Err(error) = told.await {
            tracing::warn!(%error, "the store could not be told that this server has ended");
        }
    }

    /// Who may enter; whoever is in front of the service asks it.
    pub fn gate(&self) -> Gate {
        self.shell.gate.clone()
    }

    /// Whether the service can answer and count now: what the store says of itself, and what
    /// the latest writes came to.
    pub async fn ping(&self) -> Result<(), ServiceError> {
        let pinged = self.shell.store.ping().await;
        self.shell.ground.see(&pinged);
        pinged?;
        Ok(self.shell.writes.check()?)
    }
}

impl<S> Shell<S> {
    /// The latest model of a tenant that this server knows of.
    fn latest_of(&self, tenant: &Tenant) -> Result<latest::Known, ServiceError> {
        self.latest
            .of(tenant)
            .ok_or_else(|| ServiceError::UnknownTenant {
                tenant: tenant.to_string(),
            })
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
