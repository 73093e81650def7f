//! In which ranks of a model a profile stands, and how it moves among them.

use std::collections::BTreeMap;

use typed_index_collections::TiVec;

use super::Evaluation;
use crate::scoring::{
    Population, ProfileId, RankChange, RankKey, RankName, Record, Slope, Timestamp, influence,
    model::{Ladder, Model, QuarantineRuleId, RankId},
};

/// Where a profile stands, by position, so that two evaluations are compared without names.
#[derive(Clone, Debug, Default)]
pub(crate) struct RankEntries<'m> {
    /// By position in `Model::ranks`; empty for a profile that is not stored.
    ranks: TiVec<RankId, Option<RankKey>>,
    /// The one rank of stages that holds the profile.
    stages: Option<(&'m Ladder, RankKey)>,
    /// By position in `Model::quarantine`; empty for a profile that is not stored.
    held: TiVec<QuarantineRuleId, u32>,
}

impl RankEntries<'_> {
    /// The moves from here to `new`.
    pub(crate) fn changes_to(&self, new: &RankEntries<'_>, model: &Model) -> Vec<RankChange> {
        let mut changes = Vec::new();
        let mut note = |rank: &RankName, old: Option<RankKey>, new: Option<RankKey>| {
            if old != new {
                let rank = rank.clone();
                changes.push(RankChange { rank, old, new });
            }
        };
        for (id, rank) in model.ranks.iter_enumerated() {
            let key =
                |rank_entries: &RankEntries<'_>| rank_entries.ranks.get(id).copied().flatten();
            note(&rank.name, key(self), key(new));
        }
        match (self.stages, new.stages) {
            (Some((from, old)), Some((to, new))) if from.rank == to.rank => {
                note(&to.rank, Some(old), Some(new));
            }
            (old, new) => {
                if let Some((from, key)) = old {
                    note(&from.rank, Some(key), None);
                }
                if let Some((to, key)) = new {
                    note(&to.rank, None, Some(key));
                }
            }
        }
        for (id, rule) in model.quarantine.iter_enumerated() {
            let key = |rank_entries: &RankEntries<'_>| held_key(*rank_entries.held.get(id)?);
            note(&rule.rank, key(self), key(new));
        }
        changes
    }

    fn named(&self, model: &Model) -> Vec<(RankName, RankKey)> {
        let ranks = model.ranks.iter().zip(&self.ranks);
        let held = model.quarantine.iter().zip(&self.held);
        ranks
            .filter_map(|(rank, key)| Some((rank.name.clone(), (*key)?)))
            .chain(self.stages.map(|(ladder, key)| (ladder.rank.clone(), key)))
            .chain(held.filter_map(|(rule, held)| Some((rule.rank.clone(), held_key(*held)?))))
            .collect()
    }
}

/// The key of so many events in the rank of a quarantine rule.
fn held_key(held: u32) -> Option<RankKey> {
    Slope::default().key(f64::from(held), Timestamp::EPOCH)
}

impl Evaluation {
    /// The places of the profile in the ranks of the model and among its stages.
    pub(crate) fn rank_entries<'m>(&self, model: &'m Model) -> RankEntries<'m> {
        let ranks = model.ranks.keys();
        RankEntries {
            ranks: ranks.map(|rank| self.rank_key(model, rank)).collect(),
            stages: (self.among() == Some(Population::People)).then(|| self.ladder(model)),
            held: self.held.clone(),
        }
    }
}

/// Where a stored record stands: its rank keys under a model.
pub fn index(model: &Model, profile_id: &ProfileId, record: &Record) -> Vec<(RankName, RankKey)> {
    let evaluation = Evaluation::of(model, model.population_of(profile_id), record);
    let mut keys = evaluation.rank_entries(model).named(model);
    let influence = influence::keys(model, record).into_iter();
    keys.extend(influence.map(|(rank, key)| (model.influence_rank_at(rank), key)));
    keys
}

/// The moves from where one record of a profile stands under a model to where another does,
/// those that lead to the same key too. `None` stands nowhere.
pub fn moves(
    model: &Model,
    profile_id: &ProfileId,
    old: Option<&Record>,
    new: Option<&Record>,
) -> Vec<RankChange> {
    let keys = |record: Option<&Record>| {
        record.map_or_else(Vec::new, |record| index(model, profile_id, record))
    };
    let mut moves: BTreeMap<RankName, (Option<RankKey>, Option<RankKey>)> = BTreeMap::new();
    for (rank, key) in keys(old) {
        moves.entry(rank).or_default().0 = Some(key);
    }
    for (rank, key) in keys(new) {
        moves.entry(rank).or_default().1 = Some(key);
    }
    let changes = moves
        .into_iter()
        .map(|(rank, (old, new))| RankChange { rank, old, new });
    changes.collect()
}
