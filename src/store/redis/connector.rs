//! How connections to Redis are made: to one server or to a cluster, with TLS and a login,
//! each with limits of time and of what may queue.

use std::{path::Path, time::Duration};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};

use super::{
    super::StoreError,
    RedisSettings,
    address::{RedisAddress, RedisNode},
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
/// How long sent bytes may stay unacknowledged before a connection counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// How to connect.
pub struct Connector {
    pub settings: RedisSettings,
    certificates: Option<TlsCertificates>,
}

impl Connector {
    /// Reads the certificates that the settings name.
    pub async fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
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
            settings: settings.clone(),
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

    /// A connection to the one server of the address.
    pub async fn connect_single(&self) -> Result<ConnectionManager, RedisError> {
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
        ConnectionManager::new_with_config(client, config).await
    }

    fn client(&self, node: &RedisNode) -> Result<Client, RedisError> {
        let info = self.information(node)?;
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }

    /// Connections to the nodes of the cluster of the address.
    pub async fn connect_cluster(&self) -> Result<ClusterConnection, RedisError> {
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
        builder.build()?.get_async_connection().await
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
