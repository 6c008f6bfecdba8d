//! Extensions: processes and threads beside a function's own that hear of its events and of its end.
//!
//! External extensions are programs in `/opt/extensions`, started before the runtime; internal ones register from within
//! the runtime's process. What they may say when is kept by the [roster](roster); what they are told of the process, by
//! its [telemetry](super::telemetry).
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>

mod member;
mod roster;
mod shutdown;

use super::lines::Lines;
use super::telemetry::{Api, Category, Hub, Subscription, Tells};
use super::verdict::End;
use crate::Function;
use crate::control::Tell;
pub(super) use member::Subscriptions;
use model::limits::EXTENSIONS;
use model::{Clock, LogFormat};
pub(super) use roster::{Goal, Refused, Roster};
use serde_json::json;
pub(super) use shutdown::{Reason, shut_down};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::task::JoinSet;

/// How much of the output of extensions is read at a time, in bytes.
const CHUNK: usize = 16 * 1024;

/// How many entries of `/opt/extensions` are looked at.
const LOOKED_AT: usize = 1_000;

/// The names of the extensions of `function`, in order; one more than there may be, if there are too many.
pub(super) fn names(function: &Function) -> Vec<String> {
    let directory = function.layers_dir.as_deref().map(|layers| layers.join("extensions"));
    let mut names = directory.as_deref().map(programs).unwrap_or_default();
    names.sort();
    names.truncate(EXTENSIONS + 1);
    names
}

fn programs(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().take(LOOKED_AT);
    let programs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()));
    programs.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// What the connections of a process have to know of its extensions.
#[derive(Debug)]
pub(super) struct Extensions {
    pub(super) roster: Roster,
    pub(super) hub: Arc<Hub>,
    pub(super) function: String,
    pub(super) version: String,
    pub(super) handler: String,
    pub(super) account: String,
    /// What the log has to say of subscriptions.
    subscriptions: Mutex<Vec<String>>,
}

impl Extensions {
    /// The extension `name` subscribes to telemetry.
    pub(super) fn subscribe(&self, name: &str, api: Api, subscription: Subscription) {
        let types: Vec<_> = subscription.categories.iter().map(|category| category.name()).collect();
        let types = types.join(", ");
        let state =
            if self.hub.subscribe(name, api, subscription) { "Subscribed" } else { "Already subscribed" };
        let api = match api {
            Api::Telemetry => "TELEMETRY",
            Api::Logs => "LOGS",
        };
        let mut subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        // Who does it again and again is not heard.
        if subscriptions.len() <= EXTENSIONS {
            subscriptions.push(format!("{api}\tName: {name}\tState: {state}\tTypes: [{types}]"));
        }
    }
}

/// The extensions of a process, as the server holds them.
pub(super) struct Extended {
    pub(super) shared: Arc<Extensions>,
    tells: Arc<Tells>,
    /// What external extensions print; none if there are none, or no more.
    pub(super) printed: Option<pipe::Receiver>,
    pub(super) lines: Lines,
    /// Serves extensions where the runtime has no API of its own.
    pub(super) server: JoinSet<()>,
    /// How the process came to be, in AWS's words.
    kind: &'static str,
    format: LogFormat,
}

impl Extended {
    /// Of a process of `function` with these external extensions, which print to `printed`; pid 1 listens to `tells`.
    pub(super) fn new(
        function: &Function,
        external: &[String],
        printed: Option<pipe::Receiver>,
        tells: Option<OwnedFd>,
        kind: &'static str,
        clock: &Arc<dyn Clock>,
    ) -> Extended {
        let spec = &function.spec;
        let tells = Tells::new(tells);
        let format = spec.logging.format;
        let early = !external.is_empty();
        let hub = Arc::new(Hub::new(Arc::clone(clock), format == LogFormat::Json, &tells, early));
        hub.tell("platform.initStart", || {
            json!({
                "initializationType": kind,
                "phase": "init",
                "functionName": spec.arn.name(),
                "functionVersion": spec.version,
                "instanceMaxMemory": u64::from(spec.memory_mb) << 20,
            })
        });
        let shared = Extensions {
            roster: Roster::new(external),
            hub: Arc::clone(&hub),
            function: spec.arn.name().to_owned(),
            version: spec.version.clone(),
            handler: spec.handler.clone(),
            account: spec.arn.scope().account,
            subscriptions: Mutex::new(Vec::new()),
        };
        let mut lines = Lines::held(Arc::clone(clock));
        lines.tap(&hub, Category::Extension);
        Extended { shared: Arc::new(shared), tells, printed, lines, server: JoinSet::new(), kind, format }
    }

    /// Who extends the process.
    pub(super) fn roster(&self) -> &Roster {
        &self.shared.roster
    }

    /// Who is told what happens.
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.shared.hub
    }

    /// Tells pid 1 something; false if it does not listen.
    pub(super) fn tell(&self, tell: Tell) -> bool {
        self.tells.say(tell)
    }

    /// The runtime is initialised, or is not.
    pub(super) fn runtime_done(&self, error: Option<&str>) {
        self.hub().tell("platform.initRuntimeDone", || self.init_record(error));
    }

    /// The initialisation is over: what the log has to say of it.
    pub(super) fn initialised(&self, error: Option<&str>, took: std::time::Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, state, events, failed) in self.roster().describe() {
            let record = || {
                let mut record = json!({"name": name, "state": state, "events": events});
                if let Some(failed) = &failed {
                    record["errorType"] = json!(failed);
                }
                record
            };
            lines.push(match self.format {
                LogFormat::Text => {
                    let failed =
                        failed.as_ref().map(|kind| format!("\tError Type: {kind}")).unwrap_or_default();
                    format!("EXTENSION\tName: {name}\tState: {state}\tEvents: [{}]{failed}", events.join(","))
                }
                LogFormat::Json => self.hub().log("platform.extension", record()),
            });
            self.hub().tell("platform.extension", record);
        }
        if self.format == LogFormat::Text {
            let mut said = self.shared.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
            lines.append(&mut said);
        }
        self.hub().tell("platform.initReport", || {
            let mut record = self.init_record(error);
            record["metrics"] = json!({"durationMs": super::telemetry::milliseconds(took)});
            record
        });
        self.hub().close();
        lines
    }

    /// Reads what extensions print; ready when one has failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Some(printed) = &mut self.printed {
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            match Pin::new(printed).poll_read(cx, &mut chunk) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {
                    self.lines.print(chunk.filled());
                    // Whoever takes the lines has a turn before there are more.
                    cx.waker().wake_by_ref();
                }
                Poll::Ready(_) => self.printed = None,
            }
        }
        self.roster().poll_failure(cx)
    }

    /// Reads what was printed before now; at most what a pipe holds.
    pub(super) fn drain(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..(64 * 1024 / CHUNK) + 1 {
            match self.printed.as_ref().map(|printed| nix::unistd::read(printed, &mut chunk)) {
                Some(Ok(length)) if length > 0 => self.lines.print(&chunk[..length]),
                _ => break,
            }
        }
    }

    fn init_record(&self, error: Option<&str>) -> serde_json::Value {
        let status = if error.is_some() { "error" } else { "success" };
        let mut record = json!({"initializationType": self.kind, "phase": "init", "status": status});
        if let Some(error) = error {
            record["errorType"] = json!(error);
        }
        record
    }
}
