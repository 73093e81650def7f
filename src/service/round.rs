//! A round of work: records loaded, all their work applied, effects on others first, then the
//! records themselves, each in one commit.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    ServiceError, Shell,
    draft::Draft,
    drafts::{split_off, turns_of},
    effects::Wanted,
    lanes::Round,
    unsettled::{Amounts, UnsettledRoom},
    write::{Arrived, Task, Work},
};
use crate::{
    rollout::ModelSnapshot,
    scoring::{
        Effect, IdHash, Model, ProfileId, Tenant,
        limits::{MAX_EVENT_SUBJECTS, REMEMBERED_TOUCHES},
    },
    store::{Commit, Committed, Store, StoreError, Stored},
    telemetry::is_new,
};

/// How often a conflict is retried: with two writers of one record in a process, and a few
/// processes, losing this often means that something is wrong.
const MAX_ATTEMPTS: usize = 32;
/// How often work that another writer was faster with is done again without a wait. During a wait the
/// other one may write more events than the record remembers, and those that wait are too old then.
const ATTEMPTS_AT_ONCE: usize = 8;
/// After so many attempts with a wait the longest wait doubles, from 1 to 8 milliseconds.
const ATTEMPTS_UNTIL_DOUBLED: usize = 4;
const MOST_DOUBLED: usize = 3;
/// Pieces of work that one commit of a profile folds.
const MAX_FOLDED: usize = 64;
/// Effects of one event on authors: the credit of its touch, and that of an advance.
const TOUCH_EFFECTS: usize = 2;

/// Parts drafts into groups. The drafts of a group have no more effects on any record together than
/// may be unsettled; one that has more by itself begins a group. Mostly there is one group.
fn by_effects<W>(drafts: Vec<Draft<W>>, most: usize) -> Vec<Vec<Draft<W>>> {
    let mut groups = Vec::new();
    let (mut rest, mut amounts, mut taken) = (drafts, Amounts::new(), 0);
    while taken < rest.len() {
        let own = amounts_of(&rest[taken..=taken]);
        let fits = own.iter().all(|(id, amount)| {
            let before = amounts.get(id).copied().unwrap_or_default();
            (before + amount) as usize <= most
        });
        if taken > 0 && !fits {
            let later = rest.split_off(taken);
            groups.push(std::mem::replace(&mut rest, later));
            amounts.clear();
            taken = 0;
        }
        for (id, amount) in own {
            *amounts.entry(id).or_default() += amount;
        }
        taken += 1;
    }
    if !rest.is_empty() {
        groups.push(rest);
    }
    groups
}

/// How many effects drafts have on each record.
fn amounts_of<W>(drafts: &[Draft<W>]) -> Amounts {
    let mut amounts = Amounts::new();
    let effects = drafts.iter().flat_map(|draft| draft.outcome.all_effects());
    for effect in effects {
        *amounts.entry(effect.subject_id().clone()).or_default() += 1;
    }
    amounts
}

impl<S: Store> Shell<S> {
    /// How many of the first pieces of work of one profile are done in one write: with the deltas
    /// of their subjects, the credits of their touches and of the advances that they lead to no
    /// more effects than may be unsettled.
    pub(super) fn folded(&self, model: &Model, work: &[Work]) -> usize {
        let mut room = self.room_for_effects();
        let fitting = work.iter().take(MAX_FOLDED).take_while(|work| {
            let effects = self.most_effects(model, &work.task);
            let fits = effects <= room;
            room = room.saturating_sub(effects);
            fits
        });
        fitting.count().max(1)
    }

    /// How many effects on others a piece of work has at most.
    fn most_effects(&self, model: &Model, task: &Task) -> usize {
        let of_event = |arrived: &Arrived| TOUCH_EFFECTS + model.most_subjects(&arrived.event);
        match task {
            Task::Event(asked) => of_event(&asked.question),
            Task::Retraction(asked) => of_event(&asked.question),
            Task::Release(_) => self.most_released() * (TOUCH_EFFECTS + MAX_EVENT_SUBJECTS),
            Task::Update(_) => TOUCH_EFFECTS,
        }
    }

