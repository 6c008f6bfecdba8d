//! What each function's events have waited for, and how long they took: histograms since the start of the program.

use model::{FunctionArn, Histogram};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The precision: one part in 2^4.
const BITS: u32 = 4;

/// Of how many functions histograms are kept, some kilobytes each; the one whose last event is longest ago goes first.
const FUNCTIONS: usize = 1_024;

/// The histograms of all functions.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Mutex<HashMap<(FunctionArn, bool), Kept>>);

#[derive(Debug)]
struct Kept {
    wait: Histogram,
    whole: Histogram,
    last: Instant,
}

/// What one function's events have achieved, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// The function: its ARN.
    pub function: String,
    /// `call` if somebody waited for these events, else `event`.
    pub lane: String,
    /// How many there were.
    pub events: u64,
    /// From when an event was accepted until it had a process.
    pub wait_ms: Quantiles,
    /// From when it was accepted until its answer was there.
    pub whole_ms: Quantiles,
}

/// Points of a distribution.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quantiles {
    /// Half of all are not above.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p99_9: f64,
    /// The largest.
    pub max: f64,
}

impl Quantiles {
    fn of(micros: &Histogram) -> Self {
        let at = |part| micros.quantile(part) as f64 / 1e3;
        Quantiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p99_9: at(0.999), max: at(1.0) }
    }
}

impl Latencies {
    /// An event of `function` waited for so long, and took so long altogether.
    pub(crate) fn note(&self, function: &FunctionArn, called: bool, wait: Duration, whole: Duration) {
        let mut kept = self.lock();
        let key = (function.clone(), called);
        if !kept.contains_key(&key) && kept.len() >= FUNCTIONS {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.last).map(|(key, _)| key.clone());
            oldest.map(|key| kept.remove(&key));
        }
        let new = || Kept { wait: Histogram::new(BITS), whole: Histogram::new(BITS), last: Instant::now() };
        let of = kept.entry(key).or_insert_with(new);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        of.wait.note(micros(wait));
        of.whole.note(micros(whole));
        of.last = Instant::now();
    }

    /// What there is to tell, by function.
    pub(crate) fn all(&self) -> Vec<Latency> {
        let tell = |((function, called), kept): (&(FunctionArn, bool), &Kept)| Latency {
            function: function.to_string(),
            lane: if *called { "call" } else { "event" }.to_owned(),
            events: kept.wait.count(),
            wait_ms: Quantiles::of(&kept.wait),
            whole_ms: Quantiles::of(&kept.whole),
        };
        let mut all: Vec<Latency> = self.lock().iter().map(tell).collect();
        all.sort_by(|one, other| (&one.function, &one.lane).cmp(&(&other.function, &other.lane)));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(FunctionArn, bool), Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_kept_of_so_many_functions_and_no_more() {
        let latencies = Latencies::default();
        for n in 0..FUNCTIONS + 10 {
            let function = FunctionArn::of(&n.to_string());
            latencies.note(&function, true, Duration::from_millis(1), Duration::from_millis(3));
        }
        let all = latencies.all();
        assert_eq!(all.len(), FUNCTIONS);
        assert_eq!((all[0].events, all[0].wait_ms.p99, all[0].whole_ms.max), (1, 1.0, 3.0));
    }
}
