//! The part of an object that an answer holds: all of it, a range, or one part of a multipart upload.

use super::error::{Error, Result, add_details, refuse, with_details};
use crate::object::{Content, Object, for_each_piece};
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::dto::Range;
use s3s::{S3Error, S3ErrorCode};
use std::collections::BTreeMap;
use store::View;

/// The part of an object that an answer holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extent {
    pub(super) bytes: std::ops::Range<u64>,
    /// The header that says so; `None` for the whole object.
    pub(super) content_range: Option<String>,
    /// The part of a multipart upload, if one was asked for.
    pub(super) part: Option<Part>,
}

/// A part that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) checksums: Option<BTreeMap<String, String>>,
}

impl Extent {
    /// The part that a request names.
    pub(super) fn of(
        view: &View<'_>,
        object: &Object,
        range: Option<Range>,
        part: Option<i32>,
    ) -> Result<Self> {
        match (range, part) {
            (Some(_), Some(_)) => Err(refuse(
                S3ErrorCode::InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter",
            )),
            (None, None) => Ok(Extent { bytes: 0..object.len, content_range: None, part: None }),
            (None, Some(number)) => Extent::of_part(view, object, number),
            (Some(range), None) => {
                // An empty object has no last byte, whichever end a range counts from.
                let bytes = range.check(object.len).ok().filter(|bytes| !bytes.is_empty());
                Ok(Extent::within(bytes.ok_or_else(|| out_of_range(object.len))?, object.len, None))
            }
        }
    }

    fn within(bytes: std::ops::Range<u64>, len: u64, part: Option<Part>) -> Self {
        let content_range =
            (!bytes.is_empty()).then(|| format!("bytes {}-{}/{len}", bytes.start, bytes.end - 1));
        Extent { bytes, content_range, part }
    }

    fn of_part(view: &View<'_>, object: &Object, number: i32) -> Result<Self> {
        let number =
            u16::try_from(number).ok().filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
                refuse(
                    S3ErrorCode::InvalidArgument,
                    "Part number must be an integer between 1 and 10000, inclusive",
                )
            })?;
        let Content::Pieces(pieces) = &object.content else {
            if number != 1 {
                return Err(no_such_part(number, 1));
            }
            let part = Part { checksums: Some(object.checksums.clone()) };
            return Ok(Extent::within(0..object.len, object.len, Some(part)));
        };
        let mut found = None;
        for_each_piece::<Error>(view, *pieces, 0..u64::MAX, |_, piece| {
            if piece.number == number {
                found = Some(piece);
            }
            Ok(())
        })?;
        let piece = found.ok_or_else(|| no_such_part(number, object.parts))?;
        let algorithm = object.checksums.keys().next().cloned();
        let checksums = algorithm.zip(piece.checksum).map(|pair| BTreeMap::from([pair]));
        Ok(Extent::within(piece.start..piece.start + piece.len, object.len, Some(Part { checksums })))
    }
}

fn no_such_part(number: u16, parts: u32) -> Error {
    let mut answer = with_details(
        S3ErrorCode::Custom("InvalidPartNumber".into()),
        "The requested partnumber is not satisfiable",
        &[("ActualPartCount", &parts.to_string()), ("PartNumberRequested", &number.to_string())],
    );
    answer.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
    Error::Refused(answer)
}

fn out_of_range(len: u64) -> Error {
    let mut answer =
        S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable");
    let mut headers: HeaderMap<HeaderValue> = HeaderMap::new();
    let pairs: [(HeaderName, String); 2] =
        [(CONTENT_TYPE, "application/xml".to_owned()), (CONTENT_RANGE, format!("bytes */{len}"))];
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    add_details(&mut headers, &[("ActualObjectSize", &len.to_string())]);
    answer.set_headers(headers);
    Error::Refused(answer)
}
