//! The load itself: closed, open or a burst; live progress; what the server used meanwhile.

use super::target::{Caller, Target};
use super::usage::{Meter, Used};
use anyhow::Result;
use model::Histogram;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The precision of what is reported: one part in 2^7.
const BITS: u32 = 7;

/// The stack of a connection's thread, in bytes.
const STACK: usize = 256 * 1024;

/// What is done.
pub(super) struct Plan {
    pub(super) connections: usize,
    /// So many calls are due per second, whether earlier ones are done or not. None: each connection makes one call
    /// after the other.
    pub(super) rate: Option<f64>,
    /// Each connection makes one call, all at the same moment.
    pub(super) burst: bool,
    pub(super) warm_up: Duration,
    pub(super) time: Duration,
    pub(super) progress: bool,
}

/// What came of it.
pub(super) struct Side {
    /// Microseconds of those that were answered as they should be, from when each was due.
    pub(super) latency: Histogram,
    pub(super) failures: BTreeMap<String, u64>,
    /// From the first call to the last answer.
    pub(super) took: Duration,
    /// How many things a call moved.
    pub(super) each: usize,
    pub(super) used: Option<Used>,
}

struct Seen {
    latency: Histogram,
    failures: BTreeMap<String, u64>,
    last: Duration,
}

impl Seen {
    fn new() -> Self {
        Seen { latency: Histogram::new(BITS), failures: BTreeMap::new(), last: Duration::ZERO }
    }

    fn add(&mut self, other: &Seen) {
        self.latency.add(&other.latency);
        for (failure, count) in &other.failures {
            *self.failures.entry(failure.clone()).or_default() += count;
        }
        self.last = self.last.max(other.last);
    }
}

/// Puts the load on `target`; `pid` is the process to watch where the server does not tell of itself.
pub(super) fn run(target: &Target, plan: &Plan, pid: Option<u32>) -> Result<Side> {
    if !plan.warm_up.is_zero() && !plan.burst {
        let warm_up = Plan { time: plan.warm_up, warm_up: Duration::ZERO, progress: false, ..*plan };
        calls(target, &warm_up)?;
    }
    let meter = Meter::new(&target.address, pid);
    let seen = calls(target, plan)?;
    let used = meter.map(|meter| meter.used());
    Ok(Side { latency: seen.latency, failures: seen.failures, took: seen.last, each: target.each(), used })
}

fn calls(target: &Target, plan: &Plan) -> Result<Seen> {
    let (next, gate, begun) = (AtomicU64::new(0), Barrier::new(plan.connections + 1), OnceLock::new());
    let (shared, done) = (Mutex::new(Seen::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.connections)
            .map(|number| {
                let (next, gate, begun, shared) = (&next, &gate, &begun, &shared);
                std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
                    let mut caller = target.caller(number);
                    // A server that cannot be reached is told of by the first call.
                    let _ = caller.open();
                    gate.wait();
                    work(plan, &mut caller, next, *begun.get_or_init(Instant::now), shared);
                })
            })
            .collect::<std::io::Result<_>>()?;
        gate.wait();
        let watcher = plan.progress.then(|| scope.spawn(|| watch(&shared, &done)));
        for thread in threads {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
        done.store(true, Ordering::Relaxed);
        if let Some(watcher) = watcher {
            let _ = watcher.join();
        }
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(shared.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// How often a connection adds what it has seen to what all have.
const SHARE: Duration = Duration::from_millis(500);

fn work(plan: &Plan, caller: &mut Caller<'_>, next: &AtomicU64, begun: Instant, shared: &Mutex<Seen>) {
    let mut seen = Seen::new();
    let mut share = begun + SHARE;
    let end = begun + plan.time;
    loop {
        let due = match plan.rate {
            _ if plan.burst => begun,
            Some(rate) => begun + Duration::from_secs_f64(next.fetch_add(1, Ordering::Relaxed) as f64 / rate),
            None => Instant::now(),
        };
        if due < end || plan.burst {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let result = caller.call();
            let now = Instant::now();
            seen.last = now - begun;
            match result {
                Ok(()) => seen.latency.note(u64::try_from((now - due).as_micros()).unwrap_or(u64::MAX)),
                Err(error) => *seen.failures.entry(format!("{error:#}")).or_default() += 1,
            }
            if now < share && !plan.burst {
                continue;
            }
            share = now + SHARE;
        }
        shared.lock().unwrap_or_else(PoisonError::into_inner).add(&seen);
        if due >= end || plan.burst {
            return;
        }
        seen = Seen { last: seen.last, ..Seen::new() };
    }
}

/// Tells each second how it goes.
fn watch(shared: &Mutex<Seen>, done: &AtomicBool) {
    let (begun, terminal) = (Instant::now(), std::io::stderr().is_terminal());
    let (mut before, mut second) = (0, 1);
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
        if begun.elapsed() < Duration::from_secs(second) {
            continue;
        }
        let (count, median, late, failed) = {
            let seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let latency = &seen.latency;
            (
                latency.count(),
                latency.quantile(0.5),
                latency.quantile(0.99),
                seen.failures.values().sum::<u64>(),
            )
        };
        let millis = |micros: u64| micros as f64 / 1e3;
        let line = format!(
            "{second:>4} s {:>8} per s   p50 {:>8.2} ms   p99 {:>8.2} ms   {failed} failed",
            count - before,
            millis(median),
            millis(late)
        );
        // Nobody is there to read it, perhaps.
        let _ = write!(
            std::io::stderr(),
            "{}{line}{}",
            if terminal { "\r" } else { "" },
            if terminal { "" } else { "\n" }
        );
        (before, second) = (count, second + 1);
    }
    if terminal {
        let _ = writeln!(std::io::stderr());
    }
}
