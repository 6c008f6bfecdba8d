//! What one run of an event cost.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How the process that served an event came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartKind {
    /// The runtime and the function's own code were started for this event.
    Cold,
}

impl fmt::Display for StartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StartKind::Cold => "cold",
        })
    }
}

/// What one run of an event cost, as its REPORT line and its log record state it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metering {
    /// How the process came to be.
    pub start: StartKind,
    /// From the decision to start the process until its code was ready for the event.
    pub init: Duration,
    /// From handing over the event until the answer, the end of the process or the time limit.
    pub duration: Duration,
    /// The most memory the whole process tree held at one time, in bytes.
    pub peak_memory: u64,
    /// Processor time of the whole process tree.
    pub cpu: Duration,
}

impl Metering {
    /// The time that is billed, in whole milliseconds, rounded up: initialisation and handler, since every
    /// event has its own initialisation here.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn billing_rounds_up_to_the_next_millisecond() {
        let mut metering = Metering {
            start: StartKind::Cold,
            init: Duration::from_micros(1_500),
            duration: Duration::from_micros(600),
            peak_memory: (1 << 20) + 1,
            cpu: Duration::ZERO,
        };
        assert_eq!(metering.billed_ms(), 3);
        assert_eq!(metering.peak_memory_mb(), 2);
        metering.init = Duration::ZERO;
        metering.duration = Duration::ZERO;
        assert_eq!(metering.billed_ms(), 1);
    }
}
