//! What the stories reach: a property says nothing about what never happens.

use std::collections::BTreeSet;

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};

use crate::{
    answers::Answers,
    making::any_story,
    plain::World,
    properties::{ALL_EVENTS, MAX_STEPS, STORIES},
    rows,
    story::ACCOUNTS,
};

/// All that is said of some stories.
#[derive(Default)]
struct Reached {
    /// Answers to steps.
    told: BTreeSet<String>,
    /// The names of numbers that are not 0, of people and of accounts.
    numbers: BTreeSet<String>,
    words: BTreeSet<(String, String)>,
    /// The evidence that held of somebody.
    evidence: BTreeSet<&'static str>,
}

/// Steps between two looks.
const LOOK_EVERY: usize = 8;

impl Reached {
    fn note(&mut self, answers: &Answers) {
        self.numbers.extend(answers.numbers().map(str::to_owned));
        let words = answers.words_by_name();
        self.words
            .extend(words.map(|(name, words)| (name.to_owned(), words.to_owned())));
    }

    /// Whether a step was answered with this, or more.
    fn tells(&self, part: &str) -> bool {
        self.told.iter().any(|told| told.contains(part))
    }

    /// Whether a number that is not 0 is said of some people, or of some accounts, under a name
    /// that ends so.
    fn says(&self, of_accounts: bool, end: &str) -> bool {
        self.numbers.iter().any(|name| {
            let is_of_account = ACCOUNTS.iter().any(|account| name.starts_with(account));
            is_of_account == of_accounts && name.ends_with(end)
        })
    }

    fn says_word(&self, end: &str, word: &str) -> bool {
        let mut words = self.words.iter();
        words.any(|(name, words)| name.ends_with(end) && words.split(' ').any(|own| own == word))
    }
}

fn reached() -> Reached {
    let mut runner = TestRunner::deterministic();
    let stories = any_story(MAX_STEPS);
    let mut reached = Reached::default();
    for _ in 0..STORIES {
        let story = stories.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(&rows::model(), ALL_EVENTS);
        for steps in story.0.chunks(LOOK_EVERY) {
            let told = steps.iter().map(|step| world.take(step));
            reached.told.extend(told);
            reached.note(&world.answers(story.end()));
            reached.evidence.extend(world.evidence());
        }
    }
    reached
}

#[test]
fn the_stories_reach_every_construct_of_the_model() {
    let (model, reached) = (rows::model(), reached());
    let mut missing = Vec::new();
    let mut expect = |what: String, is_reached: bool| {
        if !is_reached {
            missing.push(what);
        }
    };
    for signal in &model.signals {
        let name = signal.name;
        expect(
            format!("a match of {name}"),
            reached.tells(&format!("{name:?}")),
        );
        for of_accounts in [false, true] {
            let says = |what: &str| reached.says(of_accounts, &format!(", {name}{what}"));
            let whose = if of_accounts { "accounts" } else { "people" };
            let is_counted = signal.points.is_empty() || says(": count");
            expect(format!("{name} of {whose}"), is_counted);
            // Accounts have no limit of their own.
            let is_cut_off = of_accounts || signal.limit.is_none() || says(": cut off");
            expect(format!("{name} of {whose} beyond its limit"), is_cut_off);
            // The groups and the tags are few, and so are the keys that are kept.
            let is_dropped = signal.keys.is_none() || says(", by \"\"");
            expect(format!("{name} of {whose} beyond its keys"), is_dropped);
        }
    }
    for rule in &model.attribute_rules {
        let is_said = reached.says(false, &format!(", {}: points", rule.name));
        expect(rule.name.to_owned(), is_said);
    }
    for evidence in &model.identity {
        let holds = reached.evidence.contains(evidence.name);
        expect(format!("evidence {}", evidence.name), holds);
    }
    let mut stages: Vec<&str> = model.stages.iter().map(|stage| stage.name).collect();
    for stage in stages.iter().chain(&[""]) {
        let is_said = reached.says_word(": stage", stage);
        expect(format!("stage {stage:?}"), is_said);
    }
    // From the highest nobody gets on.
    stages.pop();
    for stage in stages.iter().chain(&[""]) {
        let is_earned = model.topics.iter().any(|topic| {
            let name = format!(" on {} at {stage:?}: advances", topic.name);
            reached.says(false, &name)
        });
        expect(format!("an advance from {stage:?}"), is_earned);
    }
    for segment in &model.segments {
        let is_said = reached.says_word(": segments", segment.name);
        expect(format!("segment {}", segment.name), is_said);
    }
    for rule in &model.quarantine {
        let is_told = reached.tells(&format!("held by {}", rule.name));
        expect(format!("quarantine {}", rule.name), is_told);
    }
    for answer in [
        "released 1",
        "retracted",
        "duplicate",
        "retracted in advance",
    ] {
        expect(answer.to_owned(), reached.told.contains(answer));
    }
    assert!(
        missing.is_empty(),
        "no story reaches: {}",
        missing.join(", ")
    );
}
