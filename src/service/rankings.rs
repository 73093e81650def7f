//! Questions about ranks: segments, the funnel and influencers, each exact at an instant.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Service, ServiceError,
    error::unknown,
    instants::Asked,
    pages::{Fraction, Page, Paging},
    read::{View, detail},
};
use crate::{
    rollout::ModelSnapshot,
    scoring::{
        InfluenceQuestion, Influencer, Inputs, KeyRange, Model, Name, RankKey, Ranked, SegmentId,
        Tenant, Timestamp, influencer, interests, ranked,
    },
    store::{RankRange, Store},
    stretch::Stretch,
};

/// A page of a segment.
#[derive(Clone, Debug)]
pub struct SegmentQuery {
    /// The name of the segment.
    pub segment: String,
    /// Only members that this condition holds for; `None` for all.
    pub condition: Option<String>,
    /// Only the highest share of the segment; `None` for all of it.
    pub fraction: Option<Fraction>,
    /// How much of each profile to return.
    pub view: View,
    /// Which page.
    pub paging: Paging,
}

/// A page of a segment.
#[derive(Clone, Debug)]
pub struct SegmentPage {
    /// Places in the segment, from 1, and members, highest first.
    pub members: Page<(u64, Ranked)>,
    /// For how many of those that it was asked about the condition could not be evaluated.
    pub condition_failed: u64,
}

/// A page of influencers.
#[derive(Clone, Debug)]
pub struct InfluencerQuery {
    /// The name of the topic.
    pub topic: String,
    /// Only influence on people at this stage; empty for all.
    pub stage: String,
    /// Which page.
    pub paging: Paging,
}

/// Authors, highest influence first.
pub type InfluencerPage = Page<Influencer>;

/// What the highest members of a segment care about.
#[derive(Clone, Debug)]
pub struct SegmentTopicsQuery {
    /// The name of the segment.
    pub segment: String,
    /// How many members to add up, from the highest on.
    pub members: usize,
    /// The instant that is asked for; now when absent.
    pub as_of: Option<Timestamp>,
}

/// The interests of members of a segment, added up.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentTopics {
    /// Most points first, equals by name.
    pub topics: Vec<SegmentTopic>,
    /// How many members were added up.
    pub members: usize,
    /// How many members the segment has.
    pub total: u64,
    /// The instant of all of it.
    pub as_of: Timestamp,
}

/// What members of a segment care about.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentTopic {
    /// The name of the topic.
    pub topic: Name,
    /// Their interest, added up.
    pub points: f64,
    /// How many of them care.
    pub members: usize,
}

/// How many profiles stand at each stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Funnel {
    /// Every stage, lowest first.
    pub stages: Vec<(String, u64)>,
    /// Profiles below all stages.
    pub unstaged: u64,
    /// The instant of all of it.
    pub as_of: Timestamp,
}

impl<S: Store> Service<S> {
    /// Reads a page of a segment.
    pub async fn rank_segment(
        &self,
        tenant: &Tenant,
        query: SegmentQuery,
    ) -> Result<SegmentPage, ServiceError> {
        self.ask(tenant, |snapshot| {
            self.rank_segment_by(snapshot, tenant, &query)
        })
        .await
    }

    /// What a condition on the members of a segment reads.
    pub async fn condition_inputs(
        &self,
        tenant: &Tenant,
        name: &str,
        condition: &str,
    ) -> Result<Inputs, ServiceError> {
        let model = self.model(tenant).await?;
        let on = model.rank_of(segment(&model, name)?).of;
        let condition = self.shell.conditions.read(&model, condition, on).await?;
        Ok(condition.inputs(&model))
    }

    async fn rank_segment_by(
        &self,
        snapshot: Arc<ModelSnapshot>,
        tenant: &Tenant,
        query: &SegmentQuery,
    ) -> Result<SegmentPage, ServiceError> {
        self.check_page(&snapshot, &query.paging)?;
        let model = snapshot.model();
        let segment = segment(model, &query.segment)?;
        let range = |at| segment_range(model, segment, at);
        let (fraction, paging) = (query.fraction, &query.paging);
        let (mut page, condition_failed) = match &query.condition {
            None => {
                let page = self.read_page(tenant, &snapshot, range, fraction, paging);
                (page.await?, 0)
            }
            Some(condition) => {
                let (model, on) = (&snapshot.active.model, model.rank_of(segment).of);
                let condition = self.shell.conditions.read(model, condition, on).await?;
                self.read_matching(tenant, &snapshot, (range, &condition), fraction, paging)
                    .await?
            }
        };
        let at = page.as_of;
        let mut places = Vec::with_capacity(page.entries.len());
        let mut members = Vec::with_capacity(page.entries.len());
        let mut stretch = Stretch::default();
        for (place, stored) in page.entries.drain(..) {
            let id = &stored.profile_id;
            places.push(place);
            members.push(ranked(
                model,
                segment,
                id,
                &stored.record,
                at,
                detail(query.view),
            ));
            stretch.took(model.clock_free_steps()).await;
        }
        if query.view == View::Full {
            let profiles = members.iter_mut().map(|member| &mut member.profile);
            self.add_percentiles(tenant, &snapshot, profiles.collect())
                .await?;
        }
        Ok(SegmentPage {
            members: page.with(places.into_iter().zip(members).collect()),
            condition_failed,
        })
    }

