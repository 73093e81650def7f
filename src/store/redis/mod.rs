//! The store in Redis 7.0 or later, one server or a cluster, for any number of processes.
//!
//! The profiles of a tenant are spread over partitions, whose keys a cluster keeps together:
//! what belongs together is one script of one partition. What asks for all partitions merges
//! their answers; those of one server travel in one message. `keys` names every key, `scripts/`
//! holds every script.

mod address;
mod audit;
mod commits;
mod connection;
mod connector;
mod coordination;
mod failure;
mod fence;
mod gathering;
mod keys;
mod layout;
mod loads;
mod merge;
mod models;
mod note;
mod opening;
mod pages;
mod places;
mod ranks;
mod records;
mod repartition;
mod scores;
mod scripts;
mod writing;

use std::{path::PathBuf, sync::Arc, time::Duration};

use redis::Value;

pub use self::{
    address::RedisAddress,
    repartition::{Progress, RepartitionError, Repartitioned, Repartitioning},
};
use self::{
    connection::Connection, gathering::Gathering, keys::PartitionKeys, layout::Layouts,
    loads::Loads, writing::Commits,
};
use super::{Observer, StoreError, Traffic, recent::RecentRecords};
use crate::scoring::{ProfileId, Tenant};

/// How a store in Redis is reached.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Where it is.
    pub address: RedisAddress,
    /// A file of certificates (PEM) to trust in place of those of the system, for TLS.
    pub certificate_authorities: Option<PathBuf>,
    /// Into how many partitions the profiles of a tenant are spread unless its rollout says
    /// otherwise, 1 to 4096. Fixed by the first start on an empty database; `None` takes what is
    /// there, or [as many as are usual](default_partitions).
    pub partitions: Option<u32>,
    /// How long a call may take, more than 0.
    pub response_timeout: Duration,
    /// How long making a connection may take, more than 0.
    pub connection_timeout: Duration,
    /// How many replicas must have a commit before it counts as durable; 0 does not ask.
    pub wait_replicas: u32,
}

/// Partitions of a tenant in a cluster unless configured, so that its nodes can share them.
pub const CLUSTER_PARTITIONS: u32 = 16;
/// The most partitions.
pub const MAX_PARTITIONS: u32 = 4_096;
/// How long the servers may take to answer a ping, before their connections are made anew.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a call or making a connection may take unless configured.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

impl RedisSettings {
    /// The settings of this address, else as usual.
    pub fn new(address: RedisAddress) -> Self {
        Self {
            address,
            certificate_authorities: None,
            partitions: None,
            response_timeout: DEFAULT_TIMEOUT,
            connection_timeout: DEFAULT_TIMEOUT,
            wait_replicas: 0,
        }
    }
}

/// A store in Redis.
pub struct Redis {
    connection: Arc<Connection>,
    loads: Arc<Gathering<Loads>>,
    commits: Arc<Gathering<Commits>>,
    /// Of a tenant whose rollout says nothing else.
    partitions: u32,
    layouts: Layouts,
    recent: Arc<RecentRecords>,
    /// What the store was known by when it was opened, and no other is.
    identity: String,
}

