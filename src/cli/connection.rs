//! Where the server is, and how a command calls it.

use std::{error::Error as _, future::Future, time::Duration};

use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint},
};

use super::failure::Failure;
use crate::{
    proto::v1::{
        model_service_client::ModelServiceClient, scoring_service_client::ScoringServiceClient,
    },
    scoring::parse_duration,
};

/// A client of a server.
pub type Client = ScoringServiceClient<Channel>;
/// A client of a server, for what changes models.
pub type ModelClient = ModelServiceClient<Channel>;

/// Responses may hold 1,000 profiles with 16 KiB of attributes each, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether it still lives, and how long it has to
/// answer: without this a stream waits for ever on a machine that has gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Which server, and whose data on it.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// The address of the server.
    #[arg(
        long,
        env = "BELLWETHER_SERVER",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    pub server: String,
    /// The tenant; the default one unless given.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub tenant: String,
}

impl Target {
    /// A client that connects with its first call.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.channel()?).max_decoding_message_size(MAX_RESPONSE_BYTES))
    }

    /// A client for what changes models, which connects with its first call.
    pub fn model_client(&self) -> Result<ModelClient, Failure> {
        Ok(ModelClient::new(self.channel()?).max_decoding_message_size(MAX_RESPONSE_BYTES))
    }

    fn channel(&self) -> Result<Channel, Failure> {
        let url = if self.server.contains("://") {
            self.server.clone()
        } else {
            format!("http://{}", self.server)
        };
        if url.starts_with("https://") {
            return Err(Failure::new(
                "https is not spoken here; let a proxy on this machine do it, and give its http address",
            ));
        }
        let endpoint = Endpoint::from_shared(url)
            .map_err(|error| Failure::new(format!("--server {}: {error}", self.server)))?
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
fn timeout(text: &str) -> Result<Duration, String> {
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
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(Failure::new(format!(
                "{} gave no answer within {}; --timeout sets how long to wait",
                self.target.server,
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

    fn failed(&self, status: &Status) -> Failure {
        if is_unreachable(status) {
            return Failure::new(format!(
                "no server answers at {}; start one with `bellwether serve`, or name it with --server",
                self.target.server
            ));
        }
        if status.code() == tonic::Code::Unimplemented {
            return Failure::new(format!(
                "the server at {} does not offer this call; one that changes models needs model_service = true",
                self.target.server
            ));
        }
        status.clone().into()
    }
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
