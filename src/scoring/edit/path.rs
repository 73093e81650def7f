//! The way of a profile along the path to purchase, as its record remembers it.

use typed_index_collections::TiSlice;

use super::RecordEdit;
use crate::scoring::{
    ChangeCause, EventMemory, IdHash, ProfileId, Record, RememberedEvent, StageChange, Timestamp,
    answers::push_bounded,
    evaluation::Evaluation,
    limits::REMEMBERED_STAGE_CHANGES,
    model::{ScoreId, StageId},
};

impl RecordEdit<'_> {
    /// Judges at an instant which stages the profile keeps: those that it kept and has the
    /// points to keep, and those that it reaches.
    pub(super) fn judge_kept_stages(&mut self, at: Timestamp) {
        self.judge(at, |evaluation, position| evaluation.kept_at(position));
    }

    /// The same after a retraction: of a score that has changed, only what is reached is kept.
    pub(super) fn judge_kept_stages_anew(
        &mut self,
        points_before: &TiSlice<ScoreId, f64>,
        at: Timestamp,
    ) {
        let model = self.model;
        self.judge(at, |evaluation, position| {
            let score = model.kept_stages[position].score;
            let is_unchanged = evaluation.points[score] == points_before[score];
            evaluation.kept_at(position).filter(|_| is_unchanged)
        });
    }

    fn judge(
        &mut self,
        at: Timestamp,
        kept_before: impl Fn(&Evaluation, usize) -> Option<StageId>,
    ) {
        let (model, record) = (self.model, &mut self.record);
        let evaluation = &mut self.evaluation;
        let keeps_none = model.kept_stages.is_empty() && record.kept_stages.is_empty();
        if keeps_none || !evaluation.is_of_person() {
            return;
        }
        // Of scores that the model does not keep stages of.
        let keeps = |score: &str| {
            let mut kept = model.kept_stages.iter();
            kept.any(|kept| model.scores[kept.score].name == score)
        };
        record.kept_stages.retain(|score, _| keeps(score));
        for (position, of_score) in model.kept_stages.iter().enumerate() {
            let before = kept_before(evaluation, position);
            let kept = evaluation.kept_from(model, of_score, before, at);
            let score = &model.scores[of_score.score].name;
            match model.stage_name(kept) {
                Some(stage) => record.kept_stages.insert(score.clone(), stage),
                None => record.kept_stages.remove(score),
            };
        }
        evaluation.read_kept_stages(model, record);
    }

    /// Remembers an event that is new to the record.
    pub(super) fn remember(
        &mut self,
        event: RememberedEvent,
        origin: Option<ProfileId>,
        subjects: Vec<ProfileId>,
        capacity: usize,
    ) {
        let memory = &mut self.record.memory;
        let horizon = memory.horizon;
        memory.remember(event, origin, subjects, capacity);
        if memory.horizon != horizon {
            self.forget_answers(|memory, event| !memory.knows(event));
        }
    }

    /// Forgets what events were answered with and counted.
    pub(super) fn forget_answers(
        &mut self,
        is_forgotten: impl Fn(&EventMemory, (Timestamp, IdHash)) -> bool,
    ) {
        let Record {
            memory,
            matched,
            counted_values,
            stage_changes,
            ..
        } = &mut self.record;
        matched.retain(|matched| !is_forgotten(memory, matched.event));
        counted_values.retain(|counted| !is_forgotten(memory, counted.event));
        for change in stage_changes {
            let answered = change.event();
            if answered.is_some_and(|event| is_forgotten(memory, event)) {
                change.cause = ChangeCause::Write(None);
            }
        }
    }

    /// Has the way of a profile without events begin at an instant that is before what is noted of
    /// it: whoever stated something before their events were sent has not begun then.
    pub(super) fn begin_anew_before(&mut self, now: Timestamp) {
        let record = &mut self.record;
        let is_noted_later = record
            .stage_changes
            .first()
            .is_some_and(|first| first.time > now);
        if record.event_count == 0 && is_noted_later {
            record.stage_changes.clear();
            let stands = self.evaluation.stage(self.model, now);
            self.note_stages(None, stands, now, None);
        }
    }

    /// Makes ready to note a change of stage that comes with a write at an instant: notes the stages
    /// that the profile has fallen to. Returns the instant to note it for, which is that of the
    /// write unless a change that came with another write is later.
    pub(super) fn note_until(&mut self, now: Timestamp) -> Timestamp {
        let changes = &mut self.record.stage_changes;
        let is_later =
            |change: &mut StageChange| change.cause == ChangeCause::Fading && change.time > now;
        while changes.pop_if(is_later).is_some() {}
        let noted = self.record.noted_after(now);
        let fallen = self
            .evaluation
            .fallen_stages(self.model, &self.record, noted);
        for change in fallen {
            self.note_stage_change(change);
        }
        noted
    }

    /// Remembers that the profile has come from one stage to another; nothing when they are the
    /// same. `event` is answered with it.
    pub(super) fn note_stages(
        &mut self,
        from: Option<StageId>,
        to: Option<StageId>,
        time: Timestamp,
        event: Option<(Timestamp, IdHash)>,
    ) {
        if from != to {
            self.note_stage_change(StageChange {
                from_stage: self.model.stage_name(from),
                to_stage: self.model.stage_name(to),
                time,
                cause: ChangeCause::Write(event),
            });
        }
    }

    fn note_stage_change(&mut self, change: StageChange) {
        let changes = &mut self.record.stage_changes;
        push_bounded(changes, change, REMEMBERED_STAGE_CHANGES);
    }
}
