//! The `aws-chunked` content encoding: S3's way to send a body in chunks with signatures and trailing checksums.
//!
//! ```text
//! 5;chunk-signature=0123...\r\n      the size in hexadecimal; the signature only in signed forms
//! hello\r\n
//! 0\r\n                              the last chunk
//! x-amz-checksum-crc32:NhCmhg==\r\n  trailers, if any
//! \r\n
//! ```
//!
//! Chunk signatures are read over and not verified, as no signature is while the server listens on loopback.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use crate::body::BoxError;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The least size of a chunk that others follow.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
const LEAST: u64 = 8 * 1024;

/// The longest line in front of a chunk: a size and a signature.
const CHUNK_HEAD: usize = 256;

/// The most bytes of trailers.
const TRAILERS: usize = 8 * 1024;

/// Why an `aws-chunked` body cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body below broke off.
    #[error("the body broke off: {0}")]
    Broken(#[source] BoxError),
    /// The body ended before its last chunk.
    #[error("the body ended before its last chunk")]
    Incomplete,
    /// What stands in front of or behind a chunk's bytes is not of the format.
    #[error("a chunk is malformed: {0}")]
    Chunk(&'static str),
    /// A chunk that is not the last is smaller than it may be.
    #[error("only the last chunk may have less than {LEAST} bytes")]
    Small,
    /// What follows the last chunk is not of the format.
    #[error("the trailers are malformed: {0}")]
    Trailer(&'static str),
    /// The chunks hold another number of bytes than the request said.
    #[error("the chunks do not hold the {expected} bytes that x-amz-decoded-content-length says")]
    Length {
        /// What the request said.
        expected: u64,
    },
}

/// A body that decodes the `aws-chunked` body `B`: its chunks' bytes, then its trailers.
#[derive(Debug)]
pub struct AwsChunked<B> {
    inner: B,
    waiting: BytesMut,
    ended: bool,
    state: State,
    expected: u64,
    decoded: u64,
    /// The chunk before was smaller than one may be that others follow.
    small: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// A chunk's head comes next.
    Head,
    /// So many bytes of a chunk are still to come.
    Data(u64),
    /// The end of the line behind a chunk's bytes comes next.
    AfterData,
    /// The rest of the body is trailers.
    Trailers,
    Done,
}

/// What could be made of the bytes at hand.
enum Step {
    Frame(Frame<Bytes>),
    NeedMore,
    End,
}

impl<B> AwsChunked<B> {
    /// Decodes `inner`, which holds `decoded_length` bytes in its chunks.
    pub fn new(inner: B, decoded_length: u64) -> Self {
        AwsChunked {
            inner,
            waiting: BytesMut::new(),
            ended: false,
            state: State::Head,
            expected: decoded_length,
            decoded: 0,
            small: false,
        }
    }

    fn step(&mut self) -> Result<Step, Error> {
        loop {
            match self.state {
                State::Head => {
                    let Some(line) = self.take_line(CHUNK_HEAD)? else { return self.need_more() };
                    match chunk_size(&line)? {
                        0 if self.decoded != self.expected => {
                            return Err(Error::Length { expected: self.expected });
                        }
                        0 => self.state = State::Trailers,
                        size if size > self.expected - self.decoded => {
                            return Err(Error::Length { expected: self.expected });
                        }
                        _ if self.small => return Err(Error::Small),
                        size => {
                            self.small = size < LEAST;
                            self.state = State::Data(size);
                        }
                    }
                }
                State::Data(_) if self.waiting.is_empty() => return self.need_more(),
                State::Data(left) => {
                    let take =
                        usize::try_from(left).map_or(self.waiting.len(), |n| n.min(self.waiting.len()));
                    let left = left - take as u64;
                    self.decoded += take as u64;
                    self.state = if left == 0 { State::AfterData } else { State::Data(left) };
                    return Ok(Step::Frame(Frame::data(self.waiting.split_to(take).freeze())));
                }
                State::AfterData => {
                    let seen = self.waiting.len().min(2);
                    if self.waiting[..seen] != b"\r\n"[..seen] {
                        return Err(Error::Chunk("its bytes are not followed by a line end"));
                    }
                    if seen < 2 {
                        return self.need_more();
                    }
                    self.waiting.advance(2);
                    self.state = State::Head;
                }
                State::Trailers => {
                    if self.waiting.len() > TRAILERS {
                        return Err(Error::Trailer("they are too long"));
                    }
                    if !self.ended {
                        return Ok(Step::NeedMore);
                    }
                    self.state = State::Done;
                    let trailers = parse_trailers(&self.waiting)?;
                    if !trailers.is_empty() {
                        return Ok(Step::Frame(Frame::trailers(trailers)));
                    }
                }
                State::Done => return Ok(Step::End),
            }
        }
    }

    fn need_more(&self) -> Result<Step, Error> {
        if self.ended { Err(Error::Incomplete) } else { Ok(Step::NeedMore) }
    }

    /// The next line without its end, if all of it is there.
    fn take_line(&mut self, limit: usize) -> Result<Option<Bytes>, Error> {
        let Some(end) = self.waiting.iter().take(limit).position(|byte| *byte == b'\n') else {
            return if self.waiting.len() >= limit {
                Err(Error::Chunk("its head is too long"))
            } else {
                Ok(None)
            };
        };
        let mut line = self.waiting.split_to(end + 1).freeze();
        line.truncate(end);
        if line.last() != Some(&b'\r') {
            return Err(Error::Chunk("its head does not end with CR LF"));
        }
        line.truncate(end - 1);
        Ok(Some(line))
    }
}

/// The size in a chunk's head, which is `SIZE` or `SIZE;chunk-signature=SIGNATURE`.
fn chunk_size(line: &[u8]) -> Result<u64, Error> {
    let line = std::str::from_utf8(line).map_err(|_| Error::Chunk("its head is not text"))?;
    let (size, extension) = line.split_once(';').map_or((line, None), |(size, rest)| (size, Some(rest)));
    if let Some(extension) = extension {
        let signature = extension.strip_prefix("chunk-signature=").unwrap_or_default();
        if signature.is_empty() || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::Chunk("its head has something else than a chunk-signature behind its size"));
        }
    }
    // Unlike `from_str_radix`, the format knows no sign.
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::Chunk("its size is not a hexadecimal number"));
    }
    u64::from_str_radix(size, 16).map_err(|_| Error::Chunk("its size is too large"))
}

