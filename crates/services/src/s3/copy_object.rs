//! `CopyObject`: another record for the same bytes, where they may stay as they are.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>

use super::State;
use super::change::{Put, put};
use super::checksum::Algorithm;
use super::conditions::{ReadConditions, WriteConditions};
use super::description::{Described, Description, REDIRECT};
use super::error::{Error, Result, refuse};
use super::event::{Kind, Origin};
use super::find::{self, Target};
use super::get_object::{Wanted, open};
use super::head_object::check_archived;
use super::parameters::check_query;
use super::put_object::{New, store};
use super::request::Context;
use super::rewrite::{Source, rewrite, source_too_large};
use super::settings::ENCRYPTION;
use super::sse;
use crate::object::cipher::Encryption;
use crate::object::{Object, share};
use http::HeaderMap;
use model::limits;
use s3s::dto::{ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, ETag, Timestamp};
use s3s::{S3ErrorCode, S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<CopyObjectInput>,
) -> Result<S3Response<CopyObjectOutput>> {
    check_query(&request.uri, &[])?;
    let headers = request.headers;
    let conditions = WriteConditions::of_headers(&headers)?;
    let input = request.input;
    let source = Source::of(input.copy_source)?;
    let wishes = Wishes::of(&headers, input.checksum_algorithm.as_ref().map(|name| name.as_str()))?;
    let description = Description {
        content_type: input.content_type,
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        expires: input.expires,
        metadata: input.metadata,
    };
    let described = Described::of(description, &headers)?;
    let same = source.bucket == input.bucket && source.key == input.key && source.version.is_none();
    if same && !wishes.changes(&headers) && !may_copy_in_place(state, &source)? {
        return Err(refuse(
            S3ErrorCode::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let copy = Copy {
        source,
        to: (input.bucket, input.key),
        read_conditions: ReadConditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        },
        conditions,
        described,
        wishes,
        origin: Origin::of(context, &state.region),
    };
    let (put, source_version) = copy.make(state, &headers).await?;
    let told = sse::told(put.object.encryption.as_ref());
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result(&put.object)),
        copy_source_version_id: source_version,
        expiration: put.expiration,
        server_side_encryption: told.algorithm,
        sse_customer_algorithm: told.customer_algorithm,
        sse_customer_key_md5: told.customer_md5,
        version_id: put.version,
        ..CopyObjectOutput::default()
    }))
}

/// Whether a copy of an object onto itself means something though it asks for no change: its bucket has a default encryption
/// of its own, or the object is one that was restored.
fn may_copy_in_place(state: &State, source: &Source) -> Result<bool> {
    state.store.read(|view| {
        if ENCRYPTION.get(view, &source.bucket)?.is_some() {
            return Ok(true);
        }
        let found = find::object(view, &source.bucket, &source.key, None);
        let target = found.map_err(|error| find::about_source(error, source))?;
        Ok(target.object.restored.is_some())
    })
}

/// What a copy shall have that its source has not.
#[derive(Clone, Debug)]
struct Wishes {
    replace: bool,
    replace_tags: bool,
    algorithm: Option<Algorithm>,
}

impl Wishes {
    fn of(headers: &HeaderMap, algorithm: Option<&str>) -> Result<Self> {
        let directive = |name: &str| match headers.get(name).map(|value| value.to_str().unwrap_or_default()) {
            None | Some("COPY") => Ok(false),
            Some("REPLACE") => Ok(true),
            Some(_) => {
                let kind = if name == "x-amz-tagging-directive" { "tagging" } else { "metadata" };
                Err(refuse(S3ErrorCode::InvalidArgument, format!("Unknown {kind} directive.")))
            }
        };
        let algorithm = algorithm
            .map(|name| {
                Algorithm::of_name(name).ok_or_else(|| {
                    refuse(S3ErrorCode::InvalidRequest, "Checksum algorithm provided is unsupported.")
                })
            })
            .transpose()?;
        Ok(Wishes {
            replace: directive("x-amz-metadata-directive")?,
            replace_tags: directive("x-amz-tagging-directive")?,
            algorithm,
        })
    }

