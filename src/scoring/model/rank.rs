//! The orders of profiles that a model makes: by a score, or by several, and the segments that are
//! parts of them.

use super::{
    calibration::Calibration,
    ids::{ConditionId, RankId, ScoreId},
    subjects::Population,
};
use crate::scoring::{Name, RankName, Slope};

/// An order of people, or of subjects of a kind, by a score, or by a product or ratio of scores.
#[derive(Debug)]
pub(crate) struct Rank {
    pub name: RankName,
    pub of: Population,
    /// Positions in `conditions` of what a profile must meet, ascending.
    pub conditions: Vec<ConditionId>,
    /// What is multiplied, ascending.
    pub factors: Vec<Factor>,
    pub slope: Slope,
}

impl Rank {
    /// Whether it divides by a score. Then it ranks everybody who has points on all its scores,
    /// however few.
    pub fn is_ratio(&self) -> bool {
        self.factors.iter().any(|factor| factor.is_divisor)
    }
}

/// A score that a rank multiplies, or divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Factor {
    pub score: ScoreId,
    /// Whether it stands below the line.
    pub is_divisor: bool,
}

impl Factor {
    /// The score itself.
    pub fn of(score: ScoreId) -> Self {
        Self {
            score,
            is_divisor: false,
        }
    }

    /// One over the score.
    pub fn below_the_line(score: ScoreId) -> Self {
        Self {
            score,
            is_divisor: true,
        }
    }

    /// The logarithm of the factor, from that of the score.
    pub fn log(self, of_score: f64) -> f64 {
        if self.is_divisor { -of_score } else { of_score }
    }

    /// What it makes of the points of the score.
    pub fn power(self, points: f64) -> f64 {
        if self.is_divisor {
            points.recip()
        } else {
            points
        }
    }
}

/// A segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub name: Name,
    /// Position in `ranks`.
    pub rank: RankId,
    pub min: f64,
    pub max: Option<f64>,
    pub calibration: Option<Calibration>,
}
