//! Writes records into a store that no server uses, for `import` and `recount`: the ranks of the
//! tenant are forgotten before the first write, and the next server builds them.

use super::failure::Failure;
use crate::{
    clock::system_clock,
    limits::ANNOUNCED_FOR,
    scoring::{ProfileId, Record, Tenant},
    store::{Commit, Committed, Rollout, Store, StoreError, Stored, TotalsChange, Version},
};

/// The records of a tenant while they are written.
pub(super) struct Rewriting<'a, S> {
    store: &'a S,
    pub(super) tenant: Tenant,
    /// The rollout without ranks, from the first write on.
    rollout: Option<Rollout>,
}

impl<'a, S: Store> Rewriting<'a, S> {
    pub(super) fn new(store: &'a S, tenant: &Tenant) -> Self {
        Self {
            store,
            tenant: tenant.clone(),
            rollout: None,
        }
    }

    /// Writes some records.
    pub(super) async fn write(&mut self, commits: Vec<Commit>) -> Result<(), Failure> {
        if commits.is_empty() {
            return Ok(());
        }
        let rollout = match self.rollout.take() {
            Some(rollout) => rollout,
            None => without_ranks(self.store, &self.tenant).await?,
        };
        let results = self.store.commit(&self.tenant, &rollout, commits).await;
        self.rollout = Some(rollout);
        for committed in results {
            match committed {
                Ok(Committed::Written) => {}
                Ok(Committed::Conflict) | Err(StoreError::Superseded) => {
                    return Err(Failure::new(
                        "something else writes to the store; stop the servers and run this again",
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Has a record take the place of what is stored, or nothing.
pub(super) fn replacing(
    profile_id: ProfileId,
    stored: Option<&Stored>,
    record: Option<Record>,
) -> Result<Commit, Failure> {
    let before = stored
        .iter()
        .flat_map(|stored| stored.record.topic_deltas());
    let after = record.iter().flat_map(Record::topic_deltas);
    let totals = before
        .map(TotalsChange::removing)
        .chain(after.map(TotalsChange::adding));
    Ok(Commit {
        expected: stored.map(|stored| stored.version),
        version: Version(random()?),
        totals: totals.collect(),
        record,
        // The next server builds them: the rollout says that there are none.
        ranks: Vec::new(),
        profile_id,
    })
}

/// Refuses a store that servers serve from: their writes would mix with those of the command.
pub(super) async fn refuse_servers(store: &impl Store) -> Result<(), Failure> {
    let (count, are) = match store.servers().await? {
        0 => return Ok(()),
        1 => ("a server".to_owned(), "serves"),
        count => (format!("{count} servers"), "serve"),
    };
    Err(Failure::new(format!(
        "nothing was written: {count} {are} from this store. An import or a recount needs the store for \
         itself: stop every server, run it, and start them again, which builds the ranks. To move data \
         while servers run, import into an empty store, start servers there, and have callers use those. \
         A server that was killed counts for {} seconds more",
        ANNOUNCED_FOR.as_secs()
    )))
}

/// Has the store forget the tenant's ranks, so that the next server builds them anew.
async fn without_ranks(store: &impl Store, tenant: &Tenant) -> Result<Rollout, Failure> {
    // What comes before takes long enough for somebody to start one.
    refuse_servers(store).await?;
    let stored = store.rollout(tenant).await?;
    if stored.is_repartitioned() {
        return Err(Failure::new(format!(
            "nothing was written: a repartition of {tenant} is not finished; run `bellwether repartition` \
             again, or with --cancel, and then this"
        )));
    }
    let rollout = stored.reset(system_clock()().millis());
    if !store.set_rollout(tenant, &rollout).await? {
        return Err(Failure::new(
            "a server changes the models of the store; stop it",
        ));
    }
    store.fence(tenant, &rollout).await?;
    Ok(rollout)
}

pub(super) fn random() -> Result<u64, Failure> {
    getrandom::u64().map_err(|error| Failure::new(format!("no randomness for a version: {error}")))
}
