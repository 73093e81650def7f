//! Lists that are answered in pages: each page is a part of a range of a rank, at the instant
//! and by the model of the first one.

use super::{Service, ServiceError, instants::Asked};
use crate::{
    rollout::ModelSnapshot,
    scoring::{Fingerprint, ProfileId, Tenant, Timestamp},
    store::{Cursor, RankRange, Store, Stored},
};

/// Which page of a list to read.
#[derive(Clone, Debug)]
pub struct Paging {
    /// The instant that is asked for; now when absent, or that of the first page.
    pub as_of: Option<Timestamp>,
    /// How many entries to read.
    pub page_size: usize,
    /// Where the page starts; `None` for the first one.
    pub start: Option<PageStart>,
}

impl Paging {
    fn asked(&self) -> Asked {
        let start = self.start.as_ref();
        start.map_or(Asked::of(self.as_of), |start| Asked::AsBefore(start.as_of))
    }
}

/// Where a page starts that is not the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageStart {
    /// The last entry of the page before.
    pub after: Cursor,
    /// How many entries are left of a share of the list, at least 1; `None` for all of it.
    pub left: Option<u64>,
    /// The instant of the pages.
    pub as_of: Timestamp,
    /// The model that the pages are by.
    pub model: Fingerprint,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<Entry> {
    /// The entries.
    pub entries: Vec<Entry>,
    /// How many entries the whole list has.
    pub total: u64,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<PageStart>,
    /// The instant of the page.
    pub as_of: Timestamp,
    /// The model that the page is by.
    pub model: Fingerprint,
}

impl<Entry> Page<Entry> {
    /// The page with other entries.
    pub(super) fn with<Other>(self, entries: Vec<Other>) -> Page<Other> {
        Page {
            entries,
            total: self.total,
            next: self.next,
            as_of: self.as_of,
            model: self.model,
        }
    }
}

/// The highest share of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fraction(f64);

impl Fraction {
    /// The share of this fraction; `None` unless it is above 0 and at most 1.
    pub fn new(fraction: f64) -> Option<Self> {
        (fraction > 0.0 && fraction <= 1.0).then_some(Self(fraction))
    }

    /// How many of `total` entries it is, rounded up.
    fn of(self, total: u64) -> u64 {
        // The product of a decimal fraction may lie a rounding above the whole number that it
        // stands for, and 0.07 of 100 is 7.
        const ROUNDING: f64 = 1e-12;
        let exact = self.0 * total as f64;
        let nearest = exact.round();
        let is_whole = (exact - nearest).abs() <= exact * ROUNDING;
        let entries = if is_whole { nearest } else { exact.ceil() };
        (entries as u64).min(total)
    }
}

impl<S: Store> Service<S> {
    /// Refuses to go on with pages that were begun by another model, or for another instant than
    /// the one that is asked for. Who asked a little too early was answered for a later one.
    pub(super) fn check_page(
        &self,
        snapshot: &ModelSnapshot,
        paging: &Paging,
    ) -> Result<(), ServiceError> {
        let Some(start) = &paging.start else {
            return Ok(());
        };
        if start.model != snapshot.model().fingerprint() {
            return Err(ServiceError::ModelChanged);
        }
        let is_of_start = |as_of: Timestamp| {
            as_of <= start.as_of && self.shell.is_within_skew(as_of, start.as_of)
        };
        if !paging.as_of.is_none_or(is_of_start) {
            return Err(ServiceError::AsOfChanged);
        }
        Ok(())
    }

    /// Reads a page of a range, or of its highest share: places from 1 and records, whoever has
    /// vanished since left out. The range is that of the instant that the page is of.
    pub(super) async fn read_page(
        &self,
        tenant: &Tenant,
        snapshot: &ModelSnapshot,
        range: impl Fn(Timestamp) -> RankRange,
        fraction: Option<Fraction>,
        paging: &Paging,
    ) -> Result<Page<(u64, Stored)>, ServiceError> {
        let found = self.read_entries(
            tenant,
            snapshot,
            range,
            fraction,
            (paging, paging.page_size),
        );
        let found = found.await?;
        let ids = found.profile_ids();
        let mut entries = Vec::with_capacity(ids.len());
        let loaded = self.shell.store.load(tenant, &ids).await;
        for (place, stored) in found.places().zip(loaded) {
            if let Some(stored) = stored? {
                entries.push((place, stored));
            }
        }
        Ok(Page {
            entries,
            total: found.total,
            next: found.after(ids.len()),
            as_of: found.as_of,
            model: found.model,
        })
    }

