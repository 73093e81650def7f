//! What must hold for every story, on every store.

use std::{collections::BTreeMap, sync::Arc};

use bellwether::scoring::Model;
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use crate::{
    answers::{Answers, close},
    making::any_story,
    plain::World,
    rows,
    served::{Pace, Served},
    stores::Home,
    story::{ACCOUNTS, DAY, Event, HOUR, PEOPLE, SECOND, Step, Story, dice},
    table,
};

/// Events that a record remembers: more than any story has.
pub const ALL_EVENTS: usize = 256;
/// How many steps a story has at most.
pub const MAX_STEPS: usize = 60;
/// How many stories every number is compared of.
pub const STORIES: u32 = 25;
/// Accounts, and who belongs to them.
const MEMBERS: [(&str, &[&str]); 2] = [("acme", &["ann", "bob"]), ("zenith", &["cyd"])];
/// After the end of a story: what fades is asked for while it is there, and when it is gone.
const LATER: [i64; 4] = [0, HOUR, 9 * DAY, 400 * DAY];
/// Before the end of a story: a list is refused where something later was counted.
const EARLIER: [i64; 6] = [-1, 1, 299 * SECOND, 301 * SECOND, 5 * HOUR, 9 * DAY];

fn parse(model: &table::Model) -> Arc<Model> {
    let source = model.toml();
    match Model::parse(&source) {
        Ok(model) => Arc::new(model),
        Err(mistakes) => {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            panic!("{}\n{source}", mistakes.join("\n"))
        }
    }
}

/// Tests a property of what `stories` makes up. The failing case that is told is the smallest
/// that was found.
fn check<S: Strategy>(
    cases: u32,
    stories: S,
    holds: impl AsyncFn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Clone,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    // The same cases in every run: a failure is one of the change, not of the day.
    let dice = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tested = TestRunner::new_with_rng(config, dice)
        .run(&stories, |story| runtime.block_on(holds(story)));
    if let Err(failure) = tested {
        panic!("{failure}");
    }
}

/// Fails when two answers differ.
fn same(what: &str, this: &Answers, other: &Answers) -> Result<(), TestCaseError> {
    match this.differences(other) {
        None => Ok(()),
        Some(differences) => Err(TestCaseError::fail(format!("{what}:\n{differences}"))),
    }
}

/// Tells a story to the service and to the recomputation, and compares every answer.
async fn told_and_recomputed<H: Home>(
    model: &table::Model,
    remembered_events: usize,
    story: &Story,
) -> Result<(), TestCaseError> {
    let mut served = Served::<H>::start(&parse(model), remembered_events).await;
    let mut world = World::new(model, remembered_events);
    told_alike(&mut served, &mut world, &story.0).await?;
    say_the_same(&served, &world, story, |_| true).await?;
    served.end().await;
    Ok(())
}

/// Tells steps to both, and compares the answers.
async fn told_alike<H: Home>(
    served: &mut Served<H>,
    world: &mut World,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let told = served.tell(steps, Pace::OneByOne).await;
    for (step, told) in steps.iter().zip(told) {
        let expected = world.take(step);
        prop_assert_eq!(told, expected, "the answer to: {}", step);
    }
    Ok(())
}

/// Compares everything that the service and the recomputation say, at several instants.
async fn say_the_same<H: Home>(
    served: &Served<H>,
    world: &World,
    story: &Story,
    is_compared: fn(&str) -> bool,
) -> Result<(), TestCaseError> {
    for later in LATER {
        let at = story.end() + later;
        let what = format!("the service and the recomputation {} h later", later / HOUR);
        let (told, expected) = (served.answers(at).await, world.answers(at));
        same(&what, &told.only(is_compared), &expected.only(is_compared))?;
    }
    for earlier in EARLIER {
        let at = story.end() - earlier;
        let (told, expected) = (served.list_instant(at).await, world.list_instant(at));
        prop_assert_eq!(
            told,
            expected,
            "a list {} s before the end",
            earlier / SECOND
        );
    }
    Ok(())
}

/// What does not depend on the order in which an account hears of events that are sent
/// together: not what it has in which key once there are more than are kept.
fn but_for_keys_of_accounts(name: &str) -> bool {
    let is_of_account = MEMBERS.iter().any(|(account, _)| name.starts_with(account));
    !(is_of_account && is_of_few_keys(name))
}

/// Whether a step releases what a rule holds that only models with history have.
fn releases_by_history(step: &Step) -> bool {
    matches!(
        step,
        Step::Release {
            rule: Some("hasty"),
            ..
        }
    )
}

pub fn every_number_equals_the_recomputation<H: Home>() {
    check(STORIES, any_story(MAX_STEPS), async |story| {
        let model = rows::model();
        told_and_recomputed::<H>(&model, ALL_EVENTS, &story).await
    });
}

