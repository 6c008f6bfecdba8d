//! `UploadPartCopy`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>

use super::State;
use super::checksum::{Algorithm, hex};
use super::conditions::ReadConditions;
use super::error::{Error, Result, detailed, refuse};
use super::find::about_source;
use super::get_object::{Wanted, open};
use super::head_object::check_archived;
use super::parameters::check_query;
use super::request::Context;
use super::rewrite::{Source, rewrite, source_too_large};
use super::sse;
use super::upload::{Part, find, number, put_part};
use model::limits;
use s3s::dto::{CopyPartResult, ETag, Timestamp, UploadPartCopyInput, UploadPartCopyOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};
use std::borrow::Cow;
use std::ops::Range;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<UploadPartCopyInput>,
) -> Result<S3Response<UploadPartCopyOutput>> {
    check_query(&request.uri, &["partNumber", "uploadId"])?;
    let input = request.input;
    let number = number(input.part_number)?;
    let source = Source::of(input.copy_source)?;
    let (customer, source_customer) =
        (sse::customer(&request.headers)?, sse::source_customer(&request.headers)?);
    let (_, upload) = state.store.read(|view| find(view, &input.bucket, &input.key, &input.upload_id))?;
    let key = upload.key(&state.store, customer.as_ref())?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let wanted_range = input.copy_source_range.as_deref().map(parse_range).transpose()?;
    let store = state.store.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let wanted = Wanted { bucket: &source.bucket, key: &source.key, version: source.version.as_deref() };
        let opened = open(&store, &wanted, source_customer.as_ref(), |view, target| {
            conditions.check_copy(&target.object, view.now())?;
            check_archived(&target.object, view.now())?;
            let range = within(wanted_range.clone(), target.object.len)?;
            Ok((range.clone(), range))
        });
        opened.map_err(|error| about_source(error, &source))
    });
    let (target, range, reader) = opening.await.map_err(|_| Error::Broken("opening a source panicked"))??;
    let algorithm = upload.algorithm()?;
    let len = range.end - range.start;
    let (received, digests) = rewrite(state, reader, range, algorithm, &key).await?;
    let etag = hex(&digests.md5);
    let (at, checksum) = (state.store.now(), digests.checksum);
    let told = sse::told(Some(&upload.encryption));
    let result = result(&etag, algorithm, upload.explicit.then_some(&checksum), at);
    state
        .change(received.blob(), move |tx| {
            let content = received.keep(tx)?;
            let part = Part { len, etag, checksum, modified: at, content };
            let unlinked = put_part(tx, (&input.bucket, &input.key, &input.upload_id), number, &part)?;
            Ok(((), unlinked))
        })
        .await?;
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: target.version(),
        server_side_encryption: told.algorithm,
        sse_customer_algorithm: told.customer_algorithm,
        sse_customer_key_md5: told.customer_md5,
        ..UploadPartCopyOutput::default()
    }))
}

/// `bytes=FIRST-LAST`: here both must be there.
fn parse_range(text: &str) -> Result<Range<u64>> {
    let numbers = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let range = numbers.and_then(|(first, last)| {
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < u64::MAX).then(|| first..last + 1)
    });
    range.ok_or_else(|| {
        range_refused(
            text,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy",
        )
    })
}

fn range_refused(range: &str, message: impl Into<Cow<'static, str>>) -> Error {
    let details = [("ArgumentName", "x-amz-copy-source-range"), ("ArgumentValue", range)];
    detailed(S3ErrorCode::InvalidArgument, message, &details)
}

fn within(range: Option<Range<u64>>, len: u64) -> Result<Range<u64>> {
    let whole = range.is_none();
    let range = range.unwrap_or(0..len);
    if range.start >= len && !whole {
        return Err(refuse(
            S3ErrorCode::InvalidRequest,
            "The specified copy range is invalid for the source object size",
        ));
    }
    if range.end > len {
        let said = format!("bytes={}-{}", range.start, range.end - 1);
        return Err(range_refused(
            &said,
            format!("Range specified is not valid for source object of size: {len}"),
        ));
    }
    if range.end - range.start > limits::OBJECT {
        return Err(source_too_large());
    }
    Ok(range)
}

/// What is answered; a checksum that nobody chose is not told.
fn result(
    etag: &str,
    algorithm: Algorithm,
    checksum: Option<&String>,
    at: model::Timestamp,
) -> CopyPartResult {
    let shown = |wanted: Algorithm| checksum.filter(|_| algorithm == wanted).cloned();
    CopyPartResult {
        checksum_crc32: shown(Algorithm::Crc32),
        checksum_crc32c: shown(Algorithm::Crc32c),
        checksum_crc64nvme: shown(Algorithm::Crc64Nvme),
        checksum_sha1: shown(Algorithm::Sha1),
        checksum_sha256: shown(Algorithm::Sha256),
        e_tag: Some(ETag::Strong(etag.to_owned())),
        last_modified: Some(Timestamp::from(at.to_date_time())),
    }
}
