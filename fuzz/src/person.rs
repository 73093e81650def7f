//! What every target asks of the core, whatever came in: numbers are finite, points are the
//! sum of their parts, and a record survives its own bytes.

use bellwether::{
    api::{self, EventPath},
    proto::v1,
    scoring::{
        Context, Detail, Effect, Event, EventOutcome, IdHash, InfluenceQuestion, Model, Outcome,
        Profile, ProfileId, Record, RecordEdit, RetractionOutcome, Selection, Timestamp, explain,
        index, influencer,
    },
    service::Scored,
    store::codec,
};

/// Noon of 2026-01-01: when an event without a time arrives.
pub const ARRIVAL: i64 = 1_767_268_800_000_000_000;
/// So few that a short input can go beyond them.
const REMEMBERED_EVENTS: usize = 4;

/// A profile, an author or a subject, while events are counted.
pub struct Person<'m> {
    model: &'m Model,
    id: ProfileId,
    /// What is stored of them.
    pub record: Record,
}

impl<'m> Person<'m> {
    /// Somebody with a stored record.
    pub fn new(model: &'m Model, id: &str, record: Record) -> Self {
        let id = ProfileId::stored(id).expect("an id");
        Self { model, id, record }
    }

    /// Counts an event and answers it; what it does to others.
    pub fn score(&mut self, event: &Event) -> Vec<Effect> {
        let arrival = Timestamp::from_nanos(ARRIVAL).expect("an instant");
        let context = Context::at(event.time.unwrap_or(arrival), REMEMBERED_EVENTS);
        let mut edit = self.edit();
        let outcome = edit.apply(event, &context);
        let at = self.record.last_event_time.max(context.at);
        let profile = edit.profile(at, Detail::Points);
        check_profile(&profile, self.record.last_event_time);
        let profile = Some(profile);
        let scored = Scored { outcome, profile };
        let changes = matches!(
            scored.outcome,
            EventOutcome::Applied { .. } | EventOutcome::Quarantined { .. }
        );
        if changes {
            let again = edit.apply(event, &context);
            assert_ne!(
                std::mem::discriminant(&again),
                std::mem::discriminant(&scored.outcome)
            );
        }
        let outcome = edit.finish();
        assert_eq!(outcome.changed, changes);
        serialises(&api::scored(scored, EventPath::Single));
        self.store(outcome)
    }

    /// Replaces what the person states.
    pub fn update(&mut self, attributes: bellwether::scoring::Attributes) -> Vec<Effect> {
        let mut edit = self.edit();
        edit.update(
            attributes,
            Timestamp::from_nanos(ARRIVAL).expect("an instant"),
        );
        let outcome = edit.finish();
        self.store(outcome)
    }

    /// Takes an event back, and tries it again.
    pub fn retract(&mut self, event: &Event) -> Vec<Effect> {
        let arrival = Timestamp::from_nanos(ARRIVAL).expect("an instant");
        let context = Context::at(event.time.unwrap_or(arrival), REMEMBERED_EVENTS);
        let mut edit = self.edit();
        let retracted = edit.retract(event, &context);
        let again = edit.retract(event, &context);
        let repeated = [
            RetractionOutcome::Duplicate,
            RetractionOutcome::TooOld,
            RetractionOutcome::OtherType,
        ];
        assert!(repeated.contains(&again), "{retracted:?}, then {again:?}");
        let outcome = edit.finish();
        self.store(outcome)
    }

    /// Counts what is held in quarantine.
    pub fn release(&mut self) -> Vec<Effect> {
        let mut edit = self.edit();
        edit.release(&Selection::default(), usize::MAX);
        assert!(edit.record().quarantine.is_empty());
        let outcome = edit.finish();
        self.store(outcome)
    }

    /// Takes what others' events did to people, or to subjects, as this one is, twice.
    pub fn take(&mut self, effects: &[Effect]) {
        let is_person = self.id.is_person();
        let effects = effects.iter();
        for effect in effects.filter(|effect| effect.subject_id().is_person() == is_person) {
            let mut edit = self.edit();
            edit.apply_effect(effect);
            assert!(!edit.apply_effect(effect), "an effect counted twice");
            let outcome = edit.finish();
            self.store(outcome);
        }
    }