    /// Whether a copy of an object onto itself would change something.
    fn changes(&self, headers: &HeaderMap) -> bool {
        self.replace
            || ["x-amz-storage-class", REDIRECT, "x-amz-server-side-encryption"]
                .iter()
                .any(|name| headers.contains_key(*name))
            || headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
    }
}

struct Copy {
    source: Source,
    to: (String, String),
    read_conditions: ReadConditions,
    conditions: WriteConditions,
    described: Described,
    wishes: Wishes,
    origin: Origin,
}

impl Copy {
    async fn make(self, state: &State, headers: &HeaderMap) -> Result<(Put, Option<String>)> {
        let customer = sse::source_customer(headers)?;
        let (key, encryption) = sse::for_new(state, headers)?;
        let source = self.source.clone();
        let look = state
            .store
            .read(|view| find::object(view, &source.bucket, &source.key, source.version.as_deref()))
            .map_err(|error| find::about_source(error, &source))?;
        self.read_conditions.check_copy(&look.object, state.store.now())?;
        if look.object.len > limits::OBJECT {
            return Err(source_too_large());
        }
        if self.can_share(&look.object, &encryption) {
            return self.share(state).await;
        }
        let store_ = state.store.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let wanted =
                Wanted { bucket: &source.bucket, key: &source.key, version: source.version.as_deref() };
            open(&store_, &wanted, customer.as_ref(), |view, target| {
                check_archived(&target.object, view.now())?;
                Ok(((), 0..target.object.len))
            })
        });
        let (target, (), reader) = opening
            .await
            .map_err(|_| Error::Broken("opening a source panicked"))?
            .map_err(|error| find::about_source(error, &self.source))?;
        self.read_conditions.check_copy(&target.object, state.store.now())?;
        let kept = target.object.checksums.keys().next().and_then(|name| Algorithm::of_name(name));
        let algorithm = self.wishes.algorithm.or(kept).unwrap_or(Algorithm::Crc64Nvme);
        let len = target.object.len;
        let (received, digests) = rewrite(state, reader, 0..len, algorithm, &key).await?;
        let described = self.described.over(&target.object, &self.wishes);
        let new = New { received, len, digests, encryption, described };
        let put = store(state, &self.origin, self.to, new, self.conditions, Kind::Copied).await?;
        Ok((put, target.version()))
    }

    /// Whether the copy can have the very bytes of its source.
    fn can_share(&self, source: &Object, wanted: &Encryption) -> bool {
        let of_installation =
            |encryption: Option<&Encryption>| matches!(encryption, Some(Encryption::Installation(_)));
        let has = |algorithm: Algorithm| source.checksums.contains_key(algorithm.name());
        source.parts == 0
            && of_installation(source.encryption.as_ref())
            && of_installation(Some(wanted))
            && self.wishes.algorithm.is_none_or(has)
            && !source.checksums.is_empty()
    }

    async fn share(self, state: &State) -> Result<(Put, Option<String>)> {
        let Copy { source, to: (bucket, key), read_conditions, conditions, described, wishes, origin } = self;
        state
            .change(None, move |tx| {
                let target = find::object(tx, &source.bucket, &source.key, source.version.as_deref())
                    .map_err(|error| find::about_source(error, &source))?;
                read_conditions.check_copy(&target.object, tx.now())?;
                check_archived(&target.object, tx.now())?;
                super::bucket::existing(tx, &bucket)?;
                let version = target.version();
                let Target { mut object, .. } = target;
                described.over(&object, &wishes).put_on(&mut object);
                object.restored = None;
                object.content = share(tx, &object.content)?;
                object.last_modified = tx.now();
                let (put, unlinked) = put(tx, &origin, (&bucket, &key), object, &conditions, Kind::Copied)?;
                Ok(((put, version), unlinked))
            })
            .await
    }
}