/// How often a retraction is remembered is not told, so that these stories have none.
pub fn what_is_forgotten_is_too_old_and_never_counts_twice<H: Home>() {
    let few = 1..6_usize;
    check(10, (any_story(MAX_STEPS), few), async |(story, few)| {
        let story = story.without(|step| matches!(step, Step::Retract(_)));
        let model = rows::model();
        told_and_recomputed::<H>(&model, few, &story).await
    });
}

/// Tells two stories to two services, each by a model of its own that has only what does not
/// ask for order, and compares all that does not depend on it.
async fn told_the_same<H: Home>(
    (one_model, one): (&table::Model, &Story),
    (other_model, other): (&table::Model, &Story),
    is_free: fn(&str) -> bool,
) -> Result<(), TestCaseError> {
    let mut first = Served::<H>::start(&parse(one_model), ALL_EVENTS).await;
    let mut second = Served::<H>::start(&parse(other_model), ALL_EVENTS).await;
    first.tell(&one.0, Pace::Together).await;
    second.tell(&other.0, Pace::Together).await;
    for later in LATER {
        let at = one.end() + later;
        let (one, other) = (first.answers(at).await, second.answers(at).await);
        let is_free = |name: &str| is_free(name) && is_order_free(name);
        same("the two services", &one.only(is_free), &other.only(is_free))?;
    }
    first.end().await;
    second.end().await;
    Ok(())
}

/// Whether a step changes the account that the events of its person count for that come after it.
fn states_account(step: &Step) -> bool {
    matches!(
        step,
        Step::State {
            name: "company",
            ..
        }
    )
}

/// Whether a step says what an account states.
fn states_of_account(step: &Step) -> bool {
    matches!(step, Step::State { person, .. } if ACCOUNTS.contains(person))
}

/// What is the same for every order of events: not how advances are shared, nor what is in
/// which key once there are more than are kept, nor since when somebody stands at a stage.
fn is_order_free(name: &str) -> bool {
    !name.contains(" on ") && !is_of_few_keys(name) && !name.ends_with(": entered")
}

/// Whether a number is what a signal has in one key, of which there are more than are kept.
fn is_of_few_keys(name: &str) -> bool {
    rows::model()
        .signals
        .iter()
        .filter(|signal| signal.keys.is_some())
        .any(|signal| name.contains(&format!("{}, by ", signal.name)))
}

/// An event that counted and was taken back stays the first or the last, one that was taken back
/// before it came or while it was held never was; nobody sees that but here.
fn but_for_times(name: &str) -> bool {
    !name.contains("first and last")
}

pub fn the_order_of_events_does_not_matter_to_what_does_not_ask_for_it<H: Home>() {
    let stories = (any_story(MAX_STEPS), dice());
    check(12, stories, async |(story, mut dice)| {
        // The latest value is free of the order of events alone.
        let (model, story) = match dice.roll(2) {
            0 => (rows::model().order_free().without_latest(), story),
            _ => (
                rows::model().order_free().without_accounts(),
                story.without(|step| matches!(step, Step::Retract(_))),
            ),
        };
        let story = story.without(|step| matches!(step, Step::Release { .. }));
        let story = story.without(states_account);
        let mut story = story.after_everybody_stated_something();
        if model.accounts.is_none() {
            story = story.without(states_of_account);
        }
        let shuffled = story.shuffled(&mut dice);
        told_the_same::<H>((&model, &story), (&model, &shuffled), but_for_times).await
    });
}

/// A change of the model between two steps, to a model that fades otherwise or back from it.
pub fn what_was_counted_goes_on_with_the_half_lives_of_another_model<H: Home>() {
    let stories = (any_story(MAX_STEPS), any::<Index>(), any::<bool>());
    check(6, stories, async |(story, place, is_back)| {
        let (mut before, mut after) = (rows::model(), rows::model_that_fades_otherwise());
        if is_back {
            std::mem::swap(&mut before, &mut after);
        }
        let mut served = Served::<H>::start(&parse(&before), ALL_EVENTS).await;
        let mut world = World::new(&before, ALL_EVENTS);
        let (early, late) = story.0.split_at(place.index(story.0.len()));
        told_alike(&mut served, &mut world, early).await?;
        served.adopt(&parse(&after)).await;
        world.adopt(&after);
        say_the_same(&served, &world, &story, |_| true).await?;
        told_alike(&mut served, &mut world, late).await?;
        say_the_same(&served, &world, &story, |_| true).await?;
        served.end().await;
        Ok(())
    });
}

