//! Everything that the service under test says at one instant.

use bellwether::{
    scoring::{AttributeValue, Profile, Ranked, StageRequirement},
    service::{
        Fraction, InfluencerQuery, PageStart, Paging, ProfileQuery, QuarantineQuery, SegmentQuery,
        SegmentTopicsQuery, ServiceError, View,
    },
};

use crate::{
    answers::{Answers, FADED_AWAY, close},
    served::{Served, instant, profile_id},
    stores::Home,
    story::{ACCOUNTS, PEOPLE},
};

/// Small, so that few people make several pages.
const PAGE_SIZE: usize = 2;

impl<H: Home> Served<H> {
    /// Everything that the service says at an instant.
    pub async fn answers(&self, at: i64) -> Answers {
        let tenant = self.tenant();
        let mut answers = Answers::default();
        let query = ProfileQuery {
            view: View::Full,
            as_of: Some(instant(at)),
            or_default: false,
        };
        for id in PEOPLE.into_iter().chain(ACCOUNTS) {
            let (service, id_of) = (self.service(), profile_id(id));
            let asked = service.profile(&tenant, &id_of, query);
            match asked.await {
                Ok(profile) => say_person(&mut answers, id, &profile),
                Err(ServiceError::UnknownProfile(_) | ServiceError::UnknownSubject { .. }) => {}
                // The model has no accounts.
                Err(ServiceError::UnknownName { .. }) if ACCOUNTS.contains(&id) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let names =
            |names: Vec<&str>| -> Vec<String> { names.into_iter().map(str::to_owned).collect() };
        for segment in names(self.model.segment_names().collect()) {
            self.say_segment(&mut answers, &segment, at).await;
        }
        for rule in names(self.model.quarantine_names().collect()) {
            self.say_quarantine(&mut answers, &rule, at).await;
        }
        let funnel = self.service().funnel(&tenant, Some(instant(at)));
        let funnel = funnel.await.unwrap();
        assert_eq!(funnel.as_of, instant(at));
        let unstaged = (String::new(), funnel.unstaged);
        for (stage, count) in funnel.stages.into_iter().chain([unstaged]) {
            answers.number(format!("funnel, {stage:?}"), count as f64);
        }
        for topic in names(self.model.topic_names().collect()) {
            let stages = names(self.model.stage_names().collect());
            for stage in stages.into_iter().chain([String::new()]) {
                self.say_influencers(&mut answers, &topic, &stage, at).await;
            }
        }
        answers
    }

    /// The instant that a list is answered for which is asked for one; an error with the earliest
    /// that can be asked for.
    pub async fn list_instant(&self, at: i64) -> Result<i64, i64> {
        let tenant = self.tenant();
        match self.service().funnel(&tenant, Some(instant(at))).await {
            Ok(funnel) => Ok(funnel.as_of.nanos()),
            Err(ServiceError::AsOfBeforeLatest { earliest, .. }) => Err(earliest.nanos()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn say_segment(&self, answers: &mut Answers, segment: &str, at: i64) {
        let name = format!("segment {segment}");
        let (members, total) = self.members(segment, None, at).await;
        self.check_conditions(segment, &members, at).await;
        answers.number(format!("{name}: size"), total as f64);
        for (place, member) in &members {
            answers.number(format!("{name}, place {place}"), member.points);
            if let Some(probability) = &member.probability {
                let name = format!("{name}, place {place}: probability");
                answers.number(name, probability.value);
            }
        }
        let ids = |members: &[(u64, Ranked)]| -> Vec<String> {
            let ids = members.iter();
            ids.map(|(_, member)| member.profile.profile_id.name().to_owned())
                .collect()
        };
        let mut all = ids(&members);
        let (half, whole) = self.members(segment, Fraction::new(0.5), at).await;
        assert_eq!(whole, total, "a share leaves the size of {segment}");
        assert_eq!(ids(&half), all[..half.len()], "the highest of {segment}");
        answers.number(format!("{name}: half"), half.len() as f64);
        all.sort();
        answers.words(format!("{name}: members"), all.join(" "));

        let query = SegmentTopicsQuery {
            segment: segment.to_owned(),
            members: PEOPLE.len(),
            as_of: Some(instant(at)),
        };
        let told = self.service().segment_topics(&self.tenant(), query).await;
        let told = told.unwrap();
        assert_eq!((told.members as u64, told.total), (total, total));
        for topic in told.topics {
            let about = topic.topic;
            answers.number(format!("{name}, about {about}"), topic.points);
            answers.number(
                format!("{name}, members about {about}"),
                topic.members as f64,
            );
        }
    }

    /// Asks for those of a segment alone who stand where one of them stands, and for those who have
    /// more points: they are those of whom the answer without condition says so.
    async fn check_conditions(&self, segment: &str, members: &[(u64, Ranked)], at: i64) {
        let Some((_, one)) = members.get(members.len() / 2) else {
            return;
        };
        let stated = |profile: &Profile| profile.stage.clone().unwrap_or_default();
        if one.profile.profile_id.subject().is_none() {
            let stage = stated(&one.profile);
            let condition = format!("stage == {stage:?}");
            let holds = |profile: &Profile| stated(profile) == stage;
            self.check_condition(segment, (members, at), &condition, holds)
                .await;
        }
        // Another score for another number of members: there are many segments and instants.
        let position = members.len() % one.profile.scores.len();
        let least = &one.profile.scores[position];
        // Conditions read what does not fade without the rounding of sums.
        let bound = least.points + 1e-6;
        let condition = format!("scores.{} > {bound:.9}", least.name);
        let holds = |profile: &Profile| profile.scores[position].points > bound;
        self.check_condition(segment, (members, at), &condition, holds)
            .await;
    }

    async fn check_condition(
        &self,
        segment: &str,
        (members, at): (&[(u64, Ranked)], i64),
        condition: &str,
        holds: impl Fn(&Profile) -> bool,
    ) {
        let mut asked = self.query(segment, None, at);
        asked.condition = Some(condition.to_owned());
        let (found, total) = self.pages(asked).await;
        let expected = members.iter().filter(|(_, member)| holds(&member.profile));
        let expected: Vec<_> = expected.cloned().collect();
        assert_eq!(found, expected, "{condition} in {segment}");
        assert_eq!(total, members.len() as u64);
    }

    /// All pages of a segment, or of its highest share; how many members it has.
    async fn members(
        &self,
        segment: &str,
        fraction: Option<Fraction>,
        at: i64,
    ) -> (Vec<(u64, Ranked)>, u64) {
        let (members, total) = self.pages(self.query(segment, fraction, at)).await;
        for (position, (place, _)) in members.iter().enumerate() {
            assert_eq!(*place, position as u64 + 1, "places are without gaps");
        }
        (members, total)
    }

    fn query(&self, segment: &str, fraction: Option<Fraction>, at: i64) -> SegmentQuery {
        SegmentQuery {
            segment: segment.to_owned(),
            condition: None,
            fraction,
            view: View::Basic,
            paging: paging(None, at),
        }
    }

    async fn pages(&self, mut query: SegmentQuery) -> (Vec<(u64, Ranked)>, u64) {
        let mut members: Vec<(u64, Ranked)> = Vec::new();
        let tenant = self.tenant();
        loop {
            let asked = self.service().rank_segment(&tenant, query.clone());
            let page = asked.await.unwrap();
            assert_eq!(page.condition_failed, 0);
            assert_eq!(Some(page.members.as_of), query.paging.as_of);
            members.extend(page.members.entries);
            query.paging.start = page.members.next;
            if query.paging.start.is_none() {
                return (members, page.members.total);
            }
        }
    }

    async fn say_quarantine(&self, answers: &mut Answers, rule: &str, at: i64) {
        let mut start = None;
        let mut most = usize::MAX;
        loop {
            let query = QuarantineQuery {
                rule: rule.to_owned(),
                paging: paging(start, at),
            };
            let page = self.service().quarantine(&self.tenant(), query).await;
            let page = page.unwrap();
            for entry in page.entries {
                assert!(entry.events.len() <= most, "most held events first");
                most = entry.events.len();
                let held: Vec<String> = entry
                    .events
                    .iter()
                    .map(|held| {
                        let matches = held.matches.iter();
                        let matches: Vec<&str> =
                            matches.map(|matched| matched.signal.as_str()).collect();
                        format!("{} {} {matches:?}", held.time.nanos(), held.event_type)
                    })
                    .collect();
                answers.words(
                    format!("held by {rule} of {}", entry.profile_id),
                    held.join(", "),
                );
            }
            start = page.next;
            if start.is_none() {
                answers.number(format!("held by {rule}: size"), page.total as f64);
                return;
            }
        }
    }

    async fn say_influencers(&self, answers: &mut Answers, topic: &str, stage: &str, at: i64) {
        let mut start = None;
        let mut last = f64::INFINITY;
        loop {
            let query = InfluencerQuery {
                topic: topic.to_owned(),
                stage: stage.to_owned(),
                paging: paging(start, at),
            };
            let page = self.service().top_influencers(&self.tenant(), query).await;
            let page = page.unwrap();
            for author in page.entries {
                assert!(
                    author.influence <= last || close(author.influence, last),
                    "influencers stand in order"
                );
                last = author.influence;
                let id = author.profile.profile_id.as_str();
                let name = format!("{id} on {topic} at {stage:?}");
                answers.number(format!("{name}: influence"), author.influence);
                answers.number(format!("{name}: touches"), author.touches as f64);
                answers.number(format!("{name}: advances"), author.advances);
                let probability = author.influence_probability;
                answers.number(format!("{name}: probability"), probability);
                answers.number(format!("{name}: reach"), author.reach);
            }
            start = page.next;
            if start.is_none() {
                return;
            }
        }
    }
}

fn say_person(answers: &mut Answers, id: &str, profile: &Profile) {
    for score in &profile.scores {
        let name = format!("{id}, {}", score.name);
        answers.number(format!("{name}: points"), score.points);
        answers.number(format!("{name}: base"), score.base);
        if let Some(percentile) = score.percentile {
            answers.number(format!("{name}: percentile"), percentile);
        }
        for term in &score.contributions {
            let name = format!("{name}, {}", term.name);
            for part in &term.keys {
                answers.number(format!("{name}, by {:?}", part.key), part.count);
            }
            answers.number(format!("{name}: count"), term.count);
            answers.number(format!("{name}: points"), term.points);
            if let Some(limit) = term.limit.filter(|_| term.count > FADED_AWAY) {
                answers.number(format!("{name}: limit"), limit);
            }
            if term.capped_count > FADED_AWAY {
                answers.number(format!("{name}: cut off"), term.capped_count);
            }
        }
        if let Some(breadth) = score.breadth {
            answers.number(format!("{name}: breadth"), breadth.present as f64);
            let required = breadth.required as f64;
            answers.number(format!("{name}: breadth asked for"), required);
        }
        if let Some(probability) = &score.probability {
            answers.number(format!("{name}: probability"), probability.value);
        }
    }
    for (rule, count) in &profile.quarantined {
        answers.number(format!("{id}: held by {rule}"), f64::from(*count));
    }
    let identity = profile.identity_confidence.unwrap();
    answers.number(format!("{id}: identity"), identity);
    // Accounts stand at no stage.
    let explained = profile.stage_explanation.clone();
    let explained = explained.filter(|_| !ACCOUNTS.contains(&id));
    let stages = explained.map(|explained| [("held", explained.current), ("next", explained.next)]);
    for (what, stage) in stages.into_iter().flatten() {
        if let Some(stage) = stage {
            say_stage(answers, &format!("{id}, stage {what}"), &stage);
        }
    }
    let stage = profile.stage.as_deref().unwrap_or_default();
    answers.words(format!("{id}: stage"), stage);
    if let Some(entered) = profile.stage_entered_time {
        answers.number(format!("{id}: entered"), entered.nanos() as f64);
    }
    let names = profile
        .segments
        .iter()
        .map(|member| member.segment.as_str());
    answers.words(
        format!("{id}: segments"),
        names.collect::<Vec<_>>().join(" "),
    );
    for member in &profile.segments {
        let name = format!("{id} in {}", member.segment);
        answers.number(format!("{name}: points"), member.points);
        if let Some(probability) = &member.probability {
            answers.number(format!("{name}: probability"), probability.value);
        }
    }
    for interest in &profile.interests {
        answers.number(format!("{id}, about {}", interest.topic), interest.points);
    }
    for (name, value) in &profile.attributes {
        answers.words(format!("{id} states {name}"), shown(value));
    }
    answers.number(format!("{id}: events"), profile.event_count as f64);
    let times = profile.first_seen_time.zip(profile.last_event_time);
    let times = times.map(|(first, last)| (first.nanos(), last.nanos()));
    answers.words(format!("{id}: first and last"), format!("{times:?}"));
}

fn say_stage(answers: &mut Answers, name: &str, stage: &StageRequirement) {
    answers.words(format!("{name}: name"), &stage.stage);
    answers.words(format!("{name}: when"), &stage.when);
    answers.number(format!("{name}: holds"), f64::from(stage.when_holds));
    if !stage.score.is_empty() {
        answers.words(format!("{name}: score"), &stage.score);
        answers.number(format!("{name}: min"), stage.min);
        answers.number(format!("{name}: keep"), stage.keep.unwrap_or(0.0));
        answers.number(format!("{name}: points"), stage.points);
        answers.number(format!("{name}: missing"), stage.missing_points);
        let signals = stage.missing_signals as f64;
        answers.number(format!("{name}: signals missing"), signals);
    }
}

fn paging(start: Option<PageStart>, at: i64) -> Paging {
    Paging {
        as_of: Some(instant(at)),
        page_size: PAGE_SIZE,
        start,
    }
}

fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Number(number) => number.to_string(),
        AttributeValue::String(text) => format!("{text:?}"),
        AttributeValue::Null => "null".to_owned(),
        other => format!("{other:?}"),
    }
}