    /// Adds up what the highest members of a segment care about.
    pub async fn segment_topics(
        &self,
        tenant: &Tenant,
        query: SegmentTopicsQuery,
    ) -> Result<SegmentTopics, ServiceError> {
        self.ask(tenant, |snapshot| {
            self.segment_topics_by(snapshot, tenant, &query)
        })
        .await
    }

    async fn segment_topics_by(
        &self,
        snapshot: Arc<ModelSnapshot>,
        tenant: &Tenant,
        query: &SegmentTopicsQuery,
    ) -> Result<SegmentTopics, ServiceError> {
        let paging = Paging {
            as_of: query.as_of,
            page_size: query.members,
            start: None,
        };
        let model = snapshot.model();
        let segment = segment(model, &query.segment)?;
        let range = |at| segment_range(model, segment, at);
        let page = self
            .read_page(tenant, &snapshot, range, None, &paging)
            .await?;
        let at = page.as_of;
        let mut topics: BTreeMap<Name, SegmentTopic> = BTreeMap::new();
        for (_, member) in &page.entries {
            for interest in interests(model, &member.record, at) {
                let topic = topics
                    .entry(interest.topic)
                    .or_insert_with_key(|topic| SegmentTopic {
                        topic: topic.clone(),
                        points: 0.0,
                        members: 0,
                    });
                topic.points += interest.points;
                topic.members += 1;
            }
        }
        let mut topics: Vec<SegmentTopic> = topics.into_values().collect();
        // They are in the order of their names, which equals keep.
        topics.sort_by(|a, b| b.points.total_cmp(&a.points));
        Ok(SegmentTopics {
            topics,
            members: page.entries.len(),
            total: page.total,
            as_of: at,
        })
    }

    /// Counts the profiles at each stage, every profile once.
    pub async fn funnel(
        &self,
        tenant: &Tenant,
        as_of: Option<Timestamp>,
    ) -> Result<Funnel, ServiceError> {
        self.ask(tenant, |snapshot| self.funnel_by(snapshot, tenant, as_of))
            .await
    }

    async fn funnel_by(
        &self,
        snapshot: Arc<ModelSnapshot>,
        tenant: &Tenant,
        as_of: Option<Timestamp>,
    ) -> Result<Funnel, ServiceError> {
        let model = snapshot.model();
        let generation = snapshot.active.generation;
        let read = self.read_at(Asked::of(as_of), async |at| {
            let mut stages = Vec::new();
            let mut ranges = Vec::new();
            for ladder in model.ladders() {
                for (stage, keys) in ladder.ranges(model, at) {
                    stages.push(stage);
                    let rank = ladder.rank.clone();
                    ranges.push(RankRange { rank, keys });
                }
            }
            let found = self.shell.store.count(tenant, generation, &ranges).await?;
            let counts: Vec<_> = stages.into_iter().zip(found.counts).collect();
            Ok((counts, found.latest_counted))
        });
        let (as_of, counts) = read.await?;
        let mut funnel = Funnel {
            stages: model
                .stage_names()
                .map(|stage| (stage.to_owned(), 0))
                .collect(),
            unstaged: 0,
            as_of,
        };
        for (stage, count) in counts {
            match stage {
                Some(stage) => funnel.stages[usize::from(stage)].1 += count,
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
        self.ask(tenant, |snapshot| {
            self.top_influencers_by(snapshot, tenant, &query)
        })
        .await
    }

    async fn top_influencers_by(
        &self,
        snapshot: Arc<ModelSnapshot>,
        tenant: &Tenant,
        query: &InfluencerQuery,
    ) -> Result<InfluencerPage, ServiceError> {
        self.check_page(&snapshot, &query.paging)?;
        let model = snapshot.model();
        if !model.topics.contains(&query.topic) {
            return Err(unknown("topic", &query.topic, model.topic_names()));
        }
        let stage = (!query.stage.is_empty()).then_some(query.stage.as_str());
        if let Some(stage) = stage {
            check_stage(model, stage)?;
        }
        let range = |at| RankRange {
            rank: Model::influence_rank(&query.topic, stage),
            keys: KeyRange {
                // Without influence nobody stands there.
                from: model.influence_floor(at).unwrap_or(RankKey::NO_POINTS),
                below: None,
            },
        };
        let page = self
            .read_page(tenant, &snapshot, range, None, &query.paging)
            .await?;
        let at = page.as_of;
        let topics = std::slice::from_ref(&query.topic);
        let totals = self.shell.store.totals(tenant, topics).await?;
        let totals = totals.first().copied().unwrap_or_default();
        let question = InfluenceQuestion {
            topic: &query.topic,
            stage,
            totals: (totals.touches, totals.advance_millionths),
            at,
        };
        let authors = page.entries.iter();
        let entries = authors
            .map(|(_, author)| influencer(model, &author.profile_id, &author.record, &question))
            .collect();
        Ok(page.with(entries))
    }
}

/// The position of a segment in the model.
fn segment(model: &Model, name: &str) -> Result<SegmentId, ServiceError> {
    let found = model.segment(name);
    found.ok_or_else(|| unknown("segment", name, model.segment_names()))
}

/// The keys of the members of a segment at an instant.
fn segment_range(model: &Model, segment: SegmentId, at: Timestamp) -> RankRange {
    RankRange {
        rank: model.rank_of(segment).name.clone(),
        keys: model.segment_range(segment, at),
    }
}

fn check_stage(model: &Model, stage: &str) -> Result<(), ServiceError> {
    if model.stage_names().any(|known| known == stage) {
        return Ok(());
    }
    Err(unknown("stage", stage, model.stage_names()))
}
