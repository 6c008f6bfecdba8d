//! Settings: from defaults, one TOML file, the environment and flags, each winning over the one before.

use crate::cli;
use anyhow::{Context, Result, bail};
use model::NetworkPolicy;
use sandbox::network::{Addresses, Range};
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most KB of an object that can lie in the database: what a body is gathered in before it is written to a file.
const INLINE: usize = 256;

/// Everything that can be set; an unknown key in the file is an error.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where to listen. Only loopback addresses are taken, since signatures are not verified.
    pub(crate) listen: SocketAddr,
    /// Where all state is kept.
    pub(crate) data_dir: PathBuf,
    /// How long requests and events under way may take when the server stops, in seconds.
    pub(crate) grace_s: u64,
    /// What functions get.
    pub(crate) functions: Functions,
    /// What waits ahead of events.
    pub(crate) ahead: Ahead,
    /// What happens to asynchronous events.
    pub(crate) events: Events,
    /// What is kept of logs.
    pub(crate) logs: Logs,
    /// What is kept of the cost of runs.
    pub(crate) metering: Metering,
    /// What functions can reach.
    pub(crate) network: Network,
    /// What holds for message queues.
    pub(crate) queues: Queues,
    /// What is done with buckets and objects while nobody asks.
    pub(crate) buckets: Buckets,
}

/// `[functions]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Functions {
    /// The memory that running functions may be limited to, all together, in MB; unset: four fifths of the
    /// machine's.
    pub(crate) memory_mb: Option<u64>,
    /// Running functions may be limited to so many times that memory, since few use all that they may: 1.0 is safe.
    pub(crate) memory_overcommit: f64,
    /// How many events run at the same time at the most.
    pub(crate) concurrency: usize,
    /// How long a synchronous call waits for room before it is refused, in milliseconds.
    pub(crate) wait_ms: u64,
    /// How many processes may be initialising at the same time; unset: two per processor.
    pub(crate) starting: Option<usize>,
    /// How many processes wait prepared in control groups of their own; unset: two per processor. With none, an event
    /// waits some milliseconds for its own.
    pub(crate) standby: Option<usize>,
    /// Paths of interpreters (python3, node, java) to offer beside those on the PATH.
    pub(crate) interpreters: Vec<PathBuf>,
    /// Refuse a function whose very runtime version is not there, instead of running it on the nearest one.
    pub(crate) strict_runtimes: bool,
    /// Cap processor time in proportion to memory (1,769 MB are one processor).
    pub(crate) cpu_proportional: bool,
}

/// `[ahead]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ahead {
    /// The memory of templates and of processes that wait for events, in MB; unset: an eighth of
    /// `functions.memory_mb`.
    pub(crate) memory_mb: Option<u64>,
    /// How long after a function's last event nothing of it waits any more, in seconds.
    pub(crate) idle_s: u64,
    /// How many processes of one function wait at the most, unless its tag asks for more. With 0, nothing waits
    /// that no tag asks for.
    pub(crate) most: usize,
}

/// `[events]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Events {
    /// How long after its first failure an asynchronous event is tried again, in seconds; the second retry
    /// comes after twice that.
    pub(crate) retry_delay_s: u64,
    /// So many asynchronous events run at the same time however busy the processors are; more of them run while
    /// processors are idle. Unset: two per processor.
    pub(crate) least_running: Option<usize>,
    /// How long events that were given up stay listed, in days.
    pub(crate) failed_retention_days: u64,
}

/// `[logs]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logs {
    /// How long log records are kept, in days.
    pub(crate) retention_days: u64,
}

/// `[metering]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metering {
    /// How long the cost of each run is kept, in days: two months, so that a month can be billed when it is over.
    pub(crate) retention_days: u64,
}

/// `[network]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// The policy of functions that do not say.
    pub(crate) default: NetworkPolicy,
    /// No function gets more than this.
    pub(crate) most: NetworkPolicy,
    /// Ranges of addresses that are closed by themselves and shall be open to functions with the policy
    /// `internet`.
    pub(crate) open: Vec<String>,
}

