//! What the tests of operations share: the API on a store in a temporary directory, and a stand-in for the
//! scheduler.

use super::{Endpoint, Lambda};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use model::{Installed, Language, Metering, NetworkPolicy, Outcome, RequestId, Runtimes, SystemClock};
use serde_json::{Value, json};
use std::sync::Arc;
use store::Store;
use store::queue::Answer;
use wire::{Body, Caller, Request, Service};

pub(super) const ROLE: &str = "arn:aws:iam::000000000000:role/test";
pub(super) const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// A zip with `app.py`, stored, that says `x = 1`.
pub(super) const ZIP: &str = "UEsDBBQAAAAAAAAAIQB2oVtHBQAAAAUAAAAGAAAAYXBwLnB5eCA9IDFQSwECFAMUAAAAAAAAACEAdqFbRwUAAAAFAAAABgAAAAAAAAAAAAAApIEAAAAAYXBwLnB5UEsFBgAAAAABAAEANAAAACkAAAAAAA==";

/// The same with `x = 2`.
pub(super) const OTHER_ZIP: &str = "UEsDBBQAAAAAAAAAIQDM8FLeBQAAAAUAAAAGAAAAYXBwLnB5eCA9IDJQSwECFAMUAAAAAAAAACEAzPBS3gUAAAAFAAAABgAAAAAAAAAAAAAApIEAAAAAYXBwLnB5UEsFBgAAAAABAAEANAAAACkAAAAAAA==";

/// The Lambda API by itself.
pub(super) struct Bench {
    pub(super) lambda: Arc<Lambda>,
    pub(super) dir: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Got {
    /// The error code, empty for success.
    pub(super) fn code(&self) -> &str {
        self.header("x-amzn-errortype")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// Asserts the code and a part of the message.
    pub(super) fn refused(&self, status: u16, code: &str, part: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        assert!(self.message().contains(part), "{part} is not in {}", self.message());
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lambda = open(dir.path());
        Bench { lambda, dir }
    }

    /// The same state after a restart.
    pub(super) fn reopen(self) -> Self {
        let Bench { lambda, dir } = self;
        drop(lambda);
        let lambda = open(dir.path());
        Bench { lambda, dir }
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: Value) -> Got {
        self.send_with(method, path, &[], body.to_string().into()).await
    }

    pub(super) async fn get(&self, path: &str) -> Got {
        self.send_with("GET", path, &[], Bytes::new()).await
    }

    pub(super) async fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Got {
        let mut builder = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = Request {
            head: builder.body(()).unwrap().into_parts().0,
            body: Body::from(body),
            caller: Caller::Outside,
            credential: None,
            id: RequestId::new(self.lambda.store.now()),
        };
        let response = self.lambda.call(request).await;
        let (head, body) = response.into_parts();
        let bytes = body.read(10 << 20).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Got { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Creates the function `f` with `changes` to the usual parameters.
    pub(super) async fn create(&self, changes: Value) -> Got {
        let mut input = json!({
            "FunctionName": "f",
            "Runtime": "python3.11",
            "Handler": "app.handler",
            "Role": ROLE,
            "Code": {"ZipFile": ZIP},
        });
        for (name, value) in changes.as_object().unwrap() {
            input[name] = value.clone();
        }
        self.send("POST", "/2015-03-31/functions", input).await
    }

    /// Creates the function `f` as it is.
    pub(super) async fn created(&self) -> Value {
        let got = self.create(json!({})).await;
        assert_eq!(got.status, 201, "{got:?}");
        got.body
    }

    /// Answers every synchronous call with `outcome`, in place of a scheduler.
    pub(super) fn answer_with(&self, outcome: Outcome) {
        let mut lane = self.lambda.store.sync_lane().take_receiver().unwrap();
        tokio::spawn(async move {
            while let Some(waiting) = lane.recv().await {
                waiting.reply(Answer {
                    outcome: outcome.clone(),
                    metering: Metering::default(),
                    log_tail: "the log\n".to_owned(),
                    version: "$LATEST".to_owned(),
                });
            }
        });
    }

    /// How many zips are on disk.
    pub(super) fn zips(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("blobs"))
            .unwrap()
            .map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap().count())
            .sum()
    }
}

fn open(dir: &std::path::Path) -> Arc<Lambda> {
    let endpoint = Endpoint::default();
    endpoint.set("http://127.0.0.1:4566".to_owned());
    let store = Store::open(dir, Arc::new(SystemClock)).unwrap();
    let python = |minor| Installed { language: Language::Python, version: (3, minor, 1) };
    Lambda::new(
        store,
        Runtimes { installed: vec![python(11)], strict: false },
        endpoint,
        NetworkPolicy::Internet,
    )
}

/// `bytes` as the parameter `ZipFile`.
pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}
