//! Who asks: clients that try again until they are answered, and readers that check every
//! page.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bellwether::{
    scoring::{Event, EventOutcome, Fingerprint, IdHash, ProfileId, RetractionOutcome, Timestamp},
    service::{InfluencerQuery, Paging, ProfileQuery, Scored, SegmentQuery, ServiceError, View},
    store::{IndexGeneration, StoreError},
};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::{
    dice::Dice,
    network::Shared,
    people::{self, Action, COMPANIES, EVERYONE, TOPICS, taste, tenant},
    servers::{Server, Simulated},
    store::READ,
};

/// What clients and readers know of a run.
#[derive(Clone)]
pub struct Run {
    pub world: Shared,
    pub servers: Arc<Vec<Server>>,
    /// What was answered about each event.
    pub told: Arc<Mutex<BTreeMap<(ProfileId, IdHash), Told>>>,
    /// Whether a retraction may come too late.
    pub forgets: bool,
    /// Whether everything is sent for the second time, to a store that has lost writes.
    pub sends_again: bool,
}

/// How often an event, or its retraction, was answered in which way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    pub applied: u64,
    pub retracted: u64,
    pub retracted_in_advance: u64,
}

impl Run {
    /// Does everything, a few actions at a time, each until it is acknowledged, with up to
    /// `pace` milliseconds in between.
    pub async fn client(self, mut dice: Dice, actions: Vec<Action>, pace: u64) {
        let mut left = actions.as_slice();
        while !left.is_empty() {
            sleep(Duration::from_millis(dice.roll(pace))).await;
            let count = match left.first() {
                Some(Action::Event(_)) => {
                    let events = left
                        .iter()
                        .take_while(|action| matches!(action, Action::Event(_)));
                    (dice.between(1, 4) as usize).min(events.count())
                }
                _ => 1,
            };
            let (now, later) = left.split_at(count);
            left = later;
            if let [Action::Regretted(event)] = now {
                self.once(&mut dice, event).await;
                let retraction = Action::Retraction(event.clone());
                self.until_done(&mut dice, &[retraction]).await;
            } else {
                self.until_done(&mut dice, now).await;
            }
        }
    }

    /// Sends an event, and does not mind what becomes of it.
    async fn once(&self, dice: &mut Dice, event: &Event) {
        let Some(service) = dice.pick(&self.servers).service() else {
            return;
        };
        let patience = Duration::from_millis(dice.between(1, 2_000));
        let tenant = tenant();
        let asked = service.score_event(&tenant, event.clone(), None);
        match timeout(patience, asked).await {
            Ok(Ok(scored)) => self.note_scored(event, &scored),
            Ok(Err(error)) => self.check_error(&error),
            Err(_) => {}
        }
    }

    async fn until_done(&self, dice: &mut Dice, actions: &[Action]) {
        let mut actions = actions.to_vec();
        loop {
            if let Some(service) = dice.pick(&self.servers).service() {
                let patience = Duration::from_millis(dice.between(100, 12_000));
                let done = timeout(patience, self.attempt(&service, dice, &actions)).await;
                if let Ok(failed) = done {
                    actions = failed;
                }
            }
            if actions.is_empty() {
                return;
            }
            sleep(Duration::from_millis(dice.between(20, 2_000))).await;
        }
    }

    /// Returns what has to be done again.
    async fn attempt(
        &self,
        service: &Simulated,
        dice: &mut Dice,
        actions: &[Action],
    ) -> Vec<Action> {
        let mut again = Vec::new();
        if let [Action::Update(update)] = actions {
            let updated = service
                .update_profile(&tenant(), update.clone(), None)
                .await;
            if let Err(error) = updated {
                self.check_error(&error);
                again = actions.to_vec();
            }
            return again;
        }
        if let [Action::Retraction(event)] = actions {
            match service.retract_event(&tenant(), event.clone(), None).await {
                Ok(retracted) => self.note_retracted(event, retracted.outcome),
                Err(error) => {
                    self.check_error(&error);
                    again = actions.to_vec();
                }
            }
            return again;
        }
        let events = actions.iter().filter_map(|action| match action {
            Action::Event(event) => Some(event.clone()),
            _ => None,
        });
        let events: Vec<_> = events.collect();
        let results = match events.as_slice() {
            [event] if dice.once_in(2) => {
                vec![service.score_event(&tenant(), event.clone(), None).await]
            }
            _ => {
                service
                    .submit_events(&tenant(), events.clone(), None)
                    .await
                    .results()
                    .await
            }
        };
        for (event, result) in events.into_iter().zip(results) {
            match result {
                Ok(scored) => self.note_scored(&event, &scored),
                Err(error) => {
                    self.check_error(&error);
                    again.push(Action::Event(event));
                }
            }
        }
        again
    }

