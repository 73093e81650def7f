//! Changes the number of partitions of a tenant while servers run. All its records are copied into
//! other partitions, beside those that answer; commits note what they write, and that is copied
//! again. When little is left, commits are held up for a moment, the rest is copied, and the copies
//! answer. Then the old partitions are deleted.
//!
//! Every step is in the rollout, so that whoever runs this again goes on. Each run is a copying of
//! its own epoch: what an earlier one has sent and comes late is refused.

mod copying;
mod deleting;
mod progress;
mod switching;

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use self::copying::Copying;
pub use self::progress::{Progress, RepartitionError, Repartitioned};
use super::{
    super::{Coordination as _, IndexGeneration, LeftOver, ModelStore as _, Rollout, StoreError},
    MAX_PARTITIONS, Redis,
    fence::Fence,
    layout::BELIEVED_FOR,
    partitions_of, text,
};
use crate::scoring::Tenant;

/// How long the right to work on a tenant lasts when its holder is not heard of. Short: when it
/// ends while nobody may commit, a server lets commits be made again.
const LEASE_PERIOD: Duration = Duration::from_secs(3);
/// How often it is taken anew.
const LEASE_INTERVAL: Duration = Duration::from_millis(500);
/// How long another one may hold it before that is an error: longer than it lasts for any.
const LEASE_PATIENCE: Duration = Duration::from_secs(15);
/// From the beginning of the copying, when every server knows of it.
const KNOWN_AFTER: Duration = BELIEVED_FOR.saturating_add(Duration::from_secs(1));
/// How long what is left over is kept, so that servers have noticed, and a failover of the primary
/// that has the rollout has been noticed, too.
const KEPT_FOR: Duration = Duration::from_secs(5);
/// Written records that may be left when commits are held up: some milliseconds of copying.
const FEW_WRITTEN: u64 = 128;
/// How long commits may be held up before they are let go on, to try again later.
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// Between two attempts, and two looks at what is waited for.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// How long what was written may be copied again without it getting less.
const FOLLOWING_PATIENCE: Duration = Duration::from_secs(60);
/// How long one attempt after another may fail without a record copied.
const RETRY_PATIENCE: Duration = Duration::from_secs(60);

/// One run of the work on a tenant.
pub struct Repartitioning<'a> {
    store: &'a Redis,
    tenant: &'a Tenant,
    now_millis: &'a (dyn Fn() -> u64 + Sync),
    tell: &'a (dyn Fn(Progress) + Sync),
    /// What its lease is held by.
    holder: u64,
}

type Done<T> = Result<T, RepartitionError>;

impl<'a> Repartitioning<'a> {
    /// Work on a tenant. It is handed the clock, in milliseconds since 1970, and whom to tell how
    /// far it is.
    pub fn new(
        store: &'a Redis,
        tenant: &'a Tenant,
        now_millis: &'a (dyn Fn() -> u64 + Sync),
        tell: &'a (dyn Fn(Progress) + Sync),
    ) -> Done<Self> {
        let holder = getrandom::u64().map_err(|error| {
            StoreError::Unavailable(format!("no randomness for the name of a run: {error}"))
        })?;
        Ok(Self {
            store,
            tenant,
            now_millis,
            tell,
            holder,
        })
    }

