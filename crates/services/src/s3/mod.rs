//! S3: buckets, objects and their notifications.
//!
//! `s3s` speaks the protocol (paths, headers, XML); what the operations mean is here, one file each, listed once
//! in the `operations` table. On the way in, `request` takes a request apart and `body` verifies its bytes
//! while they stream; on the way out, `response` completes the answer.
//!
//! An object is a blob and a record; the record, the link to its blob and the events that follow from the change
//! commit in one transaction (`change`).
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

mod access;
mod body;
mod bucket;
mod change;
mod checksum;
mod conditions;
mod description;
mod encoding;
mod error;
mod event;
mod event_document;
mod headers;
mod host;
mod listing;
mod notification;
mod operations;
mod parameters;
mod reader;
mod request;
mod response;

mod copy_object;
mod create_bucket;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod get_bucket_location;
mod get_bucket_notification_configuration;
mod get_object;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_objects;
mod list_objects_v2;
mod put_bucket_notification_configuration;
mod put_object;

#[cfg(test)]
mod testing;

pub use operations::OPERATIONS;
pub use response::fault_response;

use async_trait::async_trait;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use std::sync::Arc;
use store::Store;
use wire::{Request, Response, Service};

/// The largest XML document in a request: 1,000 keys of 1,024 bytes, each byte escaped, fit.
const XML_BODY: usize = 8 << 20;

/// What every operation works on.
struct State {
    store: Store,
    region: String,
}

/// Object storage as a service.
pub struct S3 {
    service: S3Service,
}

impl S3 {
    /// Object storage on `store`, in the region called `region`. Beside path style, buckets are found as
    /// `BUCKET.localhost` and `BUCKET.s3.localhost`.
    pub fn new(store: Store, region: impl Into<String>) -> Self {
        S3::with_domains(store, region, &[])
    }

    /// The same, with buckets also found as `BUCKET.DOMAIN` for each of `domains`.
    pub fn with_domains(store: Store, region: impl Into<String>, domains: &[String]) -> Self {
        let state = Arc::new(State { store, region: region.into() });
        let mut builder = S3ServiceBuilder::new(operations::Operations(state));
        builder.set_auth(access::NoKeys);
        builder.set_access(access::Supported);
        builder.set_host(host::Domains::new(domains));
        let mut config = S3Config::default();
        config.xml_max_body_size = XML_BODY;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        S3 { service: builder.build() }
    }
}

#[async_trait]
impl Service for S3 {
    async fn call(&self, request: Request) -> Response {
        let head = response::Head::of(&request);
        let (request, report) = match request::prepare(request) {
            Ok(prepared) => prepared,
            Err(refusal) => return response::refuse(&head, refusal),
        };
        let answer = self.service.call(request).await;
        match report.take_refusal() {
            // The operation saw only that the body broke off; this is why.
            Some(refusal) => response::refuse(&head, refusal),
            None => response::finish(&head, answer),
        }
    }
}
