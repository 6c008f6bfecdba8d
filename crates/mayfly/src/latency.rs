//! `mayfly latency`: how long functions' events waited for a process, and how long they took altogether.

use crate::cli;
use crate::client::{Server, run};
use anyhow::Result;
use scheduler::{Latency, Quantiles};
use serde::Deserialize;
use std::io::Write;

#[derive(Deserialize)]
struct Page {
    latency: Vec<Latency>,
}

/// Prints what was achieved since the server was started.
pub(crate) fn main(flags: &cli::Latency) -> Result<()> {
    run(async {
        let page: Page = Server::new(&flags.server).get("/_mayfly/latency").await?;
        let mut out = std::io::stdout().lock();
        if flags.json {
            for latency in &page.latency {
                writeln!(out, "{}", serde_json::to_string(latency)?)?;
            }
        } else {
            out.write_all(table(&page.latency).as_bytes())?;
        }
        Ok(())
    })
}

fn table(latency: &[Latency]) -> String {
    let names =
        ["FUNCTION", "LANE", "EVENTS", "WAIT MS: P50, P90, P99, P99.9", "WHOLE MS: P50, P90, P99, P99.9"];
    let points = |of: &Quantiles| format!("{:.2}, {:.2}, {:.2}, {:.2}", of.p50, of.p90, of.p99, of.p99_9);
    let mut cells = vec![names.map(str::to_owned)];
    cells.extend(latency.iter().map(|one| {
        let name = one.function.split_once(":function:").map_or(one.function.as_str(), |(_, name)| name);
        [
            name.to_owned(),
            one.lane.clone(),
            one.events.to_string(),
            points(&one.wait_ms),
            points(&one.whole_ms),
        ]
    }));
    crate::table::render(&cells)
}
