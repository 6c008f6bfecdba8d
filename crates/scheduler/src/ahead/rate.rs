//! How fast events of one function arrive.

use std::time::Duration;
use tokio::time::Instant;

/// What lies so far behind weighs 1/e of what happens now.
const MEMORY: Duration = Duration::from_secs(10);

/// The same for the short look that sees bursts.
const BURST: Duration = Duration::from_millis(500);

/// How fast a burst is forgotten.
const BURST_MEMORY: Duration = Duration::from_secs(30);

/// The rate of arrivals, weighted exponentially: over some seconds, and that of the last burst.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    at: Instant,
    slow: f64,
    fast: f64,
    burst: f64,
}

impl Rate {
    /// No arrivals until `now`.
    pub(super) fn new(now: Instant) -> Rate {
        Rate { at: now, slow: 0.0, fast: 0.0, burst: 0.0 }
    }

    /// An event arrives.
    pub(super) fn arrival(&mut self, now: Instant) {
        *self = self.aged(now);
        self.slow += 1.0;
        self.fast += 1.0;
        self.burst = self.burst.max(self.fast / BURST.as_secs_f64());
    }

    /// Arrivals per second, as of `now`.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let aged = self.aged(now);
        (aged.slow / MEMORY.as_secs_f64()).max(aged.burst)
    }

    fn aged(&self, now: Instant) -> Rate {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let after = |value: f64, memory: Duration| value * (-passed / memory.as_secs_f64()).exp();
        Rate {
            at: self.at.max(now),
            slow: after(self.slow, MEMORY),
            fast: after(self.fast, BURST),
            burst: after(self.burst, BURST_MEMORY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_steady_rate_is_found() {
        let mut now = Instant::now();
        let mut rate = Rate::new(now);
        for _ in 0..1_200 {
            now += SECOND / 20;
            rate.arrival(now);
        }
        let found = rate.per_second(now);
        assert!((19.0..23.0).contains(&found), "{found}");
    }

    #[test]
    fn a_burst_is_remembered_for_a_while_and_then_forgotten() {
        let now = Instant::now();
        let mut rate = Rate::new(now);
        for _ in 0..50 {
            rate.arrival(now);
        }
        assert!(rate.per_second(now) >= 99.0);
        assert!(rate.per_second(now + 10 * SECOND) > 50.0);
        assert!(rate.per_second(now + 300 * SECOND) < 0.1);
    }
}
