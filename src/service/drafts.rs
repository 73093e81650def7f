//! Drafts of a round: records loaded, and all work applied to them in the order in which it was
//! taken in, so that an event reads of others what came before it and nothing else.

use std::sync::Arc;

use super::{
    ServiceError, Shell,
    draft::{Draft, OpenDraft},
    error::check_kind,
    lanes::Round,
    lookups::Lookups,
    write::{Arrived, ProfileUpdate, Task, Work},
};
use crate::{
    rollout::ModelSnapshot,
    scoring::{Model, ProfileId, RecordEdit, Tenant, Timestamp, check_attributes},
    store::{Store, Stored},
    stretch::Stretch,
};

/// A profile while the work of a round is applied to it.
struct Sheet<'m> {
    draft: Box<OpenDraft<'m>>,
    work: Vec<Work>,
    /// How much of the work has been applied.
    applied: usize,
    /// How many of its effects the others of the round know of: those that are caused again, and
    /// the others.
    followed: (usize, usize),
}

impl<'m> Sheet<'m> {
    fn new(
        snapshot: &'m ModelSnapshot,
        profile_id: ProfileId,
        stored: Option<Stored>,
        work: Vec<Work>,
    ) -> Self {
        Self {
            draft: Box::new(OpenDraft::new(snapshot, profile_id, stored)),
            work,
            applied: 0,
            followed: (0, 0),
        }
    }

    fn finish(self) -> Draft<Work> {
        self.draft.finish(self.work)
    }
}

/// Takes away what one write cannot hold: of each profile what is beyond its `folded` pieces. Where
/// the model reads subjects, also all that was taken in after the first of these.
pub(super) fn split_off(
    round: &mut Round<Work>,
    folded: impl Fn(&[Work]) -> usize,
    model: &Model,
) -> Round<Work> {
    let first = round.iter().filter_map(|(_, work)| work.get(folded(work)));
    let first = first.map(|work| work.turn).min();
    let Some(first) = first else {
        return Vec::new();
    };
    let keeps_order = model.reads_subjects();
    let later = round.iter_mut().filter_map(|(profile_id, work)| {
        let mut end = work.len().min(folded(work));
        if keeps_order {
            let before = work.iter().position(|work| work.turn >= first);
            end = before.unwrap_or(end).min(end);
        }
        let rest = work.split_off(end);
        (!rest.is_empty()).then(|| (profile_id.clone(), rest))
    });
    let later = later.collect();
    round.retain(|(_, work)| !work.is_empty());
    later
}

/// When each piece of a profile's work has its turn among all: it is in its order already.
pub(super) fn turns_of(work: &[Work]) -> impl Iterator<Item = u64> {
    work.iter().scan(0, |last, work| {
        *last = work.turn.max(*last);
        Some(*last)
    })
}

/// The positions of sheets, one for each piece of work, in the order to apply it in.
fn turns(sheets: &[Sheet<'_>], model: &Model) -> Vec<usize> {
    let mut turns = Vec::new();
    for (position, sheet) in sheets.iter().enumerate() {
        turns.extend(turns_of(&sheet.work).map(|turn| (turn, position)));
    }
    if model.reads_subjects() {
        turns.sort_by_key(|(turn, _)| *turn);
    }
    turns.into_iter().map(|(_, position)| position).collect()
}

impl<S: Store> Shell<S> {
    /// Loads every profile's record and applies all its work.
    pub(super) async fn drafts(
        &self,
        tenant: &Tenant,
        snapshot: &Arc<ModelSnapshot>,
        round: Round<Work>,
    ) -> Vec<Draft<Work>> {
        let model = snapshot.model();
        let (loaded, mut lookups) = self.load_with_lookups(tenant, model, &round).await;
        if loaded.iter().all(Result::is_err) {
            self.writes.note(&loaded);
        }
        let now = self.now();
        let mut sheets = Vec::with_capacity(round.len());
        let mut stretch = Stretch::default();
        for ((profile_id, work), loaded) in round.into_iter().zip(loaded) {
            match loaded {
                Ok(stored) => {
                    sheets.push(Sheet::new(snapshot, profile_id, stored, work));
                    stretch.took(model.clock_free_steps()).await;
                }
                Err(error) => self.refuse(Some(model), work, &error.into()),
            }
        }
        for position in turns(&sheets, model) {
            let before = sheets[position].draft.edit.steps();
            self.apply_next(snapshot, &mut sheets[position], &mut lookups, now);
            let steps = sheets[position].draft.edit.steps() - before;
            stretch.took(steps).await;
        }
        sheets.into_iter().map(Sheet::finish).collect()
    }

    /// Applies the next piece of work of a profile.
    fn apply_next(
        &self,
        snapshot: &Arc<ModelSnapshot>,
        sheet: &mut Sheet<'_>,
        lookups: &mut Lookups,
        now: Timestamp,
    ) {
        let model = snapshot.model();
        let Some(Work { task, .. }) = sheet.work.get_mut(sheet.applied) else {
            return;
        };
        sheet.applied += 1;
        let edit = &mut sheet.draft.edit;
        let context = |Arrived { event, at }: &Arrived, edit: &RecordEdit<'_>| {
            let instant = (*at, now, self.settings.remembered_events);
            lookups.context(model, event, edit.record(), instant)
        };
        match &mut **task {
            Task::Event(asked) => {
                let context = context(&asked.question, edit);
                let outcome = context.map(|context| edit.apply(&asked.question.event, &context));
                asked.note(outcome.map_err(Into::into), snapshot, edit, now);
            }
            Task::Retraction(asked) => {
                let context = context(&asked.question, edit);
                let outcome = context.map(|context| edit.retract(&asked.question.event, &context));
                asked.note(outcome.map_err(Into::into), snapshot, edit, now);
            }
            Task::Release(asked) => {
                let released = if edit.record().is_known() {
                    Ok(edit.release(&asked.question, self.most_released()))
                } else {
                    Err(ServiceError::unknown(&sheet.draft.profile_id))
                };
                asked.note(released, snapshot, edit, now);
            }
            Task::Update(asked) => {
                let declared = check_kind(model, &sheet.draft.profile_id);
                let changed = declared.and_then(|()| change(edit, &asked.question, now));
                asked.note(changed, snapshot, edit, now);
            }
        }
        let (again, effects) = (edit.again(), edit.effects());
        let (followed_again, followed) = sheet.followed;
        lookups.follow(model, &again[followed_again..], |subject, delta| {
            subject.apply_effect_again(delta)
        });
        lookups.follow(model, &effects[followed..], |subject, delta| {
            subject.apply_effect(delta)
        });
        sheet.followed = (again.len(), effects.len());
    }
}

/// Updates what a profile states, unless that would be too much.
fn change(
    edit: &mut RecordEdit<'_>,
    update: &ProfileUpdate,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let stated = edit
        .record()
        .attributes_after(&update.attributes, &update.removed);
    check_attributes(&stated).map_err(ServiceError::Attributes)?;
    edit.update(stated, now);
    Ok(())
}
