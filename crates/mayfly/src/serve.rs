//! `mayfly serve`: puts the rooms together, opens the door, and closes everything in order.

use crate::config::{Buckets, Config, Functions};
use crate::front::Front;
use crate::status::{Status, Tell};
use crate::{LAUNCHER_ROLE, cli, config, machine};
use anyhow::{Context, Result, bail};
use model::{Clock, FunctionArn, REGION, SystemClock, limits};
use sandbox::{Interpreters, Launcher, LauncherConfig, Network, Sandbox};
use scheduler::housekeeping::{self, Retention};
use scheduler::{Bounds, Capacity, Inside, Scheduler, Settings};
use services::iam::Iam;
use services::lambda::{Endpoint, FunctionUrls, Lambda};
use services::logs::Logs;
use services::rds_data::RdsData;
use services::s3::S3;
use services::sqs::{Pauses, Sqs};
use services::sts::Sts;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use wire::{Caller, Service};

/// How often events are looked for that became too old while there was no room for them.
const LOOK_FOR_OLD: Duration = Duration::from_secs(10);

/// How often a server that stands by looks whether the data directory is free.
const STANDBY_LOOK: Duration = Duration::from_millis(20);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts the launcher while there is one thread, then the server.
pub(crate) fn main(flags: &cli::Serve) -> Result<()> {
    let config = Config::load(flags, config::default_data_dir())?;
    let program = std::env::current_exe().context("cannot find the program's own file")?;
    let launcher = Launcher::spawn(LauncherConfig { program, arguments: vec![LAUNCHER_ROLE.into()] })
        .context("cannot start the process that creates sandboxes")?;
    init_log();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(serve(config, launcher, flags.standby));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

#[expect(clippy::disallowed_methods, reason = "this is the program, which alone reads the environment")]
fn init_log() {
    // s3s reports every refused request as an error; what matters of it is in our own answer and log.
    let filter = std::env::var("MAYFLY_LOG").unwrap_or_else(|_| "info,s3s=off".to_owned());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

#[expect(clippy::disallowed_methods, reason = "this is the program, which alone reads the environment")]
pub(crate) fn find_interpreters(config: &Config) -> Interpreters {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Functions { interpreters, strict_runtimes, .. } = &config.functions;
    sandbox::interpreters::find(&path, interpreters, *strict_runtimes)
}

async fn serve(config: Config, launcher: Launcher, standby: bool) -> Result<()> {
    let mut signals = Signals::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Some(store) = open(&config.data_dir, &clock, standby, &mut signals).await? else { return Ok(()) };
    let interpreters = find_interpreters(&config);
    let sandbox = Arc::new(connect_sandbox(&config, launcher, interpreters.clone(), clock.clone()).await?);
    let features = sandbox.features().clone();

    let endpoint = Endpoint::default();
    let most = config.network.most;
    let lambda = Lambda::new(store.clone(), interpreters.runtimes().clone(), endpoint.clone(), most);
    lambda.sweep().await.context("cannot clean up deployment packages")?;
    let tell = Arc::new(OnceLock::new());
    let s3 = Arc::new(S3::new(store.clone(), REGION));
    let front: Arc<dyn Service> = Arc::new(Front {
        urls: FunctionUrls::new(store.clone()),
        lambda: lambda.clone(),
        rds_data: RdsData::new(store.clone()),
        s3: s3.clone(),
        sqs: Sqs::new(store.clone(), pauses(&config)),
        iam: Iam::new(store.clone()),
        logs: Logs::new(store.clone()),
        sts: Sts::new(clock.clone()),
        status: Status { store: store.clone(), lambda, scheduler: tell.clone() },
        clock: clock.clone(),
    });

    let stop = watch::Sender::new(false);
    store.set_concurrency(config.functions.concurrency);
    store.set_small_limit(config.buckets.inline_kb * 1024);
    let settings = Settings {
        capacity: capacity(&config),
        ahead: ahead(&config),
        patience: Duration::from_millis(config.functions.wait_ms),
        look_for_old: LOOK_FOR_OLD,
        processors: Arc::new(machine::ticks),
        retry_delay: Duration::from_secs(config.events.retry_delay_s),
        grace: config.grace(),
        environment: function_environment(),
        inside: inside(front.clone(), clock.clone()),
    };
    let scheduler = Scheduler::new(store.clone(), sandbox.clone(), settings)
        .context("the store has a scheduler already")?;
    // Nobody is served before this: there is one scheduler.
    let _ = tell.set(Tell {
        starts: Box::new(scheduler.states()),
        latency: Box::new(scheduler.latencies()),
        load: Box::new(scheduler.load()),
    });
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; choose another address with --listen", config.listen)
    })?;
    let address = listener.local_addr()?;
    endpoint.set(format!("http://{address}"));

    let days = |days: u64| DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX));
    let retention = Retention {
        log: days(config.logs.retention_days),
        failed_events: days(config.events.failed_retention_days),
        runs: days(config.metering.retention_days),
    };
    let tasks = [
        tokio::spawn(scheduler.run(stop.subscribe())),
        tokio::spawn(store::message::keep::run(store.clone(), stop.subscribe())),
        tokio::spawn(scheduler::sources::run(store.clone(), stop.subscribe())),
        tokio::spawn(housekeeping::run(store, retention, stop.subscribe())),
        tokio::spawn(lifecycles(
            s3.clone(),
            Duration::from_secs(config.buckets.lifecycle_s),
            stop.subscribe(),
        )),
        tokio::spawn(scrubs(s3, config.buckets.clone(), stop.subscribe())),
        tokio::spawn(wire::server::serve(
            listener,
            machine::connections(),
            Caller::Outside,
            front,
            clock,
            stop.subscribe(),
            config.grace(),
        )),
    ];
    print_banner(&config, address, &interpreters, &features);
    tokio::select! {
        () = signals.next() => {}
        () = sandbox.launcher_gone() => {
            // Nothing can be run any more. What was accepted waits on disk for the next start.
            bail!("the process that creates sandboxes is gone; start the server again");
        }
    }
    println!("stopping: work under way has {} s to finish", config.grace_s);
    stop.send_replace(true);
    let stopped = async {
        for task in tasks {
            task.await?;
        }
        Ok::<_, tokio::task::JoinError>(())
    };
    tokio::select! {
        stopped = stopped => stopped.context("a part of the server failed while stopping")?,
        () = signals.next() => println!("stopping at once"),
    }
    Ok(())
}

