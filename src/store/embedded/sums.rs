//! What the records of a tenant add up to.

use std::collections::HashMap;

use super::super::{TopicTotals, TotalsChange};
use crate::scoring::{Name, Record, Timestamp};

/// Totals of topics, and the latest instant that was counted.
#[derive(Default)]
pub struct Sums {
    totals: HashMap<Name, TopicTotals>,
    latest_counted: Timestamp,
}

impl Sums {
    /// Adds a record.
    pub fn add_record(&mut self, record: &Record) {
        for change in record.topic_deltas().map(TotalsChange::adding) {
            self.add(&change);
        }
        self.count_until(record.latest_counted().up_to_second());
    }

    /// Adds a change of the totals.
    pub fn add(&mut self, change: &TotalsChange) {
        if !self.totals.contains_key(&change.topic) {
            self.totals
                .insert(change.topic.clone(), TopicTotals::default());
        }
        if let Some(totals) = self.totals.get_mut(&change.topic) {
            totals.touches = totals.touches.saturating_add_signed(change.touches);
            totals.advance_millionths = totals
                .advance_millionths
                .saturating_add_signed(change.advance_millionths);
        }
    }

    /// Notes that something was counted at an instant.
    pub fn count_until(&mut self, instant: Timestamp) {
        self.latest_counted = self.latest_counted.max(instant);
    }

    /// The sums of these records and those.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (topic, added) in other.totals {
            let totals = self.totals.entry(topic).or_default();
            totals.touches = totals.touches.saturating_add(added.touches);
            totals.advance_millionths = totals
                .advance_millionths
                .saturating_add(added.advance_millionths);
        }
        self.count_until(other.latest_counted);
        self
    }

    /// The totals of a topic.
    pub fn of_topic(&self, topic: &str) -> TopicTotals {
        self.totals.get(topic).copied().unwrap_or_default()
    }

    /// The latest instant that was counted.
    pub const fn latest_counted(&self) -> Timestamp {
        self.latest_counted
    }
}
