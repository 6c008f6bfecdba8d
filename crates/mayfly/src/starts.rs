//! `mayfly starts`: which functions have processes waiting ahead of their events, and why others are not cloned.

use crate::cli;
use crate::client::{Server, run};
use anyhow::Result;
use scheduler::State;
use serde::Deserialize;
use std::io::Write;

#[derive(Deserialize)]
struct Page {
    starts: Vec<State>,
}

/// Prints what waits now.
pub(crate) fn main(flags: &cli::Starts) -> Result<()> {
    run(async {
        let page: Page = Server::new(&flags.server).get("/_mayfly/starts").await?;
        let mut out = std::io::stdout().lock();
        if flags.json {
            for state in &page.starts {
                writeln!(out, "{}", serde_json::to_string(state)?)?;
            }
        } else {
            out.write_all(table(&page.starts).as_bytes())?;
        }
        Ok(())
    })
}

fn table(states: &[State]) -> String {
    const NAMES: [&str; 8] =
        ["FUNCTION", "START", "TEMPLATE", "AHEAD", "MAKING", "RUNNING", "MEMORY MB", "WHY NOT CLONED"];
    let mut cells = vec![NAMES.map(str::to_owned)];
    cells.extend(states.iter().map(|state| {
        [
            state.function.clone(),
            state.start.clone(),
            state.template.clone(),
            format!("{}/{}", state.ahead, state.wanted),
            state.making.to_string(),
            state.running.to_string(),
            state.memory_bytes.div_ceil(1 << 20).to_string(),
            state.reason.clone().unwrap_or_default(),
        ]
    }));
    crate::table::render(&cells)
}
