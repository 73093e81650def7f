//! What the simulated store keeps, and what one message does to one place of it at one
//! instant. The reference of what a store means, and its flaws: what a wrong store would do.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bellwether::{
    scoring::{Fingerprint, KeyRange, ProfileId, RankKey, RankName, Timestamp},
    store::{
        AuditEntry, AuditScope, Commit, Committed, Cursor, IndexEntry, IndexGeneration,
        Publication, RankRange, Rollout, SavedModel, StoreError, Stored, TokenKey, TopicTotals,
        TotalsChange,
    },
};
use tokio::time::{Duration, Instant};

/// What a wrong store does. Each must be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Takes commits of earlier epochs.
    TakesOldEpochs,
    /// Answers reads of generations that nobody maintains.
    ServesOldGenerations,
    /// Writes whatever is stored.
    ComparesNoVersions,
    /// Adds totals again when a commit is repeated.
    RepeatsTotals,
    /// Adds entries of records that were written since.
    IndexesOldVersions,
    /// Takes a move to the same key for nothing to do.
    SkipsEqualKeys,
    /// Raises one fence only.
    FencesOnePartition,
    /// Says that a record was written before it is.
    AcknowledgesUnwritten,
    /// Writes credits after it has said so, as if they were committed after their cause.
    DefersCredits,
    /// Writes a record without its ranks now and then.
    TearsCommits,
    /// Sets any rollout in the place of any other.
    ReplacesRollouts,
    /// Adds entries to ranks that nobody maintains.
    IndexesOldGenerations,
    /// Says of every model that it was never published.
    ForgetsRevisions,
    /// Writes records without the stages that people keep.
    ForgetsKeptStages,
    /// Does not note the instants that are counted.
    ForgetsInstants,
    /// Serves what is recent without asking which version is stored.
    ServesCopies,
}

/// The records of one partition, with everything that is written together with them.
#[derive(Default)]
pub struct Partition {
    pub records: BTreeMap<ProfileId, Stored>,
    pub ranks: BTreeMap<(u64, RankName), BTreeMap<ProfileId, RankKey>>,
    pub totals: BTreeMap<String, TopicTotals>,
    pub latest_counted: Timestamp,
    pub fence: Option<Fence>,
}

/// What a replica of a partition had when it was last heard of.
#[derive(Clone)]
pub struct Replica {
    pub records: BTreeMap<ProfileId, Stored>,
    totals: BTreeMap<String, TopicTotals>,
    latest_counted: Timestamp,
}

/// The latest epoch that a partition has seen, and the generations maintained at it.
pub struct Fence {
    pub epoch: u64,
    pub generations: Vec<IndexGeneration>,
}

/// What belongs to the tenant as a whole.
#[derive(Clone, Default)]
pub struct Common {
    pub rollout: Rollout,
    pub models: BTreeMap<Fingerprint, (SavedModel, Instant)>,
    pub indexed: BTreeMap<u64, ProfileId>,
    pub lease: Option<(u64, Instant)>,
    pub servers: BTreeMap<u64, Instant>,
    pub publication: Option<Publication>,
    pub source: Option<String>,
    pub revisions: BTreeMap<Fingerprint, u64>,
    pub token_key: Option<TokenKey>,
    pub audit: HashMap<AuditScope, Vec<AuditEntry>>,
}

/// What is read of one partition for a page.
pub struct Part {
    pub entries: Vec<(RankKey, ProfileId)>,
    pub preceding: u64,
    pub total: u64,
    pub latest_counted: Timestamp,
}

impl Partition {
    /// What a replica has that lags behind from now on.
    pub fn replica(&self) -> Replica {
        Replica {
            records: self.records.clone(),
            totals: self.totals.clone(),
            latest_counted: self.latest_counted,
        }
    }

    /// Forgets what a replica does not have.
    pub fn fall_back_to(&mut self, replica: Replica) {
        self.records = replica.records;
        self.totals = replica.totals;
        self.latest_counted = replica.latest_counted;
    }

