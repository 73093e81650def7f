//! Where records and ranks are kept. A store interprets nothing: it compares versions,
//! and writes a record together with its rank changes.

mod audit;
pub mod codec;
pub mod embedded;
mod export;
mod opening;
mod publication;
mod recent;
pub mod redis;
mod repartition;
mod rollout;
mod scan;
mod token_key;
mod traffic;

use std::{future::Future, sync::Arc, time::Duration};

pub use audit::{AUDIT_ENTRIES, AuditEntry, AuditObject, AuditScope, AuditStore, AuditedMethod};
pub use export::{ExportReader, ExportWriter, Exported};
pub use opening::{Access, OpenStore, StoreSettings};
pub use publication::{ModelStore, Publication};
pub use recent::{Recent, RecentRecords};
pub use repartition::{LeftOver, Repartition, RepartitionPhase};
pub use rollout::{IndexGeneration, Rollout, SavedModel};
pub use scan::Scan;
pub use token_key::TokenKey;
pub use traffic::{Observer, Traffic};

use tokio::sync::mpsc;

use crate::scoring::{
    KeyRange, Name, ProfileId, RankChange, RankKey, RankName, Record, Tenant, Timestamp, TopicDelta,
};

/// Unique to each write of a record, never a counter that can repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Whose it is.
    pub profile_id: ProfileId,
    /// The write that it comes from.
    pub version: Version,
    /// What is remembered.
    pub record: Arc<Record>,
    /// How many bytes it takes as it is stored.
    pub bytes: usize,
}

/// A write of one record with its rank changes, all or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Whose record.
    pub profile_id: ProfileId,
    /// The version that the new record was made from; `None` when there was none.
    pub expected: Option<Version>,
    /// The version of this write, unique.
    pub version: Version,
    /// The new record; `None` drops the profile.
    pub record: Option<Record>,
    /// How the profile moves within the ranks of each maintained generation. A move from a key
    /// to the same key makes sure that the profile stands there.
    pub ranks: Vec<(IndexGeneration, Vec<RankChange>)>,
    /// What the write adds to the totals of topics.
    pub totals: Vec<TotalsChange>,
}

impl Commit {
    /// The latest instant at which the record counted anything, rounded up to a whole second.
    pub fn latest_counted(&self) -> Timestamp {
        let record = self.record.as_ref();
        record.map_or(Timestamp::EPOCH, |record| {
            record.latest_counted().up_to_second()
        })
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is durable, by this call or by an earlier one with the same version.
    Written,
    /// The stored version is not the expected one; nothing was written.
    Conflict,
}

/// Touches and advances of all authors on one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicTotals {
    /// How many touches.
    pub touches: u64,
    /// How many millionths of advances.
    pub advance_millionths: u64,
}

/// What a commit changes of the totals of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalsChange {
    /// Which topic.
    pub topic: Name,
    /// How many touches more, or fewer.
    pub touches: i64,
    /// How many millionths of advances more, or fewer.
    pub advance_millionths: i64,
}

impl TotalsChange {
    /// What a record's delta of a topic adds.
    pub fn adding((topic, touches, advance_millionths): TopicDelta) -> Self {
        Self {
            topic,
            touches,
            advance_millionths,
        }
    }

    /// What a record's delta of a topic took with it.
    pub fn removing(delta: TopicDelta) -> Self {
        let added = Self::adding(delta);
        Self {
            touches: -added.touches,
            advance_millionths: -added.advance_millionths,
            ..added
        }
    }
}

/// A range of one rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankRange {
    /// Which rank.
    pub rank: RankName,
    /// Which of its keys.
    pub keys: KeyRange,
}

/// Where a page starts: just after this entry, in page order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The key of the last entry of the page before.
    pub key: RankKey,
    /// Its profile.
    pub profile_id: ProfileId,
}

