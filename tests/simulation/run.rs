//! One run of a seed: what the operators do while clients and readers are at it, then calm,
//! and then the recount.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bellwether::{rollout::ApplyOptions, scoring::Model, service::View};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::{
    clients::{Run, Told, settles},
    dice::Dice,
    network::{Place, Weather, World},
    people::{self, EVERYONE, Order, Plan},
    recount,
    servers::{Command, Setup},
    state::Flaw,
};

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// What must not be.
    pub violations: Vec<String>,
    /// A hash of everything that happened.
    pub history: u64,
    /// Messages to the store.
    pub messages: u64,
}

/// Longer than any run takes, in its own time.
const AT_MOST: Duration = Duration::from_secs(1_800);

/// Runs a seed in a time and a thread of its own.
pub fn run(seed: u64, flaw: Option<Flaw>) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(simulate(seed, flaw))
}

async fn simulate(seed: u64, flaw: Option<Flaw>) -> Report {
    let mut dice = Dice::new(seed, "run");
    let plan = Plan::new(seed);
    let models = people::models(plan.order);
    let partitions = dice.between(1, 4) as usize;
    let mut world = World::new(seed, partitions, models);
    world.flaw = flaw;
    world.loses = std::env::var_os("SIMULATION_FAILOVERS").is_some();
    let loses = world.loses;
    world.weather = weather(&mut dice);
    if flaw.is_some() {
        // Most flaws show when messages come twice.
        world.weather.repeated = 3;
    }
    let world = Arc::new(Mutex::new(world));
    let setup = Setup {
        world: Arc::clone(&world),
        models,
        remembered_events: plan.remembered_events,
        rebuild_rate: *dice.pick(&[1, 3, 1_000]),
        began: Instant::now(),
    };
    let count = dice.between(2, 3) as usize;
    let names = &["anna", "bert", "carl"][..count];
    let servers = names.iter().map(|name| setup.start(name)).collect();
    let run = Run {
        world: Arc::clone(&world),
        servers: Arc::new(servers),
        told: Arc::default(),
        forgets: plan.forgets,
        sends_again: false,
    };

    let last = *dice.pick(&[0, 1, 1, 1, 2, 2]);
    let pace = *dice.pick(&[300, 1_500, 4_000]);
    let operators = tokio::spawn(operate(run.clone(), Dice::new(seed, "operators"), last));
    let weather_turns = tokio::spawn(outages(run.clone(), Dice::new(seed, "outages"), partitions));
    let trouble = tokio::spawn(trouble_builders(run.clone(), Dice::new(seed, "builders")));
    let failing = loses.then(|| tokio::spawn(failovers(run.clone(), Dice::new(seed, "failovers"))));
    let readers: Vec<_> = (0..dice.roll(3))
        .map(|reader| {
            tokio::spawn(
                run.clone()
                    .reader(Dice::new(seed, &format!("reader {reader}"))),
            )
        })
        .collect();
    let clients: Vec<_> = shares(&plan, &mut dice)
        .into_iter()
        .enumerate()
        .map(|(client, actions)| {
            let dice = Dice::new(seed, &format!("client {client}"));
            tokio::spawn(run.clone().client(dice, actions, pace))
        })
        .collect();
    let everything = async {
        for client in clients {
            client.await.unwrap();
        }
        operators.await.unwrap();
    };
    let acknowledged = timeout(AT_MOST, everything).await.is_ok();
    weather_turns.abort();
    trouble.abort();
    if let Some(failing) = failing {
        failing.abort();
    }
    for reader in readers {
        reader.abort();
    }
    let violate = |what: String| world.lock().unwrap().violate(what);
    if !acknowledged {
        violate("not everything was acknowledged".to_owned());
    }
    become_calm(&run);
    let wanted = models[last].fingerprint();
    let settled = settles(Duration::from_secs(300), || {
        let world = world.lock().unwrap();
        let rollout = &world.common.rollout;
        run.servers.iter().all(|server| server.service().is_some())
            && rollout.active.is_some_and(|active| active.model == wanted)
            && rollout.candidate.is_none()
            && rollout.discarded.is_empty()
    });
    if !settled.await {
        let rollout = rollout_of(&run);
        violate(format!("model {last} does not settle: {rollout}"));
    }
    // As long as a server may take to notice what the others have done.
    sleep(Duration::from_secs(5)).await;
    for server in run.servers.iter() {
        let Some(service) = server.service() else {
            violate(format!("{} is not up", server.name));
            continue;
        };
        match run.segment(&service, EVERYONE, None, View::Full, 3).await {
            Ok((_, model)) if model == wanted => {}
            other => violate(format!(
                "{} ends with {other:?} instead of {wanted}",
                server.name
            )),
        }
        if let Err(error) = run.funnel(&service, None).await {
            violate(format!("{} ends with {error}", server.name));
        }
    }
    if flaw.is_none() && dice.once_in(3) {
        arrive(&run).await;
        lose_writes(&run, &plan, &models[last], &mut dice).await;
    }
    for server in run.servers.iter() {
        server.tell(Command::Stop);
    }
    arrive(&run).await;
    let told = run.told.lock().unwrap();
    for ((profile_id, _), told) in told.iter() {
        let Told {
            applied,
            retracted,
            retracted_in_advance,
        } = *told;
        if applied > 1 || retracted + retracted_in_advance > 1 || retracted_in_advance + applied > 1
        {
            violate(format!("of an event of {profile_id} it was said: {told:?}"));
        }
    }
    let mut world = world.lock().unwrap();
    let nothing = BTreeMap::new();
    let told = if world.has_lost { &nothing } else { &*told };
    recount::compare(&mut world, &plan, told, &models[last]);
    Report {
        violations: std::mem::take(&mut world.violations),
        history: world.history(),
        messages: world.messages,
    }
}

