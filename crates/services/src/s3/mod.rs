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
mod acl;
mod acls;
mod authorize;
mod body;
mod bucket;
mod bucket_cors;
mod bucket_encryption;
mod bucket_lifecycle;
mod bucket_policy;
mod bucket_tagging;
mod bucket_versioning;
mod bucket_website;
mod change;
mod checksum;
mod conditions;
mod cors;
mod damage;
mod defaults;
mod description;
mod destination;
mod encoding;
mod error;
mod event;
mod event_document;
mod expiration;
mod expire;
mod extent;
mod find;
mod form_policy;
mod get_object_attributes;
mod grants;
mod headers;
mod host;
mod lifecycle;
mod list_object_versions;
mod listing;
mod lock;
mod notification;
mod object_lock;
mod object_tagging;
mod operations;
mod ownership_controls;
mod parameters;
mod policy;
mod policy_action;
mod policy_condition;
mod post_object;
mod public_access_block;
mod reader;
mod request;
mod response;
mod restore_object;
mod rewrite;
mod scrub;
mod settings;
mod signature;
mod sse;
mod tags;
mod timer;
mod upload;
mod version;
mod website;

mod abort_multipart_upload;
mod complete_multipart_upload;
mod copy_object;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod get_bucket_location;
mod get_bucket_notification_configuration;
mod get_object;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod put_bucket_notification_configuration;
mod put_object;
mod upload_part;
mod upload_part_copy;

#[cfg(test)]
mod testing;

pub use damage::damaged_objects;
pub use operations::{MISSING, OPERATIONS};
pub use response::fault_response;

