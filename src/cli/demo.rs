//! `bellwether demo`: a server on a fresh store, a real community replayed into it, and
//! what a marketer would ask.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Instant,
};

use tokio::net::TcpListener;

use super::{
    connection::{Client, Server, Target},
    demo_server,
    failure::Failure,
    funnel, influencers,
    output::{self, Column, table},
    rank::{reasons, whose},
    replay::{
        self,
        engine::{self, Options, Watcher},
        lines::Position,
        prepare::{Preparation, shift_to_now},
        progress::Progress,
        summary::{self, Summary},
    },
    serve::stop_signal,
};
use crate::{
    proto::v1::{
        GetFunnelRequest, Influencer, ProfileView, RankSegmentRequest, RankSegmentResponse,
        TopInfluencersRequest,
    },
    rollout::Models,
    scoring::Model,
};

/// A real community, converted to events.
const COMMUNITY: &[u8] = include_bytes!("../../examples/data/conlang.jsonl");
const ATTRIBUTION: &str = "Data: Constructed Languages Meta, https://conlang.meta.stackexchange.com, from \
     https://archive.org/details/stackexchange, by Stack Exchange, Inc. and its users, \
     CC BY-SA 3.0, converted to events.";
/// People that are shown of a list.
const SHOWN: i32 = 5;
/// Terms of a score that are shown.
const SHOWN_TERMS: usize = 4;

/// Starts a server on a fresh store, replays a real community into it and shows what can
/// be asked. Ctrl-C stops it and removes the store.
#[derive(Clone, Debug, clap::Args)]
pub struct Demo {
    /// Where to listen; a free port is taken when this one is not free.
    #[arg(long, default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Stop after printing.
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let model = Model::parse(Models::BUILT_IN).map_err(|diagnostics| {
            let diagnostics: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
            Failure::new(diagnostics.join("\n"))
        })?;
        // Removed when it goes out of scope, after the server has stopped.
        let directory = tempfile::Builder::new()
            .prefix("bellwether-demo-")
            .tempdir()
            .map_err(|error| Failure::io("cannot make a temporary store", &error))?;
        let stop =
            stop_signal().map_err(|error| Failure::io("cannot listen for signals", &error))?;
        let listener = listen(self.listen).await?;
        let address = listener
            .local_addr()
            .map_err(|error| Failure::io(self.listen, &error))?;
        let server = demo_server::start(directory.path(), listener).await?;
        let mut stop = std::pin::pin!(stop);
        let shown = tokio::select! {
            shown = show(address, &model) => Some(shown),
            () = &mut stop => None,
        };
        if matches!(shown, Some(Ok(()))) && !self.once {
            output::print(&how_to_call(address, directory.path()))?;
            stop.await;
        }
        server.stop().await?;
        shown.unwrap_or(Ok(()))
    }
}

/// Listens on the address, or on a free port of it.
async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let listener = TcpListener::bind((address.ip(), 0))
                .await
                .map_err(|error| Failure::io(address, &error))?;
            let port = listener.local_addr().map_or(0, |local| local.port());
            output::note!("{address} is taken; listening on port {port} instead");
            Ok(listener)
        }
        other => other.map_err(|error| Failure::io(address, &error)),
    }
}

/// The address as a client on this machine reaches it.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())
    } else {
        address
    }
}

async fn show(address: SocketAddr, model: &Model) -> Result<(), Failure> {
    let target = Target {
        server: Server {
            url: format!("http://{}", reachable(address)),
            ..Server::default()
        },
        ..Target::default()
    };
    let mut client = target.client()?;
    output::print(&format!(
        "{ATTRIBUTION}\nTimes are moved so that the data ends now.\n\n"
    ))?;
    output::print(&replay_community(client.clone()).await?)?;
    output::print(&show_funnel(&mut client).await?)?;
    output::print(&show_segment(&mut client, model).await?)?;
    output::print(&show_influencers(&mut client, model).await?)
}

/// Replays the bundled data, with a progress bar, and says how it went.
async fn replay_community(client: Client) -> Result<String, Failure> {
    let options = Options {
        preparation: Preparation {
            shift_seconds: shift_to_now(COMMUNITY).await?,
            ..Preparation::default()
        },
        batch: 100,
        patience: replay::patience(5),
    };
    let mut watcher = DemoWatcher {
        progress: Progress::new("lines", Some((0, COMMUNITY.len() as u64))),
        refused: None,
    };
    let started = Instant::now();
    let outcome = engine::replay(
        client,
        COMMUNITY,
        Position::default(),
        &options,
        &mut watcher,
    )
    .await;
    watcher.progress.finish();
    let summary = outcome?;
    if let Some(refused) = watcher.refused {
        return Err(Failure::new(format!("the bundled data: {refused}")));
    }
    Ok(summary::describe(&summary, started.elapsed()) + "\n")
}

/// Shows progress; the bundled data has no line that is refused.
struct DemoWatcher {
    progress: Progress,
    refused: Option<String>,
}

impl Watcher for DemoWatcher {
    fn refused(&mut self, line: u64, reason: &str) {
        self.refused
            .get_or_insert_with(|| format!("line {line} refused: {reason}"));
    }

