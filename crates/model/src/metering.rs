//! What one run of an event cost, and how it ended.

use crate::{RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How the process that served an event came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartKind {
    /// The runtime and the function's own code were started for this event.
    #[default]
    Cold,
    /// It is a copy of a process that had been initialised before.
    Clone,
    /// It was started and initialised ahead, for one event.
    Ready,
    /// It had served other events before this one.
    Warm,
}

impl StartKind {
    /// All of them.
    pub const ALL: [StartKind; 4] = [StartKind::Cold, StartKind::Clone, StartKind::Ready, StartKind::Warm];

    /// As logs, the store and the command line have it.
    pub fn name(self) -> &'static str {
        match self {
            StartKind::Cold => "cold",
            StartKind::Clone => "clone",
            StartKind::Ready => "ready",
            StartKind::Warm => "warm",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        StartKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for StartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one run of an event cost, as its REPORT line, its log record and its row in the store state it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metering {
    /// How the process came to be.
    pub start: StartKind,
    /// From the acceptance of the event until the decision to start its process.
    pub queue: Duration,
    /// From that decision until the function's code was ready for the event; nothing where it was ready before.
    pub init: Duration,
    /// From handing over the event until the answer, the end of the process or the time limit.
    pub duration: Duration,
    /// The function's memory limit in MB.
    pub memory_mb: u32,
    /// The most memory the whole process tree held at one time, in bytes.
    pub peak_memory: u64,
    /// Processor time of the whole process tree.
    pub cpu: Duration,
    /// The length of the event, in bytes.
    pub bytes_in: u64,
    /// The length of the answer or of the error document, in bytes.
    pub bytes_out: u64,
}

impl Metering {
    /// The time that is billed, in whole milliseconds, rounded up: the handler, and the initialisation of a process
    /// that was started for this event.
    ///
    /// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html> (the init phase
    /// is billed).
    pub fn billed_ms(&self) -> u64 {
        let nanos = (self.init + self.duration).as_nanos();
        u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
    }

    /// The peak memory in whole MB (2^20 bytes), rounded up.
    pub fn peak_memory_mb(&self) -> u64 {
        self.peak_memory.div_ceil(1 << 20)
    }
}

/// How a run ended, in the words of AWS's log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// The handler returned.
    Success,
    /// It raised, or its process ended without an answer.
    Error,
    /// It ran out of time.
    Timeout,
}

impl RunStatus {
    /// As logs, the store and the command line have it.
    pub fn name(self) -> &'static str {
        match self {
            RunStatus::Success => "success",
            RunStatus::Error => "error",
            RunStatus::Timeout => "timeout",
        }
    }

    /// The status of this name.
    pub fn named(name: &str) -> Option<Self> {
        [RunStatus::Success, RunStatus::Error, RunStatus::Timeout].into_iter().find(|one| one.name() == name)
    }
}

/// One run of an event: what a bill is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The function's name.
    pub function: String,
    /// The version that ran.
    pub version: String,
    /// The event.
    pub request_id: RequestId,
    /// How many attempts at this event had failed before.
    pub attempt: u32,
    /// When the run ended.
    pub ended: Timestamp,
    /// How it ended.
    pub status: RunStatus,
    /// The type of the error, unless it succeeded.
    pub error_type: Option<String>,
    /// What it cost.
    pub metering: Metering,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn billing_rounds_up_to_the_next_millisecond() {
        let mut metering = Metering {
            init: Duration::from_micros(1_500),
            duration: Duration::from_micros(600),
            peak_memory: (1 << 20) + 1,
            ..Metering::default()
        };
        assert_eq!(metering.billed_ms(), 3);
        assert_eq!(metering.peak_memory_mb(), 2);
        metering.init = Duration::ZERO;
        metering.duration = Duration::ZERO;
        assert_eq!(metering.billed_ms(), 1);
        // Waiting for room is the platform's time, not the function's.
        metering.queue = Duration::from_secs(1);
        assert_eq!(metering.billed_ms(), 1);
    }

    #[test]
    fn names_are_read_back() {
        for status in [RunStatus::Success, RunStatus::Error, RunStatus::Timeout] {
            assert_eq!(RunStatus::named(status.name()), Some(status));
        }
        for kind in StartKind::ALL {
            assert_eq!(StartKind::named(kind.name()), Some(kind));
        }
        assert_eq!((RunStatus::named("?"), StartKind::named("?")), (None, None));
    }
}
