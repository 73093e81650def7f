//! The connections to one server or to a cluster: every call has a time limit, nothing
//! queues without bound, and a connection that was lost is made again.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use futures_util::future::join_all;
use redis::{
    Cmd, Pipeline, RedisError, Value,
    aio::ConnectionManager,
    cluster_async::ClusterConnection,
    cluster_routing::{
        MultipleNodeRoutingInfo, ResponsePolicy, Route, RoutingInfo, SingleNodeRoutingInfo,
        SlotAddr,
    },
};

use super::{
    super::StoreError,
    RedisSettings,
    connector::Connector,
    failure::{self, Failure},
    scripts::Script,
};

/// The slots of a cluster, and how far apart those are that find out where all have gone: no
/// primary has much fewer.
const SLOTS: u16 = 16_384;
const SLOTS_BETWEEN_TOUCHED: usize = 64;

/// An answer.
pub struct Answer {
    /// What Redis answered.
    pub value: Value,
    /// Whether the call may have been carried out before, too.
    pub sent_before: bool,
}

/// The connections of a store.
///
/// The client of a cluster can come to a standstill in an outage, and the one of a server
/// never logs in again after it was refused once; so they can be made anew.
pub struct Connection {
    connector: Connector,
    links: RwLock<Links>,
}

/// What calls are sent over; cheap to clone.
#[derive(Clone)]
struct Links {
    link: Link,
    /// For writes that wait for replicas, because such a wait holds up all that follows on its
    /// connection.
    patient: Option<Patient>,
}

#[derive(Clone)]
struct Patient {
    link: Link,
    replicas: u32,
    /// How long Redis waits for the replicas, in milliseconds.
    wait_milliseconds: u64,
}

/// One connection, or those to the nodes of a cluster; cheap to clone.
#[derive(Clone)]
enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// A duration as Redis takes it: at least 1 ms, because 0 means something else there.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 50)
}

impl Connection {
    /// Makes the connections of a store.
    pub async fn open(connector: Connector) -> Result<Self, RedisError> {
        let links = RwLock::new(Links::connect(&connector).await?);
        Ok(Self { connector, links })
    }

    fn links(&self) -> Links {
        // Whoever panics between these two lines has not changed anything.
        let links = self.links.read();
        links.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes all connections anew, for the calls that follow; within the time that making a
    /// connection may take. Calls that are under way end on those that they have begun on.
    pub async fn renew(&self) -> Result<(), StoreError> {
        let period = self.connector.settings.connection_timeout;
        let renewed = tokio::time::timeout(period, Links::connect(&self.connector)).await;
        let renewed = renewed.map_err(|_| {
            StoreError::Unavailable("Redis cannot be connected to in time".to_owned())
        })?;
        let renewed = renewed.map_err(|error| failure::of_connecting(&error))?;
        *self.links.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// What the store was opened with.
    pub fn settings(&self) -> &RedisSettings {
        &self.connector.settings
    }

    /// Whether one call may not touch keys of several partitions.
    pub fn is_cluster(&self) -> bool {
        self.connector.settings.address.cluster
    }

    /// Sends a command to where the keys that begin with `home` are.
    pub async fn send(&self, command: &Cmd, home: &str) -> Result<Answer, Failure> {
        self.links().link.send(command, home).await
    }

    /// Sends commands as one message to where the keys that begin with `home` are; their answers.
    pub async fn send_all(&self, commands: Pipeline, home: &str) -> Result<Vec<Value>, Failure> {
        let (values, sent_before) = self.links().link.send_together(commands, home).await?;
        let values = values.into_iter().map(failure::checked);
        let values = values.collect::<Result<Vec<Value>, RedisError>>();
        values.map_err(|error| Failure { error, sent_before })
    }

    /// Runs a script where the keys that begin with `home` are.
    pub async fn run(&self, script: &Script, call: &Cmd, home: &str) -> Result<Answer, Failure> {
        let link = self.links().link;
        match link.send(call, home).await {
            Err(failure) if failure::is_unknown_script(&failure.error) => {
                let mut answer = link.send(&script.whole(call), home).await;
                match &mut answer {
                    Ok(answer) => answer.sent_before |= failure.sent_before,
                    Err(again) => again.sent_before |= failure.sent_before,
                }
                answer
            }
            answer => answer,
        }
    }

    /// Runs a script that writes; with the answer, whether as many replicas as configured have
    /// the writes too.
    pub async fn run_durably(
        &self,
        script: &Script,
        call: &Cmd,
        home: &str,
    ) -> Result<(Answer, bool), Failure> {
        let Some(patient) = self.links().patient else {
            return Ok((self.run(script, call, home).await?, true));
        };
        match patient.run(call, home).await {
            Err(failure) if failure::is_unknown_script(&failure.error) => {
                let mut answer = patient.run(&script.whole(call), home).await;
                match &mut answer {
                    Ok((answer, _)) => answer.sent_before |= failure.sent_before,
                    Err(again) => again.sent_before |= failure.sent_before,
                }
                answer
            }
            answer => answer,
        }
    }

    /// Asks the server, or every primary of the cluster, by a command that changes nothing; the
    /// answers in any order.
    pub async fn ask_primaries(&self, command: &Cmd) -> Result<Vec<Value>, StoreError> {
        let answers = self.send_to_primaries(command).await;
        answers.map_err(Failure::of_read)
    }

    async fn send_to_primaries(&self, command: &Cmd) -> Result<Vec<Value>, Failure> {
        let link = self.links().link;
        match &link {
            Link::Single(_) => Ok(vec![link.send(command, "").await?.value]),
            Link::Cluster(connection) => {
                let primaries = RoutingInfo::MultiNode((
                    MultipleNodeRoutingInfo::AllMasters,
                    Some(ResponsePolicy::Special),
                ));
                let answers = connection
                    .clone()
                    .route_command(command.clone(), primaries)
                    .await
                    .and_then(Value::extract_error)
                    .map_err(sent_perhaps_before)?;
                match answers {
                    Value::Map(answers) => {
                        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
                    }
                    other => Ok(vec![other]),
                }
            }
        }
    }

    /// Has the client of a cluster call on slots spread over all of it, so that it learns which
    /// have moved. What they answer does not matter.
    pub async fn touch_slots(&self) {
        if let Link::Cluster(connection) = &self.links().link {
            let touched = (0..SLOTS).step_by(SLOTS_BETWEEN_TOUCHED).map(|slot| {
                let primary =
                    SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                let mut connection = connection.clone();
                async move {
                    let routing = RoutingInfo::SingleNode(primary);
                    let _ = connection.route_command(redis::cmd("PING"), routing).await;
                }
            });
            join_all(touched).await;
        }
    }
}

impl Links {
    async fn connect(connector: &Connector) -> Result<Self, RedisError> {
        let link = Link::connect(connector).await?;
        let settings = &connector.settings;
        let patient = match settings.wait_replicas {
            0 => None,
            replicas => Some(Patient {
                link: Link::connect(connector).await?,
                replicas,
                // Redis answers before the client gives up.
                wait_milliseconds: milliseconds(settings.response_timeout * 3 / 4),
            }),
        };
        Ok(Self { link, patient })
    }
}

impl Patient {
    async fn run(&self, call: &Cmd, home: &str) -> Result<(Answer, bool), Failure> {
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.replicas).arg(self.wait_milliseconds);
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(call.clone()).add_command(wait);
        let (values, sent_before) = self.link.send_together(pipeline, home).await?;
        let failed = |error| Failure { error, sent_before };
        let mut values = values.into_iter();
        let value = failure::checked(values.next().unwrap_or_default()).map_err(failed)?;
        let acknowledged = failure::checked(values.next().unwrap_or_default()).map_err(failed)?;
        let enough = matches!(acknowledged, Value::Int(count) if count >= i64::from(self.replicas));
        Ok((Answer { value, sent_before }, enough))
    }
}

impl Link {
    async fn connect(connector: &Connector) -> Result<Self, RedisError> {
        Ok(if connector.settings.address.cluster {
            Self::Cluster(connector.connect_cluster().await?)
        } else {
            Self::Single(connector.connect_single().await?)
        })
    }

