//! The end of a process that has extensions: they hear of it, and have a little time.
//!
//! The runtime is asked to end, and killed when its part of the time is over; then external extensions that want to hear
//! of it are told, and have what is left. Whoever is there after that ends with the sandbox.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html> (the Shutdown phase)

use super::Goal;
use crate::client::process::Process;
use crate::control::Tell;
use model::limits::{SHUTDOWN, SHUTDOWN_RUNTIME};
use serde_json::json;
use std::sync::Arc;
use tokio::time::Instant;

/// Why a process is shut down, as extensions hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Reason {
    /// It is not needed any more.
    Spindown,
    /// Its time was up.
    Timeout,
    /// It, or an extension of it, has failed.
    Failure,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Reason::Spindown => "spindown",
            Reason::Timeout => "timeout",
            Reason::Failure => "failure",
        }
    }
}

/// Shuts a process down as far as it takes part in that; returns within the time that there is for it.
pub(in crate::client) async fn shut_down(process: &mut Process, reason: Reason) {
    let Some(shared) = process.extended.as_ref().map(|extended| Arc::clone(&extended.shared)) else { return };
    let limit = match shared.roster.counts() {
        (_, true) => SHUTDOWN.0,
        (true, _) => SHUTDOWN.1,
        _ => return,
    };
    let began = Instant::now();
    let (until, runtime_until) = (began + limit, began + limit * SHUTDOWN_RUNTIME / 100);
    let told = process.tell(if reason == Reason::Spindown { Tell::Terminate } else { Tell::Kill });
    // Who gets telemetry has it before it hears of the end.
    process.attend(runtime_until, shared.hub.flush(runtime_until)).await;
    if told && !process.is_over(runtime_until).await {
        process.tell(Tell::Kill);
    }
    let left = until.saturating_duration_since(Instant::now());
    let document = json!({
        "eventType": "SHUTDOWN",
        "shutdownReason": reason.name(),
        "deadlineMs": process.lines.now().after(left).0,
    });
    shared.roster.shut_down(document.to_string().into());
    process.attend(until, shared.roster.reach(Goal::Gone)).await;
}
