//! The answer of a function that writes a stream: handed on piece by piece to a caller that reads along, or gathered.

use super::verdict::End;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use model::Part;
use model::limits::{STREAM_RESPONSE, SYNC_RESPONSE};
use model::stream::{HTTP_INTEGRATION, PRELUDE_END};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// What has been written of a stream.
#[derive(Debug)]
pub(super) struct Streamed<'a> {
    reader: Option<&'a mpsc::Sender<Part>>,
    /// The content type, once the stream has begun.
    head: Option<String>,
    gathered: BytesMut,
    /// The bytes that were handed on.
    passed: u64,
}

impl<'a> Streamed<'a> {
    /// Nothing yet; `reader` reads along, if anybody does.
    pub(super) fn new(reader: Option<&'a mpsc::Sender<Part>>) -> Self {
        Streamed { reader, head: None, gathered: BytesMut::new(), passed: 0 }
    }

    /// The stream begins.
    pub(super) async fn begin(&mut self, content_type: &[u8], deadline: Instant) -> Result<(), End> {
        if self.head.is_some() {
            return Err(End::Garbage);
        }
        let content_type = String::from_utf8_lossy(content_type).into_owned();
        self.hand_on(Part::Head(content_type.clone()), deadline).await;
        self.head = Some(content_type);
        Ok(())
    }

    /// A piece of it.
    pub(super) async fn add(&mut self, piece: Bytes, deadline: Instant) -> Result<(), End> {
        if self.head.is_none() {
            return Err(End::Garbage);
        }
        if self.reader.is_none() {
            if self.gathered.len() + piece.len() > SYNC_RESPONSE {
                return Err(End::TooLarge);
            }
            self.gathered.extend_from_slice(&piece);
            return Ok(());
        }
        self.passed += piece.len() as u64;
        if self.passed > STREAM_RESPONSE {
            return Err(End::TooLarge);
        }
        self.hand_on(Part::Data(piece), deadline).await;
        Ok(())
    }

    /// Waits for the reader, as long as the function has time; one that has gone misses the rest.
    async fn hand_on(&self, part: Part, deadline: Instant) {
        if let Some(reader) = self.reader {
            let _ = timeout_at(deadline, reader.send(part)).await;
        }
    }

    /// The answer of a function that ended with `last`; what was handed on is not in it.
    pub(super) fn answer(&self, last: Bytes) -> Bytes {
        match &self.head {
            None => last,
            Some(_) if self.reader.is_some() => Bytes::new(),
            Some(content_type) if content_type == HTTP_INTEGRATION => whole_response(&self.gathered),
            Some(_) => self.gathered.clone().freeze(),
        }
    }

    /// The bytes that were handed on.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }
}

/// Status and headers with the body behind them, as the response that function URLs take.
fn whole_response(bytes: &[u8]) -> Bytes {
    let end = bytes.windows(PRELUDE_END.len()).position(|window| window == PRELUDE_END);
    let (prelude, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + PRELUDE_END.len()..]),
        None => (bytes, &[][..]),
    };
    let mut response: Map<String, Value> = serde_json::from_slice(prelude).unwrap_or_default();
    response.entry("statusCode").or_insert(json!(200));
    response.insert("body".to_owned(), json!(STANDARD.encode(body)));
    response.insert("isBase64Encoded".to_owned(), json!(true));
    Value::Object(response).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn without_a_reader_a_stream_is_gathered() {
        let soon = Instant::now() + Duration::from_secs(60);
        let mut streamed = Streamed::new(None);
        assert!(matches!(streamed.add("early".into(), soon).await, Err(End::Garbage)));
        streamed.begin(b"text/plain", soon).await.unwrap();
        assert!(matches!(streamed.begin(b"", soon).await, Err(End::Garbage)));
        streamed.add("a".into(), soon).await.unwrap();
        streamed.add("b".into(), soon).await.unwrap();
        assert_eq!((streamed.answer(Bytes::new()), streamed.passed()), ("ab".into(), 0));
        let much = Bytes::from(vec![0; SYNC_RESPONSE]);
        assert!(matches!(streamed.add(much, soon).await, Err(End::TooLarge)));
        assert_eq!(Streamed::new(None).answer("{}".into()), "{}");
    }

    #[tokio::test]
    async fn status_and_headers_become_a_response() {
        let soon = Instant::now() + Duration::from_secs(60);
        let mut streamed = Streamed::new(None);
        streamed.begin(HTTP_INTEGRATION.as_bytes(), soon).await.unwrap();
        streamed.add("{\"statusCode\":201}\0\0\0\0\0\0\0\0abc".into(), soon).await.unwrap();
        let answer: Value = serde_json::from_slice(&streamed.answer(Bytes::new())).unwrap();
        assert_eq!(answer, json!({"statusCode": 201, "body": "YWJj", "isBase64Encoded": true}));
    }

    #[tokio::test]
    async fn a_reader_gets_each_piece_and_one_that_is_gone_holds_nothing_up() {
        let soon = Instant::now() + Duration::from_secs(60);
        let (reader, mut parts) = mpsc::channel(8);
        let mut streamed = Streamed::new(Some(&reader));
        streamed.begin(HTTP_INTEGRATION.as_bytes(), soon).await.unwrap();
        streamed.add("a".into(), soon).await.unwrap();
        assert_eq!(parts.recv().await, Some(Part::Head(HTTP_INTEGRATION.into())));
        assert_eq!(parts.recv().await, Some(Part::Data("a".into())));
        assert_eq!((streamed.answer(Bytes::new()), streamed.passed()), (Bytes::new(), 1));
        drop(parts);
        for _ in 0..20 {
            streamed.add("a".into(), soon).await.unwrap();
        }
    }
}
