//! The whole server in one process: its addresses, the store, the models, the service, and
//! gRPC in front. `serve` runs it, and so do `demo` and tests.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::Notify};

use crate::{
    admin::{Admin, Readiness},
    clock::system_clock,
    config::{Config, Exposed},
    grpc::{
        authentication::{Authentication, AuthenticationError},
        server::{ServeError, serve},
        transport::{Tls, TlsError, descriptors},
    },
    measured::Measured,
    rollout::{self, ModelFiles, Models, ModelsError},
    scoring::limits::REMEMBERED_EFFECTS,
    service::{Service, ServiceError, Settings},
    store::{Access, OpenStore, Store, StoreError, embedded::Embedded, redis::Redis},
    telemetry::Telemetry,
};

/// Why a server could not start or stopped early.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {error}; is another server running there? {flag} takes another address"
    )]
    Listen {
        /// What sets it.
        flag: &'static str,
        /// The configured address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// Calls cannot be encrypted by the files that are configured.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// Nobody can be asked who they are.
    #[error("keys:\n{0}")]
    Authentication(#[from] AuthenticationError),
    /// Calls would not be encrypted, or nobody asked who they are.
    #[error("listening: {0}")]
    Exposed(#[from] Exposed),
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelsError),
    /// The store cannot be opened; its message says why and what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service cannot start.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// gRPC failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// A server that has its address and its store, and answers once it runs.
pub struct BoundServer {
    local_address: SocketAddr,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    authentication: Authentication,
    service: Opened,
    config: Config,
    telemetry: Telemetry,
    reload: Arc<Notify>,
    readiness: Readiness,
    admin: Option<Admin>,
}

/// The service on the store that is configured.
enum Opened {
    Embedded(Service<Measured<Embedded>>),
    Redis(Service<Measured<Redis>>),
}

/// Servers that may lose their store at the same moment without a credit being counted twice
/// when they go on.
pub const SERVERS_TO_STOP_AT_ONCE: usize = 4;

/// Takes both addresses, then opens models, store and service. Probes are answered from now on;
/// callers that connect before [`BoundServer::run`] wait for it.
///
/// # Errors
/// [`ServerError`] says what to do about it.
pub async fn bind(config: Config, telemetry: Telemetry) -> Result<BoundServer, ServerError> {
    let listener = listen("--listen", config.listen).await?;
    let (flag, address) = ("--admin-listen", config.admin_listen);
    let admin = listen(flag, address).await?;
    let readiness = Readiness::default();
    let admin = Admin::start(admin, readiness.clone(), telemetry.clone());
    let admin = admin.map_err(cannot_listen(flag, address))?;
    tracing::info!(admin = %admin.local_address(), "probes and metrics are answered");
    let server = open(config, listener, readiness, telemetry).await?;
    Ok(BoundServer {
        admin: Some(admin),
        ..server
    })
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ServerError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(cannot_listen(flag, address))
}

fn cannot_listen(flag: &'static str, address: SocketAddr) -> impl Fn(io::Error) -> ServerError {
    move |error| ServerError::Listen {
        flag,
        address,
        error,
    }
}

/// Opens models, store and service behind an address that is taken already, without an admin
/// address.
///
/// # Errors
/// [`ServerError`] says what to do about it.
pub async fn open(
    config: Config,
    listener: TcpListener,
    readiness: Readiness,
    telemetry: Telemetry,
) -> Result<BoundServer, ServerError> {
    descriptors::raise_limit();
    let local_address = listener.local_addr();
    let local_address = local_address.map_err(cannot_listen("--listen", config.listen))?;
    let tls = match &config.tls {
        Some(files) => Some(Arc::new(Tls::load(files).await?)),
        None if config.allow_plaintext => None,
        // Not only what is configured: whoever has taken the address may have taken another.
        None => {
            Exposed::Plaintext(local_address).check()?;
            None
        }
    };
    let authentication = match &config.keys {
        Some(path) => Authentication::load(path.clone(), system_clock()).await?,
        None => {
            if !config.allow_anonymous {
                Exposed::Anonymous(local_address).check()?;
            }
            Authentication::none(system_clock())
        }
    };
    if authentication.knows_certificates() && !tls.as_ref().is_some_and(|tls| tls.asks_callers()) {
        tracing::warn!(
            "the keys file has [[certificates]], which have no effect: set tls_client_ca, or nobody is asked for one"
        );
    }
    let models = Models::load(config.model.as_deref())?;
    let file = config.model.as_ref().map(|path| path.display());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        store = %config.store,
        model_file = file.map(tracing::field::display),
        model = %models,
        "starting"
    );
    let reload = Arc::new(Notify::new());
    let service = match config.store.open(Access::Create).await? {
        OpenStore::Embedded(store) => {
            let times = telemetry.observe_store("fjall", store.traffic());
            if let Some(items) = times.items() {
                store.observe(items);
            }
            let store = Measured::new(store, times);
            Opened::Embedded(open_service(store, models, &config, 1, &reload, &telemetry).await?)
        }
        OpenStore::Redis(store) => {
            let times = telemetry.observe_store("redis", store.traffic());
            if let Some(items) = times.items() {
                store.observe(&items);
            }
            let store = Measured::new(store, times);
            let servers = SERVERS_TO_STOP_AT_ONCE;
            Opened::Redis(open_service(store, models, &config, servers, &reload, &telemetry).await?)
        }
    };
    Ok(BoundServer {
        readiness,
        admin: None,
        reload,
        local_address,
        listener,
        tls,
        authentication,
        service,
        config,
        telemetry,
    })
}

/// What a service is opened with as configured, on a store of which so many servers may stop at the
/// same moment.
pub fn service_settings(config: &Config, servers: usize) -> Settings {
    Settings {
        server: None,
        max_skew: config.max_skew,
        remembered_events: config.remembered_events,
        max_events_in_flight: config.max_events_in_flight,
        max_calls_in_flight: config.max_calls_in_flight,
        rollout: rollout::Settings {
            max_tenants: config.max_tenants,
            auto_create_tenants: config.auto_create_tenants,
            rebuild_rate: config.rebuild_rate,
        },
        max_unsettled_effects: REMEMBERED_EFFECTS / servers,
    }
}

/// Opens the service on a store of which so many servers may stop at the same moment, and has it
/// follow the model files.
async fn open_service<S: Store>(
    store: S,
    models: Models,
    config: &Config,
    servers: usize,
    reload: &Arc<Notify>,
    telemetry: &Telemetry,
) -> Result<Service<S>, ServerError> {
    let settings = service_settings(config, servers);
    // The built-in model is in no file.
    let files = config.model.as_deref();
    let files = files.map(|path| ModelFiles::new(path, &models));
    let counters = telemetry.counters();
    let service = Service::open(store, models, settings, system_clock(), counters).await?;
    telemetry.observe_service(service.load());
    if let Some(files) = files {
        service.deployment().follow_files(files, Arc::clone(reload));
    }
    Ok(service)
}

impl BoundServer {
    /// The address that it listens on, with the port that the system chose for port 0.
    pub const fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Where probes and metrics are answered; `None` where they are not.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::local_address)
    }

    /// Has the model files read again at once when it is notified.
    pub fn reload(&self) -> Arc<Notify> {
        Arc::clone(&self.reload)
    }

    /// Serves until `stop` ends, drains, and closes the store.
    ///
    /// # Errors
    /// [`ServerError::Serve`] when gRPC fails.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        tracing::info!(
            address = %self.local_address,
            store = %self.config.store,
            tls = self.tls.is_some(),
            keys = self.authentication.keys(),
            client_certificates = self.tls.as_ref().is_some_and(|tls| tls.asks_callers()),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        let front = Front {
            listener: self.listener,
            tls: self.tls,
            authentication: self.authentication,
            config: self.config,
            telemetry: self.telemetry,
            readiness: self.readiness,
            _admin: self.admin,
        };
        match self.service {
            Opened::Embedded(service) => front.run(service, stop).await,
            Opened::Redis(service) => front.run(service, stop).await,
        }
    }
}

/// What stands in front of the service.
struct Front {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    authentication: Authentication,
    config: Config,
    telemetry: Telemetry,
    readiness: Readiness,
    /// Answers until all is done.
    _admin: Option<Admin>,
}

impl Front {
    async fn run<S: Store>(
        self,
        service: Service<S>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ServerError> {
        let Self {
            listener,
            tls,
            authentication,
            config,
            telemetry,
            readiness,
            _admin,
        } = self;
        let known = authentication.clone();
        service.limit_profiles(Arc::new(move |tenant| known.most_profiles(tenant)));
        let served = serve(
            service.clone(),
            listener,
            (tls, authentication),
            &config,
            telemetry,
            readiness,
            stop,
        );
        let served = served.await;
        // What was taken in is finished, whether or not its caller still waits.
        service.finish().await;
        served?;
        tracing::info!("stopped");
        Ok(())
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