    /// How many events of one profile are released in one write, likewise.
    pub(super) fn most_released(&self) -> usize {
        let effects = TOUCH_EFFECTS + MAX_EVENT_SUBJECTS;
        (self.room_for_effects() / effects).clamp(1, MAX_FOLDED)
    }

    fn room_for_effects(&self) -> usize {
        let most = self.settings.max_unsettled_effects;
        most.saturating_sub(REMEMBERED_TOUCHES)
    }

    /// Does a round of work, for each profile some pieces at a time.
    pub(super) async fn score(self: &Arc<Self>, tenant: &Tenant, mut round: Round<Work>) {
        drop_unwanted(&mut round);
        self.count_round(&round);
        while !round.is_empty() {
            let snapshot = match self.deployment.snapshot_for_writing(tenant).await {
                Ok(snapshot) => snapshot,
                Err(error) => return self.refuse_round(round, &error.into()),
            };
            let model = snapshot.model();
            let later = split_off(&mut round, |work| self.folded(model, work), model);
            let drafts = self.drafts(tenant, &snapshot, round).await;
            for draft in &drafts {
                for rule in &draft.outcome.failed_rules {
                    self.counters.rule_error(rule);
                }
                for rule in &draft.outcome.held_by {
                    self.counters.quarantined(rule);
                }
                self.counters.dropped(draft.outcome.dropped_events);
                self.counters.unsettled(draft.outcome.unsettled_effects);
            }
            let groups = by_effects(drafts, self.settings.max_unsettled_effects);
            for (number, mut group) in groups.into_iter().enumerate() {
                if number > 0 {
                    group = self.drafted_again(tenant, &snapshot, group).await;
                }
                let apart = self.settle(tenant, Arc::clone(&snapshot), group).await;
                self.settle_apart(tenant, apart).await;
            }
            round = later;
            drop_unwanted(&mut round);
        }
    }

    fn count_round(&self, round: &Round<Work>) {
        let first = round.iter().filter_map(|(_, work)| work.first());
        if let Some(since) = first.map(|work| work.since).min() {
            let events = round.iter().map(|(_, work)| work.len()).sum();
            self.counters.round(events, since.elapsed());
        }
    }

