//! The event channel: what the runtime inside a sandbox and the platform say to each other.
//!
//! A frame is one byte for its kind, four bytes for its length (big-endian), and its body. Everything that comes in
//! is written by code that may be hostile: kinds, lengths and order are checked, and no more is kept than a frame of
//! permitted length.

use bytes::{Buf, Bytes, BytesMut};
use model::limits::{MB, STREAM_PIECE, SYNC_RESPONSE};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The bytes before the body.
const HEAD: usize = 5;

/// The longest error document, in bytes.
const ERROR: usize = MB;

/// The longest content type, in bytes.
const CONTENT_TYPE: usize = 1_024;

/// What a runtime says.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// The code is loaded and the handler found.
    Ready,
    /// Loading failed; the body is an error document.
    InitError(Bytes),
    /// The handler returned; the body is its JSON answer.
    Result(Bytes),
    /// The handler raised; the body is an error document.
    Error(Bytes),
    /// The handler begins to write a stream; the body is its content type, or empty. The answer that follows is empty.
    Head(Bytes),
    /// A piece of the stream.
    Data(Bytes),
    /// The function's hooks have run, and the process may be captured.
    Snapshot,
}

/// Why a runtime can no longer be listened to.
#[derive(Debug)]
pub(super) enum Breach {
    /// Its answer is longer than [`SYNC_RESPONSE`].
    TooLarge,
    /// It does not keep to the protocol.
    Garbage,
    /// It has closed the channel.
    Closed,
    /// It has closed the channel without reading all that was sent to it (`unix(7)`: the other side is told by
    /// `ECONNRESET`).
    Unread,
}

/// Reads frames.
#[derive(Debug)]
pub(super) struct Reader<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Reader { from, buffer: BytesMut::new() }
    }

    /// The next frame, when it is complete.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, Breach>> {
        loop {
            if let Some(frame) = parse(&mut self.buffer)? {
                return Poll::Ready(Ok(frame));
            }
            // Such a future keeps nothing: what it waits for is noted at the socket.
            match ready!(pin!(self.from.read_buf(&mut self.buffer)).poll(cx)) {
                Ok(0) => return Poll::Ready(Err(Breach::Closed)),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Poll::Ready(Err(Breach::Unread));
                }
                Err(_) => return Poll::Ready(Err(Breach::Closed)),
                Ok(_) => {}
            }
        }
    }
}

/// Takes one frame off the front of `buffer` if it is complete.
fn parse(buffer: &mut BytesMut) -> Result<Option<Frame>, Breach> {
    let &[kind, a, b, c, d, ..] = &buffer[..] else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    match kind {
        b'R' | b'S' if length == 0 => {}
        b'A' if length <= SYNC_RESPONSE => {}
        b'A' => return Err(Breach::TooLarge),
        b'I' | b'E' if length <= ERROR => {}
        b'H' if length <= CONTENT_TYPE => {}
        b'D' if length <= STREAM_PIECE => {}
        _ => return Err(Breach::Garbage),
    }
    if buffer.len() < HEAD + length {
        buffer.reserve(HEAD + length - buffer.len());
        return Ok(None);
    }
    buffer.advance(HEAD);
    let body = buffer.split_to(length).freeze();
    Ok(Some(match kind {
        b'R' => Frame::Ready,
        b'A' => Frame::Result(body),
        b'I' => Frame::InitError(body),
        b'S' => Frame::Snapshot,
        b'H' => Frame::Head(body),
        b'D' => Frame::Data(body),
        _ => Frame::Error(body),
    }))
}

/// Tells a runtime that it is about to be captured.
pub(super) fn snapshot() -> Bytes {
    Bytes::from_static(b"S\0\0\0\0")
}

/// Tells a runtime that it has been copied, or that it has not and goes on, with variables to set.
pub(super) fn resume(environment: &BTreeMap<&str, String>) -> io::Result<Bytes> {
    #[derive(Serialize)]
    struct Body<'a> {
        environment: &'a BTreeMap<&'a str, String>,
    }
    let body = serde_json::to_vec(&Body { environment })?;
    let length = u32::try_from(body.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok([&b"C"[..], &length.to_be_bytes(), &body].concat().into())
}

/// What a runtime is told about an event, beside the event itself.
#[derive(Debug, Serialize)]
pub(super) struct Invocation<'a> {
    /// The event's name.
    pub(super) request_id: String,
    /// When time is up, in milliseconds since 1970.
    pub(super) deadline_ms: i64,
    /// The caller's client context: JSON in a string.
    pub(super) client_context: Option<&'a str>,
    /// The function's ARN.
    pub(super) function_arn: &'a str,
    /// The trace header: `_X_AMZN_TRACE_ID`.
    pub(super) trace_id: String,
}

/// The head of the `invoke` frame, up to the event. The body is the length of the header (four bytes), the header,
/// and the event.
pub(super) fn invoke(invocation: &Invocation<'_>, event: &[u8]) -> io::Result<Bytes> {
    let header = serde_json::to_vec(invocation)?;
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let header_length = u32::try_from(header.len()).map_err(too_long)?;
    let length = u32::try_from(4 + header.len() + event.len()).map_err(too_long)?;
    let mut frame = vec![b'V'];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&header_length.to_be_bytes());
    frame.extend_from_slice(&header);
    Ok(frame.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Frame>, Breach> {
        let mut buffer = BytesMut::from(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = parse(&mut buffer)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_taken_off_one_by_one() {
        let frames = all(b"R\0\0\0\0S\0\0\0\0A\0\0\0\x02{}A\0\0\0\x05par").unwrap();
        assert_eq!(frames, [Frame::Ready, Frame::Snapshot, Frame::Result("{}".into())]);
    }

    #[test]
    fn a_copy_is_told_its_variables() {
        let frame = resume(&BTreeMap::from([("A", "1".to_owned())])).unwrap();
        assert_eq!(frame, &b"C\0\0\0\x19{\"environment\":{\"A\":\"1\"}}"[..]);
    }

    #[test]
    fn lengths_and_kinds_are_checked_before_the_body_comes() {
        assert!(matches!(all(b"A\xff\xff\xff\xff"), Err(Breach::TooLarge)));
        assert!(matches!(all(b"E\xff\xff\xff\xff"), Err(Breach::Garbage)));
        assert!(matches!(all(b"R\0\0\0\x01x"), Err(Breach::Garbage)));
        assert!(matches!(all(b"S\0\0\0\x01x"), Err(Breach::Garbage)));
        assert!(matches!(all(b"GET / HTTP/1.1"), Err(Breach::Garbage)));
    }
}
