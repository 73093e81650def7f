//! The note that makes a database ours: the format of what is stored, into how many partitions,
//! and an identity that no other store has. It is written once, by the first start; a server
//! that does not find it again writes nothing, because all else may be gone, too.

use std::collections::BTreeSet;

use redis::Value;

use super::{
    super::StoreError,
    MAX_PARTITIONS, RedisSettings,
    connection::Connection,
    default_partitions,
    failure::{Failure, unexpected},
    keys::{MARKER, is_left_behind, is_ours, partitions_in},
    list,
    scripts::MARK,
    text,
};

/// The format of what is stored. 2: keys name the number of partitions.
const FORMAT: &str = "2";
/// Keys of a database without a note that are looked at one by one.
const MAX_LOOKED_AT: u64 = 10_000;

struct Note {
    format: String,
    partitions: String,
    /// `None` when somebody has written the note by hand.
    identity: Option<String>,
}

/// What a database that is ours says of itself.
pub struct Claimed {
    pub identity: String,
    /// Of tenants whose rollout says nothing else.
    pub partitions: u32,
}

/// Makes an empty database ours, and refuses any other that is not, or is not as configured.
pub async fn claim(
    settings: &RedisSettings,
    connection: &Connection,
    may_be_made: bool,
) -> Result<Claimed, StoreError> {
    let mut note = read(connection).await?;
    if note.is_none() {
        match other_keys(settings, connection).await {
            // Another server may have made it ours after the first look.
            Err(refused) => note = Some(read(connection).await?.ok_or(refused)?),
            Ok(()) if may_be_made => {}
            Ok(()) => {
                return Err(StoreError::Misconfigured(format!(
                    "there is no store in the database at {}",
                    settings.address
                )));
            }
        }
    }
    let note = match note {
        Some(note) if note.identity.is_some() => note,
        _ => mark(settings, connection).await?,
    };
    if note.format != FORMAT {
        return Err(StoreError::Misconfigured(format!(
            "the database at {} is in format {}; this version reads format {FORMAT}: use \
             the version that wrote it to export the data",
            settings.address, note.format
        )));
    }
    let partitions = note.partitions.parse().ok();
    let partitions = partitions.filter(|partitions| (1..=MAX_PARTITIONS).contains(partitions));
    let partitions = partitions.ok_or_else(|| {
        StoreError::Corrupt(format!(
            "the note `{MARKER}` in the database at {} says {:?} partitions",
            settings.address, note.partitions
        ))
    })?;
    if let Some(wanted) = settings.partitions
        && wanted != partitions
    {
        return Err(StoreError::Misconfigured(format!(
            "the database at {} was set up with redis_partitions = {partitions}, and it is \
             {wanted} now; leave it unset, or set it to {partitions}: `bellwether repartition` changes the \
             number of one tenant",
            settings.address
        )));
    }
    if settings.address.cluster && partitions == 1 {
        let address = &settings.address;
        tracing::warn!(%address, "new tenants of this cluster have one partition, so each lies on one node; `bellwether repartition` spreads a tenant over more");
    }
    Ok(Claimed {
        identity: note.identity.ok_or_else(unexpected)?,
        partitions,
    })
}

/// Whether the store is the one of this identity still.
pub async fn check(connection: &Connection, identity: &str) -> Result<(), StoreError> {
    let reason = match read(connection).await? {
        Some(note) if note.identity.as_deref() == Some(identity) => return Ok(()),
        Some(_) => {
            "the database was emptied, and another store has been set up in it since this server \
             started; restart this server to serve from that"
        }
        None => {
            "the database was emptied while servers run, and its note `bellwether` is gone; restore \
             it from a backup of Redis, and the servers go on, or restart the servers, which begin \
             anew, and import the last export or replay the events"
        }
    };
    Err(StoreError::Lost(reason.to_owned()))
}