    fn note(&self, event: &Event, note: impl FnOnce(&mut Told)) {
        if self.sends_again {
            return;
        }
        let known = (event.profile_id.clone(), event.id);
        note(self.told.lock().unwrap().entry(known).or_default());
    }

    fn note_scored(&self, event: &Event, scored: &Scored) {
        match &scored.outcome {
            EventOutcome::Applied { .. } => self.note(event, |told| told.applied += 1),
            EventOutcome::Duplicate { .. } => {}
            EventOutcome::TooOld if self.sends_again && self.forgets => {}
            EventOutcome::Quarantined { rule } => {
                self.violate(format!("no model has a rule {rule}"));
            }
            EventOutcome::TooOld => {
                let id = event.profile_id.clone();
                self.violate(format!("an event of {id} came too late to count"));
            }
        }
    }

    fn note_retracted(&self, event: &Event, outcome: RetractionOutcome) {
        match outcome {
            RetractionOutcome::Retracted => self.note(event, |told| told.retracted += 1),
            RetractionOutcome::RetractedInAdvance => {
                self.note(event, |told| told.retracted_in_advance += 1)
            }
            RetractionOutcome::TooOld if !self.forgets => {
                let id = event.profile_id.clone();
                self.violate(format!("an event of {id} was taken back too late"));
            }
            RetractionOutcome::OtherType => {
                let id = event.profile_id.clone();
                self.violate(format!(
                    "an event of {id} was taken for one of another type"
                ));
            }
            RetractionOutcome::Duplicate | RetractionOutcome::TooOld => {}
        }
    }

