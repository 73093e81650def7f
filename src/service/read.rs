//! Questions about profiles, each exact at an instant. Questions about ranks are in
//! `rankings`.

use std::{collections::HashMap, future::Future, sync::Arc};

use super::{Service, ServiceError, error::check_kind};
use crate::{
    rollout::{ModelSnapshot, RolloutError},
    scoring::{
        Detail, KeyRange, Model, Population, Profile, ProfileId, RankKey, Record, ScoreId, Tenant,
        Timestamp, explain, limits::NOISE_FLOOR,
    },
    store::{RankRange, Store, StoreError},
    stretch::Stretch,
};

/// How much of a profile to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Points only.
    Basic,
    /// Also percentiles and contributions.
    Full,
}

/// How to read profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileQuery {
    /// How much of each.
    pub view: View,
    /// The instant, not before the last event; the later of that and now when absent.
    pub as_of: Option<Timestamp>,
    /// Whether unknown profiles are answered as everybody starts.
    pub or_default: bool,
}

/// Ranges that are counted at a time for percentiles: a store answers nobody else meanwhile.
const MAX_RANGES: usize = 256;
/// How often a question is asked anew because the model changed meanwhile.
const MAX_ATTEMPTS: usize = 8;

impl<S: Store> Service<S> {
    /// Asks a question, and once more by the models that are there then, when the store has
    /// moved on to them meanwhile.
    pub(super) async fn ask<'a, T, Asked>(
        &'a self,
        tenant: &'a Tenant,
        question: impl Fn(Arc<ModelSnapshot>) -> Asked,
    ) -> Result<T, ServiceError>
    where
        Asked: Future<Output = Result<T, ServiceError>>,
    {
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.shell.deployment.snapshot(tenant).await?;
            match question(Arc::clone(&snapshot)).await {
                Err(ServiceError::Store(StoreError::Superseded)) => {
                    self.shell
                        .deployment
                        .clear_up(tenant, &snapshot.rollout)
                        .await?;
                }
                answered => return answered,
            }
        }
        Err(RolloutError::ModelsChanging(format!("tenant {tenant}")).into())
    }

    /// The model that answers.
    pub async fn model(&self, tenant: &Tenant) -> Result<Arc<Model>, ServiceError> {
        let snapshot = self.shell.deployment.snapshot(tenant).await?;
        Ok(Arc::clone(&snapshot.active.model))
    }

    /// The model that answers, of a tenant that may be made by what is written.
    pub async fn model_to_write(&self, tenant: &Tenant) -> Result<Arc<Model>, ServiceError> {
        let snapshot = self.shell.deployment.snapshot_for_writing(tenant).await?;
        Ok(Arc::clone(&snapshot.active.model))
    }

    /// Reads one profile.
    pub async fn profile(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
        query: ProfileQuery,
    ) -> Result<Profile, ServiceError> {
        let ids = std::slice::from_ref(profile_id);
        let mut profiles = self.profiles(tenant, ids, query).await?;
        let profile = profiles.pop();
        profile.unwrap_or_else(|| Err(ServiceError::unknown(profile_id)))
    }

    /// Reads profiles, in the order asked for, all by one model. Fails as a whole only where
    /// none of them can be read.
    pub async fn profiles(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        query: ProfileQuery,
    ) -> Result<Vec<Result<Profile, ServiceError>>, ServiceError> {
        self.ask(tenant, |snapshot| {
            self.profiles_by(snapshot, tenant, profile_ids, query)
        })
        .await
    }

    async fn profiles_by(
        &self,
        snapshot: Arc<ModelSnapshot>,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        query: ProfileQuery,
    ) -> Result<Vec<Result<Profile, ServiceError>>, ServiceError> {
        let loaded = self.shell.store.load(tenant, profile_ids).await;
        if let Some(Err(error)) = loaded.first()
            && loaded.iter().all(Result::is_err)
        {
            return Err(error.clone().into());
        }
        let model = snapshot.model();
        let mut profiles = Vec::with_capacity(profile_ids.len());
        let mut stretch = Stretch::default();
        for (profile_id, loaded) in profile_ids.iter().zip(loaded) {
            let profile = loaded.map_err(Into::into).and_then(|stored| {
                check_kind(model, profile_id)?;
                let stored = stored.map(|stored| stored.record);
                let record = match stored.filter(|record| record.is_known()) {
                    Some(record) => record,
                    None if query.or_default => Arc::default(),
                    None => return Err(ServiceError::unknown(profile_id)),
                };
                let at = self.instant_for(profile_id, &record, query.as_of)?;
                Ok(explain(model, profile_id, &record, at, detail(query.view)))
            });
            profiles.push(profile);
            stretch.took(model.clock_free_steps()).await;
        }
        if query.view == View::Full {
            let found = profiles.iter_mut().filter_map(|found| found.as_mut().ok());
            let latest = self.add_percentiles(tenant, &snapshot, found.collect());
            let latest = latest.await?;
            // Where the others stood before that is not kept, as for lists.
            let found = profiles.iter_mut().filter_map(|found| found.as_mut().ok());
            let early = found.filter(|profile| !self.shell.is_within_skew(profile.as_of, latest));
            for score in early.flat_map(|profile| &mut profile.scores) {
                score.percentile = None;
            }
        }
        Ok(profiles)
    }

    /// The instant to compute a profile for.
    fn instant_for(
        &self,
        profile_id: &ProfileId,
        record: &Record,
        as_of: Option<Timestamp>,
    ) -> Result<Timestamp, ServiceError> {
        let last_event = record.last_event_time;
        match as_of {
            None => Ok(self.shell.now().max(last_event)),
            Some(as_of) if as_of < last_event => Err(ServiceError::AsOfBeforeLastEvent {
                profile_id: profile_id.name().to_owned(),
                as_of,
                last_event,
            }),
            Some(as_of) => Ok(as_of),
        }
    }

    /// Sets the percentile of every score with points of those who stand in ranks: of the
    /// profiles with points on the score, the share that has at most as many. Returns the latest
    /// instant that was counted among them.
    pub(super) async fn add_percentiles(
        &self,
        tenant: &Tenant,
        snapshot: &ModelSnapshot,
        mut profiles: Vec<&mut Profile>,
    ) -> Result<Timestamp, ServiceError> {
        let model = snapshot.model();
        let range = |score: ScoreId, population: Population, from: RankKey| {
            let rank = model.ranks[model.scores[score].rank_among(population)]
                .name
                .clone();
            let keys = KeyRange { from, below: None };
            RankRange { rank, keys }
        };
        let mut ranges = Vec::new();
        // Where the ranges begin that count everybody with points, one for each score.
        let mut totals: HashMap<(Population, Timestamp), usize> = HashMap::new();
        let mut asked = Vec::new();
        let counted = profiles.iter().enumerate();
        for (index, profile) in counted.filter(|(_, profile)| profile.is_counted) {
            let Some(population) = model.population_of(&profile.profile_id) else {
                continue;
            };
            let at = profile.as_of;
            let total = *totals.entry((population, at)).or_insert_with(|| {
                let begin = ranges.len();
                ranges.extend(model.scores.iter_enumerated().map(|(id, score)| {
                    range(id, population, score.slope.threshold_key(NOISE_FLOOR, at))
                }));
                begin
            });
            for (position, score) in profile.scores.iter().enumerate() {
                let id = ScoreId::from(position);
                if score.points > 0.0 {
                    let above = model.scores[id].slope.threshold_key_above(score.points, at);
                    asked.push((index, position, total + position, ranges.len()));
                    ranges.push(range(id, population, above));
                }
            }
        }
        let mut counts = Vec::with_capacity(ranges.len());
        let mut latest = Timestamp::EPOCH;
        for ranges in ranges.chunks(MAX_RANGES) {
            let generation = snapshot.active.generation;
            let found = self.shell.store.count(tenant, generation, ranges).await?;
            counts.extend(found.counts);
            latest = latest.max(found.latest_counted);
        }
        for (index, position, total, above) in asked {
            // Whoever has points is not above itself, even when it has moved meanwhile.
            let total = counts[total].max(1);
            let fraction = 1.0 - counts[above].min(total - 1) as f64 / total as f64;
            profiles[index].scores[position].percentile = Some(100.0 * fraction);
        }
        Ok(latest)
    }
}

pub(super) fn detail(view: View) -> Detail {
    match view {
        View::Basic => Detail::Points,
        View::Full => Detail::Contributions,
    }
}