async fn mark(settings: &RedisSettings, connection: &Connection) -> Result<Note, StoreError> {
    let identity = getrandom::u64().map_err(|error| {
        StoreError::Unavailable(format!("no randomness for the name of a store: {error}"))
    })?;
    let mut call = MARK.call(1, 3, 64);
    call.arg(MARKER)
        .arg(FORMAT)
        .arg(wanted_partitions(settings))
        .arg(format!("{identity:016x}"));
    let answer = connection.run(&MARK, &call, MARKER).await;
    parse(answer.map_err(Failure::of_read)?.value)?.ok_or_else(unexpected)
}

/// Refuses a database without a note that holds anything, but for what servers may have written
/// into it while it was emptied under them: that is deleted.
async fn other_keys(settings: &RedisSettings, connection: &Connection) -> Result<(), StoreError> {
    let mut count = 0;
    for answer in connection.ask_primaries(&redis::cmd("DBSIZE")).await? {
        count += super::count(&answer)?;
    }
    if count == 0 {
        return Ok(());
    }
    let address = &settings.address;
    let keys = some_keys(connection, count).await?;
    if count <= MAX_LOOKED_AT && keys.iter().all(|key| is_left_behind(key)) {
        for key in &keys {
            let mut command = redis::cmd("UNLINK");
            command.arg(key);
            let deleted = connection.send(&command, key).await;
            deleted.map_err(Failure::of_write)?;
        }
        tracing::warn!(%address, keys = keys.len(), "the database was emptied under servers; what they left in it is deleted, and the store begins anew");
        return Ok(());
    }
    Err(StoreError::Misconfigured(
        if keys.iter().any(|key| is_ours(key)) {
            let numbers: BTreeSet<u32> = keys.iter().filter_map(|key| partitions_in(key)).collect();
            let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
            let (partitions, from) = match &numbers[..] {
                [number] if count <= MAX_LOOKED_AT => (
                    number.as_str(),
                    "its keys have that number; it is another one if every tenant was repartitioned"
                        .to_owned(),
                ),
                numbers => (
                    "N",
                    format!(
                        "N is the number of partitions of new tenants, before the first is \
                         repartitioned; of the keys that were looked at some have {numbers:?}"
                    ),
                ),
            };
            format!(
                "the database at {address} holds {count} keys of Bellwether, and its note is gone: part of \
             the data is lost. Restore it from a backup of Redis; or, to go on with what is left, \
             write the note again: HSET {MARKER} format {FORMAT} partitions {partitions} ({from})"
            )
        } else {
            format!(
                "the database at {address} holds {count} keys that are not Bellwether's; name an empty one"
            )
        },
    ))
}

/// How many partitions an empty database is to have.
fn wanted_partitions(settings: &RedisSettings) -> u32 {
    let configured = settings.partitions;
    configured.unwrap_or_else(|| default_partitions(&settings.address))
}

/// All keys of a small database, and some of a large one.
async fn some_keys(connection: &Connection, count: u64) -> Result<Vec<String>, StoreError> {
    let command = if count <= MAX_LOOKED_AT {
        redis::cmd("KEYS").arg("*").take()
    } else {
        redis::cmd("SCAN").arg(0).take()
    };
    let mut keys = Vec::new();
    for answer in connection.ask_primaries(&command).await? {
        let mut found = list(answer)?;
        if count > MAX_LOOKED_AT {
            found = list(found.pop().unwrap_or_default())?;
        }
        for key in found {
            // One that is no text is nobody's here.
            keys.push(text(key).ok().flatten().unwrap_or_default());
        }
    }
    Ok(keys)
}

async fn read(connection: &Connection) -> Result<Option<Note>, StoreError> {
    let mut command = redis::cmd("HMGET");
    command.arg(MARKER).arg("format").arg("partitions");
    command.arg("identity");
    let answer = connection.send(&command, MARKER).await;
    parse(answer.map_err(Failure::of_read)?.value)
}

fn parse(value: Value) -> Result<Option<Note>, StoreError> {
    let fields = <[Value; 3]>::try_from(list(value)?).map_err(|_| unexpected())?;
    let [format, partitions, identity] = fields.map(text);
    let (format, partitions) = (format?, partitions?);
    let identity = identity?;
    let note = format.zip(partitions).map(|(format, partitions)| Note {
        format,
        partitions,
        identity,
    });
    Ok(note)
}
