//! The commands of the binary, one file each: the server, thin clients of a running one,
//! and the tools that need none.

mod apply;
mod audit;
mod backup;
mod catalog;
mod check;
mod comparison;
mod configured;
pub mod connection;
mod demo;
mod demo_server;
mod diff;
mod explanation;
mod export;
pub mod failure;
mod funnel;
mod get;
mod health;
mod import;
mod influencers;
mod instant;
mod key;
mod manual;
mod offline;
mod output;
mod pages;
mod quarantine;
mod rank;
mod recount;
mod release;
mod repair;
mod repartition;
pub mod replay;
mod retract;
mod rewriting;
mod serve;
mod settings;
mod topics;
mod transfer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::serve::{Serve, ServeFailure};
use crate::{config, server::ServerError};

/// Exit code of a mistake in flags, environment, configuration file or keys file.
const USAGE: u8 = 2;
/// Exit code of a command that went through its file while something in it had no effect.
const SOME_WITHOUT_EFFECT: u8 = 3;

/// Scores people by what they do and what they state, over gRPC.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, args_conflicts_with_subcommands = true, after_help = config::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
enum Command {
    Serve(Serve),
    Demo(demo::Demo),
    Replay(replay::Replay),
    Check(check::Check),
    Apply(apply::Apply),
    Audit(audit::Audit),
    Backup(backup::Backup),
    Catalog(catalog::Catalog),
    Diff(diff::Diff),
    Get(get::Get),
    Rank(rank::Rank),
    Topics(topics::Topics),
    Funnel(funnel::Funnel),
    Influencers(influencers::Influencers),
    Health(health::Health),
    Key(key::Key),
    Completions(manual::Completions),
    Man(manual::Man),
    Quarantine(quarantine::Quarantine),
    Release(release::Release),
    Retract(retract::Retract),
    Export(export::Export),
    Import(import::Import),
    Repair(repair::Repair),
    Recount(recount::Recount),
    Repartition(repartition::Repartition),
}

/// Runs the command. Exit code: 0 when it did what it was asked, 1 when it failed, which
/// standard error explains, 2 for a mistake of usage, and 3 when a replay, a retraction or a
/// comparison went through its file while some lines had no effect, which it explains.
pub async fn run(cli: Cli) -> ExitCode {
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    // The server writes a log.
    if !matches!(command, Command::Serve(_)) {
        for slip in configured::slips() {
            output::note!("bellwether: {slip}");
        }
    }
    let outcome = match command {
        Command::Serve(command) => return served(command.run().await),
        Command::Replay(command) => command.run().await,
        Command::Demo(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Check(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Apply(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Audit(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Backup(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Catalog(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Diff(command) => command.run().await,
        Command::Get(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Rank(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Topics(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Funnel(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Influencers(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Completions(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Man(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Key(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Health(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Quarantine(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Release(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Retract(command) => command.run().await,
        Command::Export(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Import(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Repair(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Recount(command) => command.run().await.map(|()| ExitCode::SUCCESS),
        Command::Repartition(command) => command.run().await.map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|failure| {
        output::note!("bellwether: {failure}");
        ExitCode::FAILURE
    })
}

/// The exit code of a command that went through its file.
fn went_through(is_complete: bool) -> ExitCode {
    if is_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOME_WITHOUT_EFFECT)
    }
}

fn served(outcome: Result<(), ServeFailure>) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    output::note!("bellwether: {failure}");
    match failure {
        // A keys file is a part of the configuration.
        ServeFailure::Config(_) | ServeFailure::Server(ServerError::Authentication(_)) => {
            ExitCode::from(USAGE)
        }
        _ => ExitCode::FAILURE,
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["bellwether"].iter().chain(arguments))
    }

    #[test]
    fn no_command_means_serve_with_the_same_flags() {
        assert!(parsed(&[]).unwrap().command.is_none());
        assert!(parsed(&["--listen", "127.0.0.1:0"]).is_ok());
        let cli = parsed(&["serve", "--store", "data"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Serve(_))));
    }

    #[test]
    fn an_unknown_flag_is_a_mistake_of_usage() {
        let error = parsed(&["serve", "--nope"]).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(USAGE));
    }

    #[test]
    fn help_shows_flags_and_settings_with_defaults() {
        for arguments in [&["--help"][..], &["serve", "--help"]] {
            let help = parsed(arguments).unwrap_err().to_string();
            // Lines break where the terminal ends.
            let words: Vec<&str> = help.split_whitespace().collect();
            let help = words.join(" ");
            for part in [
                "--model",
                "BELLWETHER_LISTEN",
                "127.0.0.1:50051",
                "--max-skew",
                "max_skew = ",
                "[default: 5m]",
            ] {
                assert!(help.contains(part), "{part} in {help}");
            }
        }
    }
}