    /// Only failures that a retry mends may be.
    fn check_error(&self, error: &ServiceError) {
        let expected = matches!(
            error,
            ServiceError::Store(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_))
                | ServiceError::Contended(_)
                | ServiceError::Overloaded { .. }
        );
        if !expected {
            self.violate(format!("a call failed: {error}"));
        }
    }

    fn violate(&self, what: String) {
        self.world.lock().unwrap().violate(what);
    }

    /// Reads at random, as long as it is let.
    pub async fn reader(self, mut dice: Dice) {
        loop {
            sleep(Duration::from_millis(dice.between(50, 2_500))).await;
            let Some(service) = dice.pick(&self.servers).service() else {
                continue;
            };
            let question = self.question(&service, &mut dice);
            let _ = timeout(Duration::from_secs(10), question).await;
        }
    }

    async fn question(&self, service: &Simulated, dice: &mut Dice) {
        let as_of = as_of(dice);
        let asked = match dice.roll(4) {
            0 => {
                let view = *dice.pick(&[View::Basic, View::Full]);
                let page_size = dice.between(1, 6) as usize;
                let segment = *dice.pick(&[EVERYONE, EVERYONE, COMPANIES]);
                let asked = self.segment(service, segment, as_of, view, page_size);
                asked.await.map(drop)
            }
            1 => self.funnel(service, as_of).await.map(drop),
            2 => self.profile(service, dice).await,
            _ => self.influencers(service, dice, as_of).await.map(drop),
        };
        match asked {
            // A page after the first one, when the model has changed; somebody who has done
            // nothing yet; a list for an instant of which nothing is known any more.
            Err(
                ServiceError::ModelChanged
                | ServiceError::AsOfBeforeLatest { .. }
                | ServiceError::UnknownProfile(_)
                | ServiceError::UnknownSubject { .. },
            )
            | Ok(()) => {}
            Err(error) => self.check_error(&error),
        }
    }

    /// Goes through all pages of a segment. Returns how many members there were, and by which
    /// model.
    pub async fn segment(
        &self,
        service: &Simulated,
        segment: &str,
        as_of: Option<Timestamp>,
        view: View,
        page_size: usize,
    ) -> Result<(usize, Fingerprint), ServiceError> {
        let mut members = 0;
        let mut query = SegmentQuery {
            segment: segment.to_owned(),
            condition: None,
            fraction: None,
            view,
            paging: Paging {
                as_of,
                page_size,
                start: None,
            },
        };
        let mut known = self.latest_counted();
        loop {
            let tenant = tenant();
            let asked = service.rank_segment(&tenant, query.clone());
            let (page, read) = watch(asked).await;
            let page = page?.members;
            self.check_instant(known, page.as_of);
            // Later pages are of the instant of the first.
            known = page.as_of;
            let reads = if view == View::Full { 2 } else { 1 };
            self.check_model(page.model, &read, reads);
            for (_, member) in &page.entries {
                let names: Vec<&str> = member
                    .profile
                    .scores
                    .iter()
                    .map(|score| score.name.as_str())
                    .collect();
                self.check_scores(page.model, &names);
            }
            members += page.entries.len();
            query.paging.start = page.next;
            if query.paging.start.is_none() {
                return Ok((members, page.model));
            }
        }
    }

    /// Counts the funnel, which is everybody. Returns how many there were.
    pub async fn funnel(
        &self,
        service: &Simulated,
        as_of: Option<Timestamp>,
    ) -> Result<u64, ServiceError> {
        let known = self.latest_counted();
        let watched = self.world.lock().unwrap().crowd.watch();
        let (funnel, _) = watch(service.funnel(&tenant(), as_of)).await;
        let funnel = funnel?;
        self.check_instant(known, funnel.as_of);
        let count = funnel.unstaged + funnel.stages.iter().map(|(_, count)| count).sum::<u64>();
        let (least, most) = self.world.lock().unwrap().crowd.since(&watched);
        if count < least || count > most {
            self.violate(format!("the funnel has {count} of {least} to {most}"));
        }
        Ok(count)
    }

    async fn profile(&self, service: &Simulated, dice: &mut Dice) -> Result<(), ServiceError> {
        let id = match dice.roll(4) {
            0 => people::company(dice.roll(2)),
            _ => people::person(dice.roll(6)),
        };
        let tenant = tenant();
        let full = ProfileQuery {
            view: View::Full,
            as_of: None,
            or_default: false,
        };
        let asked = service.profile(&tenant, &id, full);
        let (profile, read) = watch(asked).await;
        let profile = profile?;
        let scores = profile.scores.iter();
        let names: Vec<&str> = scores.map(|score| score.name.as_str()).collect();
        match read.last() {
            // Who stands in no rank has no percentile.
            None if !profile.is_counted => {}
            Some(generation) => self.check_scores(generation.model, &names),
            None => self.violate(format!("percentiles of {id} were made up")),
        }
        Ok(())
    }

    async fn influencers(
        &self,
        service: &Simulated,
        dice: &mut Dice,
        as_of: Option<Timestamp>,
    ) -> Result<(), ServiceError> {
        let known = self.latest_counted();
        let query = InfluencerQuery {
            topic: (*dice.pick(&TOPICS)).to_owned(),
            stage: String::new(),
            paging: Paging {
                as_of,
                page_size: 5,
                start: None,
            },
        };
        let (page, read) = watch(service.top_influencers(&tenant(), query)).await;
        let page = page?;
        self.check_instant(known, page.as_of);
        self.check_model(page.model, &read, 1);
        for author in &page.entries {
            let scores = author.profile.scores.iter();
            let names: Vec<&str> = scores.map(|score| score.name.as_str()).collect();
            self.check_scores(page.model, &names);
        }
        Ok(())
    }

    /// The latest instant at which the records say that anything was counted.
    fn latest_counted(&self) -> Timestamp {
        let world = self.world.lock().unwrap();
        let partitions = world.partitions.iter();
        let records = partitions.flat_map(|partition| partition.records.values());
        let latest = records.map(|stored| stored.record.latest_counted());
        latest.max().unwrap_or_default()
    }

    /// A list must be of an instant that is not before what was counted when it was asked for,
    /// unless that was lost.
    fn check_instant(&self, known: Timestamp, as_of: Timestamp) {
        let known = known.min(self.latest_counted());
        if as_of < known {
            self.violate(format!("a list is of {as_of:?}, and {known:?} was counted"));
        }
    }

    /// The last ranks that were read must all be of one generation, that of the page's model.
    fn check_model(&self, model: Fingerprint, read: &[IndexGeneration], reads: usize) {
        let last = &read[read.len().saturating_sub(reads)..];
        let one = last.windows(2).all(|pair| pair[0] == pair[1]);
        if !one
            || last
                .last()
                .is_none_or(|generation| generation.model != model)
        {
            self.violate(format!("a page by model {model} was read of {read:?}"));
        }
    }

    fn check_scores(&self, model: Fingerprint, scores: &[&str]) {
        let known = {
            let world = self.world.lock().unwrap();
            let mut models = world.models.iter();
            models.position(|known| known.fingerprint() == model)
        };
        if known.is_none_or(|number| !scores.contains(&taste(number).as_str())) {
            self.violate(format!(
                "a page by model {known:?} has the scores {scores:?}"
            ));
        }
    }
}

/// An instant to ask a list for. Before the last events, more often than not.
fn as_of(dice: &mut Dice) -> Option<Timestamp> {
    let days_ago = dice.roll(15) as i64;
    dice.once_in(3).then(|| people::at(-days_ago * people::DAY))
}

/// Asks, and notes which generations were read for it.
async fn watch<T>(asked: impl Future<Output = T>) -> (T, Vec<IndexGeneration>) {
    let noted = async {
        let answer = asked.await;
        (answer, READ.with(|read| read.take()))
    };
    READ.scope(Default::default(), noted).await
}

/// Waits until a condition holds, or a while has passed.
pub async fn settles(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        sleep(Duration::from_millis(500)).await;
    }
    false
}
