//! Load, apply, commit: the thin shell around the scoring core. It alone knows the clock,
//! stamps arrivals and retries conflicts.

mod credits;
mod error;
mod lanes;
mod models;
mod read;
mod round;
mod write;

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use error::ServiceError;
pub use models::{Models, ModelsError};
pub use read::{Funnel, InfluencerPage, InfluencerQuery, SegmentPage, SegmentQuery, View};
pub use write::{PendingScores, ProfileUpdate, Scored};

use crate::{
    scoring::{Model, Tenant, Timestamp, TopicShare, index, limits::REMEMBERED_CREDITS},
    store::{IndexEntry, Store, TopicTotals, TotalsChange},
};

/// Bounds that an operator may configure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far ahead of the server's clock an event may be.
    pub max_skew: Duration,
    /// How many events a record remembers.
    pub remembered_events: usize,
    /// Events in flight: a quarter for `ScoreEvent` and `UpdateProfile`, which are turned away
    /// beyond it, the rest for streams, which wait.
    pub max_events_in_flight: usize,
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
    models: Models,
    settings: Settings,
    clock: Clock,
    events: lanes::Lanes<write::Work>,
    credits: lanes::Lanes<credits::CreditWork>,
    /// Room for events of streams, which wait for it.
    streamed: Arc<Semaphore>,
    most_streamed: usize,
    /// Room for single calls, which are turned away; a share of their own, because whoever
    /// waits takes all that is free.
    single: Arc<Semaphore>,
    /// Room for credits whose causes are not durable yet.
    unsettled: Semaphore,
    tasks: TaskTracker,
}

/// How many records are indexed at a time when ranks are rebuilt.
const INDEX_BATCH: usize = 1_000;

impl<S: Store> Service<S> {
    /// Opens the service: rebuilds the ranks of every tenant that has a model, then is
    /// ready.
    pub async fn open(
        store: S,
        models: Models,
        settings: Settings,
        clock: Clock,
    ) -> Result<Self, ServiceError> {
        for tenant in store.tenants().await? {
            match models.of(&tenant) {
                Some(model) => rebuild(&store, &tenant, model).await?,
                None => tracing::warn!(%tenant, "a stored tenant has no model and is not served"),
            }
        }
        let most_single = (settings.max_events_in_flight / 4).max(1);
        let most_streamed = settings
            .max_events_in_flight
            .saturating_sub(most_single)
            .max(1);
        let shell = Shell {
            store,
            models,
            settings,
            clock,
            events: lanes::Lanes::new(),
            credits: lanes::Lanes::new(),
            streamed: Arc::new(Semaphore::new(most_streamed)),
            most_streamed,
            single: Arc::new(Semaphore::new(most_single)),
            unsettled: Semaphore::new(REMEMBERED_CREDITS),
            tasks: TaskTracker::new(),
        };
        Ok(Self {
            shell: Arc::new(shell),
        })
    }

    /// A hash of the tenant's model.
    pub fn fingerprint(&self, tenant: &Tenant) -> Result<u64, ServiceError> {
        Ok(self.shell.model(tenant)?.fingerprint())
    }

    /// Waits for the work that was taken in. The store closes with the last clone.
    pub async fn finish(&self) {
        self.shell.tasks.close();
        self.shell.tasks.wait().await;
    }

    /// Whether the service can answer now.
    pub async fn ping(&self) -> Result<(), ServiceError> {
        Ok(self.shell.store.ping().await?)
    }
}

impl<S> Shell<S> {
    fn model(&self, tenant: &Tenant) -> Result<&Arc<Model>, ServiceError> {
        self.models
            .of(tenant)
            .ok_or_else(|| ServiceError::UnknownTenant {
                tenant: tenant.to_string(),
            })
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

async fn rebuild<S: Store>(store: &S, tenant: &Tenant, model: &Model) -> Result<(), ServiceError> {
    let mut after = None;
    let mut indexed = 0_usize;
    loop {
        let records = store.scan(tenant, after.as_ref(), INDEX_BATCH).await?;
        let Some(last) = records.last() else {
            break;
        };
        after = Some(last.profile_id.clone());
        indexed += records.len();
        let entries = records.into_iter().map(|stored| {
            let (ranks, totals) = index(model, &stored.record);
            IndexEntry {
                profile_id: stored.profile_id,
                ranks,
                totals: totals.into_iter().map(totals_change).collect(),
            }
        });
        store.index(tenant, entries.collect()).await?;
    }
    tracing::info!(%tenant, profiles = indexed, "ranks rebuilt");
    Ok(())
}

fn totals_change((topic, touches, advance_millionths): TopicShare) -> TotalsChange {
    TotalsChange {
        topic,
        added: TopicTotals {
            touches,
            advance_millionths,
        },
    }
}
