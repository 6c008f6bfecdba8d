//! What the server used while load was on it: by its own word, or by that of the kernel if its process is named.

use super::http::{Address, Connection};
use crate::machine::Usage;
use std::time::Duration;

/// Watches one server.
pub(super) struct Meter {
    source: Source,
    before: Usage,
}

enum Source {
    Server(Address),
    Process(u32),
}

/// What was used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    /// Processor time of the server, without that of functions.
    pub(super) cpu: Duration,
    /// Its memory at the end, in bytes.
    pub(super) memory: u64,
}

impl Meter {
    /// Begins to watch; none if nobody tells.
    pub(super) fn new(address: &Address, pid: Option<u32>) -> Option<Self> {
        let source = match pid {
            Some(pid) => Source::Process(pid),
            None => Source::Server(address.clone()),
        };
        let before = source.now()?;
        Some(Meter { source, before })
    }

    /// What was used since.
    pub(super) fn used(&self) -> Used {
        let now = self.source.now().unwrap_or(self.before);
        Used { cpu: now.cpu.saturating_sub(self.before.cpu), memory: now.memory }
    }
}

impl Source {
    fn now(&self) -> Option<Usage> {
        match self {
            Source::Process(pid) => crate::machine::usage(*pid),
            Source::Server(address) => {
                let answer = Connection::new(address).call("GET", "/_mayfly/usage", "", b"").ok()?;
                serde_json::from_slice(&answer.body).ok()
            }
        }
    }
}
