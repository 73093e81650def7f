//! A checked model: scores, signals, stages, segments and ranks, and what can be asked of them.

use std::collections::{HashMap, HashSet};

use rustc_hash::FxHashMap;
use typed_index_collections::TiVec;

use super::{
    calibration::Calibration,
    catalog::Catalog,
    expr::Expression,
    fingerprint::Fingerprint,
    ids::{
        AskedId, ConditionId, QuarantineRuleId, RankId, RuleId, ScoreId, SegmentId, SignalId,
        SlotId, StageId, SubjectKindId, TopicId,
    },
    phrases::Phrases,
    quarantine::QuarantineRule,
    rank::{Rank, Segment},
    signal::{Signal, Value},
    slot::Slot,
    subjects::{Population, SubjectKind},
    topics::Topics,
};
use crate::scoring::{
    Event, HalfLife, Name, ProfileId, RankKey, RankName, Slope, Timestamp, limits::NOISE_FLOOR,
    written::Diagnostic,
};

/// A checked model, ready to evaluate records.
#[derive(Debug)]
pub struct Model {
    pub(crate) source: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) catalog: Catalog,
    pub(crate) scores: TiVec<ScoreId, Score>,
    /// Every (half-life, signal) that a record keeps a count for, in the order of records.
    pub(crate) slots: TiVec<SlotId, Slot>,
    /// By position in `slots`: the positions of the scores that the count gives points to, and
    /// the weights.
    pub(crate) weights: TiVec<SlotId, Vec<(ScoreId, f64)>>,
    /// Positions in `slots` of the counts that expressions ask for.
    pub(crate) asked: TiVec<AskedId, SlotId>,
    pub(crate) signals: TiVec<SignalId, Signal>,
    /// Positions of the signals, by name.
    pub(crate) signals_by_name: FxHashMap<Name, SignalId>,
    /// Positions of the signals that look at an event type, in the order of the file.
    pub(crate) signals_by_type: FxHashMap<String, Vec<SignalId>>,
    /// The event types that signals ask for what the author states.
    pub(crate) types_reading_author: HashSet<String>,
    /// By kind of subjects: the event types that signals ask for the subject.
    pub(crate) types_reading_subjects: TiVec<SubjectKindId, HashSet<String>>,
    /// Distinct conditions on what no clock changes, shared by rules, stages and segments.
    pub(crate) conditions: TiVec<ConditionId, Expression>,
    /// How many of the first conditions are those of the evidence of identity: they are evaluated
    /// before the others, which may read its confidence.
    pub(crate) identity_conditions: usize,
    /// The positions in `conditions` of those that read scores: they are evaluated after these.
    pub(crate) conditions_on_scores: Vec<ConditionId>,
    pub(crate) identity: Vec<Evidence>,
    pub(crate) rules: TiVec<RuleId, Rule>,
    pub(crate) stages: TiVec<StageId, Stage>,
    /// The positions in `conditions` of the distinct conditions of stages.
    pub(crate) stage_conditions: Vec<ConditionId>,
    /// For each combination of `stage_conditions`, the first condition the lowest bit: the ladder
    /// of those who keep none of the stages that are easier to keep than to reach, then of those
    /// who keep the lowest of these, and so on.
    pub(crate) ladders: Vec<Vec<Ladder>>,
    /// The stages that a record remembers to keep.
    pub(crate) kept_stages: Vec<KeptStages>,
    pub(crate) ranks: TiVec<RankId, Rank>,
    pub(crate) segments: TiVec<SegmentId, Segment>,
    pub(crate) topics: Topics,
    /// The phrases to look for in texts: those of topics, by position, then those of signals.
    pub(crate) phrases: Phrases,
    pub(crate) interests_half_life: HalfLife,
    pub(crate) influence: Option<Influence>,
    /// What events count for beside people, in the order of the file.
    pub(crate) subject_kinds: TiVec<SubjectKindId, SubjectKind>,
    pub(crate) quarantine: TiVec<QuarantineRuleId, QuarantineRule>,
    /// Every event type that the model names, ascending.
    pub(crate) named_types: Vec<String>,
    /// The steps that the clock-free conditions of a record take at most.
    pub(crate) clock_free_steps: usize,
    /// What is allowed and hardly meant, in the order of the file.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// A score of the model.
#[derive(Debug)]
pub(crate) struct Score {
    pub name: Name,
    pub half_life: Option<HalfLife>,
    pub base: f64,
    /// What signals give, in the order of the file.
    pub terms: Vec<Term>,
    /// What rules give: position of the rule, and points.
    pub rule_points: Vec<(RuleId, f64)>,
    pub breadth: Option<Breadth>,
    pub calibration: Option<Calibration>,
    pub slope: Slope,
    /// Position in `ranks` of the rank of all people by this score.
    pub rank: RankId,
    /// And of all subjects of each kind.
    pub subject_ranks: TiVec<SubjectKindId, RankId>,
}

impl Score {
    /// Position in `ranks` of the rank by this score.
    pub(crate) fn rank_among(&self, population: Population) -> RankId {
        match population {
            Population::People => self.rank,
            Population::Subjects(kind) => self.subject_ranks[kind],
        }
    }
}

