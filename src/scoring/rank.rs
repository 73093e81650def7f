//! Rank keys: the order of profiles by points, the same at every instant.
//!
//! `key = log2(points(t)) + t / half_life` does not depend on `t` until the next write,
//! so an index of keys stays in the right order without any background work, and
//! "at least 20 points at `t`" is the range of keys from [`Slope::threshold_key`] upward.

use std::{cmp::Ordering, fmt, sync::Arc};

use super::{HalfLife, Timestamp, decay::faded, limits::RANK_SLACK};

/// The name of an index of rank keys, unique within a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RankName(Arc<str>);

impl RankName {
    /// The rank of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RankName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A place in a rank: never NaN, `-inf` for a profile that is counted but has no points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankKey(f64);

impl RankKey {
    /// Below every profile with points.
    pub const NO_POINTS: Self = Self(f64::NEG_INFINITY);

    /// The key of this value; `None` for NaN. Negative zero becomes zero.
    pub fn new(value: f64) -> Option<Self> {
        (!value.is_nan()).then_some(Self(value + 0.0))
    }

    /// The value.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl Eq for RankKey {}

impl PartialOrd for RankKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RankKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// How fast the line of a constant number of points rises: the half-lives of the scores that a
/// rank multiplies, less those of the scores that it divides by. Empty for what does not fade.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slope {
    half_lives: Vec<HalfLife>,
    divisors: Vec<HalfLife>,
}

impl Slope {
    /// The slope of a product of what fades with these half-lives.
    pub fn of(half_lives: impl IntoIterator<Item = HalfLife>) -> Self {
        Self {
            half_lives: half_lives.into_iter().collect(),
            divisors: Vec::new(),
        }
    }

    /// The same, divided by what fades with these half-lives.
    #[must_use]
    pub fn over(mut self, half_lives: impl IntoIterator<Item = HalfLife>) -> Self {
        self.divisors.extend(half_lives);
        self
    }

    fn sum(&self, of: impl Fn(&HalfLife) -> f64) -> f64 {
        let falling: f64 = self.divisors.iter().map(&of).sum();
        self.half_lives.iter().map(&of).sum::<f64>() - falling
    }

    /// What a rank key gains over `log2(points)` at `at`.
    pub fn rise(&self, at: Timestamp) -> f64 {
        self.sum(|half_life| half_life.elapsed(at))
    }

    /// What is left at `to` of points at `from`. Not the quotient of what is left of the parts,
    /// which may be too little for a number.
    pub fn decay_factor(&self, from: Timestamp, to: Timestamp) -> f64 {
        faded(self.sum(|half_life| half_life.between(from, to)))
    }

    /// The key of a profile with `points` at `at`; `None` without points.
    pub fn key(&self, points: f64, at: Timestamp) -> Option<RankKey> {
        (points > 0.0)
            .then(|| RankKey::new(points.log2() + self.rise(at)))
            .flatten()
    }

    /// The lowest key that counts as more than `points` at `at`.
    pub fn threshold_key_above(&self, points: f64, at: Timestamp) -> RankKey {
        RankKey(points.log2() + self.rise(at) + RANK_SLACK)
    }

    /// The lowest key that counts as `points` at `at`: the one test of a bound, for
    /// pages, counts, stages and segments alike.
    pub fn threshold_key(&self, points: f64, at: Timestamp) -> RankKey {
        RankKey(points.log2() + self.rise(at) - RANK_SLACK)
    }
}

/// Keys from `from` (included) up to `below` (excluded; `None` is without end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The lowest key.
    pub from: RankKey,
    /// The lowest key above the range.
    pub below: Option<RankKey>,
}

impl KeyRange {
    /// Every key, those without points too.
    pub const ALL: Self = Self {
        from: RankKey::NO_POINTS,
        below: None,
    };

    /// Whether the key lies in the range.
    pub fn contains(&self, key: RankKey) -> bool {
        key >= self.from && self.below.is_none_or(|below| key < below)
    }
}

/// A profile's move within one rank. The old key is what the stored record says, so an
/// index need not look it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankChange {
    /// Which rank.
    pub rank: RankName,
    /// Where the profile stood; `None` for nowhere.
    pub old: Option<RankKey>,
    /// Where it stands; `None` for nowhere.
    pub new: Option<RankKey>,
}
