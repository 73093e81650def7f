//! Where records and ranks are kept. A store interprets nothing: it compares versions,
//! and writes a record together with its rank changes.

pub mod codec;
pub mod embedded;

use std::future::Future;

use crate::scoring::{KeyRange, ProfileId, RankChange, RankKey, RankName, Record, Tenant};

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
    pub record: Record,
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
    /// The new record.
    pub record: Record,
    /// How the profile moves within ranks.
    pub ranks: Vec<RankChange>,
    /// What the write adds to the totals of topics.
    pub totals: Vec<TotalsChange>,
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

/// What a commit adds to the totals of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalsChange {
    /// Which topic.
    pub topic: String,
    /// How much.
    pub added: TopicTotals,
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
}

/// A stored record's places in ranks and its share of totals, for rebuilding an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexEntry {
    /// Whose.
    pub profile_id: ProfileId,
    /// Its keys.
    pub ranks: Vec<(RankName, RankKey)>,
    /// Its share of the totals.
    pub totals: Vec<TotalsChange>,
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

/// A store of records and ranks, shared by all tasks of a process. Each result of a batch
/// stands for its own item: one failure says nothing of the others.
pub trait Store: Send + Sync + 'static {
    /// Reads records, in the order of the ids.
    fn load(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
    ) -> impl Future<Output = Vec<Result<Option<Stored>, StoreError>>> + Send;

    /// Writes records, each of another profile, durably before returning; in the order of
    /// the commits.
    fn commit(
        &self,
        tenant: &Tenant,
        commits: Vec<Commit>,
    ) -> impl Future<Output = Vec<Result<Committed, StoreError>>> + Send;

    /// Reads up to `limit` entries of a range, after the cursor or from the greatest key.
    fn page(
        &self,
        tenant: &Tenant,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<RankPage, StoreError>> + Send;

    /// Counts the entries of ranges, all at one moment.
    fn count(
        &self,
        tenant: &Tenant,
        ranges: &[RankRange],
    ) -> impl Future<Output = Result<Vec<u64>, StoreError>> + Send;

    /// Reads the totals of topics, in the order asked for.
    fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> impl Future<Output = Result<Vec<TopicTotals>, StoreError>> + Send;

    /// Reads up to `limit` records in the order of their ids, after the given one.
    fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Stored>, StoreError>> + Send;

    /// Every tenant that has a record.
    fn tenants(&self) -> impl Future<Output = Result<Vec<Tenant>, StoreError>> + Send;

    /// Adds the entries of records that the ranks do not hold yet; a record that they hold
    /// adds nothing, neither to ranks nor to totals. Called before the store takes commits.
    fn index(
        &self,
        tenant: &Tenant,
        entries: Vec<IndexEntry>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether the store can serve now.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
