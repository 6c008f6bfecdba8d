//! A request's body, decoded and held against what its headers claim, while it streams.
//!
//! Whoever reads the body sees it break off when something is wrong; why is in the [`Report`], and the answer is
//! made from that. A body that was read to its end without an error is what the client meant to send.

use super::checksum::{Algorithm, Digests, Hashers, hex};
use super::error::with_details;
use super::headers::{Claims, too_large};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use model::limits;
use s3s::{S3Error, S3ErrorCode};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use wire::aws_chunked::{AwsChunked, Error as ChunkedError};
use wire::body::BoxError;

/// What came of reading a body, shared by its reader and by the one that answers.
#[derive(Clone, Default)]
pub(super) struct Report(Arc<Mutex<Found>>);

#[derive(Default)]
struct Found {
    /// The largest document, where the body is one and no object.
    document: Option<u64>,
    /// A checksum that is wanted beside the request's own.
    wanted: Option<Algorithm>,
    digests: Option<Digests>,
    refusal: Option<S3Error>,
}

impl Report {
    /// The body is a document that will be held in memory: it may have so many bytes.
    pub(super) fn limit_document(&self, limit: u64) {
        self.lock().document = Some(limit);
    }

    /// Before the body is read: this checksum is to be computed, whatever the request claims.
    pub(super) fn compute(&self, algorithm: Algorithm) {
        self.lock().wanted = Some(algorithm);
    }

    /// The digests of a body that was read to its end and found right.
    pub(super) fn digests(&self) -> Option<Digests> {
        self.lock().digests.clone()
    }

