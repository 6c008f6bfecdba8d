//! `mayfly bench`: load on a function, a queue or a bucket, of this server or of any that speaks the same API.
//!
//! Every connection is a thread of its own with blocking calls, so that the generator takes little of a machine that it
//! shares with what it measures, and its clock is not a timer wheel's. Times are taken from when a call was due: a server
//! that stalls is not spared the calls that would have come meanwhile (no coordinated omission).

mod http;
mod load;
mod report;
mod signature;
mod target;
mod usage;

use crate::cli;
use anyhow::{Context, Result, bail};
use load::Plan;
use std::time::Duration;
use target::Target;

/// Puts load on the target, and on the peer's if one is named, and prints what came of it.
pub(crate) fn main(flags: &cli::Bench) -> Result<()> {
    let plan = plan(flags)?;
    let mut sides = Vec::new();
    let pids = [flags.load.pid, flags.load.vs_pid];
    let endpoints = std::iter::once(&flags.server.endpoint).chain(&flags.load.vs);
    for (endpoint, pid) in endpoints.zip(pids) {
        let target = Target::new(
            &flags.what,
            endpoint,
            flags.load.vs_target.as_deref().filter(|_| !sides.is_empty()),
        )?;
        if !flags.load.json {
            eprintln!("{endpoint}: {}", target.name());
        }
        let side = load::run(&target, &plan, pid).with_context(|| format!("the load on {endpoint}"))?;
        sides.push((endpoint.clone(), side));
    }
    if flags.load.json {
        println!("{}", report::json(&plan, &sides));
    } else {
        print!("{}", report::text(&sides));
    }
    if sides.iter().all(|(_, side)| side.latency.count() == 0) {
        bail!("no call was answered as it should be");
    }
    Ok(())
}

fn plan(flags: &cli::Bench) -> Result<Plan> {
    let load = &flags.load;
    if load.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        bail!("--rate is how many calls are due per second, so it is above 0");
    }
    Ok(Plan {
        connections: load.burst.unwrap_or(load.connections),
        rate: load.rate,
        burst: load.burst.is_some(),
        warm_up: Duration::from_secs_f64(load.warm_up.clamp(0.0, 3_600.0)),
        time: Duration::from_secs_f64(load.seconds.clamp(0.1, 86_400.0)),
        progress: !load.json && load.burst.is_none(),
    })
}
