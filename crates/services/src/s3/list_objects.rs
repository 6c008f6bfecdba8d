//! `ListObjects`, the first version of listings.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html>

use super::State;
use super::error::Result;
use super::list_objects_v2::{Encoding, limit, read, region};
use super::listing::Query;
use super::parameters::check_query;
use super::request::Context;
use s3s::dto::{ListObjectsInput, ListObjectsOutput};
use s3s::{S3Request, S3Response};

const PARAMETERS: &[&str] = &["list-type", "delimiter", "encoding-type", "marker", "max-keys", "prefix"];

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<ListObjectsInput>,
) -> Result<S3Response<ListObjectsOutput>> {
    check_query(&request.uri, PARAMETERS)?;
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type)?;
    let limit = limit(input.max_keys, "max-keys")?;
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        after: input.marker.clone().filter(|marker| !marker.is_empty()),
        limit,
    };
    let rolled_up = query.delimiter.is_some();
    let bucket = input.bucket.clone();
    let page = read(state, input.bucket.clone(), query).await?;
    let next = page.next.clone();
    let (contents, common_prefixes) = encoding.entries(page, true);
    let output = ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(plain_prefix(input.prefix.unwrap_or_default(), &encoding)),
        marker: Some(encoding.text(input.marker.unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(next.is_some()),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: input
            .delimiter
            .filter(|delimiter| !delimiter.is_empty())
            .map(|delimiter| encoding.text(delimiter)),
        // Without a delimiter the last key is the marker of the next page.
        next_marker: next.filter(|_| rolled_up).map(|next| encoding.text(next)),
        encoding_type: encoding.name(),
        request_charged: None,
    };
    Ok(S3Response::with_headers(output, region(state, &bucket)?))
}

/// The prefix as it is answered: SDKs do not decode it in this version of the operation, so that it is encoded only where XML
/// could not hold it.
fn plain_prefix(prefix: String, encoding: &Encoding) -> String {
    let holds = |letter: char| !letter.is_control() || matches!(letter, '\t' | '\n' | '\r');
    if prefix.chars().all(holds) { prefix } else { encoding.text(prefix) }
}
