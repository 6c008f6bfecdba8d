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
    /// Tell how long functions' events waited for a process and took altogether, since the server was started
    Latency(Latency),
    /// Put load on a function, a queue or a bucket, and tell how it was answered
    Bench(Bench),
    /// List asynchronous events that were given up after their last retry
    FailedEvents(FailedEvents),
    /// Make a function's code and settings its next version; it is created if it does not exist
    Deploy(rollout::Deploy),
    /// List the versions of a function, the newest first, and the aliases that lead to them
    Versions(rollout::Versions),
    /// Say what two versions of a function differ in: settings, and files of their packages
    Compare(rollout::Compare),
    /// Give a share of an alias's events to a version
    // Its argument is called as `--version` would be.
    #[command(disable_version_flag = true)]
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
    /// Wait until no other server uses the data directory, and then take over
    #[arg(long)]
    pub(crate) standby: bool,
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
pub(crate) struct Latency {
    /// Print one JSON object per function and lane, with times in milliseconds
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) what: BenchWhat,
    #[command(flatten)]
    pub(crate) load: BenchLoad,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// What load is put on.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchWhat {
    /// Call a function
    Function {
        /// The function's name
        name: String,
        /// The event, as JSON
        #[arg(long, value_name = "JSON", default_value = "{}")]
        payload: String,
        /// Do not wait for answers: what is measured is how fast events are accepted
        #[arg(long)]
        event: bool,
        /// A text that every answer has to contain
        #[arg(long, value_name = "TEXT", default_value = "")]
        expect: String,
    },
    /// Send, receive and delete messages in batches of 10; one call is all three
    Queue {
        /// The queue's name
        name: String,
        /// The length of a message, in bytes
        #[arg(long, value_name = "BYTES", default_value_t = 1024)]
        size: usize,
    },
    /// Write objects, each connection its own; or read one
    Bucket {
        /// The bucket's name
        name: String,
        /// The length of an object, in bytes
        #[arg(long, value_name = "BYTES", default_value_t = 1024)]
        size: usize,
        /// Read instead of write
        #[arg(long)]
        read: bool,
    },
}

/// How load is put on it.
#[derive(Debug, Args)]
pub(crate) struct BenchLoad {
    /// How many calls are under way at the most
    #[arg(long, global = true, value_name = "N", default_value_t = 8, value_parser = connections)]
    pub(crate) connections: usize,
    /// Open loop: so many calls are due per second, and times count from when each was due [default: closed loop, each
    /// connection one call after the other]
    #[arg(long, global = true, value_name = "PER_SECOND", conflicts_with = "burst")]
    pub(crate) rate: Option<f64>,
    /// So many calls at the same moment, once
    #[arg(long, global = true, value_name = "N", value_parser = connections)]
    pub(crate) burst: Option<usize>,
    /// How long it lasts
    #[arg(long, global = true, value_name = "S", default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// How long calls are made before that, which do not count
    #[arg(long, global = true, value_name = "S", default_value_t = 1.0)]
    pub(crate) warm_up: f64,
    /// Put the same load on this endpoint afterwards, and compare
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) vs: Option<String>,
    /// The name of the function, queue or bucket there, if it is another one
    #[arg(long, global = true, value_name = "NAME", requires = "vs")]
    pub(crate) vs_target: Option<String>,
    /// The server's process, to tell of its processor time and memory; a Mayfly server tells by itself
    #[arg(long, global = true, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// The same for the endpoint that is compared with
    #[arg(long, global = true, value_name = "PID", requires = "vs")]
    pub(crate) vs_pid: Option<u32>,
    /// Print one JSON object, with the whole histogram
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FailedEvents {
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Where the server listens
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "AWS_ENDPOINT_URL",
        default_value = "http://127.0.0.1:4566"
    )]
    pub(crate) endpoint: String,
}

fn connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=4_096).contains(number));
    number.ok_or_else(|| "a number from 1 to 4,096".to_owned())
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