/// `[queues]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Queues {
    /// How long after a queue was deleted none of its name can be created, in seconds.
    pub(crate) recreate_s: u64,
    /// How long after a queue was purged it cannot be purged again, in seconds.
    pub(crate) purge_s: u64,
}

/// `[buckets]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Buckets {
    /// How often the lifecycle rules of a bucket are followed, in seconds. S3 does so once a day.
    pub(crate) lifecycle_s: u64,
    /// How long the scrubber rests between two passes, in seconds.
    pub(crate) scrub_s: u64,
    /// How many MB the scrubber rereads in a second; 0: there is none.
    pub(crate) scrub_mb_s: u64,
    /// Objects of up to so many KB lie in the database, and larger ones in files.
    pub(crate) inline_kb: usize,
}

impl Default for Buckets {
    fn default() -> Self {
        Buckets {
            lifecycle_s: 60 * 60,
            scrub_s: 6 * 60 * 60,
            scrub_mb_s: 8,
            inline_kb: store::small::SMALL / 1024,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4566)),
            data_dir: PathBuf::new(),
            grace_s: 10,
            functions: Functions::default(),
            ahead: Ahead::default(),
            events: Events::default(),
            logs: Logs::default(),
            metering: Metering::default(),
            network: Network::default(),
            queues: Queues::default(),
            buckets: Buckets::default(),
        }
    }
}

impl Default for Functions {
    fn default() -> Self {
        Functions {
            memory_mb: None,
            memory_overcommit: 1.0,
            concurrency: model::limits::CONCURRENCY,
            wait_ms: 10_000,
            starting: None,
            standby: None,
            interpreters: Vec::new(),
            strict_runtimes: false,
            cpu_proportional: false,
        }
    }
}

impl Default for Ahead {
    fn default() -> Self {
        Ahead { memory_mb: None, idle_s: 300, most: 100 }
    }
}

impl Default for Events {
    fn default() -> Self {
        Events { retry_delay_s: 60, least_running: None, failed_retention_days: 14 }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Logs { retention_days: 7 }
    }
}

impl Default for Metering {
    fn default() -> Self {
        Metering { retention_days: 62 }
    }
}

impl Default for Queues {
    fn default() -> Self {
        let limits = [model::limits::SQS_RECREATE, model::limits::SQS_PURGE];
        let [recreate_s, purge_s] = limits.map(|limit| limit.as_secs());
        Queues { recreate_s, purge_s }
    }
}

impl Default for Network {
    fn default() -> Self {
        Network { default: NetworkPolicy::Platform, most: NetworkPolicy::Internet, open: Vec::new() }
    }
}

impl Network {
    /// The addresses that are open to functions.
    ///
    /// # Errors
    /// What `open` has that cannot be opened.
    pub(crate) fn addresses(&self) -> Result<Addresses> {
        let ranges = self.open.iter().map(|text| text.trim().parse::<Range>().context("network.open"));
        Addresses::new(ranges.collect::<Result<_>>()?).map_err(|(range, what)| {
            anyhow::anyhow!("network.open: {range} ({what}) leads back to the sandbox itself or to nobody, and cannot be opened")
        })
    }
}

