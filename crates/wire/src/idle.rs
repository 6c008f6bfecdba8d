//! How long a connection may wait for a request, and a request for the rest of its head.
//!
//! A client that keeps a connection uses it again when it has something to ask: so long an idle one is kept. A head that has
//! begun must come to its end soon. hyper knows one time for both, so that they are told apart here, where the bytes are read.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc9112#section-9.5>

use hyper::rt::{Read, ReadBufCursor, Write};
use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Nothing of the next request has come.
const IDLE: u8 = 0;
/// Something of its head has.
const HEAD: u8 = 1;
/// A request is being answered.
const BUSY: u8 = 2;
/// The connection is one of HTTP/2, whose requests are not one behind the other.
const MANY: u8 = 3;

/// What a connection is waiting for, and since when, shared by who reads its bytes and by who answers its requests.
#[derive(Clone, Debug)]
pub(crate) struct State(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    opened: Instant,
    wait: AtomicU8,
    /// In milliseconds since the connection was opened.
    since: AtomicU64,
}

impl State {
    /// That of a new connection.
    pub(crate) fn new() -> Self {
        let (wait, since) = (AtomicU8::new(IDLE), AtomicU64::new(0));
        State(Arc::new(Shared { opened: Instant::now(), wait, since }))
    }

    /// A request has come whole.
    pub(crate) fn begin(&self, many: bool) {
        self.0.wait.store(if many { MANY } else { BUSY }, Ordering::Release);
    }

    /// What, once it is dropped with the answer's body, says that the answer was given.
    pub(crate) fn until_answered(&self) -> Answered {
        Answered(self.clone())
    }

    /// Goes from one wait to another, if that is the present one.
    fn turn(&self, from: u8, to: u8) {
        if self.0.wait.load(Ordering::Acquire) == from {
            let since = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.0.since.store(since, Ordering::Release);
            let _ = self.0.wait.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

/// Lives as long as an answer is being given.
#[derive(Debug)]
pub(crate) struct Answered(State);

impl Drop for Answered {
    fn drop(&mut self) {
        // Of HTTP/2 nothing ends.
        self.0.turn(BUSY, IDLE);
    }
}

/// A connection that breaks off where it waits for too long.
pub(crate) struct Watched<S> {
    stream: S,
    state: State,
    idle: Duration,
    head: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, state: State, idle: Duration, head: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(idle));
        Watched { stream, state, idle, head, timer }
    }

    /// When the present wait is over; `None` if nothing is waited for.
    fn end(&self) -> Option<Instant> {
        let Shared { opened, wait, since } = &*self.state.0;
        let most = match wait.load(Ordering::Acquire) {
            IDLE => self.idle,
            HEAD => self.head,
            _ => return None,
        };
        Some(*opened + Duration::from_millis(since.load(Ordering::Acquire)) + most)
    }

    /// Whether the present wait is over. The timer may ring too early, as waits begin where nobody looks at it: then it is set
    /// again, and not with every request.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            if let Some(end) = self.end().filter(|end| *end < self.timer.deadline()) {
                self.timer.as_mut().reset(end);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return false;
            }
            let now = Instant::now();
            match self.end() {
                Some(end) if end <= now => return true,
                Some(end) => self.timer.as_mut().reset(end),
                None => self.timer.as_mut().reset(now + self.idle),
            }
        }
    }
}

impl<S: Read + Unpin> Read for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), Error>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.state.turn(IDLE, HEAD);
                Poll::Ready(read)
            }
            Poll::Pending if self.is_over(context) => {
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "no request came")))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: Write + Unpin> Write for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::rt::TokioIo;
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt;

    const IDLE_TIME: Duration = Duration::from_millis(60);
    const HEAD_TIME: Duration = Duration::from_millis(20);

    /// Reads once, and how it ended.
    async fn read<S: Read + Unpin>(watched: &mut Watched<S>) -> Result<(), ErrorKind> {
        let mut bytes = [0; 64];
        let mut buffer = hyper::rt::ReadBuf::new(&mut bytes);
        let read = poll_fn(|context| Pin::new(&mut *watched).poll_read(context, buffer.unfilled())).await;
        read.map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn heads_that_stop_and_connections_that_are_idle_end() {
        for (begins, answers) in [(true, 0), (false, 0), (false, 2)] {
            let (mut client, server) = tokio::io::duplex(64);
            let state = State::new();
            let mut watched = Watched::new(TokioIo::new(server), state.clone(), IDLE_TIME, HEAD_TIME);
            for _ in 0..answers {
                client.write_all(b"GET").await.unwrap();
                read(&mut watched).await.unwrap();
                state.begin(false);
                let answered = state.until_answered();
                // As long as there is no answer, nothing ends.
                let waiting = tokio::time::timeout(IDLE_TIME * 2, read(&mut watched)).await;
                assert!(waiting.is_err());
                drop(answered);
            }
            if begins {
                client.write_all(b"GET").await.unwrap();
                read(&mut watched).await.unwrap();
            }
            assert_eq!(read(&mut watched).await, Err(ErrorKind::TimedOut), "{begins} {answers}");
        }
    }

    #[tokio::test]
    async fn connections_with_many_requests_at_once_never_end() {
        let (_client, server) = tokio::io::duplex(64);
        let state = State::new();
        let mut watched = Watched::new(TokioIo::new(server), state.clone(), IDLE_TIME, HEAD_TIME);
        state.begin(true);
        drop(state.until_answered());
        assert!(tokio::time::timeout(IDLE_TIME * 2, read(&mut watched)).await.is_err());
    }
}