/// Whatever is still on its way arrives.
async fn arrive(run: &Run) {
    let arrived = || run.world.lock().unwrap().in_flight == 0;
    if !settles(Duration::from_secs(600), arrived).await {
        let what = "messages do not end".to_owned();
        run.world.lock().unwrap().violate(what);
    }
}

/// One partition after the other fails over and loses writes, and everything is sent again.
async fn lose_writes(run: &Run, plan: &Plan, model: &Model, dice: &mut Dice) {
    let run = Run {
        sends_again: true,
        ..run.clone()
    };
    let weather = weather(dice);
    let partitions = run.world.lock().unwrap().partitions.len();
    for partition in 0..partitions {
        {
            let mut world = run.world.lock().unwrap();
            let replicas = &world.replicas[partition];
            if replicas.is_empty() || recount::has_forgotten(&world) {
                continue;
            }
            let replica = dice.pick(replicas).clone();
            world.fail_over(partition, replica);
            world.weather = weather;
        }
        let clients = shares(plan, dice).into_iter().map(|actions| {
            let dice = Dice::new(dice.roll(u64::MAX), "again");
            tokio::spawn(run.clone().client(dice, actions, 100))
        });
        for client in clients.collect::<Vec<_>>() {
            if timeout(AT_MOST, client).await.is_err() {
                let what = "not everything was acknowledged again".to_owned();
                run.world.lock().unwrap().violate(what);
            }
        }
        become_calm(&run);
        arrive(&run).await;
        let mut world = run.world.lock().unwrap();
        // What was told before is not known any more.
        recount::compare(&mut world, plan, &BTreeMap::new(), model);
    }
    let mut world = run.world.lock().unwrap();
    recount::lose_and_mend(&mut world, plan, model);
}

fn weather(dice: &mut Dice) -> Weather {
    let mut trouble = |usual: u64| match dice.roll(3) {
        0 => 0,
        _ => dice.between(usual / 3, usual * 3),
    };
    Weather {
        lost: trouble(30),
        unanswered: trouble(30),
        refused: trouble(30),
        late: trouble(40),
        repeated: trouble(10),
        way: *dice.pick(&[1, 10, 200]),
    }
}

fn become_calm(run: &Run) {
    let mut world = run.world.lock().unwrap();
    world.note("calm");
    world.outages.clear();
    world.frozen.clear();
    world.weather = Weather {
        way: 1,
        ..Weather::default()
    };
}

fn rollout_of(run: &Run) -> String {
    let mut world = run.world.lock().unwrap();
    let rollout = world.common.rollout.clone();
    world.describe(&rollout)
}

/// What each client does.
fn shares(plan: &Plan, dice: &mut Dice) -> Vec<Vec<people::Action>> {
    let mut shares: BTreeMap<String, Vec<people::Action>> = BTreeMap::new();
    match plan.order {
        Order::Kept => {
            for action in &plan.actions {
                let share = action.profile_id().to_string();
                shares.entry(share).or_default().push(action.clone());
            }
        }
        Order::Free => {
            let clients = dice.between(1, 6);
            let mut actions = plan.actions.clone();
            dice.shuffle(&mut actions);
            for action in actions {
                // Now and then two clients send the same.
                for _ in 0..if dice.once_in(4) { 2 } else { 1 } {
                    let share = dice.roll(clients).to_string();
                    shares.entry(share).or_default().push(action.clone());
                }
            }
        }
    }
    shares.into_values().collect()
}

