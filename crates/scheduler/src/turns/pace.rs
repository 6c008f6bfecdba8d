//! How many events run beside one another that nobody waits for: so many as leave the processors something to do.
//!
//! Work that is all processor time gains nothing from running more of it at once, and makes every call late. Work that
//! waits for something else leaves processors idle, and then more of it runs.

use std::time::Duration;
use tokio::time::Instant;

/// How often the number is adjusted.
pub(crate) const EVERY: Duration = Duration::from_millis(100);

/// With so much of the processors idle, more is run; with less than the second, less is run.
const IDLE: (f64, f64) = (0.10, 0.03);

/// Processor time since the machine was started, in any unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// In which a processor had nothing to do.
    pub idle: u64,
    /// All of it.
    pub all: u64,
}

/// The number, and how it was found.
#[derive(Debug)]
pub(super) struct Pace {
    least: usize,
    most: usize,
    limit: usize,
    last: Option<(Instant, Ticks)>,
}

impl Pace {
    pub(super) fn new(least: usize, most: usize) -> Self {
        Pace { least: least.min(most), most, limit: least.min(most), last: None }
    }

    /// How many may run.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Adjusts the number; `held` says that more would have run. Without knowledge of the processors all may run.
    pub(super) fn adjust(&mut self, now: Instant, ticks: Option<Ticks>, held: bool) {
        let Some(ticks) = ticks else {
            self.limit = self.most;
            return;
        };
        let Some((at, before)) = self.last else {
            self.last = Some((now, ticks));
            return;
        };
        if now.duration_since(at) < EVERY {
            return;
        }
        self.last = Some((now, ticks));
        let all = ticks.all.saturating_sub(before.all);
        if all > 0 {
            let idle = ticks.idle.saturating_sub(before.idle) as f64 / all as f64;
            self.limit = next(self.limit, idle, held).clamp(self.least, self.most);
        }
    }
}

/// The number after `limit`.
fn next(limit: usize, idle: f64, held: bool) -> usize {
    match idle {
        idle if idle >= IDLE.0 && held => limit + limit.div_ceil(2),
        idle if idle < IDLE.1 => limit - limit / 4,
        _ => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_processors_let_more_run_and_busy_ones_less() {
        for (limit, idle, held, expected) in
            [(8, 0.5, true, 12), (8, 0.5, false, 8), (8, 0.05, true, 8), (8, 0.0, true, 6), (1, 0.0, true, 1)]
        {
            assert_eq!(next(limit, idle, held), expected, "{limit} {idle} {held}");
        }
    }

    #[test]
    fn the_number_stays_within_its_bounds() {
        let start = Instant::now();
        let mut pace = Pace::new(4, 10);
        let ticks = |n: u64, idle: u64| Some(Ticks { idle, all: n * 100 });
        for n in 0..20 {
            pace.adjust(start + EVERY * n, ticks(n.into(), u64::from(n) * 50), true);
        }
        assert_eq!(pace.limit(), 10);
        for n in 20..40 {
            pace.adjust(start + EVERY * n, ticks(n.into(), 1_000), true);
        }
        assert_eq!(pace.limit(), 4);
        pace.adjust(start, None, true);
        assert_eq!(pace.limit(), 10);
    }
}