    /// Commits drafts, their effects on others first; again where another writer was faster.
    /// Until the drafts are durable a retry after a crash must find every effect remembered,
    /// so there must be room for them. Returns work that has to be done apart.
    async fn settle(
        self: &Arc<Self>,
        tenant: &Tenant,
        mut snapshot: Arc<ModelSnapshot>,
        drafts: Vec<Draft<Work>>,
    ) -> Round<Work> {
        let room = self.unsettled.nothing();
        let (mut drafts, mut room) = self.with_room(tenant, &snapshot, drafts, room).await;
        let (mut durable, mut apart) = (HashSet::new(), Round::new());
        for attempt in 0..MAX_ATTEMPTS {
            let admitted = self
                .with_room_for_records(tenant, snapshot.model(), drafts)
                .await;
            apart.extend(admitted.apart);
            let (settled, mut again) = self
                .settle_effects(tenant, snapshot.model(), admitted.drafts, &mut durable)
                .await;
            again.extend(self.commit_drafts(tenant, &snapshot, settled).await);
            // Not while it waits for others below, who may wait for it.
            drop(admitted.room);
            again.extend(admitted.again);
            if again.is_empty() {
                self.counters.attempts(attempt + 1);
                return apart;
            }
            self.give_way(attempt).await;
            snapshot = match self.deployment.snapshot_for_writing(tenant).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    self.refuse_round(again, &error.into());
                    return apart;
                }
            };
            drafts = self.drafts(tenant, &snapshot, again).await;
            (drafts, room) = self.with_room(tenant, &snapshot, drafts, room).await;
        }
        self.counters.attempts(MAX_ATTEMPTS);
        for draft in drafts {
            let contended = ServiceError::Contended(draft.profile_id.to_string());
            self.refuse(Some(snapshot.model()), draft.work, &contended);
        }
        apart
    }

    /// Does work that did not fit together, one piece after the other in the order in which it was
    /// taken in.
    async fn settle_apart(self: &Arc<Self>, tenant: &Tenant, apart: Round<Work>) {
        let mut pieces = Vec::new();
        for (profile_id, work) in apart {
            let turns: Vec<u64> = turns_of(&work).collect();
            let work = turns.into_iter().zip(work);
            pieces.extend(work.map(|(turn, work)| (turn, profile_id.clone(), work)));
        }
        pieces.sort_by_key(|(turn, ..)| *turn);
        for (_, profile_id, work) in pieces {
            let piece = vec![(profile_id, vec![work])];
            let snapshot = match self.deployment.snapshot_for_writing(tenant).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    self.refuse_round(piece, &error.into());
                    continue;
                }
            };
            let drafts = self.drafts(tenant, &snapshot, piece).await;
            // Nothing is left of what is one piece.
            drop(self.settle(tenant, snapshot, drafts).await);
        }
    }

    /// Drafts with room for their effects, which there may be already. What had to wait for it is
    /// drafted again, and may have other effects then.
    async fn with_room<'a>(
        &'a self,
        tenant: &Tenant,
        snapshot: &Arc<ModelSnapshot>,
        mut drafts: Vec<Draft<Work>>,
        mut room: UnsettledRoom<'a>,
    ) -> (Vec<Draft<Work>>, UnsettledRoom<'a>) {
        loop {
            let amounts = amounts_of(&drafts);
            if room.covers(&amounts) {
                return (drafts, room);
            }
            drop(room);
            room = self.unsettled.take(tenant, &amounts).await;
            if !room.was_awaited {
                return (drafts, room);
            }
            drafts = self.drafted_again(tenant, snapshot, drafts).await;
        }
    }

    /// The same work drafted anew: another server may have counted the same events meanwhile, and
    /// the records of others may have forgotten the effects.
    async fn drafted_again(
        &self,
        tenant: &Tenant,
        snapshot: &Arc<ModelSnapshot>,
        drafts: Vec<Draft<Work>>,
    ) -> Vec<Draft<Work>> {
        let round = drafts
            .into_iter()
            .map(|draft| (draft.profile_id, draft.work));
        self.drafts(tenant, snapshot, round.collect()).await
    }

    /// Waits before work is done again that another writer was faster with. Not at first: whoever
    /// was faster goes on at once, and would be faster again. Later for a time that is another one
    /// each time and on each server, and grows, so that of many writers one gets ahead.
    async fn give_way(&self, attempt: usize) {
        let Some(waits) = attempt.checked_sub(ATTEMPTS_AT_ONCE) else {
            return;
        };
        let doubled = (waits / ATTEMPTS_UNTIL_DOUBLED).min(MOST_DOUBLED);
        let number = self.conflicts.fetch_add(1, Ordering::Relaxed);
        let fraction = xxh3_64_with_seed(&number.to_le_bytes(), self.server) & 0xff;
        let microseconds = (4 * fraction) << doubled;
        tokio::time::sleep(Duration::from_micros(microseconds)).await;
    }

    /// The records of a round, which is about to change them.
    pub(super) async fn load<W>(
        &self,
        tenant: &Tenant,
        round: &Round<W>,
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        let ids: Vec<ProfileId> = round
            .iter()
            .map(|(profile_id, _)| profile_id.clone())
            .collect();
        self.store.load_to_commit(tenant, &ids, ids.len()).await
    }

    /// Commits the effects of drafts on others. Returns the drafts whose effects are durable, and
    /// what has to be done again because another writer of the other record was faster; refuses
    /// the drafts whose effects could not be committed.
    async fn settle_effects(
        self: &Arc<Self>,
        tenant: &Tenant,
        model: &Model,
        drafts: Vec<Draft<Work>>,
        durable: &mut HashSet<(IdHash, ProfileId)>,
    ) -> (Vec<Draft<Work>>, Round<Work>) {
        let effects = drafts.iter().map(|draft| {
            let all = Wanted::of(&draft.outcome);
            all.filter(|wanted| !durable.contains(&known_by(&wanted.effect)))
                .collect()
        });
        let effects: Vec<Vec<Wanted>> = effects.collect();
        let results = self.commit_effects(tenant, effects).await;
        let mut settled = Vec::with_capacity(drafts.len());
        let mut again = Vec::new();
        for (draft, result) in drafts.into_iter().zip(results) {
            match result {
                Ok(true) => {
                    durable
                        .extend(Wanted::of(&draft.outcome).map(|wanted| known_by(&wanted.effect)));
                    settled.push(draft);
                }
                Ok(false) => again.push((draft.profile_id, draft.work)),
                Err(error) => self.refuse(Some(model), draft.work, &error),
            }
        }
        (settled, again)
    }

    /// The work of a draft that changes nothing, whose record goes back to the store.
    pub(super) fn nothing_of<W>(&self, tenant: &Tenant, draft: Draft<W>) -> Vec<W> {
        let (work, stored) = draft.into_unchanged();
        if let Some(stored) = stored {
            self.store.give_back(tenant, stored);
        }
        work
    }

    /// Commits drafts and answers their callers. Returns what has to be done again.
    async fn commit_drafts(
        &self,
        tenant: &Tenant,
        snapshot: &ModelSnapshot,
        drafts: Vec<Draft<Work>>,
    ) -> Round<Work> {
        let model = snapshot.model();
        let mut commits = Vec::with_capacity(drafts.len());
        let mut written = Vec::with_capacity(drafts.len());
        for draft in drafts {
            if !draft.outcome.changed {
                self.tell(model, self.nothing_of(tenant, draft));
                continue;
            }
            match draft.into_commit(snapshot) {
                Ok((commit, work)) => {
                    written.push((commit.profile_id.clone(), work));
                    commits.push(commit);
                }
                Err((error, work)) => self.refuse(Some(model), work, &error.into()),
            }
        }
        let mut again = Vec::new();
        if commits.is_empty() {
            return again;
        }
        let results = self.commit(tenant, snapshot, commits).await;
        for ((profile_id, work), result) in written.into_iter().zip(results) {
            match result {
                Ok(Committed::Written) => self.tell(model, work),
                Ok(Committed::Conflict) | Err(StoreError::Superseded) => {
                    again.push((profile_id, work));
                }
                Err(error) => self.refuse(Some(model), work, &error.into()),
            }
        }
        again
    }
}

