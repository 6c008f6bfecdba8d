//! `GetObjectAttributes`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html>

use super::State;
use super::error::{Error, Result, refuse};
use super::find::{self, Target};
use super::listing::PAGE;
use super::request::Context;
use super::sse;
use crate::object::{Content, Piece, for_each_piece};
use s3s::dto::{
    Checksum, ChecksumType, ETag, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectAttributesParts, ObjectAttributes, ObjectPart, StorageClass, Timestamp,
};
use s3s::{S3ErrorCode, S3Request, S3Response};

const KNOWN: &[&str] = &[
    ObjectAttributes::CHECKSUM,
    ObjectAttributes::ETAG,
    ObjectAttributes::OBJECT_PARTS,
    ObjectAttributes::OBJECT_SIZE,
    ObjectAttributes::STORAGE_CLASS,
];

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<GetObjectAttributesInput>,
) -> Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    let names: Vec<&str> = input
        .object_attributes
        .iter()
        .flat_map(|names| names.as_str().split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        return Err(refuse(
            S3ErrorCode::InvalidRequest,
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ));
    }
    if names.iter().any(|name| !KNOWN.contains(name)) {
        return Err(refuse(S3ErrorCode::InvalidArgument, "Invalid attribute name specified."));
    }
    let wants = |name: &str| names.contains(&name);
    let customer = sse::customer(&request.headers)?;
    let most = input.max_parts.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).min(PAGE);
    let after = input.part_number_marker.unwrap_or(0);
    let (target, pieces) = state.store.read(|view| {
        let target = find::object(view, &input.bucket, &input.key, input.version_id.as_deref())?;
        let mut pieces = Vec::new();
        if let (true, Content::Pieces(id)) = (wants(ObjectAttributes::OBJECT_PARTS), &target.object.content) {
            for_each_piece::<Error>(view, *id, 0..u64::MAX, |_, piece| {
                if i32::from(piece.number) > after && pieces.len() <= most {
                    pieces.push(piece);
                }
                Ok(())
            })?;
        }
        Ok::<_, Error>((target, pieces))
    })?;
    sse::check_read(&target.object, customer.as_ref())?;
    let version_id = target.version();
    let object = &target.object;
    // Without the number of parts behind it.
    let checksum = |name: &str| {
        let value = object.checksums.get(name)?;
        Some(value.split('-').next().unwrap_or_default().to_owned())
    };
    let kind = if object.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    let class = object.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned());
    Ok(S3Response::new(GetObjectAttributesOutput {
        checksum: (wants(ObjectAttributes::CHECKSUM) && !object.checksums.is_empty()).then(|| Checksum {
            checksum_crc32: checksum("CRC32"),
            checksum_crc32c: checksum("CRC32C"),
            checksum_crc64nvme: checksum("CRC64NVME"),
            checksum_sha1: checksum("SHA1"),
            checksum_sha256: checksum("SHA256"),
            checksum_type: Some(ChecksumType::from_static(kind)),
        }),
        delete_marker: None,
        e_tag: wants(ObjectAttributes::ETAG).then(|| ETag::Strong(object.etag.clone())),
        last_modified: Some(Timestamp::from(object.last_modified.to_date_time())),
        object_parts: (wants(ObjectAttributes::OBJECT_PARTS) && object.parts > 0)
            .then(|| parts(&target, pieces, most, after)),
        object_size: i64::try_from(object.len).ok().filter(|_| wants(ObjectAttributes::OBJECT_SIZE)),
        request_charged: None,
        storage_class: wants(ObjectAttributes::STORAGE_CLASS).then(|| StorageClass::from(class)),
        version_id,
    }))
}

fn parts(target: &Target, mut pieces: Vec<Piece>, most: usize, after: i32) -> GetObjectAttributesParts {
    let total_parts_count = i32::try_from(target.object.parts).ok();
    // Parts are told with their checksums, where the object's is made of those.
    if !target.object.composite {
        return GetObjectAttributesParts { total_parts_count, ..GetObjectAttributesParts::default() };
    }
    let more = pieces.len() > most;
    pieces.truncate(most);
    let object = &target.object;
    let last = pieces.last().map(|piece| i32::from(piece.number));
    let shown = pieces.into_iter().map(|piece| {
        let checksum = |name: &str| piece.checksum.clone().filter(|_| object.checksums.contains_key(name));
        ObjectPart {
            checksum_crc32: checksum("CRC32"),
            checksum_crc32c: checksum("CRC32C"),
            checksum_crc64nvme: checksum("CRC64NVME"),
            checksum_sha1: checksum("SHA1"),
            checksum_sha256: checksum("SHA256"),
            part_number: Some(i32::from(piece.number)),
            size: i64::try_from(piece.len).ok(),
        }
    });
    GetObjectAttributesParts {
        is_truncated: Some(more),
        max_parts: i32::try_from(most).ok(),
        next_part_number_marker: Some(last.unwrap_or(0)),
        part_number_marker: Some(after),
        parts: Some(shown.collect()),
        total_parts_count,
    }
}