use async_trait::async_trait;
use http::Method;
use http::header::{HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
use model::RequestId;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use wire::credential::Credential;
use wire::{Request, Response, Service};

/// The largest XML document in a request: 1,000 keys of 1,024 bytes, each byte escaped, fit.
const XML_BODY: usize = 8 << 20;

/// How often timers are looked at, if nothing says that they were set.
const LOOK: Duration = Duration::from_secs(60);

/// What every operation works on.
struct State {
    store: Store,
    region: String,
    /// Wakes who waits for the first of the timers, when it may be another.
    timer_set: tokio::sync::Notify,
}

/// Object storage as a service.
pub struct S3 {
    state: Arc<State>,
    domains: host::Domains,
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
        let state = Arc::new(State { store, region: region.into(), timer_set: tokio::sync::Notify::new() });
        let domains = host::Domains::new(domains);
        let mut builder = S3ServiceBuilder::new(operations::Operations(state.clone()));
        builder.set_auth(access::NoKeys);
        builder.set_access(access::Supported(state.clone()));
        builder.set_host(domains.clone());
        let mut config = S3Config::default();
        config.xml_max_body_size = XML_BODY;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        S3 { state, domains, service: builder.build() }
    }

    /// Whether a request that nobody signed may be for a bucket: it names what could be one, and is no day, with which the
    /// paths of Lambda's API begin.
    pub fn may_answer_anybody(&self, host: Option<&str>, path: &str) -> bool {
        let is_day = |name: &str| {
            name.len() == 10
                && name.bytes().enumerate().all(|(at, byte)| match at {
                    4 | 7 => byte == b'-',
                    _ => byte.is_ascii_digit(),
                })
        };
        host.and_then(website::bucket_of).is_some()
            || self
                .domains
                .bucket_of(host, path)
                .is_some_and(|(bucket, _)| s3s::path::check_bucket_name(&bucket) && !is_day(&bucket))
    }

    /// Follows the lifecycle rules of buckets, each bucket's once in `every`, until `stop`.
    pub async fn follow_lifecycles(&self, every: Duration, mut stop: watch::Receiver<bool>) {
        let mut begun = false;
        loop {
            let done = async {
                if !begun {
                    expire::set_timers(&self.state).await?;
                    begun = true;
                }
                expire::run(&self.state, every).await
            };
            let wait = done.await.unwrap_or_else(|error| {
                tracing::error!(
                    error = error::chain(&error),
                    "the rules of lifecycles could not be followed"
                );
                LOOK
            });
            tokio::select! {
                // Not longer than this: the clock may be set meanwhile.
                () = tokio::time::sleep(wait.min(LOOK)) => {}
                () = self.state.timer_set.notified() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Rereads all stored bytes, at most `rate` of them in a second, again and again with `rest` between two passes, until
    /// `stop`. Damage is reported by key in the log.
    pub async fn scrub(&self, rate: u64, rest: Duration, mut stop: watch::Receiver<bool>) {
        loop {
            let done = scrub::run(&self.state, rate, rest, &stop).await;
            let wait = done.unwrap_or_else(|error| {
                tracing::error!(error = error::chain(&error), "stored bytes could not be verified");
                LOOK
            });
            tokio::select! {
                () = tokio::time::sleep(wait.min(LOOK)) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn answer(
        &self,
        head: &response::Head,
        request: Request,
        bucket: Option<(String, bool)>,
    ) -> Response {
        if request.head.method == Method::OPTIONS {
            let bucket = bucket.as_ref().map(|(bucket, _)| bucket.as_str());
            return match cors::preflight(&self.state, bucket, &request.head.headers) {
                Ok(headers) => {
                    let mut answer = Response::new(wire::Body::empty());
                    *answer.headers_mut() = headers;
                    response::with_ids(head, answer)
                }
                Err(error) => response::refuse(head, error.answer("OPTIONS", request.id)),
            };
        }
        if let Err(refusal) = signature::check(&request.head.headers, self.state.store.now()) {
            return response::refuse(head, refusal);
        }
        if let (true, Some((bucket, false))) =
            (request::is_form(&request.head.method, &request.head.headers), &bucket)
        {
            let Request { head: parts, body, id, .. } = request;
            let origin = event::Origin {
                id,
                access_key: String::new(),
                account: String::new(),
                region: self.state.region.clone(),
                lineage: Default::default(),
            };
            return match post_object::run(&self.state, origin, &parts, bucket, body).await {
                Ok(answer) => response::with_ids(head, answer),
                Err(error) => response::refuse(head, error.answer("PostObject", id)),
            };
        }
        let mut request = request;
        let tags = match bucket {
            Some((_, false)) if create_bucket::is_it(&request.head) => {
                match create_bucket::take_tags(&mut request).await {
                    Ok(tags) => tags,
                    Err(error) => return response::refuse(head, error.answer("CreateBucket", request.id)),
                }
            }
            _ => Default::default(),
        };
        if let Some((_, false)) = bucket
            && let Err(refusal) = post_object::refuse_other_posts(&request.head)
        {
            return response::refuse(head, refusal);
        }
        let (request, report) = match request::prepare(request, tags) {
            Ok(prepared) => prepared,
            Err(refusal) => return response::refuse(head, refusal),
        };
        let answer = self.service.call(request).await;
        match report.take_refusal() {
            // The operation saw only that the body broke off; this is why.
            Some(refusal) => response::refuse(head, refusal),
            None => response::finish(head, answer),
        }
    }

    /// Reads an object for a page of a website; who may is asked before.
    async fn read_internally(
        &self,
        id: RequestId,
        method: &Method,
        bucket: &str,
        key: &str,
        headers: &http::HeaderMap,
    ) -> Response {
        let path = format!("/{bucket}/{}", encoding::encode_key(key).replace('+', "%20"));
        let mut parts = http::Request::new(()).into_parts().0;
        parts.method = method.clone();
        parts.uri = http::Uri::try_from(path).unwrap_or_default();
        for name in [RANGE, IF_NONE_MATCH, IF_MODIFIED_SINCE] {
            if let Some(value) = headers.get(&name) {
                parts.headers.insert(name, value.clone());
            }
        }
        // As the owner, who may read it if everybody may.
        let owner = self.state.store.read(|view| view.get(&bucket::BUCKETS, bucket));
        let owner = owner.ok().flatten().map_or(model::ACCOUNT.to_owned(), |of| of.owner().to_owned());
        let credential = Some(Credential {
            access_key: owner,
            region: self.state.region.clone(),
            service: "s3".to_owned(),
        });
        let request =
            Request { head: parts, body: wire::Body::empty(), caller: wire::Caller::Outside, credential, id };
        let path = request.head.uri.path().to_owned();
        let head = response::Head::of(&request, path);
        self.answer(&head, request, None).await
    }
}

#[async_trait]
impl Service for S3 {
    async fn call(&self, request: Request) -> Response {
        let host = request.head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| request.head.uri.authority().map(|authority| authority.as_str()));
        if let Some(bucket) = host.and_then(website::bucket_of) {
            let (parts, id) = (&request.head, request.id);
            return self.page(id, &parts.method, bucket, parts.uri.path(), &parts.headers).await;
        }
        let path = request.head.uri.path();
        let head = response::Head::of(&request, self.domains.path_style(host, path));
        let bucket = self.domains.bucket_of(host, path);
        let asked = cors::Asked::of(&request.head.method, &request.head.headers)
            .filter(|_| request.head.method != Method::OPTIONS);
        let crossing = match (&asked, &bucket) {
            (Some(asked), Some((bucket, _))) => cors::headers(&self.state, bucket, asked),
            _ => Ok(None),
        };
        let id = request.id;
        let mut answer = self.answer(&head, request, bucket).await;
        match crossing {
            Ok(Some(headers)) => answer.headers_mut().extend(headers),
            Ok(None) => {}
            Err(error) => {
                let _ = error.answer("GetBucketCors", id);
            }
        }
        answer
    }
}
