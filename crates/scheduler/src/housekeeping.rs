//! Old log records, failed events and runs are forgotten, a little at a time.

use std::time::Duration;
use store::{Result, Store};
use tokio::sync::watch;

/// How often old records are looked for.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// How many records one transaction forgets, so that nobody waits long behind it.
const AT_ONCE: usize = 2_000;

/// How long records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Log records.
    pub log: Duration,
    /// Failed events.
    pub failed_events: Duration,
    /// What runs cost.
    pub runs: Duration,
}

/// Forgets what is older than `retention`, now and then, until `stop` becomes true.
pub async fn run(store: Store, retention: Retention, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = sweep(&store, retention).await {
            tracing::error!(%error, "cannot forget old records");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Forgets everything older than `retention`.
///
/// # Errors
/// Faults of the store.
pub async fn sweep(store: &Store, retention: Retention) -> Result<()> {
    let before = |age: Duration| {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        model::Timestamp(store.now().0.saturating_sub(age))
    };
    let log_before = before(retention.log);
    while store.write(move |tx| tx.forget_log(log_before, AT_ONCE)).await? == AT_ONCE {}
    let runs_before = before(retention.runs);
    while store.write(move |tx| tx.forget_runs(runs_before, AT_ONCE)).await? == AT_ONCE {}
    let failed_before = before(retention.failed_events);
    store.write(move |tx| tx.forget_failed_events(failed_before)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{FakeClock, Timestamp};
    use std::sync::Arc;
    use store::log::Record;

    #[tokio::test]
    async fn a_sweep_forgets_what_is_too_old() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Arc::new(FakeClock::new(Timestamp(100_000)))).unwrap();
        let record =
            |time| Record { seq: 0, time: Timestamp(time), request_id: "r".into(), message: "m".into() };
        store.write(move |tx| tx.append_log("f", &[record(10_000), record(95_000)])).await.unwrap();
        let minute = Duration::from_secs(60);
        sweep(&store, Retention { log: minute, failed_events: minute, runs: minute }).await.unwrap();
        let left = store.read(|view| view.log("f", 0, 10)).unwrap();
        assert_eq!(left.iter().map(|record| record.time.0).collect::<Vec<_>>(), [95_000]);
    }
}