/// How many different signals and rules a score asks for.
#[derive(Debug)]
pub(crate) struct Breadth {
    pub required: usize,
    /// What each must give to count, as a share of what the greatest one gives: above 0 and at
    /// most 1.
    pub share: f64,
}

/// What a signal gives to a score.
#[derive(Debug)]
pub(crate) struct Term {
    pub signal: SignalId,
    pub slot: SlotId,
    pub weight: f64,
}

/// An attribute rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub name: Name,
    /// Position in `conditions`; `None` for a rule that holds for everybody.
    pub condition: Option<ConditionId>,
    /// What it counts for those whom it holds for.
    pub value: Value,
}

/// A piece of evidence of who a profile is.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// Position in `conditions`.
    pub condition: ConditionId,
    /// How sure it makes by itself, from 0 to 1.
    pub confidence: Value,
}

/// A stage of the path to purchase.
#[derive(Debug)]
pub(crate) struct Stage {
    pub name: Name,
    /// Position in `conditions`.
    pub condition: Option<ConditionId>,
    pub bound: Option<StageBound>,
}

impl Stage {
    /// The least points of a stage that is easier to keep than to reach.
    pub(crate) fn keep(&self) -> Option<f64> {
        self.bound.and_then(|bound| bound.keep)
    }
}

/// What a stage asks of a score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StageBound {
    pub score: ScoreId,
    /// The least points to reach it.
    pub min: f64,
    /// The least points to stay, when that is less.
    pub keep: Option<f64>,
}

/// The stages that are bounded on one score, of which one is easier to keep than to reach.
#[derive(Debug)]
pub(crate) struct KeptStages {
    pub score: ScoreId,
    /// Lowest first, with what reaching and keeping each of them asks for.
    pub stages: Vec<(StageId, StageBound)>,
}

/// The stages that one combination of conditions leaves open: a floor that is reached
/// without points, and steps above it, all on one score.
#[derive(Debug)]
pub(crate) struct Ladder {
    pub rank: RankName,
    pub floor: Option<StageId>,
    /// Position of the score that the steps are on; `None` without steps.
    pub score: Option<ScoreId>,
    /// Position of the stage and its least points, lowest stage first.
    pub steps: Vec<(StageId, f64)>,
}

/// How influence is credited.
#[derive(Debug)]
pub(crate) struct Influence {
    pub credits: HashMap<String, f64>,
    pub half_life: HalfLife,
    pub slope: Slope,
    pub attribution_half_life: HalfLife,
    pub advance: f64,
    pub reach: Option<String>,
}

/// A rank of influence by positions in the model: a topic, and a stage or all of them.
pub(crate) type InfluenceRank = (TopicId, Option<StageId>);

impl Model {
    /// What is allowed and hardly meant, each with its place.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// What the model declares, with what its file says of each thing.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The steps that evaluating a record without an event takes at most.
    pub fn clock_free_steps(&self) -> usize {
        self.clock_free_steps
    }

    /// A hash of what the model says, whatever comments and order of keys.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The file that the model was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether counting an event of a type reads what the author of the content states.
    pub fn reads_author(&self, event_type: &str) -> bool {
        let mut rules = self.rules_for(event_type);
        self.types_reading_author.contains(event_type) || rules.any(|rule| rule.when.reads_author())
    }

    /// The kinds of which counting an event of a type reads the subject.
    pub(crate) fn subject_kinds_read(
        &self,
        event_type: &str,
    ) -> impl Iterator<Item = SubjectKindId> {
        let by_signals = self.types_reading_subjects.iter_enumerated();
        by_signals.filter_map(move |(kind, types)| {
            let mut rules = self.rules_for(event_type);
            let is_read = types.contains(event_type)
                || rules.any(|rule| rule.when.subject_kinds().any(|read| read == kind));
            is_read.then_some(kind)
        })
    }

    /// The author whom counting an event asks what they state.
    pub fn author_read(&self, event: &Event) -> Option<ProfileId> {
        let reads = self.reads_author(&event.event_type);
        event.author_id.clone().filter(|_| reads)
    }

    /// Whether counting an event of any type reads its subjects.
    pub fn reads_subjects(&self) -> bool {
        let mut by_signals = self.types_reading_subjects.iter();
        let mut rules = self.quarantine.iter();
        by_signals.any(|types| !types.is_empty())
            || rules.any(|rule| rule.when.subject_kinds().next().is_some())
    }

    /// Whether the model looks at events of a type: counts them, or asks whether they were seen.
    pub fn names_type(&self, event_type: &str) -> bool {
        let types = &self.named_types;
        let found = types.binary_search_by(|known| known.as_str().cmp(event_type));
        found.is_ok()
    }

    /// The position of the slot of a signal.
    pub(crate) fn slot(&self, half_life: Option<HalfLife>, signal: &str) -> Option<SlotId> {
        let signal = &self.signals[*self.signals_by_name.get(signal)?];
        let mut slots = signal.slots.iter().copied();
        slots.find(|slot| self.slots[*slot].half_life == half_life)
    }

