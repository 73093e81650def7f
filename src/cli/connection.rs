//! Where the server is, and how a command calls it.

use std::{
    error::Error as _,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::failure::Failure;
use crate::{
    grpc::transport::{TlsError, certificates, private_key},
    proto::v1::{
        model_service_client::ModelServiceClient, scoring_service_client::ScoringServiceClient,
        store_service_client::StoreServiceClient,
    },
    scoring::parse_duration,
    telemetry::causes,
};

/// A client of a server.
pub type Client = ScoringServiceClient<Calling>;
/// A client of a server, for what changes models.
pub type ModelClient = ModelServiceClient<Calling>;
/// A client of a server, for what concerns its store.
pub type StoreClient = StoreServiceClient<Calling>;
/// What calls travel by, with the key of their caller.
pub type Calling = InterceptedService<Channel, Bearer>;

/// Responses may hold 1,000 profiles with 16 KiB of attributes each, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether it still lives, and how long it has to
/// answer: without this a stream waits for ever on a machine that has gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Which server, and whose data on it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Target {
    /// Which server.
    #[command(flatten)]
    pub server: Server,
    /// The tenant; the default one unless given.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub tenant: String,
}

/// Which server, and how it is trusted.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Server {
    /// The address of the server.
    #[arg(
        long = "server",
        env = "BELLWETHER_SERVER",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    pub url: String,
    /// How it is trusted.
    #[command(flatten)]
    pub tls: ClientTls,
    /// Who calls.
    #[command(flatten)]
    pub key: CallerKey,
}

/// The key of a caller.
#[derive(Clone, Default, clap::Args)]
pub struct CallerKey {
    /// The secret of a key, for a server that asks who calls. Everybody on the machine reads command
    /// lines, so the environment or a file is the better place.
    #[arg(
        long,
        env = "BELLWETHER_TOKEN",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub token: Option<String>,
    /// File of the secret of a key, or of a token (JWT); it wins over the secret itself.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl std::fmt::Debug for CallerKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CallerKey")
    }
}

/// Shows a key with each call.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.0 {
            let authorization = authorization.clone();
            request
                .metadata_mut()
                .insert("authorization", authorization);
        }
        Ok(request)
    }
}

impl CallerKey {
    fn bearer(&self) -> Result<Bearer, Failure> {
        let (secret, origin) = match &self.token_file {
            Some(path) => {
                let bytes = read(path)?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                (Some(text), format!("--token-file {}", path.display()))
            }
            None => {
                // An empty variable is an unset one, as in most programs.
                let token = self.token.clone().filter(|token| !token.is_empty());
                (token, "--token or BELLWETHER_TOKEN".to_owned())
            }
        };
        let Some(secret) = secret else {
            return Ok(Bearer(None));
        };
        // Without what it is: nobody prints a secret.
        let wrong = || Failure::new(format!("{origin} holds no key; write its secret there"));
        let secret = secret.trim();
        if secret.is_empty() || secret.contains(char::is_whitespace) {
            return Err(wrong());
        }
        let mut value = MetadataValue::try_from(format!("Bearer {secret}")).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
    }
}

/// How a server at https:// is trusted, and how it trusts the caller.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClientTls {
    /// File of the authorities (PEM) that the server is trusted by; those of the system unless given.
    #[arg(long, env = "BELLWETHER_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// File of a certificate (PEM) to show to a server that asks for one.
    #[arg(
        long,
        env = "BELLWETHER_CLIENT_CERT",
        value_name = "FILE",
        requires = "key"
    )]
    pub cert: Option<PathBuf>,
    /// File of the private key (PEM) of that certificate.
    #[arg(
        long,
        env = "BELLWETHER_CLIENT_KEY",
        value_name = "FILE",
        requires = "cert"
    )]
    pub key: Option<PathBuf>,
}

impl ClientTls {
    /// What to connect to a server at https:// with.
    fn config(&self) -> Result<ClientTlsConfig, Failure> {
        let mut config = ClientTlsConfig::new();
        config = match &self.ca {
            Some(path) => config.ca_certificate(Certificate::from_pem(pem(path, certificates)?)),
            None => config.with_native_roots(),
        };
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            let identity =
                Identity::from_pem(pem(certificate, certificates)?, pem(key, private_key)?);
            config = config.identity(identity);
        }
        Ok(config)
    }

    fn is_given(&self) -> bool {
        self.ca.is_some() || self.cert.is_some()
    }
}

impl Target {
    /// A client that connects with its first call.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.server.calling()?).max_decoding_message_size(MAX_RESPONSE_BYTES))
    }

    /// A client for what changes models, which connects with its first call.
    pub fn model_client(&self) -> Result<ModelClient, Failure> {
        Ok(ModelClient::new(self.server.calling()?).max_decoding_message_size(MAX_RESPONSE_BYTES))
    }
}

impl Server {
    /// What calls travel by, which connects with its first call.
    fn calling(&self) -> Result<Calling, Failure> {
        let bearer = self.key.bearer()?;
        Ok(InterceptedService::new(self.channel()?, bearer))
    }

    /// A client for what concerns the store, which connects with its first call.
    pub(super) fn store_client(&self) -> Result<StoreClient, Failure> {
        Ok(StoreClient::new(self.calling()?))
    }

