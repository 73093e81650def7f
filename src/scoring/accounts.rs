//! Accounts: companies and households, which count what the events of their people counted.

use super::{
    Effect, EffectKind, HalfLife, Judgement, ProfileId, Record, Share, SharedChange, Timestamp,
    apply::Deed,
    counting::{CountChange, count_of, keep_greatest},
    influence::{Cause, effect_id},
    model::Model,
    standing::remaining,
};

impl Judgement<'_> {
    /// Has the account of an event count what the event changed here, or lose it again.
    pub(super) fn share(
        &mut self,
        deed: &Deed<'_>,
        account_id: ProfileId,
        changes: &[CountChange<'_>],
        kind: EffectKind,
    ) {
        let now = self.record.last_event_time;
        let changes = changes.iter().map(|change| SharedChange {
            half_life: change.half_life,
            signal: change.signal.to_owned(),
            key: change.key.clone(),
            amount: at_event(change.half_life, change.change, deed.at, now),
        });
        self.effects.push(Effect::Share(Share {
            id: effect_id(Cause::Share, self.profile_id.as_str(), deed.hash()),
            kind,
            account_id,
            time: deed.at,
            changes: changes.filter(|change| change.amount != 0.0).collect(),
            topics: deed.topics.to_vec(),
            event_type: deed.event_type.to_owned(),
        }));
    }

    /// Counts a share. Returns whether what conditions read has changed.
    pub(super) fn take_share(&mut self, share: &Share) -> bool {
        let (model, record) = (self.model, &mut self.record);
        if share.kind != EffectKind::Given {
            for change in &share.changes {
                record.take_shared(change, share.time);
            }
            for topic in &share.topics {
                record.uncount_interest(model, topic, share.time);
            }
            record.event_count = record.event_count.saturating_sub(1);
            return record.unsee(&share.event_type);
        }
        record.advance_to(model, share.time.max(record.last_event_time));
        for change in &share.changes {
            record.add_shared(change, share.time);
        }
        record.keep_shared(model, &share.changes);
        for topic in &share.topics {
            record.count_interest(model, topic, share.time);
        }
        record.note_event(share.time);
        record.see(model, &share.event_type)
    }
}

impl Record {
    fn add_shared(&mut self, change: &SharedChange, at: Timestamp) {
        // The latest value of a signal may be smaller than the one before it.
        if change.amount < 0.0 {
            return self.take_shared(change, at);
        }
        let added = change.amount * remaining(change.half_life, at, self.last_event_time);
        let counts = self.counts_of(change.half_life);
        *count_of(counts, &change.signal, &change.key) += added;
    }

    /// Keeps as many keys as the model says, once all keys of an event are there: which of them
    /// are dropped must not depend on their order within the event.
    fn keep_shared(&mut self, model: &Model, changes: &[SharedChange]) {
        for change in changes.iter().filter(|change| !change.key.is_empty()) {
            let Some(position) = model.signals_by_name.get(&change.signal) else {
                continue;
            };
            let counts = self.counts_of(change.half_life);
            keep_greatest(counts, &change.signal, model.signals[*position].max_keys);
        }
    }

    fn take_shared(&mut self, change: &SharedChange, at: Timestamp) {
        let taken = change.amount.abs() * remaining(change.half_life, at, self.last_event_time);
        self.take(change.half_life, &change.signal, &change.key, taken);
    }
}

/// A change at the person's reference instant, as of the instant of the event, which is no
/// later.
fn at_event(half_life: Option<HalfLife>, change: f64, at: Timestamp, now: Timestamp) -> f64 {
    let left = remaining(half_life, at, now);
    if left.is_normal() { change / left } else { 0.0 }
}