    /// Reads up to so many entries of a range, or of its highest share, without their records. The
    /// range is that of the instant that the page is of.
    pub(super) async fn read_entries(
        &self,
        tenant: &Tenant,
        snapshot: &ModelSnapshot,
        range: impl Fn(Timestamp) -> RankRange,
        fraction: Option<Fraction>,
        (paging, limit): (&Paging, usize),
    ) -> Result<Entries, ServiceError> {
        let start = paging.start.as_ref();
        let left = start.and_then(|start| start.left);
        let limit = left.map_or(limit, |left| {
            usize::try_from(left).map_or(limit, |left| left.min(limit))
        });
        let after = start.map(|start| &start.after);
        let generation = snapshot.active.generation;
        let store = &self.shell.store;
        let read = self.read_at(paging.asked(), async |at| {
            let range = range(at);
            let page = store.page(tenant, generation, &range, after, limit).await?;
            let latest = page.latest_counted;
            Ok((page, latest))
        });
        let (as_of, page) = read.await?;
        // Only the first page knows how many the share is.
        let left = match start {
            Some(_) => left,
            None => fraction.map(|fraction| fraction.of(page.total)),
        };
        let cursors = page.entries.into_iter();
        let cursors = cursors.map(|(key, profile_id)| Cursor { key, profile_id });
        let most = left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        Ok(Entries {
            cursors: cursors.take(most).collect(),
            preceding: page.preceding,
            total: page.total,
            left,
            as_of,
            model: snapshot.model().fingerprint(),
        })
    }
}

/// Entries of a range, in order.
#[derive(Debug)]
pub(super) struct Entries {
    cursors: Vec<Cursor>,
    /// How many entries of the range stand before them.
    preceding: u64,
    /// How many entries the range has.
    pub total: u64,
    /// How many entries of a share are left, these among them; `None` for all of the range.
    left: Option<u64>,
    /// The instant of the pages.
    pub as_of: Timestamp,
    model: Fingerprint,
}

impl Entries {
    pub(super) fn profile_ids(&self) -> Vec<ProfileId> {
        let cursors = self.cursors.iter();
        cursors.map(|cursor| cursor.profile_id.clone()).collect()
    }

    /// The place of each, from 1 for the first of the range.
    pub(super) fn places(&self) -> impl Iterator<Item = u64> + use<> {
        self.preceding + 1..
    }

    /// Where to go on when the first `read` of them are done with; `None` at the end.
    pub(super) fn after(&self, read: usize) -> Option<PageStart> {
        let last = self.cursors.get(read.checked_sub(1)?)?;
        let left = self.left.map(|left| left - read as u64);
        let is_end = self.preceding + read as u64 >= self.total || left == Some(0);
        (!is_end).then(|| PageStart {
            after: last.clone(),
            left,
            as_of: self.as_of,
            model: self.model,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_to_whole_entries_and_not_by_a_rounding_of_the_product() {
        let of = |fraction, total| Fraction::new(fraction).unwrap().of(total);
        assert_eq!(of(0.07, 100), 7, "0.07 * 100 is 7.000000000000001");
        assert_eq!(of(0.1, 30), 3);
        assert_eq!(of(0.1, 31), 4);
        assert_eq!(of(0.1, 3), 1);
        assert_eq!(of(0.5, 0), 0);
        assert_eq!(of(f64::MIN_POSITIVE, 1_000_000), 1);
        assert_eq!(of(1.0, 7), 7);
        assert_eq!(of(1.0 - f64::EPSILON / 2.0, 7), 7);
        for total in 0..2_000 {
            for percent in 1..=100 {
                let expected = u64::div_ceil(total * percent, 100);
                assert_eq!(
                    of(percent as f64 / 100.0, total),
                    expected,
                    "{percent}% of {total}"
                );
            }
        }
    }

    #[test]
    fn a_fraction_that_is_no_share_is_none() {
        for fraction in [0.0, -0.1, 1.000_001, f64::NAN, f64::INFINITY] {
            assert_eq!(Fraction::new(fraction), None);
        }
    }
}
