//! What load is put on: the calls of one kind, and whether an answer is as it should be.

use super::http::{Address, Answer, Connection};
use super::signature::{Key, hash};
use crate::cli::BenchWhat;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// How many messages a call to a queue moves.
const BATCH: usize = 10;

/// Where calls go, and what they are.
pub(super) struct Target {
    pub(super) address: Address,
    endpoint: String,
    key: Key,
    work: Work,
    name: String,
}

enum Work {
    /// Invoke.
    Function { path: String, payload: Vec<u8>, hash: String, event: bool, expect: String },
    /// Send, receive and delete a batch.
    Queue { url: String, message: String },
    /// Write an object, or read it.
    Bucket { bucket: String, content: Vec<u8>, hash: String, read: bool },
}

/// One connection's calls.
pub(super) struct Caller<'a> {
    target: &'a Target,
    connection: Connection,
    number: usize,
    /// The lines that sign, and the second that they are good for.
    signed: Option<(i64, String)>,
}

impl Target {
    /// The target at `endpoint`; `instead` is another name of the function, queue or bucket there.
    pub(super) fn new(what: &BenchWhat, endpoint: &str, instead: Option<&str>) -> Result<Self> {
        let address = Address::of(endpoint)?;
        let (name, work) = match what {
            BenchWhat::Function { name, payload, event, expect } => {
                let name = instead.unwrap_or(name);
                serde_json::from_str::<Value>(payload).context("--payload is not JSON")?;
                let work = Work::Function {
                    path: format!("/2015-03-31/functions/{name}/invocations"),
                    hash: hash(payload.as_bytes()),
                    payload: payload.clone().into_bytes(),
                    event: *event,
                    expect: expect.clone(),
                };
                (format!("function {name}"), work)
            }
            BenchWhat::Queue { name, size } => {
                let name = instead.unwrap_or(name);
                let url = String::new();
                (format!("queue {name}"), Work::Queue { url, message: "x".repeat((*size).max(1)) })
            }
            BenchWhat::Bucket { name, size, read } => {
                let name = instead.unwrap_or(name);
                let content = vec![b'x'; *size];
                let hash = hash(&content);
                (
                    format!("bucket {name}"),
                    Work::Bucket { bucket: name.to_owned(), content, hash, read: *read },
                )
            }
        };
        let mut target =
            Target { address, endpoint: endpoint.to_owned(), key: Key::of_environment(), work, name };
        target.prepare()?;
        Ok(target)
    }

    /// What it is, for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many things a call moves.
    pub(super) fn each(&self) -> usize {
        if matches!(self.work, Work::Queue { .. }) { BATCH } else { 1 }
    }

    pub(super) fn caller(&self, number: usize) -> Caller<'_> {
        Caller { target: self, connection: Connection::new(&self.address), number, signed: None }
    }

    /// Finds the queue, or writes an object into the bucket: the one that is read.
    fn prepare(&mut self) -> Result<()> {
        let mut caller = self.caller(0);
        match &self.work {
            Work::Function { .. } => {}
            Work::Queue { .. } => {
                let name = self.name.trim_start_matches("queue ").to_owned();
                let answer = caller
                    .sqs("GetQueueUrl", &json!({"QueueName": name}))
                    .with_context(|| format!("{} has no queue {name}; make it first", self.endpoint))?;
                let found = answer["QueueUrl"].as_str().context("the queue has no URL")?.to_owned();
                if let Work::Queue { url, .. } = &mut self.work {
                    *url = found;
                }
            }
            Work::Bucket { bucket, .. } => caller.object("PUT").map(drop).with_context(|| {
                format!("{} takes no object into the bucket {bucket}; make it first", self.endpoint)
            })?,
        }
        Ok(())
    }
}

