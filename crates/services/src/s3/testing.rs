//! What the tests of this module share.

use super::S3;
use crate::object::{Content, Object};
use bytes::Bytes;
use http::HeaderMap;
use model::{FunctionArn, FunctionSpec, Timestamp};
use std::sync::Arc;
use store::Store;
use store::kv::SPECS;
use wire::credential::Credential;
use wire::{Body, Caller, Request, Service};

/// An object that was put at 12:00:00.007 on 2026-01-31.
pub(super) fn object(etag: &str) -> Object {
    let blob = serde_json::from_value(serde_json::json!(vec![0; 32])).unwrap();
    let mut object = Object::new(Content::Blob(blob), 3, Timestamp(1_769_860_800_007));
    object.etag = etag.to_owned();
    object
}

/// A service on a store of its own.
pub(super) struct Bench {
    pub(super) store: Store,
    pub(super) service: S3,
    pub(super) dir: tempfile::TempDir,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The text of the first element called `name`.
    pub(super) fn element(&self, name: &str) -> &str {
        let (_, rest) = self.body.split_once(&format!("<{name}>")).unwrap_or_default();
        rest.split_once(&format!("</{name}>")).map_or("", |(text, _)| text)
    }

    /// The texts of all elements called `name`.
    pub(super) fn elements(&self, name: &str) -> Vec<&str> {
        let end = format!("</{name}>");
        self.body
            .split(&format!("<{name}>"))
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(&end)?.0))
            .collect()
    }
}

impl Bench {
    /// With a bucket called `box`.
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Arc::new(model::SystemClock)).unwrap();
        let service = S3::new(store.clone(), model::REGION);
        let bench = Bench { store, service, dir };
        assert_eq!(bench.send("PUT", "/box", &[], "").await.status, 200);
        bench
    }

    pub(super) async fn send(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send_body(method, uri, headers, Body::from(Bytes::from(body.to_owned())), body.len()).await
    }

    /// Sends a body that may break off, of which `length` bytes are announced.
    pub(super) async fn send_body(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: Body,
        length: usize,
    ) -> Answer {
        let mut request = http::Request::builder().method(method).uri(uri).header("content-length", length);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        let credential = Some(Credential {
            access_key: "AKIDEXAMPLE".into(),
            region: model::REGION.into(),
            service: "s3".into(),
        });
        let id = model::RequestId::new(self.store.now());
        let request = Request { head, body, caller: Caller::Outside, credential, id };
        let response = self.service.call(request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().read(64 << 20).await.unwrap();
        assert_eq!(headers["x-amz-request-id"], id.to_string().as_str());
        Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Sends a request that must be refused; its code and message.
    pub(super) async fn refused(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let answer = self.send(method, uri, headers, body).await;
        assert!(answer.status >= 400, "{answer:?}");
        format!("{} {} {}", answer.status, answer.element("Code"), answer.element("Message"))
    }

    /// Makes the scheduler believe in a function; its ARN.
    pub(super) async fn function(&self, name: &str) -> String {
        let arn = FunctionArn::of(name);
        let code = model::CodeId("0".into());
        let spec = FunctionSpec::new(arn.clone(), "python3.11", "app.handler", code);
        let key = arn.as_str().to_owned();
        self.store.write(move |tx| tx.put(&SPECS, key, &spec)).await.unwrap();
        arn.as_str().to_owned()
    }

    /// The events that wait, as pairs of function and document.
    pub(super) fn events(&self) -> Vec<(String, serde_json::Value)> {
        let claim = |(function, _)| self.store.claim(&function, 1_000).unwrap().leases;
        let mut leases: Vec<_> = self.store.backlog().unwrap().into_iter().flat_map(claim).collect();
        leases.sort_by_key(|lease| (lease.event.accepted, lease.event.id));
        let read = |event: &model::Event| serde_json::from_slice(&event.payload).unwrap();
        leases.iter().map(|lease| (lease.event.function.as_str().to_owned(), read(&lease.event))).collect()
    }

    /// How many files lie among the blobs, temporary ones included.
    pub(super) fn files(&self) -> usize {
        let dirs = std::fs::read_dir(self.dir.path().join("blobs")).unwrap();
        dirs.map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap().count()).sum()
    }
}
