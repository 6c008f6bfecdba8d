//! Makes calls over HTTP, or runs a command, again and again, and says how long each took. It costs little itself,
//! which matters on a machine that it shares with what it measures. No crates: `rustc -O` builds it.
//!
//! ```text
//! generator MODE [--threads N] [--seconds S] [--rate R] --body BODY --expect TEXT WORK
//!     WORK: --call PORT PATH | --run COMMAND...
//! ```
//!
//! `--call` posts the body on connections that are kept alive, one for each thread. `--run` starts the command with
//! the body as its standard input. The answer has to contain the text. The modes:
//!
//! - `lines`: one call for each line on standard input, answered by a line with its milliseconds.
//! - `closed`: each thread makes one call after the other.
//! - `open`: calls fall due at a fixed rate, whether earlier ones are done or not, and the time of each counts from when
//!   it was due: a server that stalls is not spared the calls that would have come meanwhile.
//! - `burst`: each thread makes one call, all at the same moment.
//!
//! All but `lines` print one JSON object at the end; times are in milliseconds.

use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

/// Signatures are not checked yet; which service is meant is read from here.
const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/lambda/aws4_request, \
                      SignedHeaders=host, Signature=0";
const HEAD: usize = 64 * 1024;

/// What is done, and what its answer has to contain.
#[derive(Clone, Default)]
struct Task {
    body: String,
    expect: String,
    call: Option<(u16, String)>,
    run: Vec<String>,
}

/// How it is done.
struct Plan {
    mode: String,
    threads: usize,
    seconds: f64,
    rate: f64,
    task: Task,
}

/// One that does it: with a connection of its own, if it calls.
struct Worker {
    task: Task,
    connection: Option<TcpStream>,
}

/// What a worker has seen.
#[derive(Default)]
struct Seen {
    /// Times of the calls that were answered as they should be.
    millis: Vec<f64>,
    /// How often a call failed, and how.
    failures: BTreeMap<String, u64>,
    /// When the last answer came, counted from the beginning.
    last: Duration,
}

impl Worker {
    fn new(task: &Task) -> Worker {
        let mut worker = Worker { task: task.clone(), connection: None };
        let _ = worker.connect();
        worker
    }