    async fn send(&self, command: &Cmd, home: &str) -> Result<Answer, Failure> {
        match self {
            Self::Cluster(connection) => {
                let value = connection
                    .clone()
                    .route_command(command.clone(), RoutingInfo::SingleNode(primary_of(home)))
                    .await
                    .and_then(failure::checked)
                    .map_err(sent_perhaps_before)?;
                Ok(Answer {
                    value,
                    sent_before: false,
                })
            }
            Self::Single(manager) => {
                let mut manager = manager.clone();
                let first = manager.send_packed_command(command).await;
                let (result, sent_before) = match first {
                    Err(error) if failure::is_disconnection(&error) => (
                        manager.send_packed_command(command).await,
                        !failure::is_unsent(&error),
                    ),
                    result => (result, false),
                };
                match result.and_then(failure::checked) {
                    Ok(value) => Ok(Answer { value, sent_before }),
                    Err(error) => {
                        leave_replica(&mut manager, &error).await;
                        Err(Failure { error, sent_before })
                    }
                }
            }
        }
    }

    /// Sends commands so that nothing comes between them; with their answers, whether they may
    /// have been carried out before.
    async fn send_together(
        &self,
        pipeline: Pipeline,
        home: &str,
    ) -> Result<(Vec<Value>, bool), Failure> {
        let count = pipeline.len();
        match self {
            Self::Cluster(connection) => {
                let values = connection
                    .clone()
                    .route_pipeline(pipeline, 0, count, primary_of(home))
                    .await
                    .map_err(sent_perhaps_before)?;
                Ok((values, false))
            }
            Self::Single(manager) => {
                let mut manager = manager.clone();
                let first = manager.send_packed_commands(&pipeline, 0, count).await;
                let (result, sent_before) = match first {
                    Err(error) if failure::is_disconnection(&error) => (
                        manager.send_packed_commands(&pipeline, 0, count).await,
                        !failure::is_unsent(&error),
                    ),
                    result => (result, false),
                };
                let values = result.map_err(|error| Failure { error, sent_before })?;
                if let Some(Value::ServerError(error)) = values.first() {
                    leave_replica(&mut manager, &error.clone().into()).await;
                }
                Ok((values, sent_before))
            }
        }
    }
}

fn primary_of(home: &str) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::SpecificNode(Route::with_key(home, SlotAddr::Master))
}

/// The client of a cluster sends calls again on its own and does not say so.
fn sent_perhaps_before(error: RedisError) -> Failure {
    Failure {
        error,
        sent_before: true,
    }
}

/// Ends a connection to what was the primary, so that the next one finds out by the name who
/// is. What becomes of it does not matter to the call that has failed.
async fn leave_replica(manager: &mut ConnectionManager, error: &RedisError) {
    if failure::is_replica(error) {
        let _ = manager.send_packed_command(&redis::cmd("QUIT")).await;
    }
}
