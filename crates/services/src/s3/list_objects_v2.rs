//! `ListObjectsV2`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use super::State;
use super::bucket::existing;
use super::encoding::encode_key;
use super::error::{Error, Result, detailed, refuse};
use super::grants::owner;
use super::listing::{PAGE, Page, Query};
use super::parameters::check_query;
use super::request::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
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
    let limit = limit(input.max_keys, "max-keys")?;
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
    let region = region(state, &input.bucket)?;
    let count = page.objects.len() + page.prefixes.len();
    let next = page.next.as_deref().map(|last| URL_SAFE_NO_PAD.encode(last));
    let (contents, common_prefixes) = encoding.entries(page, input.fetch_owner.unwrap_or(false));
    let output = ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.text(input.prefix.unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token.clone(),
        is_truncated: Some(next.is_some()),
        next_continuation_token: next,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: input
            .delimiter
            .filter(|delimiter| !delimiter.is_empty())
            .map(|delimiter| encoding.text(delimiter)),
        encoding_type: encoding.name(),
        // Behind a token it means nothing.
        start_after: input
            .start_after
            .filter(|_| input.continuation_token.is_none())
            .map(|start| encoding.text(start)),
        request_charged: None,
    };
    Ok(S3Response::with_headers(output, region))
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
pub(super) fn limit(most: Option<i32>, name: &str) -> Result<usize> {
    let Some(most) = most else { return Ok(PAGE) };
    usize::try_from(most).map(|limit| limit.min(PAGE)).map_err(|_| {
        refuse(
            S3ErrorCode::InvalidArgument,
            format!("Argument {name} must be an integer between 0 and 2147483647"),
        )
    })
}

fn read_token(token: &str) -> Result<String> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|last| !last.is_empty())
        .ok_or_else(|| {
            detailed(
                S3ErrorCode::InvalidArgument,
                "The continuation token provided is incorrect",
                &[("ArgumentName", "continuation-token")],
            )
        })
}

