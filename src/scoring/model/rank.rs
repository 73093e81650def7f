//! The orders of profiles that a model makes: by a score, or by several, and the segments that are
//! parts of them.

use super::{
    calibration::Calibration,
    ids::{ConditionId, RankId, ScoreId},
};
use crate::scoring::{RankName, Slope, Subject};

/// An order of people, or of accounts, by a score or a product of scores.
#[derive(Debug)]
pub(crate) struct Rank {
    pub name: RankName,
    pub of: Subject,
    /// Positions in `conditions` of what a profile must meet, ascending.
    pub conditions: Vec<ConditionId>,
    /// Positions of the scores that are multiplied.
    pub scores: Vec<ScoreId>,
    pub slope: Slope,
}

/// A segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub name: String,
    /// Position in `ranks`.
    pub rank: RankId,
    pub min: f64,
    pub max: Option<f64>,
    pub calibration: Option<Calibration>,
}
