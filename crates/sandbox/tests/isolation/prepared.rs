//! Processes that are initialised ahead of their event, serve several, or are copies.

use crate::fixture::{Code, Node, Ran, eventually, job, with};
use model::{Outcome, RequestId, StartKind};
use sandbox::{Captured, Error, Job, Platform, Prepared};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(60);

const SOURCE: &str = r#"
import os, sys, uuid
me, events = uuid.uuid4().hex, 0
print("ahead")
def handler(event, context):
    global events
    events += 1
    print("event", events)
    if event == "raise":
        raise ValueError("no")
    if event == "exit":
        os._exit(3)
    return [me, events, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.aws_request_id]
"#;

fn no_platform() -> Platform {
    Box::new(|_| Box::new(()))
}

async fn prepared(node: &Node, job: &Job) -> Prepared {
    let made = timeout(DEADLINE, node.sandbox.prepare(&job.function, no_platform())).await;
    made.expect("initialised in time").unwrap().expect("it can be initialised")
}

/// Hands it an event, as one of many.
async fn serve(prepared: Prepared, job: &Job, event: &str, keep: bool) -> (Ran, Option<Prepared>) {
    let request_id = RequestId::new(model::Timestamp(0));
    let job = Job { payload: event.to_owned().into(), request_id, keep, ..job.clone() };
    let (to, mut from) = mpsc::channel(10_000);
    let ran = timeout(DEADLINE, prepared.run(job, to, tokio::sync::oneshot::channel().0)).await;
    let (report, kept) = ran.expect("it ends in time").unwrap();
    let mut lines = Vec::new();
    while let Ok(line) = from.try_recv() {
        lines.push(line);
    }
    (Ran { report, lines }, kept)
}

/// Looks after it for as long as `what` is not true.
async fn hold(prepared: &mut Prepared, what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            let looked = poll_fn(|cx| {
                let _ = prepared.poll_wait(cx);
                Poll::Ready(())
            });
            looked.await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, waiting).await.expect("in time");
}

fn python(node: &Node, source: &str) -> (Code, Job) {
    let code = node.code(&[("app.py", source)]);
    let job = job(code.path(), "{}");
    (code, job)
}

#[tokio::test]
async fn a_process_waits_for_its_event_and_serves_one() {
    let node = Node::start().await;
    let (_code, job) = python(&node, SOURCE);
    let prepared = prepared(&node, &job).await;
    assert_eq!(prepared.kind(), StartKind::Ready);
    let (ran, kept) = serve(prepared, &job, "{}", false).await;
    assert!(kept.is_none());
    let answer: serde_json::Value = serde_json::from_str(&ran.answer()).unwrap();
    assert_eq!((&answer[1], &answer[2]), (&1.into(), &"provisioned-concurrency".into()));
    assert_eq!(ran.log(), ["ahead", "event 1"]);
    let metering = &ran.report.metering;
    assert_eq!((metering.start, metering.init), (StartKind::Ready, Duration::ZERO));
    assert!(!metering.duration.is_zero() && !metering.cpu.is_zero() && metering.peak_memory > 0);
    node.nothing_left().await;
}

#[tokio::test]
async fn a_process_may_serve_one_event_after_another() {
    let node = Node::start().await;
    let (_code, job) = python(&node, SOURCE);
    let mut kept = Some(prepared(&node, &job).await);
    let mut processes = Vec::new();
    for (number, event) in ["1", "\"raise\"", "3", "\"exit\""].iter().enumerate() {
        let kind = kept.as_ref().unwrap().kind();
        assert_eq!(kind, if number == 0 { StartKind::Ready } else { StartKind::Warm });
        let (ran, again) = serve(kept.take().unwrap(), &job, event, true).await;
        assert!(ran.log().contains(&format!("event {}", number + 1).as_str()), "{:?}", ran.log());
        assert_eq!(ran.log().contains(&"ahead"), number == 0);
        match &ran.report.outcome {
            Outcome::Succeeded(answer) => {
                let answer: serde_json::Value = serde_json::from_slice(answer).unwrap();
                processes.push(answer[0].clone());
            }
            Outcome::Failed(error) => assert!(!error.error_type.is_empty()),
        }
        kept = again;
        assert_eq!(kept.is_some(), number < 3);
    }
    assert_eq!(processes.len(), 2);
    assert_eq!(processes[0], processes[1]);
    node.nothing_left().await;
}

