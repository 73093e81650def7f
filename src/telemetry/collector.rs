//! Asks the collector once at the start whether it takes what is going to be sent: the exporters
//! try for ever, and would say of a wrong address only that something failed.

use std::error::Error;

use http::uri::PathAndQuery;
use tonic::{Request, client::Grpc, transport::Endpoint};
use tonic_prost::ProstCodec;

use crate::{config::Secret, limits::COLLECTOR_TIMEOUT};

/// What traces are sent to. An empty message is a message without traces.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Warns when the collector does not answer as one.
pub(super) async fn ask_once(endpoint: Secret) {
    let asked = tokio::time::timeout(COLLECTOR_TIMEOUT, ask(&endpoint)).await;
    let error = match asked {
        Ok(Ok(())) => return,
        Ok(Err(error)) => causes(&*error),
        Err(_) => format!("no answer within {} s", COLLECTOR_TIMEOUT.as_secs()),
    };
    tracing::warn!(
        %endpoint,
        error,
        "nothing takes traces and metrics at otlp_endpoint, which are lost until something does; \
         is the address right, and its port that of OTLP over gRPC, mostly 4317?"
    );
}

async fn ask(endpoint: &Secret) -> Result<(), Box<dyn Error + Send + Sync>> {
    let channel = Endpoint::from_shared(endpoint.expose().to_owned())?;
    let mut client = Grpc::new(channel.connect().await?);
    client.ready().await?;
    let path = PathAndQuery::from_static(EXPORT);
    let codec = ProstCodec::<(), ()>::default();
    client.unary(Request::new(()), path, codec).await?;
    Ok(())
}

/// An error with what caused it, in one line.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text += ": ";
            text += &more;
        }
        cause = error.source();
    }
    text
}
