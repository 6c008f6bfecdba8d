//! `CompleteMultipartUpload`: the parts become the object's pieces, where they lie.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>

use super::State;
use super::bucket::existing;
use super::change::{Unlinked, put};
use super::checksum::{Algorithm, hex};
use super::conditions::WriteConditions;
use super::error::{Error, Result, detailed, refuse};
use super::event::{Kind, Origin};
use super::parameters::check_query;
use super::request::Context;
use super::sse;
use super::upload::{
    COMPLETED, Completed, HIGHEST, LEAST, PARTS, Part, UPLOADS, Upload, forget, no_such_upload, part_key,
    read_id, upload_key,
};
use crate::object::{Content, OBJECTS, Object, PIECES, Piece, object_key, piece_key};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, ETag,
};
use s3s::{S3ErrorCode, S3Request, S3Response};
use std::collections::BTreeMap;
use store::Tx;
use uuid::Uuid;

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<CompleteMultipartUploadInput>,
) -> Result<S3Response<CompleteMultipartUploadOutput>> {
    check_query(&request.uri, &["uploadId"])?;
    let input = request.input;
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let completion = Completion {
        id: read_id(&input.upload_id).ok_or_else(no_such_upload)?,
        parts: listed(input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref()))?,
        size: input.mpu_object_size.map(size).transpose()?,
        kind: match input.checksum_type.as_ref().map(ChecksumType::as_str) {
            None => None,
            Some(ChecksumType::COMPOSITE) => Some(true),
            Some(ChecksumType::FULL_OBJECT) => Some(false),
            Some(_) => return Err(request_refused("Value for x-amz-checksum-type header is invalid.")),
        },
        checksum: claimed([
            (Algorithm::Crc32, input.checksum_crc32),
            (Algorithm::Crc32c, input.checksum_crc32c),
            (Algorithm::Crc64Nvme, input.checksum_crc64nvme),
            (Algorithm::Sha1, input.checksum_sha1),
            (Algorithm::Sha256, input.checksum_sha256),
        ])?,
        conditions: WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match },
        origin: Origin::of(context, &state.region),
        bucket: input.bucket,
        key: input.key,
    };
    let completed = state.change(None, move |tx| completion.run(tx)).await?;
    let host = request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    Ok(S3Response::new(answer(completed, host, bucket, key)))
}

fn answer(completed: Completed, host: &str, bucket: String, key: String) -> CompleteMultipartUploadOutput {
    let checksum = |name: &str| completed.checksums.get(name).cloned();
    let kind = if completed.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    let told = sse::told(Some(&completed.encryption));
    let path = super::encoding::encode_key(&key).replace('+', "%20");
    CompleteMultipartUploadOutput {
        checksum_crc32: checksum("CRC32"),
        checksum_crc32c: checksum("CRC32C"),
        checksum_crc64nvme: checksum("CRC64NVME"),
        checksum_sha1: checksum("SHA1"),
        checksum_sha256: checksum("SHA256"),
        checksum_type: Some(ChecksumType::from_static(kind)),
        e_tag: Some(ETag::Strong(completed.etag)),
        location: Some(format!("http://{host}/{bucket}/{path}")),
        bucket: Some(bucket),
        key: Some(key),
        server_side_encryption: told.algorithm,
        expiration: completed.expiration,
        version_id: completed.version,
        ..CompleteMultipartUploadOutput::default()
    }
}

fn size(size: i64) -> Result<u64> {
    u64::try_from(size).map_err(|_| {
        request_refused(format!("Value for x-amz-mp-object-size header is less than zero: '{size}'"))
    })
}

/// The checksum that a request says the object has: one at the most, alone or with the number of parts behind it.
fn claimed(all: [(Algorithm, Option<String>); 5]) -> Result<Option<(Algorithm, String)>> {
    let mut claimed = None;
    for (algorithm, value) in all.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?))) {
        let (digest, parts) =
            value.split_once('-').map_or((value.as_str(), None), |(digest, parts)| (digest, Some(parts)));
        if !algorithm.accepts(digest) || parts.is_some_and(|parts| parts.parse::<u16>().is_err()) {
            return Err(request_refused(format!("Value for {} header is invalid.", algorithm.header())));
        }
        if claimed.replace((algorithm, value)).is_some() {
            return Err(request_refused(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
    }
    Ok(claimed)
}

/// The checksum that a request says a part has.
fn said_of(part: &CompletedPart) -> Result<Option<(Algorithm, &str)>> {
    let all = [
        (Algorithm::Crc32, &part.checksum_crc32),
        (Algorithm::Crc32c, &part.checksum_crc32c),
        (Algorithm::Crc64Nvme, &part.checksum_crc64nvme),
        (Algorithm::Sha1, &part.checksum_sha1),
        (Algorithm::Sha256, &part.checksum_sha256),
    ];
    let mut all = all.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value.as_deref()?)));
    let said = all.next();
    if all.next().is_some() || said.is_some_and(|(algorithm, value)| !algorithm.accepts(value)) {
        return Err(refuse(
            S3ErrorCode::InvalidArgument,
            "Invalid Base64 or multiple checksums present in request",
        ));
    }
    Ok(said)
}

