//! Questions about ranks: segments, the funnel and influencers, each exact at an instant.

use std::sync::Arc;

use super::{
    Service, ServiceError,
    lineup::Lineup,
    read::{View, detail},
};
use crate::{
    scoring::{
        Fingerprint, InfluenceQuestion, Influencer, KeyRange, Model, Profile, ProfileId, Subject,
        Tenant, Timestamp, explain, influencer,
    },
    store::{Cursor, RankPage, RankRange, Store, StoreError, Stored},
};

/// A page of a segment.
#[derive(Clone, Debug)]
pub struct SegmentQuery {
    /// The name of the segment.
    pub segment: String,
    /// Only members at these stages; empty for all.
    pub stages: Vec<String>,
    /// How much of each profile to return.
    pub view: View,
    /// The instant; now when absent.
    pub as_of: Option<Timestamp>,
    /// How many members to read.
    pub page_size: usize,
    /// Where the page starts.
    pub after: Option<Cursor>,
    /// The model of the page before; `None` on the first page.
    pub model: Option<Fingerprint>,
}

/// Members of a segment, highest first.
#[derive(Clone, Debug)]
pub struct SegmentPage {
    /// Places in the segment, from 1, and profiles.
    pub entries: Vec<(u64, Profile)>,
    /// How many members the segment has, at any stage.
    pub total: u64,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Cursor>,
    /// The instant of the page.
    pub as_of: Timestamp,
    /// The model that the page is by.
    pub model: Fingerprint,
}

/// A page of influencers.
#[derive(Clone, Debug)]
pub struct InfluencerQuery {
    /// The name of the topic.
    pub topic: String,
    /// Only influence on people at this stage; empty for all.
    pub stage: String,
    /// The instant; now when absent.
    pub as_of: Option<Timestamp>,
    /// How many authors to read.
    pub page_size: usize,
    /// Where the page starts.
    pub after: Option<Cursor>,
    /// The model of the page before; `None` on the first page.
    pub model: Option<Fingerprint>,
}

/// Authors, highest influence first.
#[derive(Clone, Debug)]
pub struct InfluencerPage {
    /// The authors.
    pub entries: Vec<Influencer>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Cursor>,
    /// The instant of the page.
    pub as_of: Timestamp,
    /// The model that the page is by.
    pub model: Fingerprint,
}

/// How many profiles stand at each stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Funnel {
    /// Every stage, lowest first.
    pub stages: Vec<(String, u64)>,
    /// Profiles below all stages.
    pub unstaged: u64,
}

impl<S: Store> Service<S> {
    /// Reads a page of a segment.
    pub async fn rank_segment(
        &self,
        tenant: &Tenant,
        query: SegmentQuery,
    ) -> Result<SegmentPage, ServiceError> {
        self.ask(tenant, |lineup| {
            self.rank_segment_by(lineup, tenant, &query)
        })
        .await
    }

    async fn rank_segment_by(
        &self,
        lineup: Arc<Lineup>,
        tenant: &Tenant,
        query: &SegmentQuery,
    ) -> Result<SegmentPage, ServiceError> {
        check_model(&lineup, query.model)?;
        let model = lineup.model();
        let segment = model
            .segments
            .iter()
            .find(|segment| segment.name == query.segment);
        let segment =
            segment.ok_or_else(|| unknown("segment", &query.segment, model.segment_names()))?;
        for stage in &query.stages {
            check_stage(model, stage)?;
        }
        let is_staged = model.ranks[segment.rank].of == Subject::Person;
        if !is_staged && !query.stages.is_empty() {
            return Err(ServiceError::NoStages(query.segment.clone()));
        }
        let at = query.as_of.unwrap_or_else(|| self.shell.now());
        let range = RankRange {
            rank: model.ranks[segment.rank].name.clone(),
            keys: model.segment_range(segment, at),
        };
        let after = query.after.as_ref();
        let page = self
            .shell
            .store
            .page(
                tenant,
                lineup.active.edition,
                &range,
                after,
                query.page_size,
            )
            .await?;
        let next = next_cursor(&page);
        let members = self.load_entries(tenant, &page).await?;
        let mut ranks = Vec::with_capacity(members.len());
        let mut profiles = Vec::with_capacity(members.len());
        for (rank, stored) in members {
            let id = &stored.profile_id;
            let profile = explain(model, id, &stored.record, at, detail(query.view));
            let stage = profile.stage.as_ref();
            if query.stages.is_empty() || stage.is_some_and(|stage| query.stages.contains(stage)) {
                ranks.push(rank);
                profiles.push(profile);
            }
        }
        if query.view == View::Full {
            self.add_percentiles(tenant, &lineup, &mut profiles, at)
                .await?;
        }
        Ok(SegmentPage {
            entries: ranks.into_iter().zip(profiles).collect(),
            total: page.total,
            next,
            as_of: at,
            model: model.fingerprint(),
        })
    }

    /// Counts the profiles at each stage, every profile once.
    pub async fn funnel(
        &self,
        tenant: &Tenant,
        as_of: Option<Timestamp>,
    ) -> Result<Funnel, ServiceError> {
        self.ask(tenant, |lineup| self.funnel_by(lineup, tenant, as_of))
            .await
    }

