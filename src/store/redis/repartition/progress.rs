//! How far a repartition is, what has come of it, and why it has failed.

use std::time::Duration;

use super::super::super::StoreError;

/// Why the number of partitions was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepartitionError {
    /// It cannot be now; the message says what to do.
    #[error("{0}")]
    Refused(String),
    /// The store failed, again and again.
    #[error("{0}; nothing is lost, and running it again goes on")]
    Store(#[from] StoreError),
}

/// What is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another one works on the tenant.
    Waiting,
    /// So many records of so many are copied.
    Copying {
        /// How many.
        copied: u64,
        /// Of how many there were at the beginning.
        all: u64,
    },
    /// All are copied once, and so many that were written since are to be copied again.
    Following {
        /// How many.
        written: u64,
    },
    /// Commits are held up.
    Switching,
    /// So many records of what is left over are deleted.
    Deleting {
        /// How many.
        deleted: u64,
    },
    /// An attempt has failed, and is made again.
    Failed(StoreError),
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repartitioned {
    /// Records that were copied, those that were written meanwhile several times.
    pub copied: u64,
    /// For how long commits were held up; `None` when there was nothing to change any more.
    pub pause: Option<Duration>,
    /// Whether copies were lost, and all had to be made once more.
    pub are_copies_lost: bool,
}
