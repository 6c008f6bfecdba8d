//! What is printed at the end.

use super::load::{Plan, Side};
use serde_json::{Value, json};
use std::fmt::Write;

const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// The widest bar of the histogram, in characters.
const BAR: u64 = 50;

/// For people.
pub(super) fn text(sides: &[(String, Side)]) -> String {
    let mut text = String::new();
    for (endpoint, side) in sides {
        let per_second = side.per_second();
        let _ = writeln!(text, "\n{endpoint}");
        let _ = writeln!(
            text,
            "  {} answered in {:.2} s: {per_second:.1} per s",
            side.count(),
            side.took.as_secs_f64()
        );
        for (failure, count) in &side.failures {
            let _ = writeln!(text, "  {count} failed: {failure}");
        }
        let quantiles = QUANTILES.map(|(name, part)| format!("{name} {:.2}", side.millis(part)));
        let _ = writeln!(
            text,
            "  latency ms   {}   mean {:.2}",
            quantiles.join("   "),
            side.latency.mean() / 1e3
        );
        if let Some(used) = side.used {
            let per_call = used.cpu.as_micros() as f64 / side.latency.count().max(1) as f64;
            let _ = writeln!(
                text,
                "  server       {:.2} s of processor time, {per_call:.0} us per call; {:.1} MiB",
                used.cpu.as_secs_f64(),
                used.memory as f64 / f64::from(1 << 20)
            );
        }
        text.push_str(&bars(side));
    }
    if let [(_, ours), (_, theirs)] = sides {
        let ratio = |one: f64, other: f64| if other > 0.0 { one / other } else { f64::NAN };
        let _ = writeln!(
            text,
            "\nthe first beside the second: {:.2} times the rate, {:.2} times the median, {:.2} times the p99",
            ratio(ours.per_second(), theirs.per_second()),
            ratio(ours.millis(0.5), theirs.millis(0.5)),
            ratio(ours.millis(0.99), theirs.millis(0.99))
        );
    }
    text
}

/// A bar for each doubling of the latency.
fn bars(side: &Side) -> String {
    let mut counts = std::collections::BTreeMap::<u32, u64>::new();
    for (value, count) in side.latency.buckets() {
        *counts.entry(u64::BITS - value.leading_zeros()).or_default() += count;
    }
    let (Some(first), Some(last)) = (counts.keys().next(), counts.keys().last()) else {
        return String::new();
    };
    let most = counts.values().max().copied().unwrap_or(1);
    (*first..=*last).fold(String::new(), |mut text, length| {
        let count = counts.get(&length).copied().unwrap_or(0);
        let bar = "#".repeat(usize::try_from((count * BAR).div_ceil(most)).unwrap_or(0));
        let below = 2_f64.powi(i32::try_from(length).unwrap_or(0)) / 1e3;
        let _ = writeln!(text, "  < {below:>10.3} ms {count:>9} {bar}");
        text
    })
}

/// For programs.
pub(super) fn json(plan: &Plan, sides: &[(String, Side)]) -> Value {
    let side = |(endpoint, side): &(String, Side)| {
        let mut shown = json!({
            "endpoint": endpoint,
            "answered": side.count(),
            "perSecond": side.per_second(),
            "seconds": side.took.as_secs_f64(),
            "failures": side.failures,
            "meanMs": side.latency.mean() / 1e3,
            "histogramMicros": side.latency.buckets().collect::<Vec<_>>(),
        });
        for (name, part) in QUANTILES {
            shown[format!("{}Ms", name.replace('.', "_"))] = json!(side.millis(part));
        }
        if let Some(used) = side.used {
            shown["server"] = json!({
                "cpuMs": used.cpu.as_secs_f64() * 1e3,
                "cpuMicrosPerCall": used.cpu.as_micros() as f64 / side.latency.count().max(1) as f64,
                "memoryBytes": used.memory,
            });
        }
        shown
    };
    json!({
        "connections": plan.connections,
        "rate": plan.rate,
        "burst": plan.burst,
        "sides": sides.iter().map(side).collect::<Vec<_>>(),
    })
}

impl Side {
    fn count(&self) -> u64 {
        self.latency.count() * self.each as u64
    }

    fn per_second(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64().max(1e-9)
    }

    fn millis(&self, part: f64) -> f64 {
        self.latency.quantile(part) as f64 / 1e3
    }
}
