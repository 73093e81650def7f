//! Members of a segment that the condition of a call holds for: each is asked in the order of the
//! rank, until the page is full or the budget of the call ends. The next page goes on behind the
//! last that was asked, so all pages together have exactly those that the condition holds for, if
//! nothing moves meanwhile.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Semaphore, SemaphorePermit},
    task,
};

use super::{Fraction, Page, Paging, Service, ServiceError};
use crate::{
    limits::{
        CONDITION_BATCHES, CONDITION_MEMBERS_PER_ENTRY, MAX_CONDITION_MEMBERS,
        MAX_CONDITION_RECORD_BYTES, MAX_CONDITION_TIME, MAX_CONDITIONS_IN_WORK,
        MAX_CONDITIONS_WAITING, MIN_CONDITION_MEMBERS, RETRY_UNAVAILABLE_AFTER,
    },
    rollout::ModelSnapshot,
    scoring::{
        Condition, Member, Model, Population, ProfileId, Record, SubjectKindId, Tenant, Timestamp,
    },
    store::{RankRange, Store, StoreError, Stored},
    stretch::Stretch,
    telemetry::Shed,
};

/// The turns of calls with a condition.
pub(super) struct Turns {
    turns: Semaphore,
    /// Room for those in work and those that wait.
    room: Semaphore,
    /// One condition is read at a time: a long one may take a tenth of a second, on a stack of its
    /// own.
    reading: Arc<Semaphore>,
}

/// The turn of a call, until it is dropped.
#[derive(Debug)]
pub struct ConditionTurn<'a> {
    _turn: SemaphorePermit<'a>,
    _room: SemaphorePermit<'a>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            turns: Semaphore::new(MAX_CONDITIONS_IN_WORK),
            room: Semaphore::new(MAX_CONDITIONS_IN_WORK + MAX_CONDITIONS_WAITING),
            reading: Arc::new(Semaphore::new(1)),
        }
    }

    /// Reads a condition. A reading that has begun keeps others waiting to its end, whether its
    /// caller has gone or not.
    pub(super) async fn read(
        &self,
        model: &Arc<Model>,
        text: &str,
        on: Population,
    ) -> Result<Condition, ServiceError> {
        let failed = || StoreError::Unavailable("the condition could not be read".to_owned());
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        let turn = turn.map_err(|_| failed())?;
        let (model, text) = (Arc::clone(model), text.to_owned());
        let read = move || {
            let _turn = turn;
            model.condition(&text, on)
        };
        let read = match Handle::current().runtime_flavor() {
            // A simulated run, which another thread would make another one each time.
            RuntimeFlavor::CurrentThread => read(),
            _ => task::spawn_blocking(read).await.map_err(|_| failed())?,
        };
        read.map_err(ServiceError::Condition)
    }

    async fn turn(&self) -> Result<ConditionTurn<'_>, ServiceError> {
        let overloaded = || ServiceError::Overloaded {
            retry_after: RETRY_UNAVAILABLE_AFTER,
        };
        let room = self.room.try_acquire().map_err(|_| overloaded())?;
        let turn = self.turns.acquire().await.map_err(|_| overloaded())?;
        Ok(ConditionTurn {
            _turn: turn,
            _room: room,
        })
    }
}

/// What a call has spent of what it may.
#[derive(Debug)]
struct Spent {
    /// Members that it may ask.
    most_members: usize,
    members: usize,
    /// Bytes of records.
    bytes: usize,
    /// Asking them.
    nanos: u128,
}

impl Spent {
    fn nothing(page_size: usize) -> Self {
        let wanted = page_size.saturating_mul(CONDITION_MEMBERS_PER_ENTRY);
        Self {
            most_members: wanted.clamp(MIN_CONDITION_MEMBERS, MAX_CONDITION_MEMBERS),
            members: 0,
            bytes: 0,
            nanos: 0,
        }
    }

    fn is_all(&self) -> bool {
        self.members >= self.most_members
            || self.bytes >= MAX_CONDITION_RECORD_BYTES
            || self.nanos >= MAX_CONDITION_TIME.as_nanos()
    }

    /// How many members to read next, at least one: when many records are large, no more than fit.
    fn batch(&self, wanted: usize, reads_subjects: bool) -> usize {
        let (least, most) = CONDITION_BATCHES;
        // Each of them may have subjects of their own.
        let most = if reads_subjects { least } else { most };
        let batch = wanted.max(self.members).clamp(least, most);
        let mean_bytes = self.bytes / self.members.max(1);
        let fitting = MAX_CONDITION_RECORD_BYTES.saturating_sub(self.bytes) / mean_bytes.max(1);
        let left = self.most_members.saturating_sub(self.members);
        batch.min(fitting).min(left).max(1)
    }
}

/// Time that has passed, by a clock that may be set.
fn nanos_between(began: Timestamp, ended: Timestamp) -> u128 {
    u128::try_from(i128::from(ended.nanos()) - i128::from(began.nanos())).unwrap_or(0)
}

