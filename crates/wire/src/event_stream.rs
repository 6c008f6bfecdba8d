//! AWS's event stream encoding: messages with headers and checksums, one behind the other in a body.
//!
//! Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>

use bytes::{BufMut, Bytes, BytesMut};

/// The kind of a header's value: text.
const TEXT: u8 = 7;

/// The most bytes of payload in one message (16 MB by the specification).
pub const PAYLOAD: usize = 16 << 20;

/// An event of the kind `event` with a payload of the given type. What is longer than [`PAYLOAD`] must be split before.
pub fn event(event: &str, content_type: &str, payload: &[u8]) -> Bytes {
    let mut headers = BytesMut::new();
    for (name, value) in [(":message-type", "event"), (":event-type", event), (":content-type", content_type)]
    {
        headers.put_u8(short(name) as u8);
        headers.put_slice(name.as_bytes());
        headers.put_u8(TEXT);
        headers.put_u16(short(value));
        headers.put_slice(value.as_bytes());
    }
    // The prelude, its checksum, and the checksum of all are four bytes each number.
    let total = 12 + headers.len() + payload.len() + 4;
    let mut message = BytesMut::with_capacity(total);
    message.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
    message.put_u32(u32::try_from(headers.len()).unwrap_or(u32::MAX));
    message.put_u32(crc32fast::hash(&message));
    message.put_slice(&headers);
    message.put_slice(payload);
    message.put_u32(crc32fast::hash(&message));
    message.freeze()
}

/// The length of a text of a header: ours are all short.
fn short(text: &str) -> u16 {
    u16::try_from(text.len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_lengths_and_checksums() {
        let message = event("PayloadChunk", "application/octet-stream", b"abc");
        let number = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
        assert_eq!(number(0) as usize, message.len());
        assert_eq!(number(8), crc32fast::hash(&message[..8]));
        let end = message.len() - 4;
        assert_eq!(number(end), crc32fast::hash(&message[..end]));
        let headers = &message[12..12 + number(4) as usize];
        assert!(
            headers.starts_with(b"\x0d:message-type\x07\0\x05event\x0b:event-type\x07\0\x0cPayloadChunk")
        );
        assert_eq!(&message[12 + number(4) as usize..end], b"abc");
    }
}