impl Redis {
    /// Connects and checks that the server can serve: its version, that it never evicts, and
    /// that the database is ours and has the configured number of partitions, if one is configured; an
    /// empty one is made ours.
    pub async fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        Self::open_as(settings, true).await
    }

    /// The same, but an empty database is refused.
    pub async fn open_existing(settings: &RedisSettings) -> Result<Self, StoreError> {
        Self::open_as(settings, false).await
    }

    async fn open_as(settings: &RedisSettings, may_be_made: bool) -> Result<Self, StoreError> {
        let (
            connection,
            note::Claimed {
                identity,
                partitions,
            },
        ) = opening::open(settings, may_be_made).await?;
        let connection = Arc::new(connection);
        let recent = Arc::new(RecentRecords::default());
        Ok(Self {
            loads: Gathering::new(
                "load",
                Loads {
                    connection: Arc::clone(&connection),
                },
            ),
            commits: Gathering::new(
                "commit",
                Commits {
                    connection: Arc::clone(&connection),
                    recent: Arc::clone(&recent),
                },
            ),
            connection,
            partitions,
            layouts: Layouts::default(),
            recent,
            identity,
        })
    }

    /// Has each message told that carries what callers load or commit.
    pub fn observe(&self, observer: &Observer) {
        self.loads.observe(Arc::clone(observer));
        self.commits.observe(Arc::clone(observer));
    }

    /// What has travelled to Redis, and what waits to.
    pub fn traffic(&self) -> impl Fn() -> Vec<Traffic> + Send + Sync + 'static {
        let (loads, commits) = (Arc::clone(&self.loads), Arc::clone(&self.commits));
        move || vec![loads.traffic(), commits.traffic()]
    }

    /// Whether the store is still the one that was opened. Whatever servers agree on is written
    /// only after this, and what is read of it believed only before this: an emptied database
    /// has no note, and gets the same one never again.
    async fn check_note(&self) -> Result<(), StoreError> {
        note::check(&self.connection, &self.identity).await
    }

    /// Says of a loss whether all is lost.
    async fn looked_into<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Lost(_)) = result {
            self.check_note().await?;
        }
        result
    }

    /// Whether every primary answers, if need be over connections that are made anew.
    async fn reach_primaries(&self) -> Result<(), StoreError> {
        let checked = tokio::time::timeout(PING_TIMEOUT, async {
            opening::check_primaries(&self.connection).await
        });
        let error = match checked.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => StoreError::Unavailable("Redis did not answer a ping in time".to_owned()),
        };
        // In a task of its own, because whoever asks may give up sooner.
        let connection = Arc::clone(&self.connection);
        let renewed = tokio::spawn(async move { connection.renew().await }).await;
        if !matches!(renewed, Ok(Ok(()))) {
            return Err(error);
        }
        opening::check_primaries(&self.connection).await
    }

    /// How many partitions one message may be about: on a cluster each lies elsewhere.
    fn together(&self, most: usize) -> usize {
        if self.connection.is_cluster() {
            1
        } else {
            most
        }
    }
}

/// How many partitions a tenant has unless configured. One server has one thread for all of them,
/// so that further ones would only be more sets to ask, and more messages to commit by.
pub fn default_partitions(address: &RedisAddress) -> u32 {
    if address.cluster {
        CLUSTER_PARTITIONS
    } else {
        1
    }
}

/// The keys of every partition of so many.
fn partitions_of(tenant: &Tenant, partitions: u32) -> impl Iterator<Item = PartitionKeys> {
    (0..partitions).map(move |partition| PartitionKeys::new(tenant, partitions, partition))
}

/// The positions of items by the partition of their profile, of so many, in ascending order.
fn by_partition<'a>(
    partitions: u32,
    profile_ids: impl Iterator<Item = &'a ProfileId>,
) -> Vec<(u32, Vec<usize>)> {
    let mut groups = std::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (position, profile_id) in profile_ids.enumerate() {
        let partition = keys::partition_of(profile_id, partitions);
        groups.entry(partition).or_default().push(position);
    }
    groups.into_iter().collect()
}

/// The elements of an answer that is a list.
fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        _ => Err(failure::unexpected()),
    }
}

/// The bytes of an answer that is a string or nothing.
fn bytes(value: Value) -> Result<Option<Vec<u8>>, StoreError> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        _ => Err(failure::unexpected()),
    }
}

/// The text of an answer that is one or nothing.
fn text(value: Value) -> Result<Option<String>, StoreError> {
    match value {
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Ok(Some(text)),
        value => match bytes(value)? {
            None => Ok(None),
            Some(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| failure::unexpected()),
        },
    }
}

/// The number of an answer that is one, not below 0.
fn count(value: &Value) -> Result<u64, StoreError> {
    match value {
        Value::Int(count) => u64::try_from(*count).map_err(|_| failure::unexpected()),
        _ => Err(failure::unexpected()),
    }
}

/// The profile of an answer that names one.
fn profile_id(value: Value) -> Result<ProfileId, StoreError> {
    text(value)?
        .and_then(|text| ProfileId::stored(&text))
        .ok_or_else(|| StoreError::Corrupt("a stored profile id is none".to_owned()))
}