/// Everything behind the last chunk's head: `name:value` lines, and empty lines that separate and end them.
fn parse_trailers(bytes: &[u8]) -> Result<HeaderMap, Error> {
    if bytes != b"\r\n" && !bytes.ends_with(b"\r\n\r\n") {
        return Err(Error::Incomplete);
    }
    let mut trailers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let colon =
            line.iter().position(|byte| *byte == b':').ok_or(Error::Trailer("a line has no colon"))?;
        let name = HeaderName::from_bytes(line[..colon].trim_ascii())
            .map_err(|_| Error::Trailer("a name is wrong"))?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
            .map_err(|_| Error::Trailer("a value is wrong"))?;
        if trailers.insert(name, value).is_some() {
            return Err(Error::Trailer("a name comes twice"));
        }
    }
    Ok(trailers)
}

impl<B> Body for AwsChunked<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            match this.step() {
                Ok(Step::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::NeedMore) => {}
                Err(error) => {
                    this.state = State::Done;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                // The transport's own trailers mean nothing to this encoding.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.take_in(data);
                    }
                }
                Some(Err(error)) => {
                    this.state = State::Done;
                    return Poll::Ready(Some(Err(Error::Broken(error.into()))));
                }
                None => this.ended = true,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Done
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.expected - self.decoded)
    }
}

