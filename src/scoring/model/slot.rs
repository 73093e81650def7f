//! What a record keeps one count for.

use crate::scoring::{HalfLife, Name};

/// A count that records keep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub half_life: Option<HalfLife>,
    pub signal: Name,
}