/// The header that says where a bucket is.
pub(super) fn region(state: &State, bucket: &str) -> Result<HeaderMap> {
    let of = state.store.read(|view| existing(view, bucket))?;
    let mut headers = HeaderMap::new();
    if let Ok(region) = HeaderValue::from_str(of.location.as_deref().unwrap_or(&state.region)) {
        headers.insert("x-amz-bucket-region", region);
    }
    Ok(headers)
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
            Some(other) => Err(detailed(
                S3ErrorCode::InvalidArgument,
                "Invalid Encoding Method specified in Request",
                &[("ArgumentName", "encoding-type"), ("ArgumentValue", other)],
            )),
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
        let objects = page.objects.into_iter().map(|(key, object)| {
            let by = owner(object.owner());
            Object {
                checksum_algorithm: Some(
                    object.checksums.keys().cloned().map(ChecksumAlgorithm::from).collect(),
                ),
                checksum_type: (!object.checksums.is_empty()).then(|| {
                    let kind =
                        if object.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
                    ChecksumType::from_static(kind)
                }),
                e_tag: Some(ETag::Strong(object.etag)),
                key: Some(self.text(key)),
                last_modified: Some(Timestamp::from(object.last_modified.to_date_time())),
                owner: with_owner.then_some(by),
                restore_status: None,
                size: i64::try_from(object.len).ok(),
                storage_class: Some(
                    object
                        .storage_class
                        .map_or(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD), Into::into),
                ),
            }
        });
        let prefixes = page
            .prefixes
            .into_iter()
            .map(|prefix| CommonPrefix { prefix: Some(self.text(prefix)) })
            .collect();
        (objects.collect(), prefixes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    async fn filled(keys: &[&str]) -> Bench {
        let bench = Bench::new().await;
        for key in keys {
            assert_eq!(bench.send("PUT", &format!("/box/{key}"), &[], "x").await.status, 200);
        }
        bench.send("PUT", "/boxes", &[], "").await;
        bench.send("PUT", "/boxes/other", &[], "x").await;
        bench
    }

    /// Follows a listing to its end: its keys and its prefixes, page by page.
    async fn pages(bench: &Bench, query: &str) -> Vec<Vec<String>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let answer = bench.send("GET", &format!("/box?list-type=2{query}{token}"), &[], "").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let mut page: Vec<String> = answer.elements("Key").into_iter().map(str::to_owned).collect();
            page.extend(answer.elements("CommonPrefixes").into_iter().map(str::to_owned));
            assert_eq!(answer.element("KeyCount"), page.len().to_string());
            let more = answer.element("IsTruncated") == "true";
            assert_eq!(more, answer.body.contains("<NextContinuationToken>"));
            token = format!("&continuation-token={}", answer.element("NextContinuationToken"));
            pages.push(page);
            if !more {
                return pages;
            }
        }
    }

    #[tokio::test]
    async fn keys_come_in_binary_order_and_page_by_page() {
        let bench = filled(&["b", "a", "a/1", "Z", "%C3%A4", "a-1", "a%2F2"]).await;
        let all = ["Z", "a", "a-1", "a/1", "a/2", "b", "ä"];
        assert_eq!(pages(&bench, "").await, [all]);
        for size in 1..=8 {
            let paged = pages(&bench, &format!("&max-keys={size}")).await;
            assert_eq!(paged.concat(), all);
            assert!(paged.iter().all(|page| page.len() <= size));
            assert_eq!(paged.len(), all.len().div_ceil(size));
        }
        assert_eq!(pages(&bench, "&prefix=a&start-after=a-1").await.concat(), ["a/1", "a/2"]);
        assert_eq!(pages(&bench, "&max-keys=0").await, [Vec::<String>::new()]);
        assert_eq!(pages(&bench, "&prefix=%C3%A4&encoding-type=url").await.concat(), ["%C3%A4"]);
    }

    #[tokio::test]
    async fn keys_with_a_common_beginning_are_rolled_up() {
        let many: Vec<String> = (0..30).map(|n| format!("many/{n:02}")).collect();
        let mut keys = vec!["a", "d/e/1", "d/e/2", "d/f", "d2", "z/"];
        keys.extend(many.iter().map(String::as_str));
        let bench = filled(&keys).await;
        let prefix = |text: &str| format!("<Prefix>{text}</Prefix>");
        let all = vec!["a".to_owned(), "d2".to_owned(), prefix("d/"), prefix("many/"), prefix("z/")];
        assert_eq!(pages(&bench, "&delimiter=%2F").await, std::slice::from_ref(&all));
        for size in 1..=6 {
            let mut paged = pages(&bench, &format!("&delimiter=/&max-keys={size}")).await.concat();
            paged.sort_by_key(|entry| entry.starts_with('<'));
            assert_eq!(paged, all, "pages of {size}");
        }
        assert_eq!(
            pages(&bench, "&delimiter=/&prefix=d/").await.concat(),
            ["d/f".to_owned(), prefix("d/e/")]
        );
        assert_eq!(pages(&bench, "&delimiter=/&prefix=many/").await.concat(), many);
        assert_eq!(pages(&bench, "&delimiter=/e/").await.concat().last(), Some(&prefix("d/e/")));
        assert_eq!(
            pages(&bench, "&delimiter=/&start-after=d2").await.concat(),
            [prefix("many/"), prefix("z/")]
        );
    }

    #[tokio::test]
    async fn the_first_version_pages_by_marker() {
        let bench = filled(&["a", "b/1", "b/2", "c"]).await;
        let first = bench.send("GET", "/box?delimiter=/&max-keys=2", &[], "").await;
        assert_eq!((first.element("IsTruncated"), first.element("NextMarker")), ("true", "b/"));
        let second = bench.send("GET", "/box?delimiter=/&max-keys=2&marker=b/", &[], "").await;
        assert_eq!((second.elements("Key"), second.element("IsTruncated")), (vec!["c"], "false"));
    }

    #[tokio::test]
    async fn listings_that_cannot_be_are_refused() {
        let bench = Bench::new().await;
        for (query, expected) in [
            ("list-type=2&max-keys=-1", "400 InvalidArgument"),
            ("list-type=2&max-keys=x", "400 InvalidArgument"),
            ("list-type=2&continuation-token=%21", "400 InvalidArgument"),
            ("list-type=2&encoding-type=base64", "400 InvalidArgument"),
            ("metadataConfiguration", "501 NotImplemented The operation GetBucketMetadataConfiguration"),
        ] {
            let refused = bench.refused("GET", &format!("/box?{query}"), &[], "").await;
            assert!(refused.starts_with(expected), "{query}: {refused}");
        }
        assert!(bench.refused("GET", "/missing?list-type=2", &[], "").await.starts_with("404 NoSuchBucket"));
    }
}
