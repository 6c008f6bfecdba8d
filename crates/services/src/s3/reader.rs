//! An object's bytes on their way out: read in pieces, never whole.

use bytes::Bytes;
use futures::Stream;
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use std::fs::File;
use std::future::Future as _;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// How much is read at once, and so held in memory for each answer under way.
pub(super) const PIECE: u64 = 256 * 1024;

/// The bytes of `file` in `range`, read on blocking threads as the client takes them.
pub(super) fn stream(file: File, range: Range<u64>) -> StreamingBlob {
    StreamingBlob::new(Pieces { file: Arc::new(file), left: range, reading: None })
}

/// Reads one piece; it blocks.
pub(super) fn read(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

struct Pieces {
    file: Arc<File>,
    /// What is not handed out yet.
    left: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.left.is_empty() {
            return Poll::Ready(None);
        }
        let reading = this.reading.get_or_insert_with(|| {
            let (file, start) = (this.file.clone(), this.left.start);
            let end = this.left.end.min(start + PIECE);
            tokio::task::spawn_blocking(move || read(&file, start..end))
        });
        let piece = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other).and_then(|piece| piece);
        this.reading = None;
        match piece {
            Ok(piece) => {
                this.left.start += piece.len() as u64;
                Poll::Ready(Some(Ok(piece)))
            }
            Err(error) => {
                // The head of the answer is gone: breaking off is all that can still be said to the client.
                tracing::error!(%error, "an object's bytes could not be read to their end");
                this.left.start = this.left.end;
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}

impl ByteStream for Pieces {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left.end - self.left.start)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
