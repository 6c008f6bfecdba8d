//! `ListParts`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>

use super::State;
use super::error::{Error, Result, refuse};
use super::grants::owner;
use super::listing::PAGE;
use super::parameters::check_query;
use super::request::Context;
use super::upload::{PARTS, Part as Stored, Upload, find, number_of, part_key};
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, ETag, Initiator, ListPartsInput, ListPartsOutput, Part, StorageClass,
    Timestamp,
};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::kv::From as Start;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<ListPartsInput>,
) -> Result<S3Response<ListPartsOutput>> {
    check_query(&request.uri, &["uploadId", "max-parts", "part-number-marker", "encoding-type"])?;
    let input = request.input;
    let limit = match input.max_parts {
        None => PAGE,
        Some(limit) => usize::try_from(limit).map(|limit| limit.min(PAGE)).map_err(|_| {
            refuse(
                S3ErrorCode::InvalidArgument,
                "Argument max-parts must be an integer between 0 and 2147483647",
            )
        })?,
    };
    let after = u16::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(u16::MAX);
    let (upload, mut parts) = state.store.read(|view| {
        let (id, upload) = find(view, &input.bucket, &input.key, &input.upload_id)?;
        let start = part_key(id, after);
        Ok::<_, Error>((upload, view.scan(&PARTS, id.as_bytes(), Start::After(&start), limit + 1)?))
    })?;
    let more = parts.len() > limit;
    parts.truncate(limit);
    let last = parts.last().map_or(0, |(place, _)| number_of(place));
    let kind = if upload.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    let storage_class = upload.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned());
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: upload.explicit.then(|| ChecksumAlgorithm::from(upload.algorithm.clone())),
        checksum_type: upload.explicit.then(|| ChecksumType::from_static(kind)),
        initiator: Some(Initiator { display_name: None, id: Some(upload.owner().to_owned()) }),
        is_truncated: Some(more),
        key: Some(input.key),
        max_parts: i32::try_from(limit).ok(),
        next_part_number_marker: Some(i32::from(last)),
        owner: Some(owner(upload.owner())),
        part_number_marker: Some(i32::from(after)),
        parts: Some(parts.into_iter().map(|(place, part)| shown(&upload, number_of(&place), part)).collect()),
        storage_class: Some(StorageClass::from(storage_class)),
        upload_id: Some(input.upload_id),
        ..ListPartsOutput::default()
    }))
}

fn shown(upload: &Upload, number: u16, part: Stored) -> Part {
    // What nobody chose is not told.
    let checksum = |name: &str| (upload.explicit && upload.algorithm == name).then(|| part.checksum.clone());
    Part {
        checksum_crc32: checksum("CRC32"),
        checksum_crc32c: checksum("CRC32C"),
        checksum_crc64nvme: checksum("CRC64NVME"),
        checksum_sha1: checksum("SHA1"),
        checksum_sha256: checksum("SHA256"),
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(Timestamp::from(part.modified.to_date_time())),
        part_number: Some(i32::from(number)),
        size: i64::try_from(part.len).ok(),
    }
}