impl<B> AwsChunked<B> {
    fn take_in(&mut self, data: Bytes) {
        if self.waiting.is_empty() {
            // No copy when the transport's buffer is ours alone.
            self.waiting = BytesMut::from(data);
        } else {
            self.waiting.extend_from_slice(&data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};

    type Decoded = Result<(Bytes, Option<HeaderMap>), Error>;

    async fn decode(parts: Vec<&[u8]>, length: u64) -> Decoded {
        let parts: Vec<_> = parts
            .into_iter()
            .map(|part| Ok::<_, BoxError>(Frame::data(Bytes::copy_from_slice(part))))
            .collect();
        let collected = AwsChunked::new(StreamBody::new(stream::iter(parts)), length).collect().await?;
        let trailers = collected.trailers().cloned();
        Ok((collected.to_bytes(), trailers))
    }

    const SIGNATURE: &str =
        "chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";

    #[tokio::test]
    async fn every_form_is_decoded_wherever_the_transport_splits_it() {
        let plain = "b\r\nhello world\r\n0\r\n\r\n".to_owned();
        let signed = format!("b;{SIGNATURE}\r\nhello world\r\n0;{SIGNATURE}\r\n\r\n");
        let trailer = "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n".to_owned();
        let signed_trailer = format!(
            "b;{SIGNATURE}\r\nhello world\r\n0;{SIGNATURE}\r\nx-amz-checksum-crc32: DUoRhQ==\n\r\n\
             x-amz-trailer-signature:63bd\r\n\r\n"
        );
        for (text, trailers) in [(plain, 0), (signed, 0), (trailer, 1), (signed_trailer, 2)] {
            for at in 0..=text.len() {
                let (left, right) = text.as_bytes().split_at(at);
                let (body, found) = decode(vec![left, right], 11).await.unwrap();
                assert_eq!(body, "hello world", "split at {at}");
                assert_eq!(found.as_ref().map_or(0, HeaderMap::len), trailers);
                if let Some(found) = found {
                    assert_eq!(found["x-amz-checksum-crc32"], "DUoRhQ==");
                }
            }
            let bytes = text.as_bytes().chunks(1).collect();
            assert_eq!(decode(bytes, 11).await.unwrap().0, "hello world");
            for cut in 0..text.len() - 2 {
                assert!(decode(vec![&text.as_bytes()[..cut]], 11).await.is_err(), "cut at {cut}: {text}");
            }
        }
    }

    #[tokio::test]
    async fn only_the_last_chunk_may_be_small() {
        for (first, fits) in [(8192, true), (8193, true), (8191, false), (5, false)] {
            let bytes = "x".repeat(first);
            let text = format!("{first:x}\r\n{bytes}\r\n2\r\nlo\r\n0\r\n\r\n");
            match decode(vec![text.as_bytes()], first as u64 + 2).await {
                Ok((body, _)) => assert!(fits && body == format!("{bytes}lo"), "{first}"),
                Err(error) => assert!(!fits && matches!(error, Error::Small), "{first}: {error}"),
            }
        }
    }

    #[tokio::test]
    async fn an_empty_body_has_only_its_last_chunk() {
        assert_eq!(decode(vec![b"0\r\n\r\n"], 0).await.unwrap().0, "");
        assert!(matches!(decode(vec![], 0).await, Err(Error::Incomplete)));
    }

    #[tokio::test]
    async fn what_is_not_of_the_format_is_refused() {
        let long_head = "0".repeat(300);
        let long_trailers = format!("0\r\n{}", "x-a:b\r\n".repeat(2_000));
        for (text, length, expected) in [
            ("hello", 5, "Incomplete"),
            ("5\nhello\r\n0\r\n\r\n", 5, "Chunk"),
            ("5\r\nhello0\r\n\r\n", 5, "Chunk"),
            ("5\r\nhello\n0\r\n\r\n", 5, "Chunk"),
            ("g\r\nhello\r\n0\r\n\r\n", 5, "Chunk"),
            ("\r\nhello\r\n0\r\n\r\n", 5, "Chunk"),
            ("-5\r\nhello\r\n0\r\n\r\n", 5, "Chunk"),
            ("+5\r\nhello\r\n0\r\n\r\n", 5, "Chunk"),
            ("5;name=value\r\nhello\r\n0\r\n\r\n", 5, "Chunk"),
            ("5;chunk-signature=\r\nhello\r\n0\r\n\r\n", 5, "Chunk"),
            ("11111111111111111\r\nhello", 5, "Chunk"),
            (&long_head, 5, "Chunk"),
            ("5\r\nhello\r\n0\r\n\r\n", 4, "Length"),
            ("5\r\nhello\r\n0\r\n\r\n", 6, "Length"),
            ("ffffffffffffffff\r\nhello", 5, "Length"),
            ("5\r\nhello\r\n0\r\nrubbish\r\n\r\n", 5, "Trailer"),
            ("5\r\nhello\r\n0\r\na b:c\r\n\r\n", 5, "Trailer"),
            ("5\r\nhello\r\n0\r\na:b\r\na:c\r\n\r\n", 5, "Trailer"),
            (&long_trailers, 0, "Trailer"),
        ] {
            let error = decode(vec![text.as_bytes()], length).await.unwrap_err();
            assert!(format!("{error:?}").starts_with(expected), "{text}: {error:?}");
        }
    }

    #[tokio::test]
    async fn a_transport_that_breaks_is_told_apart() {
        let broken: BoxError = "reset".into();
        let body = StreamBody::new(stream::iter(vec![Ok(Frame::data(Bytes::from("5\r\nhe"))), Err(broken)]));
        let error = AwsChunked::new(body, 5).collect().await.unwrap_err();
        assert!(matches!(error, Error::Broken(_)));
    }
}
