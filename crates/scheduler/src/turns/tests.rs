//! Turns of calls and events, decision by decision.

use super::*;
use model::FunctionArn;

const WAIT: Duration = Duration::from_secs(10);

type Few = Turns<&'static str, u32>;

fn turns(running: usize) -> Few {
    let capacity = Capacity { memory_mb: 100_000, running, starting: 10, background: 2 };
    Turns::new(capacity, WAIT)
}

fn of(name: &str) -> FunctionArn {
    FunctionArn::of(name)
}

fn facts(_: &FunctionArn) -> Option<Facts> {
    Some(Facts { memory_mb: 128, start: false })
}

fn called(turns: &mut Few, now: Instant) -> Option<(&'static str, Entry)> {
    match turns.next(now, Timestamp(0), facts)? {
        Turn::Call(call, entry) => Some((call, entry)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_burst_of_one_function_does_not_delay_another() {
    let (mut turns, now) = (turns(2), Instant::now());
    for _ in 0..1_000 {
        turns.call(&of("a"), 128, "a", now).unwrap();
    }
    let first = [called(&mut turns, now).unwrap(), called(&mut turns, now).unwrap()];
    turns.call(&of("b"), 128, "b", now).unwrap();
    assert!(called(&mut turns, now).is_none());
    turns.started();
    turns.ended(&first[0].1, now);
    assert_eq!(called(&mut turns, now).unwrap().0, "b");
}

#[test]
fn reservations_are_kept_free_and_are_limits() {
    let (mut turns, now) = (turns(3), Instant::now());
    turns.reserve(Arc::new(Reservations::of([(of("r"), 1), (of("off"), 0)])));
    assert_eq!(turns.call(&of("off"), 128, "off", now), Err(("off", Throttled::Function)));
    for _ in 0..5 {
        turns.call(&of("a"), 128, "a", now).unwrap();
    }
    let ran: Vec<_> = std::iter::from_fn(|| called(&mut turns, now)).collect();
    assert_eq!(ran.len(), 2);
    for _ in 0..2 {
        turns.call(&of("r"), 128, "r", now).unwrap();
    }
    let (name, entry) = called(&mut turns, now).unwrap();
    assert_eq!(name, "r");
    assert!(called(&mut turns, now).is_none());
    let late = now + WAIT;
    let mut expired = turns.expired(late);
    expired.sort_by_key(|(name, _)| *name);
    let account = ("a", Throttled::Account);
    assert_eq!(expired, [account, account, account, ("r", Throttled::Function)]);
    turns.call(&of("r"), 128, "r", late).unwrap();
    assert!(called(&mut turns, late).is_none());
    turns.started();
    turns.ended(&entry, late);
    assert_eq!(called(&mut turns, late).unwrap().0, "r");
}

#[test]
fn one_function_cannot_fill_the_lane() {
    let (mut turns, now) = (turns(0), Instant::now());
    let mut taken = 0;
    while turns.call(&of("a"), 128, "a", now).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, limits::SYNC_LANE / 2);
    turns.call(&of("b"), 128, "b", now).unwrap();
}

#[test]
fn events_are_claimed_when_due_in_turn_and_no_more_than_may_run() {
    let (mut turns, now) = (turns(10), Instant::now());
    turns.due(&of("a"), Timestamp(5));
    assert!(turns.next(now, Timestamp(4), facts).is_none());
    assert_eq!(turns.wake(), (None, Some(Timestamp(5))));
    let Some(Turn::Claim(function, most)) = turns.next(now, Timestamp(5), facts) else { panic!() };
    assert_eq!((function, most), (of("a"), CLAIMED));
    turns.claimed(&of("a"), vec![1, 2, 3], Some(Timestamp(5)), now);
    turns.due(&of("b"), Timestamp(5));
    let mut order = Vec::new();
    let mut entries = Vec::new();
    loop {
        match turns.next(now, Timestamp(5), facts) {
            Some(Turn::Event(event, entry)) => {
                order.push(event);
                entries.push(entry);
            }
            Some(Turn::Claim(function, _)) if function == of("b") => {
                turns.claimed(&function, vec![10], None, now);
            }
            Some(other) => panic!("{other:?}"),
            None => break,
        }
    }
    assert_eq!(order.len(), 2, "the pace");
    assert!(order.contains(&10) && turns.holds_back(), "{order:?}");
    turns.call(&of("c"), 128, "c", now).unwrap();
    assert_eq!(called(&mut turns, now).unwrap().0, "c");
    assert_eq!(turns.take_claimed().len(), 2);
}

#[test]
fn a_large_one_is_passed_over_for_a_while_and_then_gets_its_room() {
    let (mut turns, now) = (turns(100), Instant::now());
    turns.call(&of("small"), 90_000, "first", now).unwrap();
    let (_, entry) = called(&mut turns, now).unwrap();
    turns.call(&of("large"), 90_000, "large", now).unwrap();
    turns.call(&of("small"), 128, "small", now).unwrap();
    assert_eq!(called(&mut turns, now).unwrap().0, "small");
    let later = now + PATIENCE;
    turns.call(&of("small"), 128, "small", later).unwrap();
    assert!(called(&mut turns, later).is_none_or(|(name, _)| name == "small"));
    turns.started();
    turns.ended(&entry, later);
    let ran: Vec<_> = std::iter::from_fn(|| called(&mut turns, later)).map(|(name, _)| name).collect();
    assert!(ran.contains(&"large"), "{ran:?}");
}

#[test]
fn a_load_returns_to_nothing() {
    let (mut turns, now) = (turns(10), Instant::now());
    for name in ["a", "a", "b"] {
        turns.call(&of(name), 128, name, now).unwrap();
    }
    let ran: Vec<_> = std::iter::from_fn(|| called(&mut turns, now)).collect();
    assert_eq!((turns.load().running, turns.load().memory_mb), (3, 3 * 128));
    for (_, entry) in ran {
        turns.started();
        turns.ended(&entry, now);
    }
    assert_eq!(turns.load(), Load::default());
    assert!(turns.running.is_empty());
}