/// Some entries of a range in page order: greatest key first, equals by profile id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RankPage {
    /// The entries.
    pub entries: Vec<(RankKey, ProfileId)>,
    /// How many entries of the range stand before the first of these.
    pub preceding: u64,
    /// How many entries the range has.
    pub total: u64,
    /// The latest instant that was counted in the ranks that were read.
    pub latest_counted: Timestamp,
}

/// How many entries ranges have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RankCounts {
    /// In the order of the ranges.
    pub counts: Vec<u64>,
    /// The latest instant that was counted in the ranks that were read.
    pub latest_counted: Timestamp,
}

/// A stored record's places in the ranks of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexEntry {
    /// Whose.
    pub profile_id: ProfileId,
    /// The version of the record that the keys follow from.
    pub version: Version,
    /// Its keys.
    pub ranks: Vec<(RankName, RankKey)>,
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written; a retry may succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The write was sent and not answered; it may or may not have happened.
    #[error("the store did not answer; whether the write happened is not known: {0}")]
    OutcomeUnknown(String),
    /// The rollout that the call was made for is no longer the store's; nothing was written.
    /// Reading the rollout again and doing the work anew succeeds.
    #[error("the store has moved to another model")]
    Superseded,
    /// What the store held is gone; nothing was written. It says what to do.
    #[error("what the store held is gone: {0}")]
    Lost(String),
    /// What is stored cannot be read.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A record has outgrown what the store keeps; nothing was written.
    #[error("the record would be too large: {0}")]
    TooLarge(String),
    /// The store cannot serve as it is set up.
    #[error("{0}")]
    Misconfigured(String),
}

/// Records by tenant and id.
pub trait RecordStore: Sized + Send + Sync + 'static {
    /// Reads records, in the order of the ids.
    fn load(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
    ) -> impl Future<Output = Vec<Result<Option<Stored>, StoreError>>> + Send {
        self.load_to_commit(tenant, profile_ids, 0)
    }

    /// The same, where the first `to_commit` of the records are about to be changed and committed:
    /// a store that keeps records in memory may hand these over instead of sharing them.
    fn load_to_commit(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        to_commit: usize,
    ) -> impl Future<Output = Vec<Result<Option<Stored>, StoreError>>> + Send;

    /// Hands back a record that was loaded to be committed and is as it was, because nothing came
    /// of that.
    fn give_back(&self, _tenant: &Tenant, _stored: Stored) {}

    /// Writes records, each of another profile, durably before returning; in the order of
    /// the commits. [`StoreError::Superseded`] when an epoch has been seen that `rollout` does
    /// not follow; one that it follows is replaced by it from now on.
    fn commit(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
        commits: Vec<Commit>,
    ) -> impl Future<Output = Vec<Result<Committed, StoreError>>> + Send;

    /// Reads up to `limit` records in the order of their ids, after the given one. Fewer
    /// only at the end.
    fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Stored>, StoreError>> + Send;

    /// Sends every record of a tenant, or of all, by tenant and id, some at a time, until nobody
    /// receives them any more. A store that can sends what it has at one moment, whatever is
    /// committed meanwhile.
    fn send_all(
        &self,
        tenant: Option<&Tenant>,
        batches: mpsc::Sender<Vec<(Tenant, Stored)>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        scan::send_scanned(self, tenant, batches)
    }

    /// How many records a tenant has: people, authors who only got credit, and subjects. As of one
    /// moment, unless the store is shared by servers that make some meanwhile.
    fn record_count(&self, tenant: &Tenant)
    -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Every tenant that has a record.
    fn tenants(&self) -> impl Future<Output = Result<Vec<Tenant>, StoreError>> + Send;

    /// How many tenants have records, or are about to.
    fn tenant_count(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Of each tenant, whether a part of it is gone, as when one of several primaries lost all.
    fn have_losses(
        &self,
        tenants: &[Tenant],
    ) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;
}