    fn answered(&mut self, position: Position, summary: &Summary) -> Result<(), Failure> {
        self.progress.show(position.byte, summary.answered());
        Ok(())
    }
}

async fn show_funnel(client: &mut Client) -> Result<String, Failure> {
    let response = client.get_funnel(GetFunnelRequest::default()).await?;
    Ok(format!(
        "How many people stand at each stage? Each is counted once, at the highest stage reached.\n\n{}\n",
        funnel::describe(response.get_ref())
    ))
}

/// The top of the first segment of the model that has members, with the reasons.
async fn show_segment(client: &mut Client, model: &Model) -> Result<String, Failure> {
    for segment in model.segment_names() {
        let response = client
            .rank_segment(RankSegmentRequest {
                segment: segment.to_string(),
                page_size: SHOWN,
                view: ProfileView::Full.into(),
                ..RankSegmentRequest::default()
            })
            .await?
            .into_inner();
        if !response.members.is_empty() {
            return Ok(describe_segment(segment, &response));
        }
    }
    Ok("No segment of the model has members yet.\n\n".to_owned())
}

fn describe_segment(segment: &str, response: &RankSegmentResponse) -> String {
    let columns = [
        Column::numbers("rank"),
        Column::words("profile"),
        Column::words("stage"),
        Column::words("points from"),
    ];
    let rows = response.members.iter().map(|member| {
        let profile = whose(member);
        let reasons = reasons(&profile, SHOWN_TERMS);
        [
            member.rank.to_string(),
            profile.profile_id,
            profile.stage,
            reasons,
        ]
    });
    format!(
        "Who should be contacted first among the {} people of the segment {segment}, and why?\n\n{}\n",
        output::signed_count(response.segment_size),
        table(&columns, rows)
    )
}

/// The top influencers on the topic with the most touches among them.
async fn show_influencers(client: &mut Client, model: &Model) -> Result<String, Failure> {
    let mut busiest: Option<(i64, String, Vec<Influencer>)> = None;
    for topic in model.topic_names() {
        let influencers = client
            .top_influencers(TopInfluencersRequest {
                topic: topic.to_string(),
                page_size: SHOWN,
                ..TopInfluencersRequest::default()
            })
            .await?
            .into_inner()
            .influencers;
        let touches = influencers
            .iter()
            .map(|influencer| influencer.touches)
            .sum();
        if touches > busiest.as_ref().map_or(0, |(most, ..)| *most) {
            busiest = Some((touches, topic.to_string(), influencers));
        }
    }
    let Some((_, topic, influencers)) = busiest else {
        return Ok("Nobody has engaged with anybody on a topic of the model yet.\n\n".to_owned());
    };
    Ok(format!(
        "Whose content moves others on {topic}? Touches are engagements with it, advances the next \
         steps on the path that followed,\nand probability is how likely a touch is followed by one.\n\n{}\n",
        influencers::describe(&influencers)
    ))
}

/// How to go on from the shell and from Python.
fn how_to_call(address: SocketAddr, directory: &Path) -> String {
    let address = reachable(address);
    format!(
        r#"The server listens on {address}; its store is {store}. Ctrl-C stops it and removes the store.

From the shell:
  export BELLWETHER_SERVER=http://{address}
  bellwether funnel
  bellwether get <profile> --full
  grpcurl -plaintext {address} list bellwether.v1.ScoringService
  grpcurl -plaintext {address} bellwether.v1.ScoringService/GetFunnel

From Python, in this repository:
  python3 -m venv .venv-client
  .venv-client/bin/pip install grpcio-tools googleapis-common-protos
  .venv-client/bin/python -m grpc_tools.protoc -I proto/public -I proto/vendored \
      --python_out=.venv-client --grpc_python_out=.venv-client proto/public/bellwether/v1/scoring.proto
  PYTHONPATH=.venv-client .venv-client/bin/python -c '
import grpc
from bellwether.v1 import scoring_pb2, scoring_pb2_grpc
service = scoring_pb2_grpc.ScoringServiceStub(grpc.insecure_channel("{address}"))
print(service.GetFunnel(scoring_pb2.GetFunnelRequest()))'
"#,
        store = directory.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::replay::lines::LineReader;

    #[tokio::test]
    async fn a_free_port_is_taken_when_the_port_is_not_free() {
        let taken = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = taken.local_addr().unwrap();
        let other = listen(address).await.unwrap().local_addr().unwrap();
        assert_eq!(other.ip(), address.ip());
        assert_ne!(other.port(), address.port());
    }

    #[tokio::test]
    async fn every_line_of_the_bundled_data_can_be_read() {
        let mut reader = LineReader::new(COMMUNITY, Position::default());
        let mut events = 0;
        while let Some(line) = reader.next().await.unwrap() {
            let content = line.content.map_err(|reason| (line.end.line, reason));
            events += u64::from(content.unwrap().is_some());
        }
        assert!(events > 0);
    }

    #[test]
    fn the_address_to_call_is_one_that_can_be_reached() {
        let text = how_to_call("0.0.0.0:4000".parse().unwrap(), Path::new("store"));
        assert!(text.contains("http://127.0.0.1:4000"), "{text}");
    }
}
