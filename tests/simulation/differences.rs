//! What differs between a record and its recount, where only sums of fractions may, by their last
//! digits, lists whose order is that of arrival, and what nobody was told.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use bellwether::scoring::{EffectMemory, HalfLife, IdHash, Name, Record, Timestamp};

use crate::people::{FIRST_STAGE, INFLUENCE_HALF_LIFE, INTERESTS_HALF_LIFE};

/// What cannot be known of a record whose events were taken back: they may have counted for a
/// while, or only have been kept from counting. Only instants and memories show which.
#[derive(Default)]
pub struct Doubt {
    /// When events counted that were taken back.
    pub counted: BTreeSet<Timestamp>,
    /// When others may have.
    pub perhaps_counted: BTreeSet<Timestamp>,
    /// When credits may have been earned that were taken back.
    pub perhaps_credited: BTreeSet<Timestamp>,
    /// Effects that may have been given before they were taken.
    pub perhaps_taken: BTreeSet<IdHash>,
}

impl Doubt {
    fn may_be_first(&self, expected: Timestamp, found: Timestamp) -> bool {
        let never = Timestamp::EPOCH;
        let known = self.counted.iter().copied().chain([expected]);
        let first = known.filter(|at| *at != never).min().unwrap_or(never);
        let is_earlier = first == never || found < first;
        found == first || (is_earlier && self.perhaps_counted.contains(&found))
    }

    fn may_be_last(&self, expected: Timestamp, found: Timestamp) -> bool {
        let known = self.counted.iter().copied();
        let last = known.max().map_or(expected, |at| at.max(expected));
        found == last || (found > last && self.perhaps_counted.contains(&found))
    }

    fn may_be_credited(&self, expected: Timestamp, found: Timestamp) -> bool {
        found == expected || (found > expected && self.perhaps_credited.contains(&found))
    }

    /// Where there is a doubt, nothing is reached but the first stage, by the first event. Who has
    /// earned a credit stands there too, so that it depends on others whether a retraction finds
    /// somebody there who had been higher before.
    fn may_be_reached(&self, expected: &[Name], found: &[Name]) -> bool {
        let above = |stages: &[Name]| -> Vec<Name> {
            let above = stages.iter().filter(|stage| *stage != FIRST_STAGE);
            above.cloned().collect()
        };
        if above(expected) != above(found) {
            return false;
        }
        let [expected, found] = [expected, found].map(<[Name]>::is_empty);
        match found {
            true => expected && self.counted.is_empty(),
            false => !expected || !self.counted.is_empty() || !self.perhaps_counted.is_empty(),
        }
    }

    fn may_be_taken(&self, expected: &EffectMemory, found: &EffectMemory) -> bool {
        let ids = |memory: &EffectMemory| -> BTreeSet<IdHash> {
            memory.remembered.iter().map(|(_, id)| *id).collect()
        };
        let (wanted, known) = (ids(expected), ids(found));
        known.len() == found.remembered.len()
            && known.is_superset(&wanted)
            && known
                .difference(&wanted)
                .all(|id| self.perhaps_taken.contains(id))
    }
}

/// What of `found` is not what was expected.
pub fn differences(expected: &Record, found: &Record, doubt: &Doubt) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, same: bool, expected: &dyn Debug, found: &dyn Debug| {
        if !same {
            differences.push(format!("{what} is {found:?}, expected {expected:?}"));
        }
    };
    macro_rules! same {
        ($($field:ident),*) => {
            $(same!($field if expected.$field == found.$field);)*
        };
        ($field:ident if $same:expr) => {
            compare(stringify!($field), $same, &expected.$field, &found.$field);
        };
    }
    same!(
        attributes,
        event_count,
        last_counted,
        counted_keys,
        seen_types,
        memory,
        touches,
        kept_stages,
        quarantine
    );
    let may = doubt.may_be_first(expected.first_seen_time, found.first_seen_time);
    same!(first_seen_time if may);
    let may = doubt.may_be_last(expected.last_event_time, found.last_event_time);
    same!(last_event_time if may);
    let may = doubt.may_be_credited(expected.influence_time, found.influence_time);
    same!(influence_time if may);
    let may = doubt.may_be_reached(&expected.reached_stages, &found.reached_stages);
    same!(reached_stages if may);
    let may = doubt.may_be_taken(&expected.effects, &found.effects);
    same!(effects if may);

    let at = expected.last_event_time.max(found.last_event_time);
    same!(counts if agree(&counts(expected, at), &counts(found, at)));
    let (one, other) = (interests(expected, at), interests(found, at));
    same!(interests if agree(&one, &other));
    let at = expected.influence_time.max(found.influence_time);
    let (one, other) = (credits(expected, at), credits(found, at));
    same!(influence if agree(&one, &other));
    differences
}

/// What fades, at an instant.
type Amounts<'r> = BTreeMap<(Option<HalfLife>, &'r str, &'r str), f64>;

fn counts(record: &Record, at: Timestamp) -> Amounts<'_> {
    let groups = record.counts.iter().flat_map(|group| {
        let half_life = group.half_life;
        let left = half_life.map_or(1.0, |half_life| {
            half_life.decay_factor(record.last_event_time, at)
        });
        group.counts.iter().flat_map(move |count| {
            let signal = count.signal.as_str();
            let parts = count.parts().chain([("cut off", count.capped)]);
            parts.map(move |(key, value)| ((half_life, signal, key), value * left))
        })
    });
    groups.collect()
}

fn interests(record: &Record, at: Timestamp) -> Amounts<'_> {
    let left = INTERESTS_HALF_LIFE.decay_factor(record.last_event_time, at);
    let interests = record.interests.iter();
    interests
        .map(|count| ((None, count.name.as_str(), ""), count.value * left))
        .collect()
}

/// The cells of an author: credit, touches and advances each by itself.
fn credits(record: &Record, at: Timestamp) -> BTreeMap<(&str, &str, &str), f64> {
    let left = INFLUENCE_HALF_LIFE.decay_factor(record.influence_time, at);
    let cells = record.influence.iter().flat_map(|cell| {
        let named = |what, amount| ((cell.topic.as_str(), cell.stage.as_str(), what), amount);
        [
            named("credit", cell.credit * left),
            named("touches", cell.touches as f64),
            named("advances", cell.advance_millionths as f64),
        ]
    });
    cells.collect()
}

/// Whether amounts are the same but for their last digits; what is missing is nothing.
fn agree<K: Ord>(one: &BTreeMap<K, f64>, other: &BTreeMap<K, f64>) -> bool {
    let mut names = one.keys().chain(other.keys());
    names.all(|name| {
        let amount = |amounts: &BTreeMap<K, f64>| amounts.get(name).copied().unwrap_or(0.0);
        let (one, other) = (amount(one), amount(other));
        (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
    })
}
