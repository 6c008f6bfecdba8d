//! The program: one binary, whose first argument chooses its role before any thread exists.
#![forbid(unsafe_code)]

mod bench;
mod cli;
mod client;
mod config;
mod doctor;
mod front;
mod fsck;
mod latency;
mod logs;
mod machine;
mod rollout;
mod runs;
mod serve;
mod starts;
mod status;
mod table;

use clap::Parser;
use std::process::ExitCode;

/// The role of the process that creates sandboxes. It is not for people, so `--help` does not list it.
const LAUNCHER_ROLE: &str = "sandbox-launcher";

fn main() -> ExitCode {
    // Sandboxes are forked by a process that never has a second thread, so nothing may come before this.
    if std::env::args_os().nth(1).is_some_and(|role| role == LAUNCHER_ROLE) {
        sandbox::launcher::main();
    }
    let result = match cli::Cli::parse().command {
        cli::Command::Serve(flags) => serve::main(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Doctor(flags) => doctor::main(&flags),
        cli::Command::Fsck(flags) => fsck::main(&flags),
        cli::Command::Logs(flags) => logs::main(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Runs(flags) => runs::main(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Starts(flags) => starts::main(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Latency(flags) => latency::main(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Bench(flags) => bench::main(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::FailedEvents(flags) => logs::failed_events(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Deploy(flags) => rollout::deploy(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Versions(flags) => rollout::versions(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Compare(flags) => rollout::compare(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Shift(flags) => rollout::shift(&flags).map(|()| ExitCode::SUCCESS),
        cli::Command::Rollback(flags) => rollout::rollback(&flags).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mayfly: {error:#}");
            ExitCode::FAILURE
        }
    }
}
