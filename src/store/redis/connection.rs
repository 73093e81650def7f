//! The connections to one server or to a cluster: every call has a time limit, nothing
//! queues without bound, and a connection that was lost is made again.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    cluster_routing::{
        MultipleNodeRoutingInfo, ResponsePolicy, Route, RoutingInfo, SingleNodeRoutingInfo,
        SlotAddr,
    },
    io::tcp::TcpSettings,
};

use super::{
    super::StoreError,
    RedisSettings,
    address::{RedisAddress, RedisNode},
    failure::{self, Failure},
    scripts::Script,
};

/// Calls that wait for their answer on one connection; a further one waits to be sent.
const MAX_IN_FLIGHT: usize = 1_024;
/// Calls that wait to be sent on one connection; a further one waits to wait.
const MAX_QUEUED: usize = 256;
/// A connection that cannot be made is tried once more after about this long; then calls fail
/// until the next one tries again.
const RECONNECT_DELAY: Duration = Duration::from_millis(50);
/// How often the client of a cluster sends a call again: to follow slots that have moved, and
/// through the first moments of a failover.
const CLUSTER_RETRIES: u32 = 5;
/// How long it waits in between, in milliseconds.
const CLUSTER_RETRY_WAIT: (u64, u64) = (20, 200);
/// The slots of a cluster, and how far apart those are that find out where all have gone: no
/// primary has much fewer.
const SLOTS: u16 = 16_384;
const SLOTS_BETWEEN_TOUCHED: usize = 64;
/// How long sent bytes may stay unacknowledged before a connection counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// An answer.
pub struct Answer {
    /// What Redis answered.
    pub value: Value,
    /// Whether the call may have been carried out before, too.
    pub sent_before: bool,
}

/// The connections of a store.
pub struct Connection {
    link: Link,
    /// For writes that wait for replicas, because such a wait holds up all that follows on its
    /// connection.
    patient: Option<Patient>,
}

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

/// How to connect.
pub struct Connector<'a> {
    settings: &'a RedisSettings,
    certificates: Option<TlsCertificates>,
}

impl<'a> Connector<'a> {
    /// Reads the certificates that the settings name.
    pub async fn new(settings: &'a RedisSettings) -> Result<Self, StoreError> {
        let certificates = match &settings.certificate_authorities {
            Some(path) if settings.address.tls => Some(read_certificates(path).await?),
            Some(_) => {
                return Err(StoreError::Misconfigured(format!(
                    "certificates are given, but {} is without TLS; write {}",
                    settings.address,
                    RedisAddress {
                        tls: true,
                        ..settings.address.clone()
                    }
                )));
            }
            None => None,
        };
        Ok(Self {
            settings,
            certificates,
        })
    }