    /// Spreads the tenant over so many partitions, or goes on with it. May be dropped at any time.
    pub async fn run(&self, partitions: u32) -> Done<Repartitioned> {
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return refused(format!(
                "a tenant has 1 to {MAX_PARTITIONS} partitions, not {partitions}"
            ));
        }
        let mut done = Repartitioned::default();
        let (mut failing_since, mut copied) = (Instant::now(), 0);
        loop {
            let error = match self.attempt(partitions, &mut done).await {
                Err(RepartitionError::Store(error)) if passes(&error) => error,
                ended => {
                    self.release().await;
                    return ended.map(|()| done);
                }
            };
            if done.copied > copied {
                (failing_since, copied) = (Instant::now(), done.copied);
            }
            if failing_since.elapsed() > RETRY_PATIENCE {
                return Err(error.into());
            }
            (self.tell)(Progress::Failed(error));
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Stays with the partitions that answer, and deletes all others. Returns whether there were
    /// any.
    pub async fn cancel(&self) -> Done<bool> {
        let cancelled = self.try_to_cancel().await;
        self.release().await;
        cancelled
    }

    async fn try_to_cancel(&self) -> Done<bool> {
        let mut rollout = self.begin().await?;
        if rollout.repartition.is_some() {
            rollout = rollout.cancel_repartition((self.now_millis)());
            self.set(&rollout).await?;
            self.store.fence(self.tenant, &rollout).await?;
        }
        let was_left_over = rollout.left_over.is_some();
        self.delete_left_over(&rollout).await?;
        Ok(was_left_over)
    }

    /// Takes all steps that are left.
    async fn attempt(&self, partitions: u32, done: &mut Repartitioned) -> Done<()> {
        let mut rollout = self.begin().await?;
        if rollout.left_over.is_some() {
            rollout = self.delete_left_over(&rollout).await?;
        }
        let from = self.store.partitions_by(&rollout);
        if from == partitions && rollout.repartition.is_none() {
            return Ok(());
        }
        let generation = check(&rollout, partitions)?;
        let Some(model) = self.store.model(generation.model).await? else {
            return refused(
                "the model of the tenant is missing in the store; start a server on it, which saves it again",
            );
        };
        // Later than what an earlier run has left of it.
        let at = (self.now_millis)().max(self.greatest_epoch(partitions).await? + 1);
        let copying_rollout = rollout.copy(partitions, at);
        self.set(&copying_rollout).await?;
        let begun = Instant::now();
        self.store.fence(self.tenant, &copying_rollout).await?;
        let of_copies = Fence::of_copies(&copying_rollout);
        self.store
            .raise(self.tenant, partitions, &of_copies, true)
            .await?;
        let mut copying = Copying::resume(
            (self.store, self.tenant),
            (from, partitions),
            (copying_rollout.epoch, generation.number),
            model.ranks,
        )
        .await?;
        self.copy_all(&mut copying, &copying_rollout, done).await?;
        self.follow(&mut copying, &copying_rollout, begun).await?;
        let moved = self.switch(&mut copying, &copying_rollout, done).await?;
        self.delete_left_over(&moved).await?;
        Ok(())
    }

    /// Takes the lease, and reads the rollout that everything follows from.
    async fn begin(&self) -> Done<Rollout> {
        let asked = Instant::now();
        while !self.lease().await? {
            if asked.elapsed() > LEASE_PATIENCE {
                return refused(
                    "another repartition of the tenant runs, or a server builds its ranks; wait until that is done, and run this again",
                );
            }
            (self.tell)(Progress::Waiting);
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
        let rollout = self.store.rollout(self.tenant).await?;
        if rollout.epoch == 0 {
            let tenant = self.tenant;
            return refused(format!(
                "the store has no tenant {tenant}; correct the name"
            ));
        }
        if !rollout.is_only_begun() {
            return Ok(rollout);
        }
        self.store.fence(self.tenant, &rollout).await?;
        let established = rollout.establish((self.now_millis)());
        self.set(&established).await?;
        Ok(established)
    }

    async fn copy_all(
        &self,
        copying: &mut Copying<'_>,
        rollout: &Rollout,
        done: &mut Repartitioned,
    ) -> Done<()> {
        let (all, rest) = copying.sizes().await?;
        let mut copied = all - rest.min(all);
        let mut looked = Instant::now();
        loop {
            (self.tell)(Progress::Copying { copied, all });
            self.keep(Some(rollout), Some(&mut looked)).await?;
            let Some(more) = copying.advance().await? else {
                return Ok(());
            };
            copied += more;
            done.copied += more;
        }
    }

    /// Copies again what was written, until little is left and every server knows that the tenant
    /// may be moved.
    async fn follow(
        &self,
        copying: &mut Copying<'_>,
        rollout: &Rollout,
        begun: Instant,
    ) -> Done<()> {
        let mut looked = Instant::now();
        let (mut least, mut least_since) = (u64::MAX, Instant::now());
        loop {
            let counts = copying.written().await?;
            let written = counts.iter().map(|(_, count)| count).sum();
            (self.tell)(Progress::Following { written });
            if written < least {
                (least, least_since) = (written, Instant::now());
            }
            if written > FEW_WRITTEN && least_since.elapsed() > FOLLOWING_PATIENCE {
                return refused(format!(
                    "{written} records are still to be copied, and for a minute they have not become fewer: the tenant is written faster than this copies; run it again when it is written less, which goes on here, or cancel it with --cancel"
                ));
            }
            if written <= FEW_WRITTEN && begun.elapsed() >= KNOWN_AFTER {
                return Ok(());
            }
            self.keep(Some(rollout), Some(&mut looked)).await?;
            if written > 0 {
                copying.follow(counts).await?;
            }
            if written <= FEW_WRITTEN {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }

    /// Holds up commits, completes the copies, and has them answer.
    async fn switch(
        &self,
        copying: &mut Copying<'_>,
        rollout: &Rollout,
        done: &mut Repartitioned,
    ) -> Done<Rollout> {
        // So that it lasts for longer than the pause.
        self.keep(Some(rollout), None).await?;
        let begun = Instant::now();
        let switching = rollout.switch(copying.to, (self.now_millis)());
        self.set(&switching).await?;
        (self.tell)(Progress::Switching);
        let moved = switching.move_to_copies(copying.from, (self.now_millis)());
        let completed = copying.complete(&switching, &moved);
        let completed = tokio::time::timeout(MAX_PAUSE, completed).await;
        if let Ok(Ok(true)) = completed {
            done.pause = Some(begun.elapsed());
            return Ok(moved);
        }
        if let Some(reopened) = switching.reopen((self.now_millis)()) {
            self.set(&reopened).await?;
            self.store.fence(self.tenant, &reopened).await?;
        }
        match completed {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(_)) if done.are_copies_lost => refused(
                "the copies are not complete; give them up with --cancel, and run this again",
            ),
            Ok(Ok(_)) => {
                done.are_copies_lost = true;
                unavailable("a failover has lost copies; they are made again")
            }
            Err(_) => unavailable("the last copies took too long"),
        }
    }

    /// Deletes what is left over after a while. Returns the rollout without it.
    async fn delete_left_over(&self, rollout: &Rollout) -> Done<Rollout> {
        let Some(left) = rollout.left_over else {
            return Ok(rollout.clone());
        };
        let deleted = std::sync::atomic::AtomicU64::new(0);
        (self.tell)(Progress::Deleting { deleted: 0 });
        let (begun, mut looked) = (Instant::now(), Instant::now());
        while begun.elapsed() < KEPT_FOR {
            tokio::time::sleep(RETRY_INTERVAL).await;
            self.keep(None, Some(&mut looked)).await?;
        }
        let mut rollout = self.confirmed(rollout).await?;
        let LeftOver { partitions, .. } = left;
        let staying = self.store.partitions_by(&rollout);
        if partitions != staying {
            let deleting =
                self.store
                    .delete_left_over(self.tenant, (left, rollout.epoch), staying, |more| {
                        let before = deleted.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
                        (self.tell)(Progress::Deleting {
                            deleted: before + more,
                        });
                    });
            deleting.await?;
        }
        // Others may have proposed a model meanwhile.
        loop {
            if rollout.left_over != Some(left) {
                return Ok(rollout);
            }
            let forgotten = rollout.forget_left_over((self.now_millis)());
            if self.store.set_rollout(self.tenant, &forgotten).await? {
                self.store.fence(self.tenant, &forgotten).await?;
                return Ok(forgotten);
            }
            rollout = self.store.rollout(self.tenant).await?;
        }
    }

    /// The rollout of the tenant that has left these partitions: this one, or a later one. A step
    /// that a failover has lost is taken again.
    async fn confirmed(&self, rollout: &Rollout) -> Done<Rollout> {
        let latest = self.store.rollout(self.tenant).await?;
        if latest.epoch == rollout.after {
            self.set(rollout).await?;
            return Ok(rollout.clone());
        }
        if latest.left_over != rollout.left_over || latest.repartition.is_some() {
            return Err(StoreError::Superseded.into());
        }
        Ok(latest)
    }

    /// The greatest epoch of partitions that were filled before; 0 when there is none.
    async fn greatest_epoch(&self, partitions: u32) -> Done<u64> {
        let epochs = partitions_of(self.tenant, partitions).map(|mut keys| async move {
            let mut command = redis::cmd("GET");
            command.arg(keys.fence());
            let fence = text(self.store.read(&command, keys.home()).await?)?.unwrap_or_default();
            let digits = fence.split(|sign: char| !sign.is_ascii_digit()).next();
            Ok::<_, StoreError>(digits.and_then(|epoch| epoch.parse().ok()).unwrap_or(0))
        });
        let epochs = try_join_all(epochs).await?;
        Ok(epochs.into_iter().max().unwrap_or(0))
    }

    /// Puts a rollout in the place of the one that it was made from.
    async fn set(&self, rollout: &Rollout) -> Done<()> {
        match self.store.set_rollout(self.tenant, rollout).await? {
            true => Ok(()),
            false => Err(StoreError::Superseded.into()),
        }
    }

    /// Keeps the lease, and makes sure that the rollout is still the tenant's; only now and then when
    /// told when that was last.
    async fn keep(&self, rollout: Option<&Rollout>, looked: Option<&mut Instant>) -> Done<()> {
        if let Some(looked) = looked {
            if looked.elapsed() < LEASE_INTERVAL {
                return Ok(());
            }
            *looked = Instant::now();
        }
        if !self.lease().await? {
            return unavailable("another one works on the tenant");
        }
        if let Some(rollout) = rollout
            && self.store.rollout(self.tenant).await? != *rollout
        {
            return Err(StoreError::Superseded.into());
        }
        Ok(())
    }

    async fn lease(&self) -> Result<bool, StoreError> {
        self.store
            .lease(self.tenant, self.holder, LEASE_PERIOD)
            .await
    }

    /// Leaves the lease to others.
    async fn release(&self) {
        let soon = Duration::from_millis(1);
        // It ends by itself otherwise.
        let _ = self.store.lease(self.tenant, self.holder, soon).await;
    }
}

/// Whether the records of a rollout can be copied into so many partitions; whose ranks they have.
fn check(rollout: &Rollout, partitions: u32) -> Done<IndexGeneration> {
    match (rollout.repartition, rollout.active) {
        (Some(other), _) if other.partitions != partitions => {
            let other = other.partitions;
            refused(format!(
                "a repartition into {other} partitions is going on; run it with --partitions {other}, or cancel it with --cancel"
            ))
        }
        (Some(_), Some(active)) => Ok(active),
        (None, Some(active)) if rollout.is_at_rest() => Ok(active),
        _ => refused(
            "another model is on its way to the tenant, or its ranks are being built; wait until a server has done that, and run this again",
        ),
    }
}

fn refused<T>(reason: impl Into<String>) -> Done<T> {
    Err(RepartitionError::Refused(reason.into()))
}

fn unavailable<T>(reason: &str) -> Done<T> {
    Err(StoreError::Unavailable(reason.to_owned()).into())
}

/// Whether an error may pass by itself.
fn passes(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::Superseded
    )
}