/// Rereads what is stored, slowly, again and again, unless there shall be no scrubber.
async fn scrubs(s3: Arc<S3>, buckets: Buckets, stop: watch::Receiver<bool>) {
    if buckets.scrub_mb_s > 0 {
        s3.scrub(buckets.scrub_mb_s << 20, Duration::from_secs(buckets.scrub_s), stop).await;
    }
}

/// Follows the lifecycle rules of buckets, again and again.
async fn lifecycles(s3: Arc<S3>, every: Duration, stop: watch::Receiver<bool>) {
    s3.follow_lifecycles(every, stop).await;
}

/// Opens the data directory; with `standby`, as soon as nobody else uses it. None if a signal comes before that.
async fn open(
    dir: &Path,
    clock: &Arc<dyn Clock>,
    standby: bool,
    signals: &mut Signals,
) -> Result<Option<Store>> {
    let mut told = false;
    loop {
        match Store::open(dir, clock.clone()) {
            Err(store::Error::Locked { .. }) if standby => {}
            opened => return Ok(Some(opened.context("cannot open the data directory")?)),
        }
        if !std::mem::replace(&mut told, true) {
            println!("waiting until {} is free", dir.display());
        }
        tokio::select! {
            () = tokio::time::sleep(STANDBY_LOOK) => {}
            () = signals.next() => return Ok(None),
        }
    }
}

