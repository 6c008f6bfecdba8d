//! Versions of functions from the command line: deploy, list, compare, shift events, roll back. All of it is calls of the
//! Lambda API, which any other client could make as well.

mod api;
mod compare;
mod deploy;
mod package;
mod shift;
mod versions;

pub(crate) use compare::main as compare;
pub(crate) use deploy::main as deploy;
pub(crate) use shift::{rollback, shift};
pub(crate) use versions::main as versions;

use clap::Args;
use std::path::PathBuf;

/// Where the server is, and as whom it is asked.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Where the server listens
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    endpoint: String,
    /// The region that the function lives in
    #[arg(long, env = "AWS_DEFAULT_REGION", default_value = model::REGION)]
    region: String,
    /// The access key id; one of twelve digits selects the account
    #[arg(
        long,
        value_name = "ID",
        env = "AWS_ACCESS_KEY_ID",
        default_value = "test",
        hide_env_values = true
    )]
    access_key: String,
}

/// Flags of `mayfly deploy`.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The function's name; it is created if it does not exist
    function: String,
    /// A zip file, or a directory or file that is to be zipped
    path: PathBuf,
    /// Let this alias lead to the new version, all at once; it is created if it does not exist
    #[arg(long, value_name = "NAME")]
    alias: Option<String>,
    /// Let the alias give only so many per cent of the events to the new version
    #[arg(long, value_name = "N", requires = "alias", value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: Option<u8>,
    /// The runtime, for instance python3.11; a new function needs one
    #[arg(long)]
    runtime: Option<String>,
    /// What is called, for instance app.handler; a new function needs one
    #[arg(long)]
    handler: Option<String>,
    /// The role
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// What is new in this version
    #[arg(long, short = 'm')]
    description: Option<String>,
    /// Memory in MB
    #[arg(long, value_name = "MB")]
    memory: Option<u32>,
    /// How long an event may take, in seconds
    #[arg(long, value_name = "S")]
    timeout: Option<u32>,
    /// A variable, NAME=VALUE; given once or more, they replace those that the function has
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    #[command(flatten)]
    target: Target,
}

/// Flags of `mayfly versions`.
#[derive(Debug, Args)]
pub(crate) struct Versions {
    /// The function's name
    function: String,
    #[command(flatten)]
    target: Target,
}

/// Flags of `mayfly compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The function's name
    function: String,
    /// A version or an alias
    before: String,
    /// Another one
    #[arg(default_value = model::LATEST)]
    after: String,
    #[command(flatten)]
    target: Target,
}

/// Flags of `mayfly shift`.
#[derive(Debug, Args)]
pub(crate) struct Shift {
    /// The function's name
    function: String,
    /// The alias; it is created if it does not exist
    alias: String,
    /// The version that is to get events
    version: String,
    /// So many per cent of them; the rest goes where it went
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: u8,
    #[command(flatten)]
    target: Target,
}

/// Flags of `mayfly rollback`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The function's name
    function: String,
    /// The alias
    alias: String,
    /// The version that is to get all events [default: while two share them, the one that was there first; else the one
    /// published before]
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    #[command(flatten)]
    target: Target,
}
