//! `ListObjectsV2`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use super::State;
use super::bucket::existing;
use super::encoding::encode_key;
use super::error::{Error, Result, refuse};
use super::list_buckets::owner;
use super::listing::{PAGE, Page, Query};
use super::parameters::check_query;
use super::request::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, ETag, EncodingType, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass, Timestamp,
};
use s3s::{S3ErrorCode, S3Request, S3Response};

const PARAMETERS: &[&str] = &[
    "list-type",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "max-keys",
    "prefix",
    "start-after",
];

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<ListObjectsV2Input>,
) -> Result<S3Response<ListObjectsV2Output>> {
    check_query(&request.uri, PARAMETERS)?;
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type)?;
    let limit = limit(input.max_keys)?;
    let after = match &input.continuation_token {
        Some(token) => Some(read_token(token)?),
        None => input.start_after.clone(),
    };
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        after: after.filter(|after| !after.is_empty()),
        limit,
    };
    let page = read(state, input.bucket.clone(), query).await?;
    let count = page.objects.len() + page.prefixes.len();
    let next = page.next.as_deref().map(|last| URL_SAFE_NO_PAD.encode(last));
    let (contents, common_prefixes) = encoding.entries(page, input.fetch_owner.unwrap_or(false));
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.text(input.prefix.unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(next.is_some()),
        next_continuation_token: next,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: input.delimiter.map(|delimiter| encoding.text(delimiter)),
        encoding_type: encoding.name(),
        start_after: input.start_after.map(|start| encoding.text(start)),
        request_charged: None,
    }))
}

/// Reads one page on a blocking thread.
pub(super) async fn read(state: &State, bucket: String, query: Query) -> Result<Page> {
    let store = state.store.clone();
    let reading = tokio::task::spawn_blocking(move || {
        store.read(|view| {
            existing(view, &bucket)?;
            query.read(view, &bucket)
        })
    });
    reading.await.map_err(|_| Error::Broken("a listing panicked"))?
}

/// How many entries a page may have; more than S3 gives is not an error.
pub(super) fn limit(max_keys: Option<i32>) -> Result<usize> {
    let Some(max_keys) = max_keys else { return Ok(PAGE) };
    usize::try_from(max_keys).map(|limit| limit.min(PAGE)).map_err(|_| {
        refuse(S3ErrorCode::InvalidArgument, "Argument max-keys must be an integer between 0 and 2147483647")
    })
}

fn read_token(token: &str) -> Result<String> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| refuse(S3ErrorCode::InvalidArgument, "The continuation token provided is incorrect"))
}

/// How keys are written in the answer.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    pub(super) fn of(wanted: Option<EncodingType>) -> Result<Self> {
        match wanted.as_ref().map(EncodingType::as_str) {
            None => Ok(Encoding::Plain),
            Some(EncodingType::URL) => Ok(Encoding::Url),
            Some(_) => {
                Err(refuse(S3ErrorCode::InvalidArgument, "Invalid Encoding Method specified in Request"))
            }
        }
    }

    pub(super) fn name(self) -> Option<EncodingType> {
        match self {
            Encoding::Plain => None,
            Encoding::Url => Some(EncodingType::from_static(EncodingType::URL)),
        }
    }

    pub(super) fn text(self, text: String) -> String {
        match self {
            Encoding::Plain => text,
            Encoding::Url => encode_key(&text),
        }
    }

    /// The entries of `page` as they are answered.
    pub(super) fn entries(self, page: Page, with_owner: bool) -> (Vec<Object>, Vec<CommonPrefix>) {
        let objects = page.objects.into_iter().map(|(key, object)| Object {
            checksum_algorithm: Some(object.checksums.keys().cloned().map(ChecksumAlgorithm::from).collect()),
            checksum_type: (!object.checksums.is_empty())
                .then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
            e_tag: Some(ETag::Strong(object.etag)),
            key: Some(self.text(key)),
            last_modified: Some(Timestamp::from(object.last_modified.to_date_time())),
            owner: with_owner.then(owner),
            restore_status: None,
            size: i64::try_from(object.len).ok(),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        });
        let prefixes = page
            .prefixes
            .into_iter()
            .map(|prefix| CommonPrefix { prefix: Some(self.text(prefix)) })
            .collect();
        (objects.collect(), prefixes)
    }
}
