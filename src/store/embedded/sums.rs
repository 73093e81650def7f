//! What the records of a tenant add up to.

use std::collections::HashMap;

use super::super::{TopicTotals, TotalsChange};
use crate::scoring::{Name, Record, Timestamp};

/// How many records there are, totals of topics, and the latest instant that was counted.
#[derive(Default)]
pub struct Sums {
    records: u64,
    totals: HashMap<Name, TopicTotals>,
    latest_counted: Timestamp,
}

/// What a commit changes of them.
pub struct SumsChange<'a> {
    /// How many records more, or fewer.
    pub records: i64,
    pub totals: &'a [TotalsChange],
    /// The latest instant that the record counted.
    pub latest_counted: Timestamp,
}

impl Sums {
    /// Adds a record.
    pub fn add_record(&mut self, record: &Record) {
        self.records += 1;
        for change in record.topic_deltas().map(TotalsChange::adding) {
            self.add(&change);
        }
        self.count_until(record.latest_counted().up_to_second());
    }

    /// Adds what a commit changes.
    pub fn follow(&mut self, change: &SumsChange<'_>) {
        self.records = self.records.saturating_add_signed(change.records);
        change.totals.iter().for_each(|change| self.add(change));
        self.count_until(change.latest_counted);
    }

    /// Adds a change of the totals.
    fn add(&mut self, change: &TotalsChange) {
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
    fn count_until(&mut self, instant: Timestamp) {
        self.latest_counted = self.latest_counted.max(instant);
    }

    /// The sums of these records and those.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.records += other.records;
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

    /// How many records there are.
    pub const fn records(&self) -> u64 {
        self.records
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
