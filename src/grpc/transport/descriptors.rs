//! The descriptors of the process: as many as the system lets it have, and some of them kept
//! back for the store, which must never find none left because of callers.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::DESCRIPTORS_KEPT_BACK;

/// Raises the soft limit of descriptors to the hard one: the soft one is low for the sake of
/// programs that use `select`.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, ?current, "the limit of open files stays as it is");
    }
}

/// Connections that there are descriptors for, at most so many.
pub(super) fn connections(wanted: usize) -> usize {
    let current = getrlimit(Resource::Nofile).current;
    let most = within(wanted, current);
    if most < wanted {
        tracing::warn!(
            max_connections = wanted,
            taken = most,
            open_files = current,
            kept_back = DESCRIPTORS_KEPT_BACK,
            "fewer connections are taken than may be: raise the limit of open files (ulimit -Hn)",
        );
    }
    most
}

fn within(wanted: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else {
        return wanted;
    };
    // A server that can hardly open a file still takes a few callers.
    wanted.min(limit.saturating_sub(DESCRIPTORS_KEPT_BACK).max(limit / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_store() {
        assert_eq!(within(2_000, None), 2_000);
        assert_eq!(within(2_000, Some(1 << 20)), 2_000);
        assert_eq!(within(2_000, Some(1_024)), 1_024 - DESCRIPTORS_KEPT_BACK);
        assert_eq!(within(2_000, Some(64)), 16);
        assert_eq!(within(5, Some(1_024)), 5);
    }
}