    /// Every rank that a record may stand in under this model.
    pub fn rank_names(&self) -> Vec<RankName> {
        let ranks = self.ranks.iter().map(|rank| rank.name.clone());
        let ladders = self.stage_ranks();
        let quarantine = self.quarantine.iter().map(|rule| rule.rank.clone());
        ranks
            .chain(ladders)
            .chain(quarantine)
            .chain(self.influence_rank_names())
            .collect()
    }

    /// The stage above one, or the lowest one.
    pub(crate) fn stage_after(&self, stage: Option<StageId>) -> Option<StageId> {
        let next = stage.map_or(0, |stage| usize::from(stage) + 1);
        (next < self.stages.len()).then(|| next.into())
    }

    /// The name of a stage; `None` for none.
    pub(crate) fn stage_name(&self, stage: Option<StageId>) -> Option<Name> {
        stage.map(|stage| self.stages[stage].name.clone())
    }

    /// A stage and those above it, lowest first.
    pub(crate) fn stages_from(&self, stage: StageId) -> impl Iterator<Item = StageId> {
        self.stages.keys().skip(stage.into())
    }

    /// The segment of this name.
    pub fn segment(&self, name: &str) -> Option<SegmentId> {
        self.segments.position(|segment| segment.name == name)
    }

    /// The rank that a segment is a part of.
    pub(crate) fn rank_of(&self, segment: SegmentId) -> &Rank {
        &self.ranks[self.segments[segment].rank]
    }

    /// The names of the scores, in the order of the file.
    pub fn score_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.scores.iter().map(|score| score.name.as_str())
    }

    /// The names of the signals, in the order of the file.
    pub fn signal_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.signals.iter().map(|signal| signal.name.as_str())
    }

    /// The names of the attribute rules, in the order of the file.
    pub fn rule_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// The names of the stages, lowest first.
    pub fn stage_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.stages.iter().map(|stage| stage.name.as_str())
    }

    /// The names of the segments, in the order of the file.
    pub fn segment_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.segments.iter().map(|segment| segment.name.as_str())
    }

    /// The names of the topics, in the order of the file.
    pub fn topic_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.topics.names().iter().map(Name::as_str)
    }

    /// How many sorted indexes one profile stands in at most, influence apart: those of people, and
    /// one of stages.
    pub fn ranks_per_profile(&self) -> usize {
        let of_people = |rank: &&Rank| rank.of == Population::People;
        self.ranks.iter().filter(of_people).count() + 1
    }

    /// The ranks of stages: everybody who counts stands in exactly one of them, and no subject.
    pub fn stage_ranks(&self) -> impl Iterator<Item = RankName> {
        self.ladders().map(|ladder| ladder.rank.clone())
    }

    /// The ladders of all combinations of conditions and kept stages.
    pub(crate) fn ladders(&self) -> impl Iterator<Item = &Ladder> {
        self.ladders.iter().flatten()
    }

    /// The rank of authors by influence on a topic, over all stages or at one.
    pub(crate) fn influence_rank(topic: &str, stage: Option<&str>) -> RankName {
        RankName::new(format!("influence:{}:{topic}", stage.unwrap_or("")))
    }

    /// The positions of the signals that look at an event type, in the order of the file.
    pub(crate) fn signals_for(&self, event_type: &str) -> &[SignalId] {
        let signals = self.signals_by_type.get(event_type);
        signals.map_or(&[][..], Vec::as_slice)
    }

    /// The quarantine rules that look at an event type.
    pub(crate) fn rules_for(&self, event_type: &str) -> impl Iterator<Item = &QuarantineRule> {
        let rules = self.quarantine.iter();
        rules.filter(move |rule| rule.looks_at(event_type))
    }

    /// The rank of the profiles with events that a quarantine rule holds, by how many.
    pub(crate) fn quarantine_rank(rule: &str) -> RankName {
        RankName::new(format!("quarantine:{rule}"))
    }

    /// The names of the quarantine rules, in the order of the file.
    pub fn quarantine_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.quarantine.iter().map(|rule| rule.name.as_str())
    }

    /// The rank of influence at a position.
    pub(crate) fn influence_rank_at(&self, (topic, stage): InfluenceRank) -> RankName {
        let stage = stage.map(|stage| self.stages[stage].name.as_str());
        Self::influence_rank(&self.topics.names()[usize::from(topic)], stage)
    }

    /// Every rank of influence that an author may stand in.
    fn influence_rank_names(&self) -> impl Iterator<Item = RankName> {
        let topics = (0..self.topics.names().len()).map(TopicId::from);
        let ranks = topics.flat_map(|topic| {
            let stages = self.stages.keys().map(Some);
            std::iter::once(None)
                .chain(stages)
                .map(move |stage| (topic, stage))
        });
        ranks
            .filter(|_| self.influence.is_some())
            .map(|rank| self.influence_rank_at(rank))
    }

    /// The lowest key of somebody with influence at an instant.
    pub(crate) fn influence_floor(&self, at: Timestamp) -> Option<RankKey> {
        let influence = self.influence.as_ref()?;
        Some(influence.slope.threshold_key(NOISE_FLOOR, at))
    }
}
