//! How long a stretch of work keeps its thread before others get a turn.

use crate::limits::STEPS_PER_TURN;

/// The steps of expressions since others last had a turn. They are counted, not timed, so that a
/// simulated run is the same each time.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    steps: usize,
}

impl Stretch {
    /// Notes steps that were taken, and lets others go first after many of them.
    pub(crate) async fn took(&mut self, steps: usize) {
        self.steps += steps;
        if self.steps >= STEPS_PER_TURN {
            self.steps = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn others_get_a_turn_after_so_many_steps() {
        let mut stretch = Stretch::default();
        for _ in 0..2 {
            assert!(poll!(Box::pin(stretch.took(STEPS_PER_TURN - 1))).is_ready());
            assert!(poll!(Box::pin(stretch.took(1))).is_pending());
        }
    }
}
