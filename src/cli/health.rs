//! `bellwether health`: whether a server serves, for who watches over it: containers without a shell,
//! and probes that speak no TLS.

use std::time::Duration;

use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    connection::{Asking, Server, Target, timeout},
    failure::Failure,
    output,
};
use crate::grpc::health::LIVENESS;

/// Asks a server whether it serves. The exit code is 0 when it does, and 1 otherwise.
#[derive(Clone, Debug, clap::Args)]
pub struct Health {
    #[command(flatten)]
    server: Server,
    /// Ask only whether the process answers, whatever its store does.
    #[arg(long)]
    liveness: bool,
    /// How long to wait for the answer.
    #[arg(long, default_value = "5s", value_parser = timeout, value_name = "DURATION")]
    timeout: Duration,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Health {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let address = self.server.url.clone();
        let channel = self.server.channel()?;
        let asking = Asking {
            target: Target {
                server: self.server,
                tenant: String::new(),
            },
            timeout: self.timeout,
            json: self.json,
        };
        let service = if self.liveness { LIVENESS } else { "" };
        let request = asking.request(HealthCheckRequest {
            service: service.to_owned(),
        });
        let mut client = HealthClient::new(channel);
        let answer = asking.within(client.check(request)).await?.into_inner();
        let status = answer.status();
        if asking.json {
            output::print(&format!("{{\"status\":\"{}\"}}\n", status.as_str_name()))?;
        }
        match status {
            ServingStatus::Serving if asking.json => Ok(()),
            ServingStatus::Serving => output::print("serving\n"),
            _ => Err(Failure::new(format!(
                "the server at {address} does not serve; its log says why"
            ))),
        }
    }
}
