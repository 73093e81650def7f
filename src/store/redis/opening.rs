//! The checks of a start, each with what to do when it fails, and the check whether the
//! servers still serve.

use redis::{Value, aio::MultiplexedConnection};

use super::{
    super::StoreError,
    MAX_PARTITIONS, RedisSettings,
    connection::Connection,
    connector::Connector,
    failure::{of_connecting, unexpected},
    list,
    note::{self, Claimed},
    scripts::WRITABLE,
    text,
};

/// The oldest version that has what the scripts use.
const MIN_VERSION: (u32, u32) = (7, 0);

/// Connects to what can serve as it is.
pub async fn open(
    settings: &RedisSettings,
    may_be_made: bool,
) -> Result<(Connection, Claimed), StoreError> {
    if let Some(partitions) = settings.partitions
        && !(1..=MAX_PARTITIONS).contains(&partitions)
    {
        return Err(StoreError::Misconfigured(format!(
            "a store has 1 to {MAX_PARTITIONS} partitions, not {partitions}"
        )));
    }
    let connector = Connector::new(settings).await?;
    check_server(settings, &probe(settings, &connector).await?)?;
    let connection = Connection::open(connector)
        .await
        .map_err(|error| unreachable(settings, &of_connecting(&error)))?;
    check_primaries(&connection).await?;
    let mut command = redis::cmd("INFO");
    command.arg("server").arg("memory");
    for answer in connection.ask_primaries(&command).await? {
        let facts = Facts(text(answer)?.ok_or_else(unexpected)?);
        check_version(settings, &facts)?;
        check_eviction(settings, &facts)?;
    }
    let claimed = note::claim(settings, &connection, may_be_made).await?;
    Ok((connection, claimed))
}

/// Whether every primary answers and still is one.
pub async fn check_primaries(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_cluster() {
        return check_cluster(connection).await;
    }
    for role in connection.ask_primaries(&redis::cmd("ROLE")).await? {
        let role = list(role)?.into_iter().next().unwrap_or_default();
        if text(role)?.as_deref() != Some("master") {
            return Err(StoreError::Unavailable(
                "the Redis server is a replica; name the primary, or wait for the failover"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

/// The client leaves out a primary that it has no connection to, so the answers are counted.
async fn check_cluster(connection: &Connection) -> Result<(), StoreError> {
    if missing_primaries(connection).await?.is_none() {
        return Ok(());
    }
    // It looks for the new primaries only when a call fails for want of one.
    connection.touch_slots().await;
    match missing_primaries(connection).await? {
        None => Ok(()),
        Some(reason) => Err(StoreError::Unavailable(reason)),
    }
}

/// Why not every slot of the cluster is served; `None` when all are.
async fn missing_primaries(connection: &Connection) -> Result<Option<String>, StoreError> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("INFO");
    let answers = connection.ask_primaries(&command).await?;
    let answering = answers.len();
    for answer in answers {
        let facts = Facts(text(answer)?.ok_or_else(unexpected)?);
        if facts.get("cluster_state") != Some("ok") {
            return Ok(Some(
                "the cluster does not serve all its slots; a failover may be under way".to_owned(),
            ));
        }
        let primaries: usize = facts
            .get("cluster_size")
            .and_then(|size| size.parse().ok())
            .ok_or_else(unexpected)?;
        if answering < primaries {
            return Ok(Some(format!(
                "{answering} of the {primaries} primaries of the cluster answer; a failover may \
                 be under way"
            )));
        }
    }
    Ok((answering == 0).then(|| "no primary of the cluster answers".to_owned()))
}

/// Whether every primary takes writes, and still never evicts.
pub async fn check_ground(connection: &Connection) -> Result<(), StoreError> {
    let mut command = redis::cmd("INFO");
    command.arg("memory");
    for answer in connection.ask_primaries(&command).await? {
        let facts = Facts(text(answer)?.ok_or_else(unexpected)?);
        check_eviction(connection.settings(), &facts)?;
    }
    // Redis refuses a script that may write as it refuses a write, and this one writes nothing.
    let probe = WRITABLE.whole(&WRITABLE.call(0, 0, 0));
    connection.ask_primaries(&probe).await.map(drop)
}

/// What the first server that answers says of itself.
async fn probe(settings: &RedisSettings, connector: &Connector) -> Result<Facts, StoreError> {
    let mut failed = None;
    for node in &settings.address.nodes {
        match connector.probe(node).await {
            Ok(mut server) => {
                return facts(&mut server)
                    .await
                    .map_err(|error| unreachable(settings, &error));
            }
            Err(error) => failed = Some(error),
        }
    }
    Err(match failed {
        Some(error) => unreachable(settings, &of_connecting(&error)),
        None => StoreError::Misconfigured("the URL of the store names no host".to_owned()),
    })
}

async fn facts(server: &mut MultiplexedConnection) -> Result<Facts, StoreError> {
    let answer = server.send_packed_command(&redis::cmd("INFO")).await;
    let answer = answer
        .and_then(Value::extract_error)
        .map_err(|error| of_connecting(&error))?;
    Ok(Facts(text(answer)?.ok_or_else(unexpected)?))
}

/// The same error with the address of the server.
fn unreachable(settings: &RedisSettings, error: &StoreError) -> StoreError {
    let address = &settings.address;
    match error {
        StoreError::Misconfigured(reason) => {
            StoreError::Misconfigured(format!("the store at {address}: {reason}"))
        }
        StoreError::Unavailable(reason) => StoreError::Unavailable(format!(
            "no connection to {address}: {reason}; start Redis there, or correct the URL of the \
             store"
        )),
        other => other.clone(),
    }
}

/// What INFO answers.
struct Facts(String);

impl Facts {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }
}

fn check_server(settings: &RedisSettings, facts: &Facts) -> Result<(), StoreError> {
    check_version(settings, facts)?;
    let address = &settings.address;
    let is_cluster = facts.get("cluster_enabled") == Some("1");
    if is_cluster != address.cluster {
        let (is, meant) = if is_cluster {
            ("is a node of a cluster", "one server")
        } else {
            ("is no node of a cluster", "a cluster")
        };
        return Err(StoreError::Misconfigured(format!(
            "the server at {address} {is}, and the URL means {meant}; write {}",
            address.as_other_kind()
        )));
    }
    if facts.get("loading") == Some("1") {
        return Err(StoreError::Unavailable(format!(
            "the server at {address} is loading its data; start again when it is done"
        )));
    }
    Ok(())
}

/// Valkey, too, says which version of Redis it stands for.
fn check_version(settings: &RedisSettings, facts: &Facts) -> Result<(), StoreError> {
    let version = facts.get("redis_version").unwrap_or("unknown");
    let mut numbers = version.split('.').map(str::parse);
    let recent = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= MIN_VERSION,
        _ => false,
    };
    if recent {
        return Ok(());
    }
    Err(StoreError::Misconfigured(format!(
        "the server at {} is Redis {version}; Bellwether needs Redis {}.{} or later, or Valkey",
        settings.address, MIN_VERSION.0, MIN_VERSION.1
    )))
}

fn check_eviction(settings: &RedisSettings, facts: &Facts) -> Result<(), StoreError> {
    match facts.get("maxmemory_policy") {
        Some("noeviction") => Ok(()),
        policy => Err(StoreError::Misconfigured(format!(
            "a server at {} has maxmemory-policy {}, which lets Redis delete profiles; set \
             maxmemory-policy noeviction",
            settings.address,
            policy.unwrap_or("unknown")
        ))),
    }
}