impl<S: Store> Service<S> {
    /// Waits for the turn of a call with a condition. Turned away when too many wait. Whoever has
    /// none holds nothing else meanwhile that others need.
    pub async fn condition_turn(&self) -> Result<ConditionTurn<'_>, ServiceError> {
        let turn = self.shell.conditions.turn().await;
        turn.inspect_err(|_| self.shed(Shed::Conditions))
    }

    /// Reads a page of those in a range, or in its highest share, that a condition holds for:
    /// places from 1 and records. With it, for how many the condition could not be evaluated.
    pub(super) async fn read_matching(
        &self,
        tenant: &Tenant,
        snapshot: &ModelSnapshot,
        (range, condition): (impl Fn(Timestamp) -> RankRange, &Condition),
        fraction: Option<Fraction>,
        paging: &Paging,
    ) -> Result<(Page<(u64, Stored)>, u64), ServiceError> {
        let model = snapshot.model();
        let mut paging = paging.clone();
        let mut entries = Vec::new();
        let mut met: HashSet<ProfileId> = HashSet::new();
        let (mut total, mut failed) = (None, 0);
        let mut spent = Spent::nothing(paging.page_size);
        let mut stretch = Stretch::default();
        loop {
            let limit = spent.batch(paging.page_size, condition.reads_subjects());
            let found = self.read_entries(tenant, snapshot, &range, fraction, (&paging, limit));
            let found = found.await?;
            let total = *total.get_or_insert(found.total);
            let loaded = self.shell.store.load(tenant, &found.profile_ids()).await;
            let read: Vec<_> = loaded
                .iter()
                .map(|loaded| subjects_read(model, condition, loaded))
                .collect();
            let subjects = self.load_subjects(tenant, &read).await?;
            spent.bytes += subjects.bytes;
            let mut asked = 0;
            for ((place, stored), read) in found.places().zip(loaded).zip(read) {
                asked += 1;
                spent.members += 1;
                // Who has vanished since is left out.
                let stored = stored?;
                // Nor is anybody met again who has fallen meanwhile.
                if let Some(stored) = stored.filter(|stored| met.insert(stored.profile_id.clone()))
                {
                    spent.bytes += stored.bytes;
                    let read = subjects.found(&read);
                    let member = Member {
                        profile_id: &stored.profile_id,
                        record: &stored.record,
                        subjects: &read,
                    };
                    let began = self.shell.now();
                    let judged = condition.judge(model, &member, found.as_of);
                    spent.nanos += nanos_between(began, self.shell.now());
                    failed += u64::from(judged.holds.is_none());
                    if judged.holds == Some(true) {
                        entries.push((place, stored));
                    }
                    stretch.took(judged.steps).await;
                }
                if entries.len() >= paging.page_size || spent.is_all() {
                    break;
                }
            }
            paging.start = found.after(asked);
            let is_full = entries.len() >= paging.page_size;
            if paging.start.is_none() || is_full || spent.is_all() {
                let page = Page {
                    entries,
                    total,
                    next: paging.start,
                    as_of: found.as_of,
                    model: model.fingerprint(),
                };
                return Ok((page, failed));
            }
        }
    }

    /// Loads the subjects of people that a condition reads.
    async fn load_subjects(
        &self,
        tenant: &Tenant,
        read: &[Vec<(SubjectKindId, ProfileId)>],
    ) -> Result<Subjects, ServiceError> {
        let mut subjects = Subjects::default();
        let read = read.iter().flatten();
        let mut ids: Vec<ProfileId> = read.map(|(_, id)| id.clone()).collect();
        if ids.is_empty() {
            return Ok(subjects);
        }
        ids.sort_unstable();
        ids.dedup();
        for stored in self.shell.store.load(tenant, &ids).await {
            // Who has only marks of what is withheld is as good as unknown.
            if let Some(stored) = stored?.filter(|stored| stored.record.is_known()) {
                subjects.bytes += stored.bytes;
                subjects.records.insert(stored.profile_id, stored.record);
            }
        }
        Ok(subjects)
    }
}

/// Subjects of people, by id.
#[derive(Default)]
struct Subjects {
    records: BTreeMap<ProfileId, Arc<Record>>,
    /// As they are stored.
    bytes: usize,
}

impl Subjects {
    /// The records of these, as far as there are any.
    fn found(&self, read: &[(SubjectKindId, ProfileId)]) -> Vec<(SubjectKindId, &Record)> {
        let read = read.iter();
        read.filter_map(|(kind, id)| Some((*kind, &**self.records.get(id)?)))
            .collect()
    }
}

/// The subjects that a condition reads of one of the people.
fn subjects_read(
    model: &Model,
    condition: &Condition,
    loaded: &Result<Option<Stored>, StoreError>,
) -> Vec<(SubjectKindId, ProfileId)> {
    match loaded {
        Ok(Some(person)) if condition.reads_subjects() => {
            condition.subjects_read(model, &person.profile_id, &person.record.attributes)
        }
        _ => Vec::new(),
    }
}