#[tokio::test]
async fn a_custom_runtime_may_wait_and_serve_one_event_after_another() {
    let node = Node::start().await;
    let (_code, job) = crate::custom::script(
        &node,
        r#"count=0
        while next; do
            count=$((count + 1))
            answer "[$event, $count, \"$id\"]"
        done"#,
        "{}",
    );
    let mut kept = Some(prepared(&node, &job).await);
    for count in 1..4 {
        let (ran, again) = serve(kept.take().unwrap(), &job, "7", true).await;
        let answer: serde_json::Value = serde_json::from_str(&ran.answer()).unwrap();
        assert_eq!((&answer[0], &answer[1]), (&7.into(), &count.into()));
        kept = again;
    }
    drop(kept);
    node.nothing_left().await;
}

#[tokio::test]
async fn the_platform_is_served_from_the_beginning() {
    let node = Node::start().await;
    let source = "
import socket
socket.create_connection(('127.0.0.1', 4566), 10)
def handler(event, context): pass
";
    let (_code, job) = python(&node, source);
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let platform: Platform = Box::new(move |_listener| {
        called.fetch_add(1, Ordering::SeqCst);
        Box::new(_listener)
    });
    let made = timeout(DEADLINE, node.sandbox.prepare(&job.function, platform)).await;
    let prepared = made.expect("in time").unwrap().expect("its code can connect");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    serve(prepared, &job, "{}", false).await.0.answer();
}

#[tokio::test]
async fn what_happens_to_a_process_that_waits_is_noticed() {
    let node = Node::start().await;
    for (deed, reason) in [
        ("os._exit(0)", "ended"),
        ("os.write(3, b'A\\0\\0\\0\\x01' + b'1')", "spoke"),
        ("os.write(3, b'GET / HTTP/1.1')", "spoke"),
    ] {
        let source = format!(
            "
import os, threading
threading.Timer(0.5, lambda: {deed}).start()
def handler(event, context): pass
"
        );
        let (_code, job) = python(&node, &source);
        let mut prepared = prepared(&node, &job).await;
        assert!(prepared.is_sound());
        let why = timeout(DEADLINE, poll_fn(|cx| prepared.poll_wait(cx))).await.expect("it is noticed");
        assert!(why.contains(reason), "{deed}: {why}");
        assert!(!prepared.is_sound());
    }
    node.nothing_left().await;
}

#[tokio::test]
async fn an_event_that_a_process_did_not_take_can_be_given_to_another_one() {
    let node = Node::start().await;
    // The interpreter's lock is held from then on: the thread that reads events gets the first piece at the most.
    let source = "
import ctypes, threading
libc = ctypes.PyDLL(None)
def end():
    libc.poll((ctypes.c_int * 2)(3, 1), 1, -1)
    libc._exit(7)
threading.Timer(0.1, end).start()
def handler(event, context): return 'too early'
";
    let (_code, job) = python(&node, source);
    let payload = format!("\"{}\"", "x".repeat(1 << 20));
    // When it waits like that is the machine's affair.
    for patience in [500, 2_000, 10_000].map(Duration::from_millis) {
        let mut prepared = prepared(&node, &job).await;
        let since = std::time::Instant::now();
        hold(&mut prepared, || since.elapsed() > patience).await;
        let job = Job { payload: payload.clone().into(), ..job.clone() };
        let (lines, _printed) = mpsc::channel(10);
        match timeout(DEADLINE, prepared.run(job, lines, tokio::sync::oneshot::channel().0)).await.unwrap() {
            Err(Error::EventLeft) => return node.nothing_left().await,
            Err(error) => panic!("{error}"),
            Ok((report, _)) => assert_eq!(report.outcome, Outcome::Succeeded("\"too early\"".into())),
        }
    }
    panic!("it took every event");
}

