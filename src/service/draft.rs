//! A draft: the record of a profile after some work, not yet written, with the work that waits for
//! it; and one that is open, to which work is still applied.

use std::sync::Arc;

use crate::{
    rollout::ModelSnapshot,
    scoring::{Effect, Incarnation, Outcome, ProfileId, Record, RecordEdit},
    store::{Commit, StoreError, Stored, TotalsChange, Version},
};

/// A profile's record while a round of work is applied to it.
pub(super) struct OpenDraft<'m> {
    pub profile_id: ProfileId,
    pub edit: RecordEdit<'m>,
    expected: Option<Version>,
    stored_bytes: usize,
    before: Option<Record>,
}

impl<'m> OpenDraft<'m> {
    /// Starts from what is stored of a profile, or from nothing.
    pub(super) fn new(
        snapshot: &'m ModelSnapshot,
        profile_id: ProfileId,
        stored: Option<Stored>,
    ) -> Self {
        let expected = stored.as_ref().map(|stored| stored.version);
        let stored_bytes = stored.as_ref().map_or(0, |stored| stored.bytes);
        let before = snapshot.before(stored.as_ref().map(|stored| &*stored.record));
        let stored = stored.map(|stored| Arc::unwrap_or_clone(stored.record));
        Self {
            edit: RecordEdit::begin(snapshot.model(), profile_id.clone(), stored),
            profile_id,
            expected,
            stored_bytes,
            before,
        }
    }

    /// What is to be written, and the work that waits for it.
    pub(super) fn finish<W>(self, work: Vec<W>) -> Draft<W> {
        Draft {
            profile_id: self.profile_id,
            work,
            expected: self.expected,
            stored_bytes: self.stored_bytes,
            before: self.before,
            outcome: Box::new(self.edit.finish()),
        }
    }
}

/// A profile's record after a round of work, not yet written.
pub(super) struct Draft<W> {
    pub profile_id: ProfileId,
    pub work: Vec<W>,
    expected: Option<Version>,
    stored_bytes: usize,
    /// The record before, when the ranks of a candidate are to follow.
    before: Option<Record>,
    /// In a place of its own, because drafts are moved about, many together.
    pub outcome: Box<Outcome>,
}

impl<W> Draft<W> {
    /// The records that it makes, unless they are there: its own if there was none, and those that
    /// its effects are on.
    pub(super) fn touched_records(&self) -> impl Iterator<Item = &ProfileId> {
        let makes_own = self.expected.is_none() && self.outcome.changed;
        let own = makes_own.then_some(&self.profile_id);
        let others = self.outcome.all_effects().map(Effect::subject_id);
        own.into_iter().chain(others)
    }

    /// Of a draft that changes nothing: the work, and the record if it is as it was stored.
    pub(super) fn into_unchanged(self) -> (Vec<W>, Option<Stored>) {
        let outcome = *self.outcome;
        let version = self.expected.filter(|_| outcome.is_as_stored);
        let stored = version.map(|version| Stored {
            profile_id: self.profile_id,
            version,
            record: Arc::new(outcome.record),
            bytes: self.stored_bytes,
        });
        (self.work, stored)
    }

    /// The write, and the work that waits for it.
    pub(super) fn into_commit(
        self,
        snapshot: &ModelSnapshot,
    ) -> Result<(Commit, Vec<W>), (StoreError, Vec<W>)> {
        let version = match new_version() {
            Ok(version) => version,
            Err(error) => return Err((error, self.work)),
        };
        let mut outcome = self.outcome;
        // Of all that is drawn at random for a record, the version of its first write is the first.
        outcome.record.incarnate(Incarnation(version.0));
        let before = self.before.as_ref();
        let after = Some(&outcome.record);
        let commit = Commit {
            ranks: snapshot.moves(&self.profile_id, outcome.ranks, before, after),
            profile_id: self.profile_id,
            expected: self.expected,
            version,
            record: Some(outcome.record),
            totals: outcome
                .totals
                .into_iter()
                .map(TotalsChange::adding)
                .collect(),
        };
        Ok((commit, self.work))
    }
}

fn new_version() -> Result<Version, StoreError> {
    getrandom::u64()
        .map(Version)
        .map_err(|error| StoreError::Unavailable(format!("no randomness for a version: {error}")))
}
