//! What must have come of a run: everything that was done, counted once by the pure core,
//! beside what the store keeps.

use std::collections::{BTreeMap, BTreeSet};

use bellwether::{
    scoring::{
        Context, Detail, Effect, Event, IdHash, Model, Outcome, ProfileId, Record, RecordEdit,
        Timestamp, explain,
    },
    store::TopicTotals,
};

use crate::{
    clients::Told,
    differences::{Doubt, differences},
    network::World,
    people::{self, Action, Order, Plan, TOPICS},
};

/// What a plan leads to.
#[derive(Default)]
struct Recount {
    records: BTreeMap<ProfileId, Record>,
    /// What nobody can tell of them.
    doubts: BTreeMap<ProfileId, Doubt>,
}

impl Recount {
    fn of(plan: &Plan, told: &BTreeMap<(ProfileId, IdHash), Told>, model: &Model) -> Self {
        match plan.order {
            Order::Kept => Self::in_order(plan, model),
            Order::Free => Self::in_any_order(plan, told, model),
        }
    }

    /// One action after the other, as they were acknowledged. Effects follow at the end, because
    /// they cause nothing.
    fn in_order(plan: &Plan, model: &Model) -> Self {
        let mut recount = Self::default();
        let mut effects: Vec<Effect> = Vec::new();
        for action in &plan.actions {
            effects.extend(recount.act(plan, model, action));
        }
        recount.take(model, &effects);
        recount
    }

    /// What was taken back has never been, but that some of it may have moved the instants of
    /// those who saw it: whoever was told so knows of the person, and nobody of others.
    fn in_any_order(
        plan: &Plan,
        told: &BTreeMap<(ProfileId, IdHash), Told>,
        model: &Model,
    ) -> Self {
        let mut recount = Self::default();
        let mut effects: Vec<Effect> = Vec::new();
        let is_retraction =
            |action: &&Action| matches!(action, Action::Retraction(_) | Action::Regretted(_));
        for action in plan.actions.iter().filter(is_retraction) {
            let (Action::Retraction(event) | Action::Regretted(event)) = action else {
                continue;
            };
            let retraction = Action::Retraction(event.clone());
            effects.extend(recount.act(plan, model, &retraction));
            let known = (event.profile_id.clone(), event.id);
            let told = told.get(&known).copied().unwrap_or_default();
            recount.doubt(plan, model, event, told);
        }
        // Whose retraction came first, counts nothing now.
        for action in plan.actions.iter().filter(|action| !is_retraction(action)) {
            effects.extend(recount.act(plan, model, action));
        }
        recount.take(model, &effects);
        recount
    }

    fn doubt(&mut self, plan: &Plan, model: &Model, event: &Event, told: Told) {
        let time = event.time.unwrap_or(Timestamp::EPOCH);
        let person = self.doubts.entry(event.profile_id.clone()).or_default();
        if told.applied + told.retracted > 0 {
            person.counted.insert(time);
        } else if told.retracted_in_advance == 0 {
            person.perhaps_counted.insert(time);
        }
        let mut alone = Self::default();
        for effect in alone.act(plan, model, &Action::Event(event.clone())) {
            let other = self.doubts.entry(effect.subject_id().clone()).or_default();
            other.perhaps_taken.insert(effect.id());
            match effect {
                Effect::SubjectDelta(share) => other.perhaps_counted.insert(share.time),
                Effect::Credit(credit) => other.perhaps_credited.insert(credit.time),
            };
        }
    }

    fn act(&mut self, plan: &Plan, model: &Model, action: &Action) -> Vec<Effect> {
        let records = &mut self.records;
        let outcome = evaluate(model, records, action.profile_id(), |edit| {
            let context = |event: &Event| {
                let at = event.time.unwrap_or(Timestamp::EPOCH);
                Context::at(at, plan.remembered_events)
            };
            match action {
                Action::Event(event) => drop(edit.apply(event, &context(event))),
                Action::Retraction(event) | Action::Regretted(event) => {
                    edit.retract(event, &context(event));
                }
                Action::Update(update) => {
                    let record = edit.record();
                    let stated = record.attributes_after(&update.attributes, &update.removed);
                    edit.update(stated, Timestamp::EPOCH);
                }
            }
        });
        outcome.effects
    }