#[tokio::test]
async fn a_process_that_prints_while_it_waits_is_read() {
    let node = Node::start().await;
    // More than a pipe holds, so that it is through only when somebody reads.
    let source = "
import os, threading
def work():
    for _ in range(1000): print('x' * 1000)
    open('/tmp/done', 'w').close()
threading.Thread(target=work).start()
def handler(event, context): return os.path.exists('/tmp/done')
";
    let (_code, job) = python(&node, source);
    // How long it takes to print that much is the machine's affair.
    for patience in [300, 1_000, 5_000, 20_000].map(Duration::from_millis) {
        let mut prepared = prepared(&node, &job).await;
        let since = std::time::Instant::now();
        hold(&mut prepared, || since.elapsed() > patience).await;
        let (ran, _) = serve(prepared, &job, "{}", false).await;
        assert!(ran.lines.len() < 1_100);
        if ran.log().iter().any(|line| line.contains("printed before the event, and were dropped")) {
            return;
        }
    }
    panic!("nothing was dropped");
}

#[tokio::test]
async fn why_a_process_cannot_be_prepared_is_data() {
    let node = Node::start().await;
    for (source, part) in [
        ("raise ValueError('odd')", "ValueError: odd"),
        ("import os; os._exit(1)", "ended while it was initialised"),
    ] {
        let (_code, job) = python(&node, source);
        let made = timeout(DEADLINE, node.sandbox.prepare(&job.function, no_platform())).await;
        let reason = made.expect("in time").unwrap().expect_err("it cannot be initialised");
        assert!(reason.contains(part), "{reason}");
    }
    node.nothing_left().await;
}

#[tokio::test]
async fn a_template_is_copied_for_each_event_or_says_why_not() {
    let node = Node::start().await;
    let (_code, job) = python(&node, SOURCE);
    let made = timeout(DEADLINE, node.sandbox.template(&job.function, no_platform())).await;
    let mut template = match made.expect("in time").unwrap() {
        Captured::Template(template) => template,
        Captured::Refused { reason, process } => {
            assert!(node.sandbox.features().templates.is_err(), "{reason}");
            serve(*process.expect("it goes on as itself"), &job, "{}", false).await.0.answer();
            return;
        }
    };
    assert_eq!(template.printed().iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["ahead"]);
    for _ in 0..20 {
        let copied = timeout(DEADLINE, node.sandbox.clone_of(&template.original(), no_platform())).await;
        let copy = copied.expect("in time").unwrap().expect("a copy");
        assert_eq!(copy.kind(), StartKind::Clone);
        let (ran, _) = serve(copy, &job, "{}", false).await;
        let answer: serde_json::Value = serde_json::from_str(&ran.answer()).unwrap();
        assert_eq!((&answer[1], &answer[2]), (&1.into(), &"snap-start".into()));
        assert_eq!(ran.log(), ["event 1"]);
    }
    drop(template);
    node.nothing_left().await;
}

#[tokio::test]
async fn a_function_whose_hook_fails_has_no_template() {
    let node = Node::start().await;
    let source = "
from snapshot_restore_py import register_before_snapshot
def hook(): raise ValueError('not ready')
register_before_snapshot(hook)
def handler(event, context): pass
";
    let (_code, job) = python(&node, source);
    let made = timeout(DEADLINE, node.sandbox.template(&job.function, no_platform())).await;
    let Captured::Refused { reason, process } = made.expect("in time").unwrap() else {
        panic!("a hook that fails is not passed over");
    };
    assert!(reason.contains("ValueError: not ready") && process.is_none(), "{reason}");
    node.nothing_left().await;
}

#[tokio::test]
async fn dropping_what_waits_leaves_nothing() {
    let node = Node::start().await;
    let (_code, job) = python(&node, SOURCE);
    let job = with(job, |spec| spec.memory_mb = 256);
    let waiting = [prepared(&node, &job).await, prepared(&node, &job).await];
    // Each has a pid 1 beside its own process.
    let launcher = node.launcher;
    eventually("they wait", || crate::fixture::descendants(launcher).len() >= 4).await;
    drop(waiting);
    node.nothing_left().await;
}