impl Described {
    /// What a copy of `source` has: its own description where that was asked for, else the source's.
    fn over(mut self, source: &Object, wishes: &Wishes) -> Self {
        if !wishes.replace {
            let redirect = self.headers.remove(REDIRECT);
            self.headers = source.headers.clone();
            self.headers.remove(REDIRECT);
            self.headers.extend(redirect.map(|to| (REDIRECT.to_owned(), to)));
            self.metadata = source.metadata.clone();
        }
        if !wishes.replace_tags {
            self.tags = source.tags.clone();
        }
        self
    }
}

fn result(object: &Object) -> CopyObjectResult {
    let checksum = |name: &str| object.checksums.get(name).cloned();
    CopyObjectResult {
        checksum_crc32: checksum("CRC32"),
        checksum_crc32c: checksum("CRC32C"),
        checksum_crc64nvme: checksum("CRC64NVME"),
        checksum_sha1: checksum("SHA1"),
        checksum_sha256: checksum("SHA256"),
        checksum_type: (!object.checksums.is_empty())
            .then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(Timestamp::from(object.last_modified.to_date_time())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[tokio::test]
    async fn a_copy_takes_the_metadata_along_or_gets_its_own() {
        let bench = Bench::new().await;
        let described = [("content-type", "text/plain"), ("x-amz-meta-colour", "red")];
        let etag = bench
            .send("PUT", "/box/from%20here", &described, &"hello".repeat(5_000))
            .await
            .header("etag")
            .to_owned();
        let copy = bench.send("PUT", "/box/to", &[("x-amz-copy-source", "/box/from%20here")], "").await;
        assert_eq!((copy.status, copy.element("ETag")), (200, etag.as_str()));
        let got = bench.send("GET", "/box/to", &[], "").await;
        assert_eq!(
            (got.body, got.headers["x-amz-meta-colour"].as_bytes()),
            ("hello".repeat(5_000), &b"red"[..])
        );
        let replace = [
            ("x-amz-copy-source", "box/to"),
            ("x-amz-metadata-directive", "REPLACE"),
            ("content-type", "text/html"),
        ];
        assert_eq!(bench.send("PUT", "/box/to", &replace, "").await.status, 200);
        let got = bench.send("GET", "/box/to", &[], "").await;
        assert_eq!((got.header("content-type"), got.header("x-amz-meta-colour")), ("text/html", ""));
        assert_eq!(bench.files(), 1);
        bench.send("DELETE", "/box/from%20here", &[], "").await;
        assert_eq!(bench.send("GET", "/box/to", &[], "").await.body, "hello".repeat(5_000));
        bench.send("DELETE", "/box/to", &[], "").await;
        assert_eq!(bench.files(), 0);
    }

    #[tokio::test]
    async fn copies_that_cannot_be_are_refused() {
        let bench = Bench::new().await;
        bench.send("PUT", "/box/k", &[], "hello").await;
        for (headers, expected) in [
            (vec![("x-amz-copy-source", "box/k")], "400 InvalidRequest"),
            (vec![("x-amz-copy-source", "box/missing")], "404 NoSuchKey"),
            (vec![("x-amz-copy-source", "missing/k")], "404 NoSuchBucket"),
            (vec![("x-amz-copy-source", "box/k?versionId=1")], "400 InvalidArgument Invalid version id"),
            (
                vec![
                    ("x-amz-copy-source", "box/k"),
                    ("x-amz-metadata-directive", "REPLACE"),
                    ("x-amz-copy-source-if-match", "\"other\""),
                ],
                "412 PreconditionFailed",
            ),
            (
                vec![
                    ("x-amz-copy-source", "box/k"),
                    ("x-amz-metadata-directive", "REPLACE"),
                    ("if-none-match", "*"),
                ],
                "412 PreconditionFailed",
            ),
        ] {
            let refused = bench.refused("PUT", "/box/k", &headers, "").await;
            assert!(refused.starts_with(expected), "{headers:?}: {refused}");
        }
    }
}