fn request_refused(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    refuse(S3ErrorCode::InvalidRequest, message)
}

/// The parts that a request lists: numbers in order, each once.
fn listed(parts: Option<&[CompletedPart]>) -> Result<Vec<(u16, CompletedPart)>> {
    let malformed = || {
        refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let parts = parts.filter(|parts| !parts.is_empty()).ok_or_else(malformed)?;
    if parts.len() > usize::from(HIGHEST) {
        return Err(malformed());
    }
    let mut listed: Vec<(u16, CompletedPart)> = Vec::with_capacity(parts.len());
    for part in parts {
        let number = part.part_number.ok_or_else(malformed)?;
        if part.e_tag.is_none() {
            return Err(malformed());
        }
        let number = super::upload::number(number)?;
        if listed.last().is_some_and(|(last, _)| *last >= number) {
            return Err(refuse(
                S3ErrorCode::InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number.",
            ));
        }
        listed.push((number, part.clone()));
    }
    Ok(listed)
}

struct Completion {
    bucket: String,
    key: String,
    id: Uuid,
    parts: Vec<(u16, CompletedPart)>,
    size: Option<u64>,
    kind: Option<bool>,
    checksum: Option<(Algorithm, String)>,
    conditions: WriteConditions,
    origin: Origin,
}

impl Completion {
    fn run(self, tx: &Tx<'_>) -> Result<(Completed, Unlinked)> {
        existing(tx, &self.bucket)?;
        let place = upload_key(&self.bucket, &self.key, self.id);
        let Some(upload) = tx.get(&UPLOADS, &place)? else {
            return self.again(tx, &place).map(|completed| (completed, Unlinked::new()));
        };
        let parts = self.find_parts(tx)?;
        let algorithm = upload.algorithm()?;
        let checksum = self.checksum(&upload, algorithm, &parts)?;
        let present = tx.get(&OBJECTS, object_key(&self.bucket, &self.key))?;
        self.conditions.check_completion(present.as_ref(), upload.initiated, upload.existed)?;
        let mut object = self.gather(tx, &parts)?;
        if self.size.is_some_and(|size| size != object.len) {
            return Err(refuse(
                S3ErrorCode::InvalidRequest,
                "The provided 'x-amz-mp-object-size' header value does not match what was computed.",
            ));
        }
        object.checksums = BTreeMap::from([(algorithm.name().to_owned(), checksum)]);
        let encryption = upload.encryption.clone();
        upload.put_on(&mut object);
        let mut unlinked = forget(tx, &self.bucket, &self.key, self.id)?;
        let at = (self.bucket.as_str(), self.key.as_str());
        let (put, replaced) = put(tx, &self.origin, at, object, &self.conditions, Kind::Completed)?;
        unlinked.extend(replaced);
        let completed = Completed {
            at: tx.now(),
            etag: put.object.etag,
            version: put.version,
            expiration: put.expiration,
            checksums: put.object.checksums,
            composite: put.object.composite,
            encryption,
        };
        tx.put(&COMPLETED, &place, &completed)?;
        Ok((completed, unlinked))
    }

    /// The answer to a completion that was sent before.
    fn again(&self, tx: &Tx<'_>, place: &[u8]) -> Result<Completed> {
        let completed = tx.get(&COMPLETED, place)?.ok_or_else(no_such_upload)?;
        let etags = self.parts.iter().map(|(_, part)| part.e_tag.as_ref().map_or("", ETag::value));
        if etag_of(etags) != completed.etag {
            return Err(no_such_upload());
        }
        Ok(completed)
    }

    /// The parts that are listed, each as it was uploaded.
    fn find_parts(&self, tx: &Tx<'_>) -> Result<Vec<(u16, Part)>> {
        let mut found: Vec<(u16, Part)> = Vec::with_capacity(self.parts.len());
        for (number, listed) in &self.parts {
            let part = tx.get(&PARTS, part_key(self.id, *number))?;
            let part = part.filter(|part| {
                listed.e_tag.as_ref().is_some_and(|etag| etag.value().trim_matches('"') == part.etag)
            });
            found.push((*number, part.ok_or_else(|| invalid_part(*number, listed))?));
        }
        let before_last = found.len().saturating_sub(1);
        for (number, part) in &found[..before_last] {
            if part.len < LEAST {
                return Err(too_small(*number, part));
            }
        }
        Ok(found)
    }

    /// The object's checksum, held against all that the request says of it.
    fn checksum(&self, upload: &Upload, algorithm: Algorithm, parts: &[(u16, Part)]) -> Result<String> {
        for ((number, listed), (_, part)) in self.parts.iter().zip(parts) {
            match said_of(listed)? {
                Some((said, value)) if said == algorithm && value != part.checksum => {
                    return Err(invalid_part(*number, listed));
                }
                Some((said, _)) if said != algorithm && upload.explicit => {
                    return Err(refuse(
                        S3ErrorCode::BadDigest,
                        format!(
                            "The {} you specified for part {number} did not match what we received.",
                            said.lower_name()
                        ),
                    ));
                }
                None if upload.composite => {
                    return Err(request_refused(format!(
                        "The upload was created using a {} checksum. The complete request must include the checksum for \
                         each part. It was missing for part {number} in the request.",
                        algorithm.lower_name()
                    )));
                }
                _ => {}
            }
        }
        if self.kind.is_some_and(|composite| composite != upload.composite) {
            let kind = match (upload.explicit, upload.composite) {
                (false, _) => "null",
                (true, true) => "COMPOSITE",
                (true, false) => "FULL_OBJECT",
            };
            return Err(request_refused(format!(
                "The upload was created using the {kind} checksum mode. The complete request must use the same checksum \
                 mode."
            )));
        }
        let broken = Error::Broken("the checksums of parts cannot be combined");
        let checksum = if upload.composite {
            algorithm.of_parts(parts.iter().map(|(_, part)| part.checksum.as_str())).ok_or(broken)?
        } else {
            let mut parts = parts.iter().map(|(_, part)| part);
            let first = parts.next().map(|part| part.checksum.clone());
            let combine = |whole: String, part: &Part| algorithm.combine(&whole, &part.checksum, part.len);
            first.and_then(|first| parts.try_fold(first, combine)).ok_or(broken)?
        };
        if let Some((claimed, value)) = &self.checksum {
            let plain = checksum.split('-').next().unwrap_or_default();
            let other = *claimed != algorithm;
            if other && upload.explicit || !other && *value != checksum && *value != plain {
                let name = algorithm.lower_name();
                return Err(refuse(
                    S3ErrorCode::BadDigest,
                    format!("The {name} you specified did not match the calculated checksum."),
                ));
            }
        }
        Ok(checksum)
    }

    /// Makes the parts the pieces of an object.
    fn gather(&self, tx: &Tx<'_>, parts: &[(u16, Part)]) -> Result<Object> {
        let mut start = 0;
        for (number, part) in parts {
            let piece = Piece {
                number: *number,
                start,
                len: part.len,
                content: part.content.clone(),
                checksum: Some(part.checksum.clone()),
            };
            start += part.len;
            tx.put(&PIECES, piece_key(self.id, start), &piece)?;
            tx.delete(&PARTS, part_key(self.id, *number))?;
        }
        let mut object = Object::new(Content::Pieces(self.id), start, tx.now());
        object.etag = etag_of(parts.iter().map(|(_, part)| part.etag.as_str()));
        object.parts = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        Ok(object)
    }
}

/// The ETag of an object whose parts have these.
fn etag_of<'a>(etags: impl Iterator<Item = &'a str>) -> String {
    let mut md5 = Md5::new();
    let mut count = 0;
    for etag in etags {
        let digest = etag.trim_matches('"');
        let bytes: Vec<u8> = (0..digest.len())
            .step_by(2)
            .filter_map(|at| u8::from_str_radix(digest.get(at..at + 2)?, 16).ok())
            .collect();
        md5.update(&bytes);
        count += 1;
    }
    format!("{}-{count}", hex(&md5.finalize()))
}

fn invalid_part(number: u16, listed: &CompletedPart) -> Error {
    let etag = listed.e_tag.as_ref().map_or("", ETag::value).trim_matches('"');
    detailed(
        S3ErrorCode::InvalidPart,
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified \
         entity tag may not match the part's entity tag.",
        &[("ETag", etag), ("PartNumber", &number.to_string())],
    )
}

fn too_small(number: u16, part: &Part) -> Error {
    detailed(
        S3ErrorCode::EntityTooSmall,
        "Your proposed upload is smaller than the minimum allowed size",
        &[
            ("ETag", &part.etag),
            ("MinSizeAllowed", &LEAST.to_string()),
            ("PartNumber", &number.to_string()),
            ("ProposedSize", &part.len.to_string()),
        ],
    )
}