impl Caller<'_> {
    /// Opens the connection.
    pub(super) fn open(&mut self) -> Result<()> {
        self.connection.open().map(drop)
    }

    /// Makes one call, and says what was wrong if the answer was not as it should be.
    pub(super) fn call(&mut self) -> Result<()> {
        match &self.target.work {
            Work::Function { path, payload, hash, event, expect } => {
                let lines = self.lines("lambda", "POST", path, hash);
                let kind = if *event { "x-amz-invocation-type: Event\r\n" } else { "" };
                let headers = format!("{lines}{kind}Content-Type: application/json\r\n");
                let answer = self.connection.call("POST", path, &headers, payload)?;
                expected(&answer, if *event { 202 } else { 200 })?;
                if answer.head.contains("\r\nx-amz-function-error:") {
                    bail!("the function failed");
                }
                if !expect.is_empty() && !String::from_utf8_lossy(&answer.body).contains(expect.as_str()) {
                    bail!("another answer");
                }
                Ok(())
            }
            Work::Queue { url, message } => {
                let entry = |n: usize| json!({"Id": n.to_string(), "MessageBody": message});
                let entries: Vec<Value> = (0..BATCH).map(entry).collect();
                self.sqs("SendMessageBatch", &json!({"QueueUrl": url, "Entries": entries}))?;
                let got =
                    self.sqs("ReceiveMessage", &json!({"QueueUrl": url, "MaxNumberOfMessages": BATCH}))?;
                let handles = got["Messages"].as_array().cloned().unwrap_or_default();
                if handles.is_empty() {
                    return Ok(());
                }
                let entry = |(n, message): (usize, &Value)| json!({"Id": n.to_string(), "ReceiptHandle": message["ReceiptHandle"]});
                let entries: Vec<Value> = handles.iter().enumerate().map(entry).collect();
                self.sqs("DeleteMessageBatch", &json!({"QueueUrl": url, "Entries": entries})).map(drop)
            }
            Work::Bucket { read, content, .. } => {
                let answer = self.object(if *read { "GET" } else { "PUT" })?;
                match *read && answer.body.len() < content.len().min(1 << 20) {
                    true => bail!("a part of the object is missing"),
                    false => Ok(()),
                }
            }
        }
    }

    fn object(&mut self, method: &str) -> Result<Answer> {
        let Work::Bucket { bucket, content, hash: of_content, .. } = &self.target.work else {
            bail!("no bucket")
        };
        let none = hash(b"");
        let (path, body, of_body) = match method {
            "GET" => (format!("/{bucket}/mayfly-bench-0"), &[][..], &none),
            _ => (format!("/{bucket}/mayfly-bench-{}", self.number), &content[..], of_content),
        };
        let headers = self.lines("s3", method, &path, of_body);
        let answer = self.connection.call(method, &path, &headers, body)?;
        expected(&answer, 200)?;
        Ok(answer)
    }

    fn sqs(&mut self, action: &str, input: &Value) -> Result<Value> {
        let body = input.to_string();
        // What is sent differs from call to call, so each is signed.
        self.signed = None;
        let lines = self.lines("sqs", "POST", "/", &hash(body.as_bytes()));
        let headers = format!(
            "{lines}X-Amz-Target: AmazonSQS.{action}\r\nContent-Type: application/x-amz-json-1.0\r\n"
        );
        let answer = self.connection.call("POST", "/", &headers, body.as_bytes())?;
        expected(&answer, 200)?;
        let value: Value = serde_json::from_slice(&answer.body)
            .with_context(|| format!("{} does not speak the JSON protocol of SQS", self.target.endpoint))?;
        match value["Failed"].as_array() {
            Some(failed) if !failed.is_empty() => bail!("{action} failed in part"),
            _ => Ok(value),
        }
    }

    /// The lines that sign a call; they are made once a second.
    #[expect(clippy::disallowed_methods, reason = "a signature states the wall clock's time")]
    fn lines(&mut self, service: &str, method: &str, path: &str, body_hash: &str) -> String {
        let now = OffsetDateTime::from(std::time::SystemTime::now());
        let second = now.unix_timestamp();
        match &self.signed {
            Some((of, lines)) if *of == second => lines.clone(),
            _ => {
                let address = &self.target.address;
                let whole = format!("{}{path}", address.base);
                let lines = self.target.key.sign(service, method, &address.host, &whole, body_hash, now);
                self.signed = Some((second, lines.clone()));
                lines
            }
        }
    }
}

fn expected(answer: &Answer, status: u16) -> Result<()> {
    if answer.status == status {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&answer.body);
    let between = |text: &str, before: &str, after: &str| {
        Some(text.split_once(before)?.1.split_once(after)?.0.trim().to_owned())
    };
    // In a header, in JSON or in XML, as the protocol has it.
    let code = between(&answer.head, "x-amzn-errortype:", "\r\n")
        .or_else(|| Some(serde_json::from_str::<Value>(&body).ok()?["__type"].as_str()?.to_owned()))
        .or_else(|| between(&body, "<Code>", "</Code>"));
    bail!("{} {}", answer.status, code.unwrap_or_default())
}