    /// Takes the epoch of a rollout for the latest, unless a later one is known. What is
    /// wrong with the rollout itself is in the error.
    pub fn raise_fence(&mut self, rollout: &Rollout) -> Result<bool, String> {
        let generations: Vec<IndexGeneration> = rollout.maintained().collect();
        match &self.fence {
            Some(fence) if !rollout.follows(fence.epoch) => Ok(false),
            Some(fence) if rollout.epoch == fence.epoch => {
                if fence.generations == generations {
                    return Ok(true);
                }
                Err(format!(
                    "two rollouts of epoch {}: {:?} and {generations:?}",
                    rollout.epoch, fence.generations
                ))
            }
            _ => {
                let epoch = rollout.epoch;
                self.fence = Some(Fence { epoch, generations });
                Ok(true)
            }
        }
    }

    /// Several commits in one step.
    pub fn commit(&mut self, commits: &[Commit], flaw: Option<Flaw>) -> Vec<Committed> {
        let results = commits.iter().map(|commit| self.commit_one(commit, flaw));
        results.collect()
    }

    fn commit_one(&mut self, commit: &Commit, flaw: Option<Flaw>) -> Committed {
        let stored = self.records.get(&commit.profile_id);
        let stored = stored.map(|stored| stored.version);
        if stored == Some(commit.version) || (stored.is_none() && commit.record.is_none()) {
            if flaw == Some(Flaw::RepeatsTotals) {
                self.add_totals(&commit.totals);
            }
            return Committed::Written;
        }
        if stored != commit.expected && flaw != Some(Flaw::ComparesNoVersions) {
            return Committed::Conflict;
        }
        match &commit.record {
            Some(record) => {
                let mut record = record.clone();
                if flaw == Some(Flaw::ForgetsKeptStages) {
                    record.kept_stages.clear();
                }
                let stored = Stored {
                    profile_id: commit.profile_id.clone(),
                    version: commit.version,
                    record: Arc::new(record),
                    // What a typical record takes.
                    bytes: 2_048,
                };
                self.records.insert(commit.profile_id.clone(), stored);
            }
            None => {
                self.records.remove(&commit.profile_id);
            }
        }
        self.add_totals(&commit.totals);
        if flaw != Some(Flaw::ForgetsInstants) {
            self.latest_counted = self.latest_counted.max(commit.latest_counted());
        }
        if flaw == Some(Flaw::TearsCommits) && self.records.len() > 2 {
            return Committed::Written;
        }
        for (generation, changes) in &commit.ranks {
            for change in changes {
                if flaw == Some(Flaw::SkipsEqualKeys) && change.old == change.new {
                    continue;
                }
                let rank = (generation.number, change.rank.clone());
                let entries = self.ranks.entry(rank).or_default();
                match change.new {
                    Some(key) => entries.insert(commit.profile_id.clone(), key),
                    None => entries.remove(&commit.profile_id),
                };
            }
        }
        self.ranks.retain(|_, entries| !entries.is_empty());
        Committed::Written
    }

    /// Makes the totals anew from the records.
    pub fn add_up_totals(&mut self) {
        self.totals.clear();
        let records = self.records.values();
        let shares = records.flat_map(|stored| stored.record.topic_deltas());
        let changes: Vec<TotalsChange> = shares.map(TotalsChange::adding).collect();
        self.add_totals(&changes);
    }

    fn add_totals(&mut self, totals: &[TotalsChange]) {
        for change in totals {
            let total = self.totals.entry(change.topic.to_string()).or_default();
            total.touches = total.touches.saturating_add_signed(change.touches);
            let advances = total.advance_millionths;
            total.advance_millionths = advances.saturating_add_signed(change.advance_millionths);
        }
    }

    /// Whether the ranks of a generation may be read. An empty partition has them all.
    pub fn serves(
        &self,
        generation: IndexGeneration,
        flaw: Option<Flaw>,
    ) -> Result<(), StoreError> {
        let refused = self
            .fence
            .as_ref()
            .is_some_and(|fence| !fence.generations.contains(&generation));
        if refused && flaw != Some(Flaw::ServesOldGenerations) {
            return Err(StoreError::Superseded);
        }
        Ok(())
    }

    fn entries(
        &self,
        generation: IndexGeneration,
        rank: &RankName,
        keys: KeyRange,
    ) -> Vec<(RankKey, ProfileId)> {
        let entries = self.ranks.get(&(generation.number, rank.clone()));
        let mut entries: Vec<_> = entries
            .into_iter()
            .flatten()
            .filter(|(_, key)| keys.contains(**key))
            .map(|(profile_id, key)| (*key, profile_id.clone()))
            .collect();
        entries.sort_by(in_page_order);
        entries
    }