/// Ranks: sorted sets of profiles for each index generation, and the totals of topics.
///
/// Whoever reads ranks is told the latest instant that was counted in them: that of
/// [`Commit::latest_counted`] of all commits that were written, whatever has become of the records
/// since. It is read at the same moment as the ranks of the same profiles.
pub trait RankStore: Send + Sync + 'static {
    /// Reads up to `limit` entries of a range, after the cursor or from the greatest key.
    /// [`StoreError::Superseded`] when the generation is not maintained.
    fn page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<RankPage, StoreError>> + Send;

    /// Counts the entries of ranges, which may be none, so that nobody is counted twice.
    /// [`StoreError::Superseded`] when the generation is not maintained.
    fn count(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> impl Future<Output = Result<RankCounts, StoreError>> + Send;

    /// Reads the totals of topics, in the order asked for.
    fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> impl Future<Output = Result<Vec<TopicTotals>, StoreError>> + Send;

    /// Adds the entries of records, in ascending order of ids, to the ranks of a generation. A
    /// record with another version than the entry's is left out: who wrote it since the
    /// fence has maintained the ranks. [`StoreError::Superseded`] when the generation is not
    /// maintained.
    fn index(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries: Vec<IndexEntry>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds the entries of every record at once, where `entries_of` says in which ranks a record
    /// stands, and returns how many records there are. `None` when the store cannot, or cannot
    /// any more: then they are to be scanned and [indexed](Self::index).
    fn index_all(
        &self,
        _tenant: &Tenant,
        _generation: IndexGeneration,
        _entries_of: impl Fn(&ProfileId, &Record) -> Vec<(RankName, RankKey)> + Send + Sync + 'static,
    ) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send {
        async { Ok(None) }
    }

    /// The last profile that is known to be indexed, all before it too; `None` when none is.
    fn indexed_to(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
    ) -> impl Future<Output = Result<Option<ProfileId>, StoreError>> + Send;

    /// Deletes ranks of a generation that nobody maintains.
    fn drop_ranks(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranks: &[RankName],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What the servers on one store agree on: which models a tenant has, who builds its ranks, who
/// serves, and whether the store can.
pub trait Coordination: Send + Sync + 'static {
    /// The models of a tenant; of epoch 0 when it never had one.
    fn rollout(&self, tenant: &Tenant) -> impl Future<Output = Result<Rollout, StoreError>> + Send;

    /// The models of tenants, in the order asked for.
    fn rollouts(
        &self,
        tenants: &[Tenant],
    ) -> impl Future<Output = Result<Vec<Rollout>, StoreError>> + Send;

    /// Puts a rollout in the place of the one that it was made from. Returns whether the given
    /// one is now, or was already, the tenant's.
    fn set_rollout(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// From when this returns, every commit of an epoch before that of `rollout` is refused.
    /// [`StoreError::Superseded`] when an epoch has been seen that this one does not follow.
    fn fence(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes or keeps the right to build the ranks of a tenant, for `server` alone and for
    /// that long. Returns whether it has it.
    fn lease(
        &self,
        tenant: &Tenant,
        server: u64,
        period: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The key that all servers on the store seal page tokens with: the one that was kept first,
    /// which is this one when there was none.
    fn token_key(
        &self,
        proposed: &TokenKey,
    ) -> impl Future<Output = Result<TokenKey, StoreError>> + Send;

    /// Whether servers on other machines may serve from the same data.
    fn is_shared(&self) -> bool;

    /// How many servers have made known that they serve.
    fn servers(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Makes known that `server` serves for that long, or has ended. Returns how many others do.
    fn announce(
        &self,
        server: u64,
        period: Duration,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Whether the store can serve now.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A store of records and ranks, shared by all tasks of a process. Each result of a batch
/// stands for its own item: one failure says nothing of the others.
///
/// A call that is made again after it was sent and not answered changes nothing more.
pub trait Store: RecordStore + RankStore + ModelStore + AuditStore + Coordination {}

impl<S: RecordStore + RankStore + ModelStore + AuditStore + Coordination> Store for S {}
