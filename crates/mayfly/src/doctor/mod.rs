//! `mayfly doctor`: what of this machine functions can use, what is missing, and what to do about it.
//!
//! It needs no server: it has a launcher and a directory of its own, and leaves nothing behind.

mod finding;
mod isolation;
mod machine;
mod runtimes;

use crate::client::Server;
use crate::config::{self, Config};
use crate::{LAUNCHER_ROLE, cli, serve, status};
use anyhow::{Context, Result};
use finding::{Diagnosis, Finding};
use model::SystemClock;
use sandbox::{Launcher, LauncherConfig, Sandbox};
use serde::Deserialize;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use store::{Error as StoreError, Store};

/// Looks at everything and prints it; fails if functions cannot run safely.
pub(crate) fn main(flags: &cli::Doctor) -> Result<ExitCode> {
    let settings = cli::Serve {
        listen: None,
        data_dir: flags.data_dir.clone(),
        config: flags.config.clone(),
        standby: false,
    };
    let config = Config::load(&settings, config::default_data_dir())?;
    let program = std::env::current_exe().context("cannot find the program's own file")?;
    let launcher = Launcher::spawn(LauncherConfig { program, arguments: vec![LAUNCHER_ROLE.into()] })
        .context("cannot start the process that creates sandboxes")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let diagnosis = runtime.block_on(examine(&config, flags, launcher))?;
    let mut out = std::io::stdout().lock();
    if flags.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&diagnosis)?)?;
    } else {
        out.write_all(diagnosis.text().as_bytes())?;
    }
    Ok(if diagnosis.is_safe() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(config: &Config, flags: &cli::Doctor, launcher: Launcher) -> Result<Diagnosis> {
    let scratch = tempfile::Builder::new()
        .prefix("mayfly-doctor-")
        .tempdir()
        .context("cannot make a directory for the probes; set TMPDIR to one that can be written")?;
    let mut findings = machine::look(&config.data_dir);
    let interpreters = serve::find_interpreters(config);
    let sandbox_config = sandbox::Config {
        data_dir: scratch.path().to_path_buf(),
        run_dir: scratch.path().join("run"),
        interpreters: interpreters.clone(),
        cpu_proportional: false,
        network: sandbox::Network::default(),
        standby: 1,
        clock: Arc::new(SystemClock),
    };
    let sandbox = match Sandbox::connect(launcher, sandbox_config).await {
        Ok(sandbox) => {
            findings.extend(isolation::look(sandbox.features(), &config.network));
            Some(sandbox)
        }
        Err(error) => {
            let reason = chain(&error);
            findings.push(Finding::missing("sandboxes", reason, machine::namespace_advice()).and_unsafe());
            None
        }
    };
    findings.extend(runtimes::look(sandbox.as_ref(), &interpreters, scratch.path()).await);
    let functions = match functions(config, flags).await {
        Ok(functions) => functions,
        Err(finding) => {
            findings.push(finding);
            Vec::new()
        }
    };
    findings.extend(runtimes::names(interpreters.runtimes(), &functions));
    Ok(Diagnosis::of(findings))
}

/// A function and its runtime, as the status endpoint tells them.
#[derive(Deserialize)]
struct Named {
    name: String,
    runtime: String,
}

#[derive(Deserialize)]
struct Page {
    functions: Vec<Named>,
}

/// The functions there are and their runtimes: from the data directory, or from the server that uses it.
async fn functions(config: &Config, flags: &cli::Doctor) -> Result<Vec<(String, String)>, Finding> {
    let dir = config.data_dir.clone();
    match of_directory(&dir) {
        Ok(functions) => Ok(functions),
        Err(StoreError::Locked { .. }) => {
            let endpoint = flags.endpoint.clone().unwrap_or_else(|| format!("http://{}", config.listen));
            let server = Server::new(&cli::Server { endpoint });
            match server.get::<Page>("/_mayfly/functions").await {
                Ok(page) => Ok(page.functions.into_iter().map(|one| (one.name, one.runtime)).collect()),
                Err(error) => Err(Finding::present(
                    "functions",
                    format!("not looked at: the data directory is in use, and {error:#}"),
                    "say where its server listens: mayfly doctor --endpoint http://127.0.0.1:PORT",
                )),
            }
        }
        Err(error) => {
            let detail = format!("not looked at: {}", chain(&error));
            Err(Finding::present("functions", detail, "run mayfly doctor as the user of the server"))
        }
    }
}

fn of_directory(dir: &Path) -> store::Result<Vec<(String, String)>> {
    if !dir.join("mayfly.sqlite").exists() {
        return Ok(Vec::new());
    }
    Store::look(dir, Arc::new(SystemClock), status::functions)
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
