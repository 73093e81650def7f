//! Accounts: companies and households, which count what the events of their people counted.

use super::{
    Effect, EffectKind, HalfLife, Judgement, ProfileId, Record, Share, SharedChange, Timestamp,
    apply::Deed,
    effects::{Cause, effect_id},
    model::Model,
    standing::remaining,
};

/// Collects what an event changes, for its account.
#[derive(Debug)]
pub(super) struct Sharing {
    account_id: Option<ProfileId>,
    at: Timestamp,
    now: Timestamp,
    changes: Vec<SharedChange>,
}

impl Sharing {
    /// Of an event that is counted, or taken back, at the person's reference instant.
    pub(super) fn of(deed: &Deed<'_>, now: Timestamp) -> Self {
        Self {
            account_id: deed.account_id.clone(),
            at: deed.at,
            now,
            changes: Vec::new(),
        }
    }

    /// Notes a change of the count of a signal and a key at the person's reference instant, limits
    /// kept; below 0 for what is taken back, and when a smaller value is the latest.
    pub(super) fn note(
        &mut self,
        half_life: Option<HalfLife>,
        signal: &str,
        key: &str,
        change: f64,
    ) {
        if self.account_id.is_none() {
            return;
        }
        let amount = at_event(half_life, change, self.at, self.now);
        if amount != 0.0 {
            self.changes.push(SharedChange {
                half_life,
                signal: signal.to_owned(),
                key: key.to_owned(),
                amount,
            });
        }
    }
}

impl Judgement<'_> {
    /// Has the account of an event, when there is one, count what the event changed here, or
    /// lose it again.
    pub(super) fn share(&mut self, deed: &Deed<'_>, sharing: Sharing, kind: EffectKind) {
        let Some(account_id) = sharing.account_id else {
            return;
        };
        self.cause(Effect::Share(Share {
            id: effect_id(Cause::Share, &self.profile_id, deed.hash()),
            kind,
            account_id,
            time: deed.at,
            changes: sharing.changes,
            topics: deed.topics.to_vec(),
            event_type: deed.event_type.to_owned(),
        }));
    }

    /// Counts a share. Returns whether what conditions read has changed.
    pub(super) fn take_share(&mut self, share: &Share) -> bool {
        let (model, record) = (self.model, &mut self.record);
        let is_given = share.kind == EffectKind::Given;
        if is_given {
            record.advance_to(model, share.time.max(record.last_event_time));
        }
        for change in &share.changes {
            record.add_shared(change, share.time);
        }
        if !is_given {
            for topic in &share.topics {
                record.uncount_interest(model, topic, share.time);
            }
            record.event_count = record.event_count.saturating_sub(1);
            return record.unsee(&share.event_type);
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
    /// Follows a change, of which nothing falls below 0. It may be below 0 where an event counts,
    /// and above where it is taken back: the latest value of a signal may be a smaller one.
    fn add_shared(&mut self, change: &SharedChange, at: Timestamp) {
        let added = change.amount * remaining(change.half_life, at, self.last_event_time);
        if added < 0.0 {
            self.take(change.half_life, &change.signal, &change.key, -added);
            return;
        }
        let count = self.count_of(change.half_life, &change.signal);
        *count.of_key(&change.key) += added;
    }

    /// Keeps as many keys as the model says, once all keys of an event are there: which of them
    /// are dropped must not depend on their order within the event.
    fn keep_shared(&mut self, model: &Model, changes: &[SharedChange]) {
        for change in changes.iter().filter(|change| !change.key.is_empty()) {
            let Some(position) = model.signals_by_name.get(&change.signal) else {
                continue;
            };
            let has_counted = |key: &str| {
                let mut own = changes.iter().filter(|own| own.signal == change.signal);
                own.any(|own| own.key == key)
            };
            let count = self.count_of(change.half_life, &change.signal);
            count.keep_greatest(model.signals[*position].max_keys, has_counted);
        }
    }
}

/// A change at the person's reference instant, as of the instant of the event, which is no
/// later.
fn at_event(half_life: Option<HalfLife>, change: f64, at: Timestamp, now: Timestamp) -> f64 {
    let left = remaining(half_life, at, now);
    if left.is_normal() { change / left } else { 0.0 }
}
