//! What follows from an outcome: the event is done, tried again, or given up.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>

use model::{Event, FunctionError, Outcome, Run, Timestamp, limits};
use std::time::Duration;
use store::log::Record;
use store::queue::Lease;
use store::{Result, Store};

/// What becomes of a durable event after a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// It succeeded and is forgotten.
    Done,
    /// It failed and runs again as attempt number `attempt`, not before `due`.
    Retry {
        /// How many attempts have failed by then.
        attempt: u32,
        /// When it may run again.
        due: Timestamp,
    },
    /// It failed for the last time.
    GivenUp(FunctionError),
}

/// Decides what becomes of `event` after `outcome`.
pub fn decide(event: &Event, outcome: &Outcome, now: Timestamp, retry_delay: Duration) -> Settlement {
    let error = match outcome {
        Outcome::Succeeded(_) => return Settlement::Done,
        Outcome::Failed(error) => error,
    };
    let attempt = event.attempt + 1;
    let due = now.after(retry_delay.saturating_mul(1 << event.attempt.min(10)));
    if attempt > limits::ASYNC_RETRIES || due.since(event.accepted) > limits::ASYNC_MAX_AGE {
        return Settlement::GivenUp(error.clone());
    }
    Settlement::Retry { attempt, due }
}

/// Whether `event` is young enough to run.
pub fn may_still_run(event: &Event, now: Timestamp) -> bool {
    now.since(event.accepted) <= limits::ASYNC_MAX_AGE
}

/// Writes `settlement`, the rest of the run's log and what the run cost in one transaction, and ends the lease.
///
/// # Errors
/// Faults of the store: the event then waits in its queue and runs again.
pub async fn commit(
    store: &Store,
    lease: Lease,
    settlement: Settlement,
    log: Vec<Record>,
    run: Option<Run>,
) -> Result<()> {
    let id = lease.event.id;
    let function = lease.event.function.log_name();
    let attempts = lease.event.attempt + 1;
    store
        .write(move |tx| {
            tx.append_log(&function, &log)?;
            run.iter().try_for_each(|run| tx.append_run(run))?;
            match &settlement {
                Settlement::Done => tx.complete(id),
                Settlement::Retry { attempt, due } => tx.retry(id, *attempt, *due),
                Settlement::GivenUp(error) => tx.give_up(id, attempts, error),
            }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use model::{FunctionArn, Source};

    const MINUTE: Duration = Duration::from_secs(60);

    fn event(attempt: u32) -> Event {
        let accepted = Timestamp(1_000_000);
        Event { attempt, ..Event::new(FunctionArn::of("f"), Source::InvokeAsync, accepted, Bytes::new()) }
    }

    #[test]
    fn a_failure_is_retried_twice_with_growing_delay_and_then_given_up() {
        let error = FunctionError::of("E", "e".into());
        let failed = Outcome::Failed(error.clone());
        let now = Timestamp(1_000_000);
        let retry = |attempt, minutes| Settlement::Retry { attempt, due: now.after(MINUTE * minutes) };
        assert_eq!(decide(&event(0), &failed, now, MINUTE), retry(1, 1));
        assert_eq!(decide(&event(1), &failed, now, MINUTE), retry(2, 2));
        assert_eq!(decide(&event(2), &failed, now, MINUTE), Settlement::GivenUp(error.clone()));
        let succeeded = Outcome::Succeeded(Bytes::new());
        assert_eq!(decide(&event(2), &succeeded, now, MINUTE), Settlement::Done);
        let late = now.after(limits::ASYNC_MAX_AGE);
        assert_eq!(decide(&event(0), &failed, late, MINUTE), Settlement::GivenUp(error));
    }

    #[test]
    fn an_event_runs_until_its_maximum_age() {
        let accepted = Timestamp(1_000_000);
        assert!(may_still_run(&event(0), accepted.after(limits::ASYNC_MAX_AGE)));
        assert!(!may_still_run(&event(0), accepted.after(limits::ASYNC_MAX_AGE + MINUTE)));
    }
}
