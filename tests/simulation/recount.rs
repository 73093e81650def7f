//! What must have come of a run: everything that was done, counted once by the pure core,
//! beside what the store keeps.

use std::collections::{BTreeMap, BTreeSet};

use bellwether::{
    scoring::{
        Context, Effect, Judgement, Model, NamedCount, Outcome, ProfileId, Record, SignalCount,
        Timestamp,
    },
    store::TopicTotals,
};

use crate::{
    network::World,
    people::{Action, Order, Plan, TOPICS},
};

/// The records that a plan leads to.
pub fn records(plan: &Plan, model: &Model) -> BTreeMap<ProfileId, Record> {
    let mut records: BTreeMap<ProfileId, Record> = BTreeMap::new();
    let mut effects: Vec<Effect> = Vec::new();
    for action in &plan.actions {
        let outcome = judge(
            model,
            &mut records,
            action.profile_id(),
            |judgement| match action {
                Action::Event(event) => {
                    let context = Context::at(
                        event.time.unwrap_or(Timestamp::EPOCH),
                        plan.remembered_events,
                    );
                    judgement.apply(event, &context);
                }
                Action::Update(update) => {
                    let record = judgement.record();
                    let stated = record.attributes_after(&update.attributes, &update.mask);
                    judgement.update(stated);
                }
            },
        );
        effects.extend(outcome.effects);
    }
    for effect in &effects {
        judge(model, &mut records, effect.subject_id(), |judgement| {
            judgement.take(effect);
        });
    }
    records
}

fn judge(
    model: &Model,
    records: &mut BTreeMap<ProfileId, Record>,
    profile_id: &ProfileId,
    count: impl FnOnce(&mut Judgement<'_>),
) -> Outcome {
    let mut judgement = match records.get(profile_id) {
        Some(record) => Judgement::new(model, profile_id.clone(), record.clone()),
        None => Judgement::new_profile(model, profile_id.clone()),
    };
    count(&mut judgement);
    let outcome = judgement.finish();
    records.insert(profile_id.clone(), outcome.record.clone());
    outcome
}

/// Compares everything that a store keeps with what a plan leads to.
pub fn compare(world: &mut World, plan: &Plan, model: &Model) {
    let expected = records(plan, model);
    let mut found: BTreeMap<ProfileId, Record> = BTreeMap::new();
    for (position, partition) in world.partitions.iter().enumerate() {
        for (profile_id, stored) in &partition.records {
            assert_eq!(world.partition_of(profile_id), position);
            found.insert(profile_id.clone(), stored.record.clone());
        }
    }
    let mut wrong: Vec<String> = Vec::new();
    let everybody: BTreeSet<&ProfileId> = expected.keys().chain(found.keys()).collect();
    for profile_id in everybody {
        match (expected.get(profile_id), found.get(profile_id)) {
            (Some(expected), Some(found)) => {
                for difference in differences(expected, found, plan.order) {
                    wrong.push(format!("{profile_id}: {difference}"));
                }
            }
            (expected, _) => wrong.push(format!(
                "{profile_id} is {}",
                if expected.is_some() {
                    "missing"
                } else {
                    "nobody"
                }
            )),
        }
    }
    for topic in TOPICS {
        let mut total = TopicTotals::default();
        for partition in &world.partitions {
            let part = partition.totals.get(topic).copied().unwrap_or_default();
            total.touches += part.touches;
            total.advance_millionths += part.advance_millionths;
        }
        for (whose, records) in [("the records", &found), ("a recount", &expected)] {
            let sum = sum_of(records, topic);
            if sum != total {
                wrong.push(format!(
                    "the totals of {topic} are {total:?}, of {whose} {sum:?}"
                ));
            }
        }
    }
    wrong.extend(wrong_ranks(world));
    for wrong in wrong {
        world.violate(wrong);
    }
}

fn sum_of(records: &BTreeMap<ProfileId, Record>, topic: &str) -> TopicTotals {
    let mut sum = TopicTotals::default();
    for record in records.values() {
        for (of, touches, advance_millionths) in record.topic_shares() {
            if of == topic {
                sum.touches += touches.unsigned_abs();
                sum.advance_millionths += advance_millionths.unsigned_abs();
            }
        }
    }
    sum
}

/// Entries of the active edition that are missing, stale or of nobody, and ranks of others.
fn wrong_ranks(world: &mut World) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(active) = world.common.rollout.active else {
        return vec!["no model is active".to_owned()];
    };
    for partition in 0..world.partitions.len() {
        let expected = world.recount(partition, active);
        let kept = &world.partitions[partition].ranks;
        for (number, rank) in kept.keys() {
            if *number != active.number {
                // Of an edition that a failover has lost nobody knows that it is to be deleted.
                if world.loses {
                    continue;
                }
                wrong.push(format!(
                    "{rank} of another edition is left in partition {partition}"
                ));
            } else if !expected.contains_key(rank) {
                wrong.push(format!(
                    "{rank} in partition {partition} is empty in a recount"
                ));
            }
        }
        for (rank, expected) in expected {
            let kept = kept.get(&(active.number, rank.clone()));
            if kept != Some(&expected) {
                wrong.push(format!(
                    "{rank} in partition {partition} is {kept:?}, in a recount {expected:?}"
                ));
            }
        }
    }
    wrong
}