    /// Why a call failed, and what to do about it.
    pub(super) fn failed(&self, status: &Status) -> Failure {
        let server = &self.url;
        match refused_by_tls(status) {
            Some(rustls::Error::InvalidMessage(_)) => {
                return Failure::new(format!(
                    "the server at {server} speaks no TLS; write http:// if that is meant"
                ));
            }
            Some(reason) => {
                return Failure::new(format!(
                    "TLS to {server} failed: {reason}; --ca names the authority to trust, --cert and \
                     --key the certificate to show"
                ));
            }
            None if broke_on_the_way(status) && !server.starts_with("https://") => {
                return Failure::new(format!(
                    "the connection to {server} broke ({}); if that server speaks TLS, write https://",
                    status.message()
                ));
            }
            None if broke_on_the_way(status) && self.tls.cert.is_none() => {
                return Failure::new(format!(
                    "the connection to {server} broke ({}); if that server asks callers for a \
                     certificate, --cert and --key show one",
                    status.message()
                ));
            }
            None => {}
        }
        if is_unreachable(status) {
            return Failure::new(format!(
                "no server answers at {}; start one with `bellwether serve`, or name it with --server",
                self.url
            ));
        }
        if status.code() == tonic::Code::Unimplemented {
            return Failure::new(format!(
                "the server at {} does not offer this call; one that changes models needs model_service = true, and a \
                 backup a server that asks callers for keys, or that its own machine alone reaches",
                self.url
            ));
        }
        status.clone().into()
    }

    /// A channel that connects with its first call.
    pub(super) fn channel(&self) -> Result<Channel, Failure> {
        let url = if self.url.contains("://") {
            self.url.clone()
        } else {
            format!("http://{}", self.url)
        };
        let is_encrypted = url.starts_with("https://");
        if self.tls.is_given() && !is_encrypted {
            return Err(Failure::new(format!(
                "certificates are given (--ca or BELLWETHER_CA, --cert or BELLWETHER_CLIENT_CERT), and \
                 --server {} is without TLS; write https://",
                self.url
            )));
        }
        let wrong = |error| Failure::new(format!("--server {}: {}", self.url, causes(&error)));
        let mut endpoint = Endpoint::from_shared(url).map_err(wrong)?;
        if is_encrypted {
            endpoint = endpoint.tls_config(self.tls.config()?).map_err(wrong)?;
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        Ok(endpoint.connect_lazy())
    }
}

/// Flags of the commands that ask a running server.
#[derive(Clone, Debug, clap::Args)]
pub struct Asking {
    #[command(flatten)]
    pub(super) target: Target,
    /// How long to wait for each answer.
    #[arg(long, default_value = "10s", value_parser = timeout, value_name = "DURATION")]
    pub(super) timeout: Duration,
    /// Print the response as JSON, in the proto's JSON form.
    #[arg(long)]
    pub(super) json: bool,
}

/// How long to wait.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        "write a number and a unit (ms, s, m, h, d or w), such as 500ms, 30s or 5m".to_owned()
    })
}

impl Asking {
    /// The answer to one call, within the timeout.
    pub(super) async fn answer<T, F>(&self, call: impl FnOnce(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let call = call(self.target.client()?);
        Ok(self.within(call).await?.into_inner())
    }

    /// The answer to one call about models, within the timeout.
    pub(super) async fn answer_models<T, F>(
        &self,
        call: impl FnOnce(ModelClient) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let call = call(self.target.model_client()?);
        Ok(self.within(call).await?.into_inner())
    }

    /// What comes within the timeout.
    pub(super) async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(self.target.server.failed(&status)),
            Err(_) => Err(Failure::new(format!(
                "{} gave no answer within {}; --timeout sets how long to wait",
                self.target.server.url,
                humantime::format_duration(self.timeout)
            ))),
        }
    }

    /// A request that tells the server when nobody waits for the answer any more.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // A second later than the client's own timeout, which has the clearer message.
        request.set_timeout(self.timeout + Duration::from_secs(1));
        request
    }
}

/// Why TLS refuses a connection, if that is what the error comes from.
pub fn refused_by_tls(status: &Status) -> Option<&rustls::Error> {
    let mut source = status.source();
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>();
        let inner = inner.and_then(std::io::Error::get_ref);
        if let Some(refused) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(refused);
        }
        source = error.source();
    }
    None
}

/// Whether a connection broke before there was an answer: this side made the error, not a server.
pub fn broke_on_the_way(status: &Status) -> bool {
    use tonic::Code;

    let is_ours = status.source().is_some() || status.message().starts_with("h2 protocol error");
    is_ours
        && matches!(
            status.code(),
            Code::Cancelled | Code::Unknown | Code::Internal
        )
}

/// What a file of TLS holds, in which `find` finds what is looked for.
fn pem<T>(path: &Path, find: fn(&Path, &[u8]) -> Result<T, TlsError>) -> Result<Vec<u8>, Failure> {
    let bytes = read(path)?;
    find(path, &bytes).map_err(|error| Failure::new(error.to_string()))?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = std::fs::read(path);
    read.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

/// Whether the error comes from the attempt to connect, not from a server.
pub fn is_unreachable(status: &Status) -> bool {
    status
        .source()
        .is_some_and(|source| source.is::<tonic::transport::Error>())
        && status.code() == tonic::Code::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_duration_as_everywhere() {
        assert_eq!(timeout("5m"), Ok(Duration::from_secs(300)));
        assert!(timeout("5M").unwrap_err().contains("such as 500ms"));
    }
}
