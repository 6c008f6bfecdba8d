//! Bodies: read within bounds, and error documents made of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use model::FunctionError;
use model::limits::MB;

/// How much of a body that nobody wants is read, so that its sender gets to read the reply, in bytes.
const DISCARDED: usize = 16 * MB;

/// The header, or trailer, that names an error's type.
pub(super) const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// The trailer with an error document, in base64.
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// Why a body is not there.
#[derive(Debug)]
pub(super) enum Missing {
    /// It is longer than it may be.
    TooLarge,
    /// It ended early or is not well-formed.
    Truncated,
}

/// Reads a body of at most `most` bytes, and its trailers.
pub(super) async fn read(body: &mut Incoming, most: usize) -> Result<(Bytes, HeaderMap), Missing> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most {
        return Err(Missing::TooLarge);
    }
    let (mut whole, mut trailers) = (BytesMut::with_capacity(announced), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| Missing::Truncated)?.into_data() {
            Ok(data) if whole.len() + data.len() > most => return Err(Missing::TooLarge),
            Ok(data) => whole.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok((whole.freeze(), trailers))
}

/// Reads what is left of a body and forgets it.
pub(super) async fn discard(body: &mut Incoming) {
    let mut left = DISCARDED;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length > left {
            return;
        }
        left -= length;
    }
}

/// The error document of a request: its body, and where that lacks a type, the one of the header. What is no JSON
/// object is the message.
pub(super) fn document(body: &[u8], headers: &HeaderMap) -> Bytes {
    let kind = headers.get(ERROR_TYPE).and_then(|kind| kind.to_str().ok()).filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or("Runtime.Unknown");
    match FunctionError::read(body) {
        Some(error) if error.error_type.is_empty() => FunctionError { error_type: kind.to_owned(), ..error },
        Some(error) => error,
        None => FunctionError::of(kind, String::from_utf8_lossy(body).into_owned()),
    }
    .document()
}

/// The error document in the trailers of a stream that broke off.
pub(super) fn broke_off(trailers: &HeaderMap) -> Option<Bytes> {
    if !trailers.contains_key(ERROR_TYPE) && !trailers.contains_key(ERROR_BODY) {
        return None;
    }
    let body = trailers.get(ERROR_BODY).and_then(|body| STANDARD.decode(body.as_bytes()).ok());
    Some(document(&body.unwrap_or_default(), trailers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_type_of_its_document_or_of_its_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(document(b"oh\xff", &headers), r#"{"errorMessage":"oh�","errorType":"Runtime.Unknown"}"#);
        headers.insert(ERROR_TYPE, "Runtime.Odd".parse().unwrap());
        let whole: &[u8] = br#"{"errorMessage":"no","errorType":"E","trace":[1]}"#;
        for (body, expected) in [
            (whole, std::str::from_utf8(whole).unwrap()),
            (br#"{"errorMessage":"no"}"#, r#"{"errorMessage":"no","errorType":"Runtime.Odd"}"#),
            (b"", r#"{"errorMessage":"","errorType":"Runtime.Odd"}"#),
            (b"[1]", r#"{"errorMessage":"[1]","errorType":"Runtime.Odd"}"#),
        ] {
            assert_eq!(document(body, &headers), expected);
        }
    }

    #[test]
    fn a_stream_that_broke_off_has_its_error_in_its_trailers() {
        let mut trailers = HeaderMap::new();
        assert_eq!(broke_off(&trailers), None);
        trailers.insert(ERROR_TYPE, "Function.Broke".parse().unwrap());
        assert_eq!(broke_off(&trailers).unwrap(), r#"{"errorMessage":"","errorType":"Function.Broke"}"#);
        trailers.insert(ERROR_BODY, STANDARD.encode(r#"{"errorMessage":"half"}"#).parse().unwrap());
        assert_eq!(broke_off(&trailers).unwrap(), r#"{"errorMessage":"half","errorType":"Function.Broke"}"#);
    }
}