async fn connect_sandbox(
    config: &Config,
    launcher: Launcher,
    interpreters: Interpreters,
    clock: Arc<dyn Clock>,
) -> Result<Sandbox> {
    let run_dir = config.data_dir.join("run");
    std::fs::create_dir_all(&run_dir).with_context(|| format!("cannot create {}", run_dir.display()))?;
    let sandbox_config = sandbox::Config {
        data_dir: config.data_dir.clone(),
        run_dir,
        interpreters,
        cpu_proportional: config.functions.cpu_proportional,
        network: network(&config.network)?,
        standby: config.functions.standby.unwrap_or(2 * machine::processors()),
        clock,
    };
    Sandbox::connect(launcher, sandbox_config).await.context("cannot isolate functions on this machine")
}

/// What functions can reach, with the name servers that this machine asks.
fn network(config: &config::Network) -> Result<Network> {
    let named = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    Ok(Network {
        default: config.default,
        most: config.most,
        addresses: config.addresses()?,
        resolvers: sandbox::network::resolvers(&named),
    })
}

fn capacity(config: &Config) -> Capacity {
    let machine = Capacity::of_machine(machine::memory_mb(), machine::processors());
    let memory_mb = config.functions.memory_mb.unwrap_or(machine.memory_mb);
    Capacity {
        memory_mb: (memory_mb as f64 * config.functions.memory_overcommit) as u64,
        running: config.functions.concurrency,
        starting: config.functions.starting.unwrap_or(machine.starting),
        background: config.events.least_running.unwrap_or(machine.background),
    }
}

fn pauses(config: &Config) -> Pauses {
    Pauses {
        recreate: Duration::from_secs(config.queues.recreate_s),
        purge: Duration::from_secs(config.queues.purge_s),
    }
}

fn ahead(config: &Config) -> Bounds {
    let room = Capacity::of_machine(machine::memory_mb(), machine::processors()).memory_mb;
    let memory_mb = config.ahead.memory_mb.unwrap_or(config.functions.memory_mb.unwrap_or(room) / 8);
    Bounds {
        memory: memory_mb << 20,
        idle: Duration::from_secs(config.ahead.idle_s),
        most: config.ahead.most,
        making: machine::processors().max(2),
    }
}

/// What AWS's SDKs inside a function look for.
fn function_environment() -> BTreeMap<String, String> {
    let endpoint = format!("http://{}", sandbox::PLATFORM_ADDRESS);
    [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        // The platform knows a function by its socket, so these only have to be there.
        ("AWS_ACCESS_KEY_ID", "function"),
        ("AWS_SECRET_ACCESS_KEY", "function"),
        ("AWS_SESSION_TOKEN", "function"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Serves the platform's own front door to functions, each through the socket in its sandbox.
fn inside(front: Arc<dyn Service>, clock: Arc<dyn Clock>) -> Inside {
    Arc::new(move |function: &FunctionArn, listener| {
        let stop = watch::Sender::new(false);
        let caller = Caller::Function(function.clone());
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                let serving = wire::server::serve(
                    listener,
                    limits::CONNECTIONS_INSIDE,
                    caller,
                    front.clone(),
                    clock.clone(),
                    stop.subscribe(),
                    Duration::ZERO,
                );
                tokio::spawn(serving);
            }
            Err(error) => tracing::error!(%function, %error, "a function cannot reach the platform"),
        }
        stop
    })
}

fn print_banner(
    config: &Config,
    address: std::net::SocketAddr,
    interpreters: &Interpreters,
    features: &sandbox::Features,
) {
    println!("mayfly {} listens on http://{address}", env!("CARGO_PKG_VERSION"));
    println!("  data        {}", config.data_dir.display());
    for found in interpreters.iter() {
        println!("  runtime     {} ({found}, {})", found.installed.runtime(), found.executable.display());
    }
    println!("  runtime     provided.al2023 (programs that bring their own runtime)");
    let config::Network { default, most, .. } = &config.network;
    println!("  network     {default} where a function does not say, {most} at the most");
    for line in features.to_string().lines() {
        println!("  {line}");
    }
}

/// What asks the server to stop. One that comes before anybody waits for it is not lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they do not end the program themselves.
    fn listen() -> Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