impl<S: Store> Shell<S> {
    /// Writes commits, and leaves a snapshot that the store has refused.
    pub(super) async fn commit(
        &self,
        tenant: &Tenant,
        snapshot: &ModelSnapshot,
        commits: Vec<Commit>,
    ) -> Vec<Result<Committed, StoreError>> {
        let changes = self.profile_quotas.changes(tenant, &commits);
        let results = self.store.commit(tenant, &snapshot.rollout, commits).await;
        if let Some(changes) = changes {
            changes.follow(&results);
        }
        self.writes.note(&results);
        let conflicts = results
            .iter()
            .filter(|result| **result == Ok(Committed::Conflict));
        self.counters.conflicts(conflicts.count());
        let may_go_on = |result: &Result<_, _>| match result {
            Err(StoreError::Superseded) => true,
            Err(StoreError::Lost(_)) => self.deployment.may_go_on_without(&snapshot.rollout),
            _ => false,
        };
        if results.iter().any(may_go_on) {
            let cleared = self.deployment.clear_up(tenant, &snapshot.rollout).await;
            let line = "a refused rollout cannot be looked into";
            if let Err(error) = cleared
                && is_new([line, "", ""])
            {
                tracing::warn!(%tenant, %error, "{line}");
            }
        }
        results
    }
}

/// What an effect is told apart by: an event has the same one on all its subjects.
fn known_by(effect: &Effect) -> (IdHash, ProfileId) {
    (effect.id(), effect.subject_id().clone())
}

/// Leaves out the work that nobody waits for any more, before any of it is begun: its caller has
/// gone, or its deadline has passed.
fn drop_unwanted(round: &mut Round<Work>) {
    for (_, work) in round.iter_mut() {
        work.retain(|work| work.task.is_wanted());
    }
    round.retain(|(_, work)| !work.is_empty());
}