/// Kills servers, and brings them from model to model up to the last one, one by one. A
/// server that starts again before its turn comes late, with the model that it had.
async fn operate(run: Run, mut dice: Dice, last: usize) {
    let servers = run.servers.len();
    for model in 0..=last {
        let mut turns: Vec<usize> = (0..servers).collect();
        dice.shuffle(&mut turns);
        // Who never comes to the model follows the others.
        if model > 0 && dice.once_in(4) {
            turns.truncate(1);
        }
        for turn in turns {
            for _ in 0..dice.roll(3) {
                sleep(Duration::from_millis(dice.roll(4_000))).await;
                if dice.once_in(2) {
                    let down = Duration::from_millis(dice.roll(6_000));
                    let command = Command::Kill(down);
                    dice.pick(&run.servers).tell(command);
                }
            }
            if model > 0 {
                run.servers[turn].tell(Command::Upgrade(model));
            }
        }
        if dice.once_in(2) {
            go_back_and_forth(&run, &mut dice, model).await;
        }
        // The next model is for those who know this one.
        let wanted = run.world.lock().unwrap().models[model].fingerprint();
        let known = settles(AT_MOST, || {
            let world = run.world.lock().unwrap();
            let mut maintained = world.common.rollout.maintained();
            maintained.any(|generation| generation.model == wanted)
        });
        if !known.await {
            let rollout = rollout_of(&run);
            let what = format!("model {model} is never proposed: {rollout}");
            run.world.lock().unwrap().violate(what);
        }
        // Perhaps before it answers.
        if dice.once_in(2) {
            settles(Duration::from_secs(60), || {
                let world = run.world.lock().unwrap();
                let active = world.common.rollout.active;
                active.is_some_and(|active| active.model == wanted)
            })
            .await;
        }
    }
}

/// Applies models to servers that run, some that answered before, and a model of this number
/// at last.
async fn go_back_and_forth(run: &Run, dice: &mut Dice, model: usize) {
    let earlier = (0..dice.roll(3)).map(|_| dice.roll(model as u64 + 1) as usize);
    let turns: Vec<usize> = earlier
        .collect::<Vec<_>>()
        .into_iter()
        .chain([model])
        .collect();
    for turn in turns {
        sleep(Duration::from_millis(dice.roll(5_000))).await;
        let applied = Arc::clone(&run.world.lock().unwrap().models[turn]);
        run.world
            .lock()
            .unwrap()
            .note(&format!("apply model {turn}"));
        // Until one of them says that it has: what was not answered may have happened.
        loop {
            if let Some(service) = dice.pick(&run.servers).service()
                && let Ok(Ok(_)) = timeout(
                    Duration::from_secs(20),
                    service.deployment().apply_model(
                        None,
                        Arc::clone(&applied),
                        ApplyOptions::default(),
                    ),
                )
                .await
            {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Kills whoever builds ranks in the middle, or makes it stand still longer than its right
/// to build lasts.
async fn trouble_builders(run: Run, mut dice: Dice) {
    for _ in 0..dice.roll(4) {
        let building = || {
            let world = run.world.lock().unwrap();
            world.common.rollout.candidate.is_some() && world.builder.is_some()
        };
        if !settles(AT_MOST, building).await {
            return;
        }
        sleep(Duration::from_millis(dice.roll(3_000))).await;
        let builder = run.world.lock().unwrap().builder.take();
        let servers = run.servers.iter();
        for server in servers.filter(|server| Some(server.name) == builder) {
            if dice.once_in(2) {
                server.tell(Command::Kill(Duration::from_millis(dice.roll(15_000))));
            } else {
                let until = Instant::now() + Duration::from_millis(dice.roll(25_000));
                let mut world = run.world.lock().unwrap();
                world.note(&format!("{} stands still", server.name));
                world.frozen.insert(server.name, until);
            }
        }
    }
}

/// The node of what belongs to the tenant as a whole fails, and another one takes its place
/// that had not been told of the latest changes.
async fn failovers(run: Run, mut dice: Dice) {
    loop {
        let before = run.world.lock().unwrap().earlier.len();
        let changed = || run.world.lock().unwrap().earlier.len() > before;
        if !settles(AT_MOST, changed).await {
            return;
        }
        if !dice.once_in(3) {
            continue;
        }
        sleep(Duration::from_millis(dice.roll(300))).await;
        let mut world = run.world.lock().unwrap();
        let lag = Duration::from_millis(dice.roll(800));
        let since = Instant::now() - lag;
        let lost = world.earlier.iter().find(|(at, _)| *at >= since).cloned();
        if let Some((_, earlier)) = lost {
            let text = world.describe(&earlier.rollout);
            world.note(&format!("a failover brings back {text}"));
            world.common = earlier;
        }
    }
}

/// Parts of the store go away for a while.
async fn outages(run: Run, mut dice: Dice, partitions: usize) {
    for _ in 0..dice.roll(5) {
        sleep(Duration::from_millis(dice.roll(10_000))).await;
        let until = Instant::now() + Duration::from_millis(dice.roll(8_000));
        let places = (0..partitions).map(Place::Partition).chain([Place::Common]);
        let all = dice.once_in(3);
        let mut world = run.world.lock().unwrap();
        for place in places {
            if all || dice.once_in(3) {
                world.note(&format!("{place:?} goes away"));
                world.outages.insert(place, until);
            }
        }
    }
}
