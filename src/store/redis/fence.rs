//! Fences: what refuses the commits of an earlier epoch.

use redis::Cmd;

use super::{super::Rollout, keys};

/// What a partition remembers of a rollout, and what it must not have seen.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fence {
    pub epoch: u64,
    after: u64,
    text: String,
    /// Whether commits note what they write.
    pub is_copying: bool,
}

impl Fence {
    /// The fence of a rollout: its epoch, then the numbers of the generations that are maintained.
    pub fn of(rollout: &Rollout) -> Self {
        let mut text = rollout.epoch.to_string();
        for generation in rollout.maintained() {
            text.push(' ');
            text.push_str(&generation.number.to_string());
        }
        Self {
            epoch: rollout.epoch,
            after: rollout.after,
            text,
            is_copying: rollout.repartition.is_some(),
        }
    }

    /// The fence of partitions that are filled with copies.
    pub fn of_copies(rollout: &Rollout) -> Self {
        Self {
            text: keys::filling(rollout.epoch),
            ..Self::of(rollout)
        }
    }

    /// What a partition remembers.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The arguments of a script that compares it.
    pub fn add_to(&self, call: &mut Cmd) {
        call.arg(self.epoch).arg(self.after).arg(&self.text);
    }
}
