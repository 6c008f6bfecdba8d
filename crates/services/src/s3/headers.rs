//! What a request's headers claim about its body: its encoding, its length and its digests.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>

use super::checksum::Algorithm;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use model::limits;
use s3s::{S3Error, S3ErrorCode, S3Result};

const CONTENT_SHA256: &str = "x-amz-content-sha256";
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";
const TRAILER: &str = "x-amz-trailer";
const SDK_ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";

/// What is said about a body, to be held against its bytes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Claims {
    /// The body is `aws-chunked` and holds so many bytes.
    pub(super) chunked: Option<u64>,
    /// SHA-256 in lower-case hexadecimal.
    pub(super) sha256: Option<String>,
    pub(super) md5: Option<[u8; 16]>,
    pub(super) checksum: Option<(Algorithm, String)>,
    /// The checksum that comes behind the body.
    pub(super) trailer: Option<Algorithm>,
}

impl Claims {
    /// Takes the claims out of `headers` and leaves there what describes the decoded body.
    pub(super) fn take(headers: &mut HeaderMap) -> S3Result<Self> {
        Claims::take_some(headers, true)
    }

    /// The same of a request whose checksums, if any, are not of its body: those stay where they are.
    pub(super) fn take_without_checksums(headers: &mut HeaderMap) -> S3Result<Self> {
        Claims::take_some(headers, false)
    }