    /// Reads the person in every way, at instants before and after the last event.
    pub fn read(&self) {
        let last = self.record.last_event_time;
        let instants = [
            last,
            last.saturating_add_nanos(3_600_000_000_000),
            Timestamp::from_nanos(i64::MAX).expect("an instant"),
            last.saturating_add_nanos(-10_000_000_000_000),
            Timestamp::EPOCH,
        ];
        for at in instants {
            let profile = explain(
                self.model,
                &self.id,
                &self.record,
                at,
                Detail::Contributions,
            );
            check_profile(&profile, last);
            for (topic, stage) in self.model.topic_names().zip([None, Some("warm")]) {
                let question = InfluenceQuestion {
                    topic,
                    stage,
                    totals: (u64::MAX, u64::MAX),
                    at,
                };
                let influencer = influencer(self.model, &self.id, &self.record, &question);
                assert!(influencer.influence.is_finite() && influencer.influence >= 0.0);
                assert!(influencer.influence_probability.is_finite());
            }
            serialises(&api::profile(profile));
        }
        let keys = index(self.model, &self.id, &self.record);
        for (rank, key) in keys {
            assert!(
                !key.value().is_nan() && key.value() < f64::INFINITY,
                "{rank}"
            );
        }
    }

    fn edit(&self) -> RecordEdit<'m> {
        RecordEdit::new(self.model, self.id.clone(), self.record.clone())
    }

    fn store(&mut self, outcome: Outcome) -> Vec<Effect> {
        for change in &outcome.ranks {
            assert_ne!(change.old, change.new, "a rank changes to what it was");
        }
        for effect in &outcome.effects {
            match effect {
                Effect::Credit(credit) => {
                    assert!(credit.credit.is_finite());
                    assert!((credit.credit < 0.0) <= (credit.touches < 0));
                    assert!(credit.advance_millionths <= 1_000_000);
                }
                Effect::SubjectDelta(share) => {
                    let mut changes = share.changes.iter();
                    assert!(changes.all(|change| change.amount.is_finite()));
                }
            }
        }
        survives(&outcome.record);
        self.record = outcome.record;
        outcome.effects
    }
}

/// An event as most models know it.
pub fn event(event_type: &str, id: u64, time: i64) -> Event {
    Event {
        id: IdHash(id),
        profile_id: ProfileId::new("ann").expect("an id"),
        event_type: event_type.to_owned(),
        time: Timestamp::from_nanos(time),
        channel: "web".to_owned(),
        attributes: Default::default(),
        text: "no coverage at all, and one word more".to_owned(),
        tags: Vec::new(),
        sentiment: Some(-0.5),
        author_id: ProfileId::new("bob"),
        content_id: "c".to_owned(),
        campaign_id: "s".to_owned(),
        subjects: Vec::from_iter(ProfileId::of_subject("account", "a")),
    }
}

/// A record is what its bytes say, and equal records are equal bytes.
pub fn survives(record: &Record) {
    let bytes = codec::encode(record);
    let decoded = codec::decode(&bytes).expect("what was encoded can be decoded");
    assert_eq!(decoded, *record);
    assert_eq!(codec::encode(&decoded), bytes);
}

fn check_profile(profile: &Profile, last: Timestamp) {
    for score in &profile.scores {
        assert!(score.points.is_finite() && score.points >= 0.0, "{score:?}");
        let parts = score.contributions.iter();
        let mut total = score.base;
        let mut scale = score.base.abs();
        for part in parts {
            assert!(
                part.count.is_finite() && part.points.is_finite(),
                "{part:?}"
            );
            total += part.points;
            scale += part.points.abs();
        }
        // What is below the noise floor is zero; the basic view has no parts; and before the
        // last event parts are greater than they ever were.
        let near = (score.points - total.max(0.0)).abs() <= 1e-6 + scale * 1e-9;
        let is_past = profile.as_of < last;
        assert!(
            near || is_past || score.contributions.is_empty(),
            "{score:?}"
        );
    }
    for interest in &profile.interests {
        assert!(interest.points.is_finite() && interest.points > 0.0);
    }
    assert!(profile.first_seen_time <= profile.last_event_time || profile.event_count == 0);
}

fn serialises(message: &impl prost::Message) {
    assert_eq!(message.encode_to_vec().len(), message.encoded_len());
}

/// Reads an event as a server does.
pub fn read_event(sent: v1::Event) -> Option<Event> {
    api::event(sent, api::EventPath::Indexed(7)).ok()
}