    fn connect(&mut self) -> Result<(), String> {
        if let (Some((port, _)), None) = (&self.task.call, &self.connection) {
            let connection = TcpStream::connect(("127.0.0.1", *port)).map_err(|error| error.to_string())?;
            connection.set_nodelay(true).map_err(|error| error.to_string())?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Does it once.
    fn work(&mut self) -> Result<(), String> {
        let answer = match self.task.call.clone() {
            Some((_, path)) => {
                let answer = self.connect().and_then(|()| self.call(&path));
                if answer.is_err() {
                    self.connection = None;
                }
                answer?
            }
            None => self.run().map_err(|error| error.to_string())?,
        };
        if answer.contains(&self.task.expect) { Ok(()) } else { Err("another answer".to_owned()) }
    }

    fn run(&self) -> std::io::Result<String> {
        let mut command = Command::new(&self.task.run[0]);
        command.args(&self.task.run[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(self.task.body.as_bytes()));
        let ended = child.wait_with_output()?;
        if !ended.status.success() {
            return Err(std::io::Error::other(ended.status.to_string()));
        }
        Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
    }

    fn call(&mut self, path: &str) -> Result<String, String> {
        let Some(connection) = &mut self.connection else { return Err("no connection".to_owned()) };
        let body = &self.task.body;
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\n{SIGNED}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let (mut answer, mut chunk) = (Vec::new(), [0; 16 * 1024]);
        let (head, begin) = loop {
            read(connection, &mut answer, &mut chunk)?;
            if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break (String::from_utf8_lossy(&answer[..end]).to_lowercase(), end + 4);
            }
            if answer.len() > HEAD {
                return Err("no end of the head".to_owned());
            }
        };
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        while length.map_or(!answer.ends_with(b"0\r\n\r\n"), |length| answer.len() < begin + length) {
            read(connection, &mut answer, &mut chunk)?;
        }
        match head.split_whitespace().nth(1) {
            Some("200") if head.contains("x-amz-function-error") => Err("function error".to_owned()),
            Some("200") => Ok(String::from_utf8_lossy(&answer[begin..]).into_owned()),
            status => Err(status.unwrap_or("no status").to_owned()),
        }
    }
}

fn read(connection: &mut TcpStream, answer: &mut Vec<u8>, chunk: &mut [u8]) -> Result<(), String> {
    match connection.read(chunk) {
        Ok(0) => Err("connection closed".to_owned()),
        Ok(length) => Ok(answer.extend_from_slice(&chunk[..length])),
        Err(error) => Err(error.to_string()),
    }
}

impl Seen {
    /// Takes note of a call that was due at `due`.
    fn note(&mut self, begun: Instant, due: Instant, result: Result<(), String>) {
        let now = Instant::now();
        self.last = now - begun;
        match result {
            Ok(()) => self.millis.push((now - due).as_secs_f64() * 1e3),
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
    }
}

/// What one thread does from `begun` on.
fn work_on(plan: &Plan, mut worker: Worker, next: &AtomicU64, begun: Instant) -> Seen {
    let mut seen = Seen::default();
    let end = begun + Duration::from_secs_f64(plan.seconds);
    loop {
        let due = match plan.mode.as_str() {
            "open" => {
                begun + Duration::from_secs_f64(next.fetch_add(1, Ordering::Relaxed) as f64 / plan.rate)
            }
            "burst" => begun,
            _ => Instant::now(),
        };
        if due >= end {
            return seen;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let result = worker.work();
        seen.note(begun, due, result);
        if plan.mode == "burst" {
            return seen;
        }
    }
}

fn main() {
    let plan = Arc::new(plan());
    if plan.mode == "lines" {
        let mut worker = Worker::new(&plan.task);
        for _ in std::io::stdin().lock().lines() {
            let begun = Instant::now();
            match worker.work() {
                Ok(()) => println!("{:.4}", begun.elapsed().as_secs_f64() * 1e3),
                Err(failure) => println!("failed: {failure}"),
            }
        }
        return;
    }
    let (next, gate) = (Arc::new(AtomicU64::new(0)), Arc::new(Barrier::new(plan.threads)));
    let begun = Arc::new(OnceLock::new());
    let spawn = |_| {
        let (plan, next, gate) = (Arc::clone(&plan), Arc::clone(&next), Arc::clone(&gate));
        let begun = Arc::clone(&begun);
        let thread = std::thread::Builder::new().stack_size(128 * 1024);
        let work = move || {
            let worker = Worker::new(&plan.task);
            gate.wait();
            work_on(&plan, worker, &next, *begun.get_or_init(Instant::now))
        };
        thread.spawn(work).expect("a thread")
    };
    let threads: Vec<_> = (0..plan.threads).map(spawn).collect();
    let mut all = Seen::default();
    for thread in threads {
        let seen = thread.join().expect("a thread's result");
        all.millis.extend(seen.millis);
        all.last = all.last.max(seen.last);
        for (failure, count) in seen.failures {
            *all.failures.entry(failure).or_default() += count;
        }
    }
    all.millis.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let rank = (all.millis.len() as f64 * part) as usize;
        all.millis.get(rank.min(all.millis.len().saturating_sub(1))).copied().unwrap_or(0.0)
    };
    let seconds = all.last.as_secs_f64();
    let failures: Vec<_> =
        all.failures.iter().map(|(failure, count)| format!("{failure:?}:{count}")).collect();
    println!(
        "{{\"calls\":{},\"per_second\":{:.1},\"last\":{:.1},\"failures\":{{{}}},",
        all.millis.len(),
        all.millis.len() as f64 / seconds,
        seconds * 1e3,
        failures.join(",")
    );
    println!(
        "\"p50\":{:.3},\"p90\":{:.3},\"p99\":{:.3},\"max\":{:.3}}}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

fn plan() -> Plan {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().expect("a mode: lines, closed, open or burst");
    let mut plan = Plan { mode, threads: 1, seconds: 3600.0, rate: 1.0, task: Task::default() };
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("a value for {flag}"));
        match flag.as_str() {
            "--threads" => plan.threads = value().parse().expect("a number of threads"),
            "--seconds" => plan.seconds = value().parse().expect("seconds"),
            "--rate" => plan.rate = value().parse().expect("calls per second"),
            "--body" => plan.task.body = value(),
            "--expect" => plan.task.expect = value(),
            "--call" => plan.task.call = Some((value().parse().expect("a port"), value())),
            "--run" => plan.task.run = arguments.by_ref().collect(),
            _ => panic!("{flag}: no such flag"),
        }
    }
    plan
}