    fn take(&mut self, model: &Model, effects: &[Effect]) {
        for effect in effects {
            evaluate(model, &mut self.records, effect.subject_id(), |edit| {
                edit.apply_effect(effect);
            });
        }
    }
}

fn evaluate(
    model: &Model,
    records: &mut BTreeMap<ProfileId, Record>,
    profile_id: &ProfileId,
    count: impl FnOnce(&mut RecordEdit<'_>),
) -> Outcome {
    let stored = records.get(profile_id).cloned();
    let mut edit = RecordEdit::begin(model, profile_id.clone(), stored);
    count(&mut edit);
    let outcome = edit.finish();
    records.insert(profile_id.clone(), outcome.record.clone());
    outcome
}

/// Compares everything that a store keeps with what a plan leads to.
pub fn compare(
    world: &mut World,
    plan: &Plan,
    told: &BTreeMap<(ProfileId, IdHash), Told>,
    model: &Model,
) {
    let recount = Recount::of(plan, told, model);
    let (expected, certain) = (recount.records, Doubt::default());
    let mut found: BTreeMap<ProfileId, Record> = BTreeMap::new();
    for (position, partition) in world.partitions.iter().enumerate() {
        for (profile_id, stored) in &partition.records {
            assert_eq!(world.partition_of(profile_id), position);
            found.insert(profile_id.clone(), Record::clone(&stored.record));
        }
    }
    let mut wrong: Vec<String> = Vec::new();
    let everybody: BTreeSet<&ProfileId> = expected.keys().chain(found.keys()).collect();
    for profile_id in everybody {
        match (expected.get(profile_id), found.get(profile_id)) {
            (Some(expected), Some(found)) => {
                let doubt = recount.doubts.get(profile_id).unwrap_or(&certain);
                for difference in differences(expected, found, doubt) {
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

/// Accounts and authors have what they had once, and then what the events come to: that must make
/// all of it right, and touch nothing else.
pub fn lose_and_mend(world: &mut World, plan: &Plan, model: &Model) {
    let replicas = world
        .replicas
        .iter()
        .filter_map(|replicas| replicas.first());
    let earlier: BTreeMap<ProfileId, Record> = replicas
        .flat_map(|replica| replica.records.values())
        .map(|stored| (stored.profile_id.clone(), Record::clone(&stored.record)))
        .collect();
    let expected = Recount::of(plan, &BTreeMap::new(), model).records;
    world.has_lost = true;
    for had in [earlier, expected] {
        world.note("what others' events came to is replaced");
        world.rewrite(|id, record| {
            let nothing = Record::default();
            record.recounted(id.is_person(), had.get(id).unwrap_or(&nothing))
        });
    }
    compare(world, plan, &BTreeMap::new(), model);
}

/// Whether somebody has caused more than they remember: what of it others have lost is lost.
pub fn has_forgotten(world: &World) -> bool {
    let partitions = world.partitions.iter();
    let mut stored = partitions.flat_map(|partition| partition.records.values());
    stored.any(|stored| stored.record.has_forgotten_caused)
}

/// Whether a plan has somebody stand at a stage that asks for more points to reach it than they
/// have, so long after their last event.
pub fn somebody_keeps(plan: &Plan, later_nanos: i64) -> bool {
    let model = &people::models(plan.order)[0];
    let records = Recount::of(plan, &BTreeMap::new(), model).records;
    records.iter().any(|(id, record)| {
        let at = record.last_event_time.saturating_add_nanos(later_nanos);
        let profile = explain(model, id, record, at, Detail::Contributions);
        let current = profile.stage_explanation.and_then(|stage| stage.current);
        current.is_some_and(|stage| stage.points < stage.min)
    })
}

fn sum_of(records: &BTreeMap<ProfileId, Record>, topic: &str) -> TopicTotals {
    let mut sum = TopicTotals::default();
    for record in records.values() {
        for (of, touches, advance_millionths) in record.topic_deltas() {
            if of == topic {
                sum.touches += touches.unsigned_abs();
                sum.advance_millionths += advance_millionths.unsigned_abs();
            }
        }
    }
    sum
}

/// Entries of the active generation that are missing, stale or of nobody, and ranks of others.
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
                // Of a generation that a failover has lost nobody knows that it is to be deleted.
                if world.loses {
                    continue;
                }
                wrong.push(format!(
                    "{rank} of another generation is left in partition {partition}"
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