/// What was taken back has been seen all the same.
pub fn the_first_and_the_last_event_are_those_of_all_that_ever_counted<H: Home>() {
    check(8, any_story(MAX_STEPS), async |story| {
        let mut model = rows::model().without_accounts();
        model.quarantine.clear();
        let story = story.without(|step| matches!(step, Step::Release { .. }));
        let story = story.without(states_of_account);
        let mut served = Served::<H>::start(&parse(&model), ALL_EVENTS).await;
        let told = served.tell(&story.0, Pace::Together).await;
        let mut counted: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for (step, told) in story.0.iter().zip(told) {
            if let Step::Send(event) = step
                && told.starts_with("applied")
            {
                counted.entry(event.person).or_default().push(event.time());
            }
        }
        let answers = served.answers(story.end()).await;
        for (person, times) in counted {
            let times = times.iter().min().zip(times.iter().max());
            let are_left = answers.of(&format!("{person}: events")) > 0.0;
            let expected = format!("{:?}", times.filter(|_| are_left));
            let said = answers.words_of(&format!("{person}: first and last"));
            prop_assert_eq!(said, Some(expected.as_str()), "of {}", person);
        }
        served.end().await;
        Ok(())
    });
}

pub fn events_that_are_sent_again_change_nothing<H: Home>() {
    let stories = (any_story(MAX_STEPS), dice());
    check(10, stories, async |(story, mut dice)| {
        let model = rows::model().without_latest();
        let mut served = Served::<H>::start(&parse(&model), ALL_EVENTS).await;
        let mut world = World::new(&model, ALL_EVENTS);
        let repeated = story.with_repeats(&mut dice);
        served.tell(&repeated.0, Pace::Together).await;
        for step in &story.0 {
            world.take(step);
        }
        say_the_same(&served, &world, &story, but_for_keys_of_accounts).await?;
        served.end().await;
        Ok(())
    });
}

pub fn what_is_taken_back_leaves_what_there_would_be_without_it<H: Home>() {
    check(12, any_story(MAX_STEPS), async |story| {
        let model = rows::model().order_free().without_latest();
        // Everybody is there from the beginning, with and without the events.
        let story = story.after_everybody_stated_something();
        let story = story.without(releases_by_history);
        let retracted = story.retracted();
        let is_retracted = |event: &Event| {
            let same = |other: &&Event| (other.person, &other.id) == (event.person, &event.id);
            retracted.iter().any(|other| same(&other))
        };
        let without = story.clone().without(|step| match step {
            Step::Send(event) | Step::Retract(event) => is_retracted(event),
            _ => false,
        });
        told_the_same::<H>((&model, &story), (&model, &without), but_for_times).await
    });
}

pub fn what_is_released_counts_as_if_it_had_never_been_held<H: Home>() {
    let stories = (any_story(MAX_STEPS), any::<bool>());
    check(12, stories, async |(story, are_retracted)| {
        let story = match are_retracted {
            true => story,
            false => story.without(|step| matches!(step, Step::Retract(_))),
        };
        let holding = rows::model().order_free().without_latest();
        let mut letting_through = holding.clone();
        letting_through.quarantine.clear();
        let story = story.without(|step| matches!(step, Step::Release { .. }));
        let mut story = story.after_everybody_stated_something();
        for person in PEOPLE {
            story.0.push(Step::Release { person, rule: None });
        }
        let (one, other) = ((&holding, &story), (&letting_through, &story));
        told_the_same::<H>(one, other, but_for_times).await
    });
}

/// There is no merging of profiles: an account is the merge of its people, who never meet in
/// one record.
pub fn an_account_counts_what_its_people_count<H: Home>() {
    check(10, any_story(MAX_STEPS), async |story| {
        let model = rows::model();
        let story = story.with_accounts(&MEMBERS);
        let mut served = Served::<H>::start(&parse(&model), ALL_EVENTS).await;
        served.tell(&story.0, Pace::Together).await;
        for later in LATER {
            let answers = served.answers(story.end() + later).await;
            for (account, people) in MEMBERS {
                let sum = |what: &str| -> f64 {
                    let people = people.iter();
                    people.map(|id| answers.of(&format!("{id}{what}"))).sum()
                };
                let mut counts = vec![": events".to_owned()];
                for score in &model.scores {
                    for signal in &model.signals {
                        counts.push(format!(", {}, {}: count", score.name, signal.name));
                    }
                }
                for topic in &model.topics {
                    counts.push(format!(", about {}", topic.name));
                }
                for what in counts {
                    let (whole, parts) = (answers.of(&format!("{account}{what}")), sum(&what));
                    // Interests below the noise floor are not said.
                    let is_same = close(whole, parts) || (whole - parts).abs() < 1e-5;
                    prop_assert!(is_same, "{}{}: {} and {}", account, what, whole, parts);
                }
            }
        }
        served.end().await;
        Ok(())
    });
}