    /// Why the body was refused.
    pub(super) fn take_refusal(&self) -> Option<S3Error> {
        self.lock().refusal.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a request, verified.
pub(super) struct Verified {
    source: Source,
    claims: Claims,
    report: Report,
    /// `None` when the end was reached.
    hashers: Option<Hashers>,
    started: bool,
    trailers: http::HeaderMap,
    len: u64,
}

enum Source {
    Plain(wire::Body),
    Chunked(AwsChunked<wire::Body>),
}

/// What the reader of a refused body sees.
#[derive(Debug, thiserror::Error)]
#[error("the body was refused")]
pub(super) struct Refused;

impl Verified {
    pub(super) fn new(body: wire::Body, claims: Claims, report: Report) -> Self {
        // S3 computes CRC64NVME when the client chose no checksum.
        let algorithm = claims.algorithm().unwrap_or(Algorithm::Crc64Nvme);
        let hashers = Hashers::new(algorithm, claims.sha256.is_some());
        let source = match claims.chunked {
            Some(length) => Source::Chunked(AwsChunked::new(body, length)),
            None => Source::Plain(body),
        };
        Verified {
            source,
            claims,
            report,
            hashers: Some(hashers),
            started: false,
            trailers: http::HeaderMap::new(),
            len: 0,
        }
    }

    fn poll_source(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, S3Error>>> {
        Poll::Ready(match &mut self.source {
            Source::Plain(body) => {
                ready!(Pin::new(body).poll_frame(context)).map(|frame| frame.map_err(|error| broken(&error)))
            }
            Source::Chunked(body) => {
                ready!(Pin::new(body).poll_frame(context)).map(|frame| frame.map_err(malformed))
            }
        })
    }

    fn take_in(&mut self, frame: Frame<Bytes>) -> Result<Option<Bytes>, S3Error> {
        match frame.into_data() {
            Ok(data) => {
                self.len += data.len() as u64;
                match self.report.lock().document {
                    Some(limit) if self.len > limit => {
                        return Err(S3ErrorCode::MaxMessageLengthExceeded.into());
                    }
                    None if self.len > limits::OBJECT => return Err(too_large()),
                    _ => {}
                }
                if let Some(hashers) = &mut self.hashers {
                    hashers.update(&data);
                }
                Ok(Some(data))
            }
            Err(frame) => {
                // Trailers of a plain body belong to the transport.
                if let (Ok(trailers), Source::Chunked(_)) = (frame.into_trailers(), &self.source) {
                    self.trailers = trailers;
                }
                Ok(None)
            }
        }
    }

    /// Holds the digests of all the bytes against the claims.
    fn check(&mut self) -> Result<(), S3Error> {
        let Some(hashers) = self.hashers.take() else { return Ok(()) };
        let digests = hashers.finish();
        if self.claims.sha256.is_some() && self.claims.sha256 != digests.sha256 {
            return Err(custom(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned(),
            ));
        }
        if let Some(md5) = self.claims.md5.filter(|md5| *md5 != digests.md5) {
            return Err(with_details(
                S3ErrorCode::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
                &[("ExpectedDigest", &hex(&md5)), ("CalculatedDigest", &STANDARD.encode(digests.md5))],
            ));
        }
        for name in self.trailers.keys() {
            let announced = self.claims.trailer.is_some_and(|algorithm| algorithm.header() == name);
            if !announced && name != "x-amz-trailer-signature" {
                return Err(malformed_trailer());
            }
        }
        let claimed = match (&self.claims.checksum, self.claims.trailer) {
            (Some((_, value)), _) => Some(value.clone()),
            (None, Some(algorithm)) => Some(self.trailing(algorithm)?),
            (None, None) => None,
        };
        if claimed.is_some_and(|claimed| claimed != digests.checksum) {
            let name = digests.algorithm.name();
            return Err(bad_digest(format!(
                "The {name} you specified did not match the calculated checksum."
            )));
        }
        self.report.lock().digests = Some(digests);
        Ok(())
    }

    fn trailing(&self, algorithm: Algorithm) -> Result<String, S3Error> {
        let name = algorithm.header();
        let value = self.trailers.get(name).and_then(|value| value.to_str().ok());
        match value {
            Some(value) if algorithm.accepts(value) => Ok(value.to_owned()),
            Some(_) => Err(S3Error::with_message(
                S3ErrorCode::InvalidRequest,
                format!("Value for {name} trailing header is invalid."),
            )),
            None => Err(malformed_trailer()),
        }
    }
}

impl http_body::Body for Verified {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.started, true)
            && let Some(wanted) = this.report.lock().wanted
            && let Some(hashers) = this.hashers.take()
        {
            this.hashers = Some(hashers.and(wanted));
        }
        loop {
            let step = match ready!(this.poll_source(context)) {
                Some(frame) => frame.and_then(|frame| this.take_in(frame)),
                None => match this.check() {
                    Ok(()) => return Poll::Ready(None),
                    Err(refusal) => Err(refusal),
                },
            };
            match step {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) => {}
                Err(refusal) => {
                    this.report.lock().refusal = Some(refusal);
                    return Poll::Ready(Some(Err(Refused.into())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        // The end is known only when the digests were compared.
        self.hashers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Plain(body) => body.size_hint(),
            Source::Chunked(body) => body.size_hint(),
        }
    }
}

fn broken(error: &BoxError) -> S3Error {
    S3Error::with_message(S3ErrorCode::IncompleteBody, format!("The body broke off: {error}."))
}

fn malformed(error: ChunkedError) -> S3Error {
    match error {
        ChunkedError::Broken(error) => broken(&error),
        ChunkedError::Trailer(_) => malformed_trailer(),
        ChunkedError::Incomplete | ChunkedError::Chunk(_) => {
            S3Error::with_message(S3ErrorCode::IncompleteBody, "The request body terminated unexpectedly")
        }
        ChunkedError::Small => {
            let mut error = custom(
                "InvalidChunkSizeError",
                "Only the last chunk is allowed to have a size less than 8192 bytes".to_owned(),
            );
            error.set_status_code(http::StatusCode::FORBIDDEN);
            error
        }
        ChunkedError::Length { .. } => S3Error::with_message(
            S3ErrorCode::IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        ),
    }
}

fn malformed_trailer() -> S3Error {
    custom(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our published schema."
            .to_owned(),
    )
}

/// A code of S3's that `s3s` has no word for.
fn custom(code: &str, message: String) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    error
}

fn bad_digest(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(S3ErrorCode::BadDigest, message)
}
