//! The command line.

use crate::rollout;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A Lambda-compatible cloud in one program: every event gets a fresh, isolated process.
#[derive(Debug, Parser)]
#[command(name = "mayfly", version, propagate_version = true, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Start a server, then point any AWS client at it:

  mayfly serve --data-dir ./data
  export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  aws lambda list-functions";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: functions, object storage and SQL behind the AWS APIs
    Serve(Serve),
    /// Say what of this machine functions can use, what is missing, and what to do about it
    Doctor(Doctor),
    /// Verify a whole data directory: databases, and every stored byte against its name; a server may run meanwhile
    Fsck(Fsck),
    /// Print what a function logged
    Logs(Logs),
    /// List runs of functions, the newest first: how they ended and what they cost
    Runs(Runs),
    /// List functions that had events lately: what waits ahead of the next ones, and why a function is not cloned
    Starts(Starts),
    /// List asynchronous events that were given up after their last retry
    FailedEvents(FailedEvents),
    /// Make a function's code and settings its next version; it is created if it does not exist
    Deploy(rollout::Deploy),
    /// List the versions of a function, the newest first, and the aliases that lead to them
    Versions(rollout::Versions),
    /// Say what two versions of a function differ in: settings, and files of their packages
    Compare(rollout::Compare),
    /// Give a share of an alias's events to a version
    Shift(rollout::Shift),
    /// Give all events of an alias back to the version before
    Rollback(rollout::Rollback),
}

/// Flags of `mayfly serve`. Each wins over its environment variable, and that over the configuration file.
#[derive(Debug, Args, Default)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes any free one [default: 127.0.0.1:4566]
    #[arg(long, value_name = "ADDR:PORT", env = "MAYFLY_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Directory that holds all state; made if missing [default: ~/.local/share/mayfly, as root
    /// /var/lib/mayfly]
    #[arg(long, value_name = "DIR", env = "MAYFLY_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// TOML file with settings; docs/configuration.md lists them
    #[arg(long, value_name = "FILE", env = "MAYFLY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The data directory to look at, as for `mayfly serve`
    #[arg(long, value_name = "DIR", env = "MAYFLY_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// TOML file with settings, as for `mayfly serve`
    #[arg(long, value_name = "FILE", env = "MAYFLY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where the server that uses the data directory listens, if one runs [default: as the settings say]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// The data directory to verify, as for `mayfly serve`
    #[arg(long, value_name = "DIR", env = "MAYFLY_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The function's name
    pub(crate) function: String,
    /// Keep printing as lines arrive, until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Only those of this function
    pub(crate) function: Option<String>,
    /// How many at the most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Print one JSON object per run, with times in milliseconds and sizes in bytes
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Starts {
    /// Print one JSON object per function, with sizes in bytes
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct FailedEvents {
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Where the server listens
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub(crate) endpoint: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