    fn take_some(headers: &mut HeaderMap, checksums: bool) -> S3Result<Self> {
        let mut claims = Claims::default();
        let encodings = text(headers, CONTENT_ENCODING.as_str())?.unwrap_or_default();
        let mut chunked = encodings.split(',').any(|part| part.trim().eq_ignore_ascii_case("aws-chunked"));
        match remove(headers, CONTENT_SHA256)? {
            None => {}
            Some(kind) if kind == "UNSIGNED-PAYLOAD" => {}
            Some(kind) if kind.starts_with("STREAMING-") => chunked = true,
            Some(hex) if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                claims.sha256 = Some(hex.to_ascii_lowercase());
            }
            Some(_) => {
                return Err(invalid(
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                     STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, \
                     STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a \
                     valid sha256 value.",
                ));
            }
        }
        if let Some(md5) = remove(headers, "content-md5")? {
            let bytes = STANDARD.decode(md5).ok().and_then(|bytes| bytes.try_into().ok());
            claims.md5 = Some(bytes.ok_or_else(|| {
                error(S3ErrorCode::InvalidDigest, "The Content-MD5 you specified was invalid.")
            })?);
        }
        if checksums {
            claims.take_checksums(headers)?;
        } else {
            headers.remove(SDK_ALGORITHM);
        }
        let decoded = remove(headers, DECODED_LENGTH)?;
        if chunked {
            let length = decoded.as_deref().ok_or_else(|| {
                error(
                    S3ErrorCode::MissingContentLength,
                    "An aws-chunked body needs x-amz-decoded-content-length.",
                )
            })?;
            let length =
                length.parse().map_err(|_| invalid("x-amz-decoded-content-length must be a number."))?;
            claims.chunked = Some(length);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            leave_encodings(headers, &encodings)?;
        }
        if claims.chunked.or(length(headers)).is_some_and(|length| length > limits::OBJECT) {
            return Err(too_large());
        }
        Ok(claims)
    }

    fn take_checksums(&mut self, headers: &mut HeaderMap) -> S3Result<()> {
        for algorithm in Algorithm::ALL {
            let Some(value) = remove(headers, algorithm.header())? else { continue };
            if !algorithm.accepts(&value) {
                return Err(request(format!("Value for {} header is invalid.", algorithm.header())));
            }
            if self.checksum.replace((algorithm, value)).is_some() {
                return Err(request(
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
                ));
            }
        }
        if let Some(name) = remove(headers, TRAILER)? {
            let algorithm = Algorithm::of_header(&name).ok_or_else(|| {
                request(format!(
                    "The value {name} of x-amz-trailer is not supported: it names a checksum header."
                ))
            })?;
            if self.checksum.is_some() {
                return Err(request("A checksum comes as a header or as a trailer, not as both."));
            }
            self.trailer = Some(algorithm);
        }
        if let Some(name) = remove(headers, SDK_ALGORITHM)? {
            let said = Algorithm::of_name(&name)
                .ok_or_else(|| request(format!("Checksum algorithm provided is unsupported: {name}.")))?;
            match self.algorithm() {
                None => {
                    return Err(request(
                        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
                         x-amz-trailer headers were found.",
                    ));
                }
                Some(found) if found != said => {
                    return Err(request("Value for x-amz-sdk-checksum-algorithm header is invalid."));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The checksum that the request chose.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm).or(self.trailer)
    }
}

fn leave_encodings(headers: &mut HeaderMap, encodings: &str) -> S3Result<()> {
    let left: Vec<&str> = encodings
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty() && !part.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    if left.is_empty() {
        headers.remove(CONTENT_ENCODING);
        return Ok(());
    }
    let left =
        HeaderValue::from_str(&left.join(",")).map_err(|_| invalid("Content-Encoding is not text."))?;
    headers.insert(CONTENT_ENCODING, left);
    Ok(())
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn text(headers: &HeaderMap, name: &str) -> S3Result<Option<String>> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let mut whole = String::new();
    for value in std::iter::once(first).chain(values) {
        let value = value.to_str().map_err(|_| invalid(format!("The header {name} is not plain text.")))?;
        if !whole.is_empty() {
            whole.push(',');
        }
        whole.push_str(value.trim());
    }
    Ok(Some(whole))
}

fn remove(headers: &mut HeaderMap, name: &str) -> S3Result<Option<String>> {
    let value = text(headers, name)?;
    headers.remove(name);
    Ok(value)
}

/// The error for a body longer than an object may be.
pub(super) fn too_large() -> S3Error {
    error(S3ErrorCode::EntityTooLarge, "Your proposed upload exceeds the maximum allowed size of 5 GB.")
}

fn error(code: S3ErrorCode, message: impl Into<String>) -> S3Error {
    S3Error::with_message(code, message.into())
}

fn invalid(message: impl Into<String>) -> S3Error {
    error(S3ErrorCode::InvalidArgument, message)
}

fn request(message: impl Into<String>) -> S3Error {
    error(S3ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn claims_are_taken_and_the_decoded_body_is_described() {
        let mut headers = headers(&[
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ("x-amz-decoded-content-length", "5"),
            ("content-length", "60"),
            ("content-encoding", "aws-chunked, gzip"),
        ]);
        let claims = Claims::take(&mut headers).unwrap();
        assert_eq!(claims, Claims { chunked: Some(5), trailer: Some(Algorithm::Crc32), ..Claims::default() });
        assert_eq!(headers["content-length"], "5");
        assert_eq!(headers["content-encoding"], "gzip");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn claims_that_cannot_be_read_are_refused() {
        for (name, value, code) in [
            ("x-amz-content-sha256", "abc", "InvalidArgument"),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "MissingContentLength"),
            ("content-encoding", "aws-chunked", "MissingContentLength"),
            ("content-md5", "abc", "InvalidDigest"),
            ("content-md5", "AAAA", "InvalidDigest"),
            ("x-amz-checksum-crc32", "AAAA", "InvalidRequest"),
            ("x-amz-trailer", "x-amz-other", "InvalidRequest"),
            ("x-amz-sdk-checksum-algorithm", "CRC32", "InvalidRequest"),
            ("x-amz-sdk-checksum-algorithm", "CRC16", "InvalidRequest"),
            ("content-length", "5368709121", "EntityTooLarge"),
        ] {
            let error = Claims::take(&mut headers(&[(name, value)])).unwrap_err();
            assert_eq!(error.code().as_str(), code, "{name}: {value}");
        }
        let two = [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")];
        assert!(Claims::take(&mut headers(&two)).is_err());
        let other = [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-sdk-checksum-algorithm", "SHA1")];
        assert!(Claims::take(&mut headers(&other)).is_err());
    }
}
