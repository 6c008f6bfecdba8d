//! Processes begin: started from their program, or copied from a template.

use super::extensions::{self, Extended};
use super::lines::Lines;
use super::process::Process;
use super::runtime::Runtime;
use super::supervision::{Supervision, submit};
use super::telemetry::Category;
use super::{Sandbox, setup};
use crate::control::{self, Order, Start};
use crate::environment::{self, Purpose};
use crate::runtimes::Kind;
use crate::{Error, Function, Interpreter, Platform};
use model::limits::{EXTENSIONS, MB};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::net::unix::pipe;

/// Where a custom runtime's program may lie.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html>
pub(super) const BOOTSTRAPS: [&str; 2] = ["/var/task/bootstrap", "/opt/bootstrap"];

/// What is started, and in which root.
struct Launch {
    root: usize,
    programs: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<String>,
}

/// How a process of `function` is started by its interpreter, or as a custom runtime if it has none.
async fn launch(
    sandbox: &Sandbox,
    function: &Function,
    purpose: Purpose,
    interpreter: Option<(usize, &Interpreter)>,
) -> Result<Launch, Error> {
    let config = &sandbox.config;
    let now = config.clock.now();
    let Some((root, interpreter)) = interpreter else {
        return Ok(Launch {
            root: config.interpreters.iter().count(),
            programs: BOOTSTRAPS.map(str::to_owned).to_vec(),
            arguments: Vec::new(),
            environment: environment::variables(function, purpose, &[], now),
        });
    };
    sandbox.prepare_runtime(root, interpreter).await?;
    let kind = Kind::of(interpreter.installed.language);
    let mut variables = (kind.environment)(interpreter);
    variables.push(("PATH", environment::path(interpreter)));
    let own = (kind.command)(interpreter, &setup::runtime_dir(config, root), &function.spec);
    let mut command = wrapper(function).map(str::to_owned).into_iter().chain(own);
    Ok(Launch {
        root,
        programs: command.by_ref().take(1).collect(),
        arguments: command.collect(),
        environment: environment::variables(function, purpose, &variables, now),
    })
}

/// The program of the function that is started in place of the runtime, with the runtime's command as its arguments;
/// a custom runtime has none.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper>
pub(super) fn wrapper(function: &Function) -> Option<&str> {
    let managed = !function.spec.runtime.starts_with("provided");
    let path =
        function.spec.environment.get("AWS_LAMBDA_EXEC_WRAPPER").filter(|path| managed && !path.is_empty());
    path.map(String::as_str)
}

/// Starts a process; says also what its log should begin with. `template` is the number under which it may become one.
pub(super) async fn start(
    sandbox: &Sandbox,
    function: &Function,
    purpose: Purpose,
    platform: Platform,
    template: Option<u64>,
) -> Result<(Process, Option<String>), Error> {
    let spec = &function.spec;
    let choice = sandbox.config.interpreters.choose(&spec.runtime)?;
    let network = sandbox.network_of(spec)?;
    let launch = launch(sandbox, function, purpose, choice.interpreter).await?;
    let start = Start {
        root: launch.root,
        code_dir: function.code_dir.clone(),
        layers_dir: function.layers_dir.clone(),
        programs: launch.programs,
        arguments: launch.arguments,
        runtime_api: choice.interpreter.is_none(),
        extensions: Vec::new(),
        environment: launch.environment,
        memory: u64::from(spec.memory_mb) * MB as u64,
        ephemeral_storage: u64::from(spec.ephemeral_storage_mb) * MB as u64,
        network,
        template,
    };
    let runtime_api = start.runtime_api;
    let names = if template.is_none() { extensions::names(function) } else { Vec::new() };
    let programs = names.iter().take(EXTENSIONS).map(|name| format!("/opt/extensions/{name}")).collect();
    let start = Start { extensions: programs, ..start };
    let (mut theirs, mut extended) = (Vec::new(), None);
    let kind = purpose.initialization_type();
    let clock = &sandbox.config.clock;
    if template.is_some() {
        // One that may be copied has no other processes. If it has extensions of its own, it is told, and started anew.
        extended = Some(Extended::new(function, &[], None, None, kind, clock));
    } else {
        let (tells, ours) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(std::io::Error::from)?;
        theirs.push(tells);
        let mut printed = None;
        if !names.is_empty() {
            let (log, ours) = pipe::pipe()?;
            theirs.push(log.into_blocking_fd()?);
            printed = Some(ours);
        }
        extended.get_or_insert_with(|| Extended::new(function, &names, printed, Some(ours), kind, clock));
    }
    let more = More { descriptors: theirs, extended };
    let process = order(sandbox, &Order::Start(start), runtime_api, platform, more).await?;
    Ok((process, choice.warning))
}

/// What an order has beside what every order has.
#[derive(Default)]
pub(super) struct More {
    /// Descriptors that follow the others.
    pub(super) descriptors: Vec<OwnedFd>,
    /// The extensions of the process, if it may have any.
    pub(super) extended: Option<Extended>,
}

/// Sends an order for a process to the launcher, with the sockets and the log of the process.
pub(super) async fn order(
    sandbox: &Sandbox,
    order: &Order,
    runtime_api: bool,
    platform: Platform,
    more: More,
) -> Result<Process, Error> {
    let (supervision, their_supervision) = Supervision::pair()?;
    let (their_log, printed) = pipe::pipe()?;
    let (runtime, their_channel) = Runtime::new(runtime_api)?;
    let mut theirs = vec![their_supervision, their_log.into_blocking_fd()?];
    theirs.extend(their_channel);
    theirs.extend(more.descriptors);
    submit(&sandbox.control, &control::encode(order), &theirs).await?;
    let mut lines = Lines::held(Arc::clone(&sandbox.config.clock));
    let extended = more.extended.map(Box::new);
    if let Some(extended) = &extended {
        lines.tap(extended.hub(), Category::Function);
    }
    let outside = Arc::clone(&sandbox.outside);
    Ok(Process::new(supervision, runtime, printed, lines, extended, platform, outside))
}