/// What differs between two records, where only sums of fractions may, by their last digits,
/// and lists whose order is that of arrival.
fn differences(expected: &Record, found: &Record, order: Order) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, same: bool, expected: String, found: String| {
        if !same {
            differences.push(format!("{what} is {found}, expected {expected}"));
        }
    };
    macro_rules! same {
        ($($field:ident),*) => {
            $(compare(
                stringify!($field),
                expected.$field == found.$field,
                format!("{:?}", expected.$field),
                format!("{:?}", found.$field),
            );)*
        };
    }
    same!(
        attributes,
        event_count,
        first_seen_time,
        last_event_time,
        last_counted,
        seen_types,
        memory,
        touches,
        reached_stages,
        influence_time
    );
    let groups = expected.counts.len() == found.counts.len()
        && expected
            .counts
            .iter()
            .zip(&found.counts)
            .all(|(expected, found)| {
                expected.half_life == found.half_life
                    && signal_counts_agree(&expected.counts, &found.counts)
            });
    let (one, other) = (
        format!("{:?}", expected.counts),
        format!("{:?}", found.counts),
    );
    compare("counts", groups, one, other);
    let interests = counts_agree(&expected.interests, &found.interests);
    let (one, other) = (
        format!("{:?}", expected.interests),
        format!("{:?}", found.interests),
    );
    compare("interests", interests, one, other);
    let effects: [BTreeSet<_>; 2] = [expected, found].map(|record| record.effects.iter().collect());
    let same = effects[0] == effects[1] && found.effects.len() == effects[1].len();
    compare(
        "effects",
        same,
        format!("{:?}", effects[0]),
        format!("{:?}", found.effects),
    );
    let influence = expected.influence.len() == found.influence.len()
        && expected
            .influence
            .iter()
            .zip(&found.influence)
            .all(|(expected, found)| {
                (&expected.topic, &expected.stage) == (&found.topic, &found.stage)
                    && (expected.touches, expected.advance_millionths)
                        == (found.touches, found.advance_millionths)
                    && agree(expected.credit, found.credit)
            });
    let (one, other) = (
        format!("{:?}", expected.influence),
        format!("{:?}", found.influence),
    );
    compare(&format!("influence ({order:?})"), influence, one, other);
    differences
}

fn counts_agree(expected: &[NamedCount], found: &[NamedCount]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(expected, found)| {
            expected.name == found.name && agree(expected.value, found.value)
        })
}

fn signal_counts_agree(expected: &[SignalCount], found: &[SignalCount]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(expected, found)| {
            expected.signal == found.signal
                && agree(expected.value, found.value)
                && agree(expected.capped, found.capped)
                && counts_agree(&expected.keys, &found.keys)
        })
}

fn agree(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs())
}
