//! Limits that hold: time, memory, processes, files, output.

use crate::fixture::{Node, job, with};
use sandbox::{Enforcement, Exit};

#[tokio::test]
async fn whatever_a_function_does_time_runs_out() {
    let node = Node::start().await;
    let forever = [
        "while True: pass",
        "import time; time.sleep(100)",
        "import signal, time\n    for n in range(1, 65):\n        try: signal.signal(n, signal.SIG_IGN)\n        except (OSError, ValueError): pass\n    time.sleep(100)",
        "import os, time\n    for _ in range(5):\n        if os.fork() == 0: os.setsid()\n    time.sleep(100)",
        "import os, signal\n    os.kill(os.getpid(), signal.SIGSTOP)",
        "import os, time\n    os.close(3); time.sleep(100)",
    ];
    for body in forever {
        let code = node.code(&[("app.py", &format!("def handler(event, context):\n    {body}"))]);
        let job = with(job(code.path(), "{}"), |spec| spec.timeout_s = 1);
        let id = job.request_id;
        let ran = node.run(job).await;
        assert_eq!(ran.error().error_type, "Sandbox.Timedout", "{body}");
        assert_eq!(
            ran.error().error_message,
            format!("RequestId: {id} Error: Task timed out after 1.00 seconds")
        );
        let last = *ran.log().last().unwrap();
        assert!(last.ends_with(&format!("Z {id} Task timed out after 1.00 seconds")), "{last}");
        assert_eq!(ran.report.exit, Exit::TimedOut);
        assert!(ran.report.metering.duration.as_millis() >= 1000);
    }
}

#[tokio::test]
async fn memory_is_limited_wherever_it_is_taken() {
    let node = Node::start().await;
    if node.sandbox.features().memory < Enforcement::CgroupV1 {
        return println!("skipped: this machine has no control group for memory");
    }
    let hogs = [
        "x = bytearray(500 << 20)",
        "f = open('/tmp/hog', 'wb')\n    for _ in range(500): f.write(bytes(1 << 20))",
        "f = open('/dev/shm/hog', 'wb')\n    for _ in range(500): f.write(bytes(1 << 20))",
        "import mmap\n    m = mmap.mmap(-1, 500 << 20)\n    for i in range(500): m[i << 20:(i << 20) + (1 << 20)] = bytes(1 << 20)",
        "import os, time\n    if os.fork() == 0:\n        x = bytearray(500 << 20)\n    time.sleep(100)",
    ];
    for body in hogs {
        let code =
            node.code(&[("app.py", &format!("def handler(event, context):\n    {body}\n    return 'full'"))]);
        let ran = node.run(job(code.path(), "{}")).await;
        let denied = ran.error().error_type == "OSError"; // a file system may be full before memory is
        if !denied {
            assert_eq!(ran.error().error_type, "Runtime.ExitError", "{body}: {:?}", ran.error());
            assert!(ran.error().error_message.ends_with("Error: Runtime exited with error: signal: killed"));
            assert_eq!(ran.report.exit, Exit::OutOfMemory, "{body}");
            let peak = ran.report.metering.peak_memory_mb();
            assert!((100..=128).contains(&peak), "{peak} MB");
        }
    }
}

#[tokio::test]
async fn tmp_has_its_size() {
    let node = Node::start().await;
    let source = "import os\ndef handler(event, context):\n    s = os.statvfs('/tmp'); return s.f_blocks * s.f_frsize >> 20";
    assert_eq!(node.python(source, "{}").await.answer(), "512");
    let code = node.code(&[(
        "app.py",
        "def handler(e, c):\n    f = open('/tmp/x', 'wb')\n    for _ in range(600): f.write(bytes(1 << 20))",
    )]);
    let ran = node.run(with(job(code.path(), "{}"), |spec| spec.memory_mb = 2_048)).await;
    assert_eq!(ran.error().error_type, "OSError", "{:?}", ran.error());
}

#[tokio::test]
async fn a_fork_bomb_stays_inside() {
    let node = Node::start().await;
    let source = "import os, time\ndef handler(event, context):\n    n = 0\n    try:\n        while True:\n            if os.fork() == 0: time.sleep(100)\n            n += 1\n    except OSError as e:\n        return [n, e.errno]";
    let code = node.code(&[("app.py", source)]);
    let ran = node.run(with(job(code.path(), "{}"), |spec| {
        spec.memory_mb = 4_096;
        spec.timeout_s = 60;
    }));
    let answer = ran.await.answer();
    assert!(answer.ends_with(", 11]"), "{answer}");
    let count: u32 = answer.trim_start_matches('[').split(',').next().unwrap().parse().unwrap();
    assert!((900..=1_024).contains(&count), "{count}");
}

#[tokio::test]
async fn open_files_are_limited() {
    let node = Node::start().await;
    let source = "def handler(event, context):\n    kept = []\n    try:\n        while True: kept.append(open('/dev/null'))\n    except OSError as e:\n        return [e.errno, len(kept) < 1024]";
    assert_eq!(node.python(source, "{}").await.answer(), "[24, true]");
}

#[tokio::test]
async fn endless_output_costs_neither_memory_nor_time() {
    let node = Node::start().await;
    let source = "import os\ndef handler(event, context):\n    chunk = b'spam\\n' * 10000\n    n = 0\n    \
                  while n < 30 << 20: n += os.write(1, chunk)\n    return n";
    let code = node.code(&[("app.py", source)]);
    let ran = node.run(with(job(code.path(), "{}"), |spec| spec.timeout_s = 50)).await;
    let written: usize = ran.answer().parse().unwrap();
    let kept: usize = ran.lines.iter().map(|line| line.text.len() + 1).sum();
    assert!(written > kept && kept <= model::limits::LOG_PER_EVENT + 1_000, "{written} written, {kept} kept");
    assert!(ran.log().last().unwrap().contains("dropped"), "{:?}", ran.log().last());
}

#[tokio::test]
async fn processes_left_behind_end_with_the_answer() {
    let node = Node::start().await;
    let source = "import subprocess, threading, time\ndef handler(event, context):\n    subprocess.Popen(['sleep', '1000'], start_new_session=True)\n    threading.Thread(target=time.sleep, args=(1000,)).start()\n    return 1";
    assert_eq!(node.python(source, "{}").await.answer(), "1");
    node.nothing_left().await;
}

#[tokio::test]
async fn processor_time_is_capped_in_proportion_to_memory_when_asked() {
    let node = Node::start_with(true).await;
    if node.sandbox.features().cpu < Enforcement::CgroupV1 {
        return println!("skipped: this machine has no control group for processor time");
    }
    let code = node.code(&[("app.py", "def handler(event, context):\n    while True: pass")]);
    let ran = node.run(with(job(code.path(), "{}"), |spec| spec.timeout_s = 2)).await;
    let metering = &ran.report.metering;
    // 128 MB are 7 % of a processor.
    assert!(metering.cpu < (metering.init + metering.duration) / 5, "{metering:?}");
}