    async fn funnel_by(
        &self,
        lineup: Arc<Lineup>,
        tenant: &Tenant,
        as_of: Option<Timestamp>,
    ) -> Result<Funnel, ServiceError> {
        let model = lineup.model();
        let at = as_of.unwrap_or_else(|| self.shell.now());
        let mut stages = Vec::new();
        let mut ranges = Vec::new();
        for ladder in &model.ladders {
            for (stage, keys) in ladder.ranges(model, at) {
                stages.push(stage);
                let rank = ladder.rank.clone();
                ranges.push(RankRange { rank, keys });
            }
        }
        let edition = lineup.active.edition;
        let counts = self.shell.store.count(tenant, edition, &ranges).await?;
        let mut funnel = Funnel {
            stages: model
                .stage_names()
                .map(|stage| (stage.to_owned(), 0))
                .collect(),
            unstaged: 0,
        };
        for (stage, count) in stages.into_iter().zip(counts) {
            match stage {
                Some(stage) => funnel.stages[stage].1 += count,
                None => funnel.unstaged += count,
            }
        }
        Ok(funnel)
    }

    /// Reads a page of the influencers on a topic.
    pub async fn top_influencers(
        &self,
        tenant: &Tenant,
        query: InfluencerQuery,
    ) -> Result<InfluencerPage, ServiceError> {
        self.ask(tenant, |lineup| {
            self.top_influencers_by(lineup, tenant, &query)
        })
        .await
    }

    async fn top_influencers_by(
        &self,
        lineup: Arc<Lineup>,
        tenant: &Tenant,
        query: &InfluencerQuery,
    ) -> Result<InfluencerPage, ServiceError> {
        check_model(&lineup, query.model)?;
        let model = lineup.model();
        if !model.topics.contains(&query.topic) {
            return Err(unknown("topic", &query.topic, model.topic_names()));
        }
        let stage = (!query.stage.is_empty()).then_some(query.stage.as_str());
        if let Some(stage) = stage {
            check_stage(model, stage)?;
        }
        let at = query.as_of.unwrap_or_else(|| self.shell.now());
        let Some(from) = model.influence_floor(at) else {
            return Ok(InfluencerPage {
                entries: Vec::new(),
                next: None,
                as_of: at,
                model: model.fingerprint(),
            });
        };
        let range = RankRange {
            rank: Model::influence_rank(&query.topic, stage),
            keys: KeyRange { from, below: None },
        };
        let after = query.after.as_ref();
        let page = self
            .shell
            .store
            .page(
                tenant,
                lineup.active.edition,
                &range,
                after,
                query.page_size,
            )
            .await?;
        let topics = std::slice::from_ref(&query.topic);
        let totals = self.shell.store.totals(tenant, topics).await?;
        let totals = totals.first().copied().unwrap_or_default();
        let question = InfluenceQuestion {
            topic: &query.topic,
            stage,
            totals: (totals.touches, totals.advance_millionths),
            at,
        };
        let authors = self.load_entries(tenant, &page).await?;
        let entries = authors
            .iter()
            .map(|(_, author)| influencer(model, &author.profile_id, &author.record, &question));
        Ok(InfluencerPage {
            entries: entries.collect(),
            next: next_cursor(&page),
            as_of: at,
            model: model.fingerprint(),
        })
    }

    /// The records of a page with their places, from 1. Who has vanished since is left out.
    pub(super) async fn load_entries(
        &self,
        tenant: &Tenant,
        page: &RankPage,
    ) -> Result<Vec<(u64, Stored)>, StoreError> {
        let ids: Vec<ProfileId> = page.entries.iter().map(|(_, id)| id.clone()).collect();
        let loaded = self.shell.store.load(tenant, &ids).await;
        let mut entries = Vec::with_capacity(ids.len());
        for (rank, stored) in (page.preceding + 1..).zip(loaded) {
            if let Some(stored) = stored? {
                entries.push((rank, stored));
            }
        }
        Ok(entries)
    }
}

/// Refuses to go on with pages that were begun by another model.
pub(super) fn check_model(
    lineup: &Lineup,
    begun_by: Option<Fingerprint>,
) -> Result<(), ServiceError> {
    match begun_by {
        Some(model) if model != lineup.model().fingerprint() => Err(ServiceError::ModelChanged),
        _ => Ok(()),
    }
}

fn check_stage(model: &Model, stage: &str) -> Result<(), ServiceError> {
    if model.stage_names().any(|known| known == stage) {
        return Ok(());
    }
    Err(unknown("stage", stage, model.stage_names()))
}

pub(super) fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> ServiceError {
    ServiceError::UnknownName {
        kind,
        name: name.to_owned(),
        known: known.map(str::to_owned).collect(),
    }
}

/// Just after the last entry of a page, unless the range ends there.
pub(super) fn next_cursor(page: &RankPage) -> Option<Cursor> {
    let read = page.preceding + page.entries.len() as u64;
    let (key, profile_id) = page.entries.last()?;
    (read < page.total).then(|| Cursor {
        key: *key,
        profile_id: profile_id.clone(),
    })
}
