//! What follows from an outcome: the event is done, tried again, or given up, and a record of it goes to a destination.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>

use crate::destination::{self, Condition, Follow, Wishes};
use model::{Event, FunctionError, Outcome, Run, Timestamp};
use std::time::Duration;
use store::log::Record;
use store::message::Head;
use store::queue::Lease;
use store::{Result, Store, Tx};

/// What becomes of a durable event after a run, or instead of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// It succeeded and is forgotten; this goes out.
    Done(Vec<Follow>),
    /// It failed and runs again as attempt number `attempt`, not before `due`.
    Retry {
        /// How many attempts have failed by then.
        attempt: u32,
        /// When it may run again.
        due: Timestamp,
    },
    /// It failed for the last time, after so many runs.
    GivenUp {
        /// Why.
        error: FunctionError,
        /// How often it was run.
        runs: u32,
        /// What goes out.
        follows: Vec<Follow>,
    },
}

/// What the function answered, and which version of it.
#[derive(Clone, Copy, Debug)]
pub struct Ran<'a> {
    /// How the run ended.
    pub outcome: &'a Outcome,
    /// The version that ran.
    pub version: &'a str,
}

/// Decides what becomes of `event` after a run.
pub fn decide(
    event: &Event,
    ran: Ran<'_>,
    wishes: Wishes<'_>,
    now: Timestamp,
    retry_delay: Duration,
) -> Settlement {
    let error = match ran.outcome {
        Outcome::Succeeded(_) => {
            return Settlement::Done(destination::follows(
                event,
                Condition::Success,
                event.attempt + 1,
                Some(ran),
                wishes,
                now,
            ));
        }
        Outcome::Failed(error) => error,
    };
    let attempt = event.attempt + 1;
    let due = now.after(retry_delay.saturating_mul(1 << event.attempt.min(10)));
    let rules = wishes.rules;
    let condition = if attempt > rules.retries() {
        Condition::RetriesExhausted
    } else if !rules.may_still_run(event.accepted, due) {
        Condition::EventAgeExceeded
    } else {
        return Settlement::Retry { attempt, due };
    };
    Settlement::GivenUp {
        error: error.clone(),
        runs: attempt,
        follows: destination::follows(event, condition, attempt, Some(ran), wishes, now),
    }
}

/// What is said of an event that is one of a loop.
pub(crate) fn of_a_loop(event: &Event) -> FunctionError {
    let why =
        "the event was stopped: it is one of a loop, in which events of this function lead to more of them";
    FunctionError::of("Event.RecursionDetected", format!("RequestId: {} Error: {why}", event.id))
}

/// Why an event is given up without a run, if it is; `off` says that its function is turned off, `loops` that it is one of
/// a loop.
pub fn refusal(
    event: &Event,
    wishes: Wishes<'_>,
    off: bool,
    loops: bool,
    now: Timestamp,
) -> Option<(Condition, FunctionError)> {
    let because = |condition, error_type: &str, why: &str| {
        let message = format!("RequestId: {} Error: {why}", event.id);
        Some((condition, FunctionError::of(error_type, message)))
    };
    if !wishes.rules.may_still_run(event.accepted, now) {
        because(Condition::EventAgeExceeded, "Event.MaximumAgeExceeded", "the event became too old to run")
    } else if loops {
        Some((Condition::RecursionDetected, of_a_loop(event)))
    } else if off && wishes.hears_of_failures() {
        because(
            Condition::ZeroReservedConcurrency,
            "Event.ZeroReservedConcurrency",
            "the function is turned off",
        )
    } else {
        None
    }
}

/// What becomes of `event` that is given up without a run.
pub fn give_up(
    event: &Event,
    condition: Condition,
    error: FunctionError,
    wishes: Wishes<'_>,
    now: Timestamp,
) -> Settlement {
    let follows = destination::follows(event, condition, event.attempt, None, wishes, now);
    Settlement::GivenUp { error, runs: event.attempt, follows }
}

/// Writes `settlement`, the rest of the run's log and what the run cost in one transaction, and ends the lease. An event
/// that is settled already, as after a crash between the commit and its answer, is not settled twice.
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
    let event = lease.event.clone();
    let gone = !matches!(settlement, Settlement::Retry { .. });
    store
        .write(move |tx| {
            tx.append_log(&event.function.log_name(), &log)?;
            run.iter().try_for_each(|run| tx.append_run(run))?;
            let (was_there, follows) = match &settlement {
                Settlement::Done(follows) => (tx.complete(event.id)?, follows),
                Settlement::Retry { attempt, due } => return tx.retry(&event, *attempt, *due),
                Settlement::GivenUp { error, runs, follows } => {
                    (tx.give_up(event.id, *runs, error)?, follows)
                }
            };
            if was_there { follows.iter().try_for_each(|follow| send(tx, &event, follow)) } else { Ok(()) }
        })
        .await?;
    if gone {
        lease.end();
    }
    Ok(())
}

