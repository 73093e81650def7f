//! Who stands in the funnel, and how many of them a question that takes its time may find.

use std::collections::BTreeSet;

use bellwether::scoring::{ProfileId, Record};

/// The people who have done or stated something, as of the latest commit.
#[derive(Default)]
pub struct Crowd {
    members: BTreeSet<ProfileId>,
    /// Who came and who left, in order.
    moves: Vec<(ProfileId, bool)>,
}

/// A crowd as it was once.
pub struct Watched {
    members: BTreeSet<ProfileId>,
    moves: usize,
}

impl Crowd {
    /// Follows a commit.
    pub fn note(&mut self, profile_id: &ProfileId, record: Option<&Record>) {
        let stands = profile_id.is_person()
            && record.is_some_and(|record| record.event_count > 0 || !record.attributes.is_empty());
        let moved = match stands {
            true => self.members.insert(profile_id.clone()),
            false => self.members.remove(profile_id),
        };
        if moved {
            self.moves.push((profile_id.clone(), stands));
        }
    }

    /// The crowd as it is now.
    pub fn watch(&self) -> Watched {
        Watched {
            members: self.members.clone(),
            moves: self.moves.len(),
        }
    }

    /// How many were there all the time since, and how many at any time.
    pub fn since(&self, watched: &Watched) -> (u64, u64) {
        let moves = &self.moves[watched.moves..];
        let moved: BTreeSet<&ProfileId> = moves.iter().map(|(id, _)| id).collect();
        let stayed = watched.members.iter().filter(|id| !moved.contains(id));
        let ever: BTreeSet<&ProfileId> = watched.members.iter().chain(moved.clone()).collect();
        (stayed.count() as u64, ever.len() as u64)
    }
}
