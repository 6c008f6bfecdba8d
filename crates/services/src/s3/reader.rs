//! An object's bytes on their way out: read in pieces, never whole.

use crate::object::read::Reader;
use bytes::Bytes;
use futures::Stream;
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use std::future::Future as _;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// How much is read at once, and so held in memory for each answer under way.
pub(super) const PIECE: u64 = 256 * 1024;

/// The bytes of `reader` in `range`, read on blocking threads as the client takes them; `first` are those that were read
/// already.
pub(super) fn stream(reader: Reader, first: Bytes, range: Range<u64>) -> StreamingBlob {
    let mut pieces = Pieces { reader: Arc::new(reader), left: range, next: Next::Ready(first) };
    pieces.left.start += match &pieces.next {
        Next::Ready(first) => first.len() as u64,
        _ => 0,
    };
    StreamingBlob::new(pieces)
}

struct Pieces {
    reader: Arc<Reader>,
    /// What is not being read yet.
    left: Range<u64>,
    next: Next,
}

enum Next {
    Ready(Bytes),
    Reading(JoinHandle<io::Result<Bytes>>),
    End,
}

impl Pieces {
    /// Begins to read what comes next, while what was read before is sent.
    fn read_on(&mut self) {
        if self.left.is_empty() {
            self.next = Next::End;
            return;
        }
        let (reader, start) = (self.reader.clone(), self.left.start);
        let end = self.left.end.min(start + PIECE);
        self.next = Next::Reading(tokio::task::spawn_blocking(move || reader.read(start..end)));
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let piece = match &mut this.next {
            Next::End => return Poll::Ready(None),
            Next::Ready(bytes) => Ok(std::mem::take(bytes)),
            Next::Reading(reading) => {
                let piece = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other);
                piece.and_then(|piece| piece).inspect(|piece| this.left.start += piece.len() as u64)
            }
        };
        match piece {
            Ok(piece) => {
                this.read_on();
                Poll::Ready(Some(Ok(piece)))
            }
            Err(error) => {
                // The head of the answer is gone: breaking off is all that can still be said to the client.
                tracing::error!(%error, "an object's bytes could not be read to their end");
                this.next = Next::End;
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}

impl ByteStream for Pieces {
    fn remaining_length(&self) -> RemainingLength {
        let ready = match &self.next {
            Next::Ready(bytes) => bytes.len() as u64,
            Next::Reading(_) | Next::End => 0,
        };
        usize::try_from(self.left.end - self.left.start + ready)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