/// Sends what goes out with the settlement of `event`.
fn send(tx: &Tx<'_>, event: &Event, follow: &Follow) -> Result<()> {
    match follow {
        Follow::Event(next) => tx.submit(next),
        Follow::Message { queue, body, attributes } => {
            let mut head = Head { attributes: attributes.clone(), ..Head::default() };
            head.trace(&event.id.trace_header(false, &event.lineage.through(&event.function)));
            if !tx.send_to(queue, body, head)? {
                tracing::info!(id = %event.id, function = %event.function, queue, "the queue for an event is gone");
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use model::{FunctionArn, Source, limits};
    use store::rules::EventRules;

    fn wishes(rules: &EventRules) -> Wishes<'_> {
        Wishes { rules, dead_letter: None }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    fn event(attempt: u32) -> Event {
        let accepted = Timestamp(1_000_000);
        Event {
            attempt,
            ..Event::new(FunctionArn::of("f"), Source::InvokeAsync, accepted, Bytes::from("{}"))
        }
    }

    fn decided(attempt: u32, outcome: &Outcome, rules: &EventRules, now: Timestamp) -> Settlement {
        decide(&event(attempt), Ran { outcome, version: "$LATEST" }, wishes(rules), now, MINUTE)
    }

    #[test]
    fn a_failure_is_retried_twice_with_growing_delay_and_then_given_up() {
        let error = FunctionError::of("E", "e".into());
        let failed = Outcome::Failed(error.clone());
        let (now, rules) = (Timestamp(1_000_000), EventRules::default());
        let retry = |attempt, minutes| Settlement::Retry { attempt, due: now.after(MINUTE * minutes) };
        let given_up = |runs| Settlement::GivenUp { error: error.clone(), runs, follows: Vec::new() };
        assert_eq!(decided(0, &failed, &rules, now), retry(1, 1));
        assert_eq!(decided(1, &failed, &rules, now), retry(2, 2));
        assert_eq!(decided(2, &failed, &rules, now), given_up(3));
        let succeeded = Outcome::Succeeded(Bytes::new());
        assert_eq!(decided(2, &succeeded, &rules, now), Settlement::Done(Vec::new()));
        assert_eq!(decided(0, &failed, &rules, now.after(limits::ASYNC_MAX_AGE)), given_up(1));
        let none = EventRules { retries: Some(0), ..EventRules::default() };
        assert_eq!(decided(0, &failed, &none, now), given_up(1));
    }

    #[test]
    fn an_event_is_refused_for_its_age_its_loop_and_a_function_that_is_off() {
        let accepted = Timestamp(1_000_000);
        let (rules, young) = (EventRules::default(), accepted.after(limits::ASYNC_MAX_AGE));
        let why = |event: &Event, rules: &EventRules, (off, loops), now| {
            refusal(event, wishes(rules), off, loops, now).map(|(condition, _)| condition)
        };
        assert_eq!(why(&event(0), &rules, (true, false), young), None);
        assert_eq!(
            why(&event(0), &rules, (false, false), young.after(MINUTE)),
            Some(Condition::EventAgeExceeded)
        );
        let short = EventRules { max_age_s: Some(60), ..EventRules::default() };
        assert_eq!(
            why(&event(0), &short, (false, false), accepted.after(MINUTE * 2)),
            Some(Condition::EventAgeExceeded)
        );
        let sent = EventRules { on_failure: Some("arn".into()), ..EventRules::default() };
        assert_eq!(why(&event(0), &sent, (true, false), young), Some(Condition::ZeroReservedConcurrency));
        assert_eq!(why(&event(0), &rules, (false, true), young), Some(Condition::RecursionDetected));
    }

    #[tokio::test]
    async fn an_event_is_settled_once_and_its_record_is_sent_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), std::sync::Arc::new(model::SystemClock)).unwrap();
        let sent = event(0);
        let id = sent.id;
        store.write(move |tx| tx.submit(&sent)).await.unwrap();
        let rules =
            EventRules { on_success: Some(FunctionArn::of("g").to_string()), ..EventRules::default() };
        let outcome = Outcome::Succeeded("1".into());
        let mut claimed = store.claim(&FunctionArn::of("f"), 1).unwrap().leases;
        let lease = claimed.remove(0);
        let settlement = decide(
            &lease.event,
            Ran { outcome: &outcome, version: "1" },
            wishes(&rules),
            Timestamp(5),
            MINUTE,
        );
        store.write(move |tx| tx.complete(id)).await.unwrap();
        commit(&store, lease, settlement.clone(), Vec::new(), None).await.unwrap();
        assert_eq!(store.read(|view| view.durable_events()).unwrap(), 0);
        let again = event(0);
        store.write(move |tx| tx.submit(&again)).await.unwrap();
        let lease = store.claim(&FunctionArn::of("f"), 1).unwrap().leases.remove(0);
        commit(&store, lease, settlement, Vec::new(), None).await.unwrap();
        let record = store.claim(&FunctionArn::of("g"), 2).unwrap().leases;
        assert_eq!(record.len(), 1);
        assert_eq!(record[0].event.lineage.count(&FunctionArn::of("f")), 1);
    }
}