    pub fn page(
        &self,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Part {
        let mut entries = self.entries(generation, &range.rank, range.keys);
        let total = entries.len() as u64;
        let preceding = after.map_or(0, |cursor| {
            let cursor = (cursor.key, cursor.profile_id.clone());
            entries.partition_point(|entry| in_page_order(entry, &cursor).is_le())
        });
        entries.drain(..preceding);
        entries.truncate(limit);
        Part {
            entries,
            preceding: preceding as u64,
            total,
            latest_counted: self.latest_counted,
        }
    }

    pub fn count(&self, generation: IndexGeneration, range: &RankRange) -> u64 {
        self.entries(generation, &range.rank, range.keys).len() as u64
    }

    pub fn scan(&self, after: Option<&ProfileId>, limit: usize) -> Vec<Stored> {
        self.records
            .values()
            .filter(|stored| after.is_none_or(|after| stored.profile_id > *after))
            .take(limit)
            .cloned()
            .collect()
    }

    pub fn index(
        &mut self,
        generation: IndexGeneration,
        entries: &[IndexEntry],
        flaw: Option<Flaw>,
    ) -> Result<(), StoreError> {
        let taken = self.serves(generation, None);
        if flaw != Some(Flaw::IndexesOldGenerations) {
            taken?;
        }
        for entry in entries {
            let stored = self.records.get(&entry.profile_id);
            let current = stored.is_some_and(|stored| stored.version == entry.version);
            if !current && flaw != Some(Flaw::IndexesOldVersions) {
                continue;
            }
            for (rank, key) in &entry.ranks {
                let rank = (generation.number, rank.clone());
                let entries = self.ranks.entry(rank).or_default();
                entries.insert(entry.profile_id.clone(), *key);
            }
        }
        Ok(())
    }

    pub fn drop_ranks(&mut self, generation: IndexGeneration, ranks: &[RankName]) {
        for rank in ranks {
            self.ranks.remove(&(generation.number, rank.clone()));
        }
    }
}

impl Common {
    pub fn set_rollout(&mut self, rollout: &Rollout, flaw: Option<Flaw>) -> bool {
        if self.rollout.epoch == rollout.after || flaw == Some(Flaw::ReplacesRollouts) {
            self.rollout = rollout.clone();
        }
        self.rollout == *rollout
    }

    pub fn publish(&mut self, publication: &Publication, source: &str) -> bool {
        let latest = self.publication.map_or(0, |latest| latest.revision);
        if latest == publication.after {
            self.publication = Some(*publication);
            self.source = Some(source.to_owned());
            self.revisions
                .insert(publication.model, publication.revision);
        }
        self.publication == Some(*publication)
    }

    pub fn forget_models(&mut self, needed: &[Fingerprint], unsaved_for: Duration) -> u64 {
        let latest = self.publication.map(|latest| latest.model);
        let is_needed =
            |model: &Fingerprint| needed.contains(model) || latest.as_ref() == Some(model);
        self.models
            .retain(|model, (_, saved)| is_needed(model) || saved.elapsed() < unsaved_for);
        let unneeded = self.models.keys().filter(|model| !is_needed(model));
        unneeded.count() as u64
    }

    pub fn note_indexed(&mut self, generation: IndexGeneration, to: &ProfileId) {
        let indexed = self.indexed.entry(generation.number);
        let indexed = indexed.or_insert_with(|| to.clone());
        if *indexed < *to {
            *indexed = to.clone();
        }
    }

    pub fn take_lease(&mut self, server: u64, period: Duration) -> bool {
        let now = Instant::now();
        let held = self
            .lease
            .is_some_and(|(holder, until)| holder != server && until > now);
        if !held {
            self.lease = Some((server, now + period));
        }
        !held
    }

    pub fn announce(&mut self, server: u64, period: Duration) -> u64 {
        self.servers.remove(&server);
        let others = self.serving();
        self.servers.insert(server, Instant::now() + period);
        others
    }

    pub fn serving(&mut self) -> u64 {
        let now = Instant::now();
        self.servers.retain(|_, until| *until > now);
        self.servers.len() as u64
    }
}

/// Greatest key first, equals by id.
pub fn in_page_order(
    one: &(RankKey, ProfileId),
    other: &(RankKey, ProfileId),
) -> std::cmp::Ordering {
    other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1))
}
