//! One profile that everybody writes: two servers on one Redis, and the same callers with
//! events of that profile, or of all.

use std::sync::Arc;

use crate::{
    arguments::Arguments,
    bellwether::Bellwether,
    clients::{Clients, Method},
    events::Events,
    goals::Goals,
    phases::{CALLS_IN_FLIGHT, compare},
    redis_server::RedisServer,
};

pub async fn measure(arguments: &Arguments) {
    let redis = RedisServer::start();
    let servers = [
        Bellwether::start(redis.address()).await,
        Bellwether::start(redis.address()).await,
    ];
    let mut clients = Vec::new();
    for server in &servers {
        clients.push(Clients::connect(server.address).await);
    }
    let clients = Clients::to_all(&clients);
    let (random, of_one) = (Arc::new(Events::new()), Arc::new(Events::of_one()));
    clients.preload(&random, arguments.events_per_profile).await;
    let sides = [&random, &of_one].map(|events| clients.side(Method::ScoreEvent, events));
    let [random, of_one] = compare(arguments.time, Some(redis.process()), sides).await;
    println!(
        "\n{CALLS_IN_FLIGHT} callers of two servers on one Redis, ScoreEvent: {:.0}/s on random \
         profiles, {:.0}/s on one, which is {} of it (p50 {} and {} us, p99 {} and {} us)",
        random.rates().median,
        of_one.rates().median,
        of_one.of(&random),
        random.latency(0.5),
        of_one.latency(0.5),
        random.latency(0.99),
        of_one.latency(0.99),
    );
    let mut goals = Goals::default();
    let name = "ScoreEvent of one profile, of that of random profiles";
    goals.at_least(name, 0.5, &of_one.of(&random));
    goals.print();
    for server in servers {
        server.stop().await;
    }
}