impl Config {
    /// The settings for `flags`, which hold the environment's values too; `default_data_dir` is used when
    /// nothing else names one.
    pub(crate) fn load(flags: &cli::Serve, default_data_dir: Option<PathBuf>) -> Result<Self> {
        let mut config = match &flags.config {
            Some(path) => read_file(path)?,
            None => Config::default(),
        };
        if let Some(listen) = flags.listen {
            config.listen = listen;
        }
        if let Some(data_dir) = &flags.data_dir {
            config.data_dir = data_dir.clone();
        }
        if config.data_dir.as_os_str().is_empty() {
            config.data_dir = default_data_dir.context("no data directory: give one with --data-dir")?;
        }
        config.data_dir = std::path::absolute(&config.data_dir)
            .with_context(|| format!("the data directory {}", config.data_dir.display()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        if !self.listen.ip().is_loopback() {
            bail!(
                "cannot listen on {}: signatures are not verified yet, so only loopback addresses such as \
                 127.0.0.1:4566 are taken; put a proxy that authenticates in front to serve others",
                self.listen
            );
        }
        if self.buckets.lifecycle_s == 0 || self.buckets.scrub_s == 0 || self.buckets.inline_kb > INLINE {
            bail!(
                "buckets.lifecycle_s and buckets.scrub_s must be at least 1, and buckets.inline_kb at most {INLINE}"
            );
        }
        if self.functions.concurrency == 0 || self.functions.starting == Some(0) {
            bail!("functions.concurrency and functions.starting must be at least 1");
        }
        let overcommit = self.functions.memory_overcommit;
        if !(0.1..=100.0).contains(&overcommit) {
            bail!("functions.memory_overcommit is {overcommit}, and has to be from 0.1 to 100");
        }
        if self.events.least_running == Some(0) {
            bail!("events.least_running must be at least 1");
        }
        if self.ahead.idle_s == 0 {
            bail!("ahead.idle_s must be at least 1; with ahead.most = 0 nothing waits ahead of events");
        }
        let Network { default, most, .. } = self.network;
        if default > most {
            bail!("network.default is {default}, but network.most allows {most} at the most");
        }
        self.network.addresses()?;
        Ok(())
    }

    /// How long requests and events under way may take when the server stops.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_s)
    }
}

fn read_file(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("the configuration file {}", path.display()))
}

/// Where state is kept when nothing names a place: the system's directory for root, else the user's own.
pub(crate) fn default_data_dir() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this is the program, which alone reads the environment")]
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if crate::machine::is_root() {
        return Some(PathBuf::from("/var/lib/mayfly"));
    }
    variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("mayfly"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, flags: cli::Serve) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mayfly.toml");
        std::fs::write(&file, toml).unwrap();
        Config::load(&cli::Serve { config: Some(file), ..flags }, Some("/default".into()))
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let config =
            load("listen = \"127.0.0.1:1\"\ngrace_s = 3\n[logs]\nretention_days = 1", cli::Serve::default())
                .unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!((config.grace_s, config.logs.retention_days), (3, 1));
        assert_eq!((config.data_dir, config.events.retry_delay_s), ("/default".into(), 60));
        let flags = cli::Serve { listen: Some("127.0.0.1:2".parse().unwrap()), ..cli::Serve::default() };
        assert_eq!(load("listen = \"127.0.0.1:1\"", flags).unwrap().listen.port(), 2);
    }

    #[test]
    fn unknown_keys_and_open_addresses_are_refused_by_name() {
        let error = format!("{:#}", load("colour = 1", cli::Serve::default()).unwrap_err());
        assert!(error.contains("colour"), "{error}");
        let error = format!("{:#}", load("[functions]\nsize = 1", cli::Serve::default()).unwrap_err());
        assert!(error.contains("size"), "{error}");
        let error = format!("{:#}", load("[ahead]\nidle_s = 0", cli::Serve::default()).unwrap_err());
        assert!(error.contains("ahead.most"), "{error}");
        let error = format!("{:#}", load("listen = \"0.0.0.0:80\"", cli::Serve::default()).unwrap_err());
        assert!(error.contains("loopback"), "{error}");
    }

    #[test]
    fn the_network_s_settings_fit_together() {
        let load = |toml: &str| load(toml, cli::Serve::default());
        let network =
            load("[network]\ndefault = \"none\"\nopen = [\"10.1.0.0/16\", \"192.168.0.7\"]").unwrap().network;
        assert_eq!((network.default, network.most), (NetworkPolicy::Nothing, NetworkPolicy::Internet));
        for (toml, part) in [
            ("default = \"all\"", "unknown variant `all`"),
            ("default = \"internet\"\nmost = \"platform\"", "network.default is internet"),
            ("open = [\"10.1.0.1/16\"]", "the range is 10.1.0.0/16"),
            ("open = [\"example.com\"]", "example.com"),
            ("open = [\"127.0.0.0/8\"]", "loopback"),
            ("closed = []", "closed"),
        ] {
            let error = format!("{:#}", load(&format!("[network]\n{toml}")).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