    /// One connection to one server of the address, to ask it what it is.
    pub async fn probe(
        &self,
        node: &RedisNode,
    ) -> Result<redis::aio::MultiplexedConnection, RedisError> {
        let timeouts = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.connection_timeout))
            .set_response_timeout(Some(self.settings.response_timeout));
        self.client(node)?
            .get_multiplexed_async_connection_with_config(&timeouts)
            .await
    }

    /// The connections of a store.
    pub async fn connect(&self) -> Result<Connection, RedisError> {
        let link = self.link().await?;
        let patient = match self.settings.wait_replicas {
            0 => None,
            replicas => Some(Patient {
                link: self.link().await?,
                replicas,
                // Redis answers before the client gives up.
                wait_milliseconds: milliseconds(self.settings.response_timeout * 3 / 4),
            }),
        };
        Ok(Connection { link, patient })
    }

    async fn link(&self) -> Result<Link, RedisError> {
        if self.settings.address.cluster {
            let connection = self.cluster()?.get_async_connection().await?;
            return Ok(Link::Cluster(connection));
        }
        let client = self.client(&self.settings.address.nodes[0])?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(RECONNECT_DELAY)
            .set_max_delay(RECONNECT_DELAY)
            .set_connection_timeout(Some(self.settings.connection_timeout))
            .set_response_timeout(Some(self.settings.response_timeout))
            .set_concurrency_limit(MAX_IN_FLIGHT)
            .set_pipeline_buffer_size(MAX_QUEUED)
            // With a receiver of pushes, the manager learns at once that a connection is lost.
            .set_push_sender(|_| Ok::<(), redis::aio::SendError>(()));
        let manager = ConnectionManager::new_with_config(client, config).await?;
        Ok(Link::Single(manager))
    }

    fn client(&self, node: &RedisNode) -> Result<Client, RedisError> {
        let info = self.information(node)?;
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }

    fn cluster(&self) -> Result<ClusterClient, RedisError> {
        let nodes: Vec<ConnectionInfo> = self
            .settings
            .address
            .nodes
            .iter()
            .map(|node| self.information(node))
            .collect::<Result<_, _>>()?;
        let mut builder = ClusterClientBuilder::new(nodes)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_RETRY_WAIT.0)
            .max_retry_wait(CLUSTER_RETRY_WAIT.1)
            .connection_timeout(self.settings.connection_timeout)
            .response_timeout(self.settings.response_timeout)
            // The client sends a call again that was not answered in time; equal limits end it
            // for the caller before that.
            .overall_response_timeout(Some(self.settings.response_timeout))
            .connection_concurrency_limit(MAX_IN_FLIGHT)
            .tcp_settings(tcp_settings());
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        builder.build()
    }

    fn information(&self, node: &RedisNode) -> Result<ConnectionInfo, RedisError> {
        let address = &self.settings.address;
        let (host, port) = (node.host.clone(), node.port);
        let place = if address.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut login = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(i64::from(address.database));
        if let Some(user) = &address.user {
            login = login.set_username(user);
        }
        if let Some(password) = &address.password {
            login = login.set_password(password);
        }
        let information = place.into_connection_info()?;
        Ok(information
            .set_redis_settings(login)
            .set_tcp_settings(tcp_settings()))
    }
}

async fn read_certificates(path: &Path) -> Result<TlsCertificates, StoreError> {
    let authorities = tokio::fs::read(path).await.map_err(|error| {
        StoreError::Misconfigured(format!("{} cannot be read: {error}", path.display()))
    })?;
    Ok(TlsCertificates {
        client_tls: None,
        root_cert: Some(authorities),
    })
}

fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(LOST_AFTER);
    settings
}

/// A duration as Redis takes it: at least 1 ms, because 0 means something else there.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 50)
}

impl Connection {
    /// Whether one call may not touch keys of several partitions.
    pub fn is_cluster(&self) -> bool {
        matches!(self.link, Link::Cluster(_))
    }

    /// Sends a command to where the keys that begin with `home` are.
    pub async fn send(&self, command: &Cmd, home: &str) -> Result<Answer, Failure> {
        self.link.send(command, home).await
    }

    /// Runs a script where the keys that begin with `home` are.
    pub async fn run(&self, script: &Script, call: &Cmd, home: &str) -> Result<Answer, Failure> {
        match self.link.send(call, home).await {
            Err(failure) if failure::is_unknown_script(&failure.error) => {
                self.link.send(&script.whole(call), home).await
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
        let Some(patient) = &self.patient else {
            return Ok((self.run(script, call, home).await?, true));
        };
        match patient.run(call, home).await {
            Err(failure) if failure::is_unknown_script(&failure.error) => {
                patient.run(&script.whole(call), home).await
            }
            answer => answer,
        }
    }

    /// Sends a command to the server, or to every primary of the cluster; the answers in any
    /// order.
    pub async fn send_to_primaries(&self, command: &Cmd) -> Result<Vec<Value>, Failure> {
        match &self.link {
            Link::Single(_) => Ok(vec![self.link.send(command, "").await?.value]),
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
        if let Link::Cluster(connection) = &self.link {
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

    /// Sends two commands so that nothing comes between them; with their answers, whether they
    /// may have been carried out before.
    async fn send_together(
        &self,
        pipeline: Pipeline,
        home: &str,
    ) -> Result<(Vec<Value>, bool), Failure> {
        match self {
            Self::Cluster(connection) => {
                let values = connection
                    .clone()
                    .route_pipeline(pipeline, 0, 2, primary_of(home))
                    .await
                    .map_err(sent_perhaps_before)?;
                Ok((values, false))
            }
            Self::Single(manager) => {
                let mut manager = manager.clone();
                let first = manager.send_packed_commands(&pipeline, 0, 2).await;
                let (result, sent_before) = match first {
                    Err(error) if failure::is_disconnection(&error) => (
                        manager.send_packed_commands(&pipeline, 0, 2).await,
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
