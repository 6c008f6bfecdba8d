//! The Lambda Runtime API, through which a custom runtime hears of its event and answers.
//!
//! Each event has a server of its own, on a socket in its own network namespace: whoever speaks there is the function
//! that runs in this sandbox. What comes is hostile all the same: every length, number and order is bounded here.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

mod body;
mod desk;
mod extensions;
mod reply;
mod serve;

use super::extensions::Extensions;
use super::frames::{Breach, Frame, Invocation};
use bytes::Bytes;
use desk::{Desk, Platform, Said};
use model::limits::STREAM_PIECES;
use serve::Office;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many things a runtime may say that nobody has heard yet; it says three at the most for one event,
/// beside the parts of its answer.
const UNHEARD: usize = 4 + STREAM_PIECES;

/// Serves extensions on this socket, where the runtime has a channel instead of the API; ends with what it returns.
pub(super) fn serve_extensions(
    listener: TcpListener,
    extensions: Arc<Extensions>,
) -> io::Result<JoinSet<()>> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let office = Office { desk: None, extensions: Some(extensions) };
    let mut server = JoinSet::new();
    server.spawn(serve::listen(listener, Arc::new(office)));
    Ok(server)
}

/// The Runtime API of one process. Dropping it ends every connection.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    desk: Arc<Desk>,
    platform: watch::Sender<Platform>,
    said: mpsc::Receiver<Said>,
    /// The answer or error. As with Lambda, an event ends when the runtime asks for the next one: what it does after
    /// its answer is part of it.
    last: Option<Result<Frame, Breach>>,
    server: JoinSet<()>,
}

impl RuntimeApi {
    /// The API of a process that has no event yet.
    pub(super) fn new() -> RuntimeApi {
        let (says, said) = mpsc::channel(UNHEARD);
        let (platform, listens) = watch::channel(Platform::Waits);
        let desk = Arc::new(Desk::new(says, listens));
        RuntimeApi { desk, platform, said, last: None, server: JoinSet::new() }
    }

    /// The process is a copy of one that had asked for its event, and waits for the answer on a connection of its own.
    pub(super) fn has_asked(&self) {
        self.desk.has_asked();
    }

    /// Serves the API on this socket, to the runtime and to extensions.
    pub(super) fn listen(
        &mut self,
        listener: TcpListener,
        extensions: Option<Arc<Extensions>>,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let office = Office { desk: Some(Arc::clone(&self.desk)), extensions };
        self.server.spawn(serve::listen(listener, Arc::new(office)));
        Ok(())
    }

    /// Hands the event to the request that waits for it.
    pub(super) fn hand_over(&mut self, invocation: &Invocation<'_>, event: &Bytes) {
        let number = self.desk.give(&invocation.request_id);
        self.platform
            .send_replace(Platform::Gives(number, Arc::new(reply::Event::new(invocation, event.clone()))));
    }

    /// Whether nobody has taken the last event.
    pub(super) fn left_event(&self) -> bool {
        self.desk.left_event()
    }

    /// What the runtime says next; its answer when it has asked for another event.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, Breach>> {
        loop {
            match ready!(self.said.poll_recv(cx)) {
                Some(Said::Ready) => return Poll::Ready(Ok(Frame::Ready)),
                Some(Said::Part(part, _room)) => return Poll::Ready(Ok(part)),
                Some(Said::Last(Ok(error @ Frame::InitError(_)))) => return Poll::Ready(Ok(error)),
                Some(Said::Last(last)) => self.last = Some(last),
                Some(Said::Done) => match self.last.take() {
                    Some(last) => return Poll::Ready(last),
                    None => continue,
                },
                None => return Poll::Pending,
            }
        }
    }

    /// The answer of a runtime that has not asked for another event. With `patience`, its process has ended, and its
    /// connections are read to their ends first.
    pub(super) async fn rest(&mut self, patience: Option<Duration>) -> Option<Result<Frame, Breach>> {
        if let Some(patience) = patience {
            self.platform.send_replace(Platform::Gone);
            let _ = timeout(patience, self.server.join_next()).await;
        }
        while let Ok(said) = self.said.try_recv() {
            match said {
                // What is behind it is heard the next time.
                Said::Part(part, _room) => return Some(Ok(part)),
                Said::Last(last) => self.last = Some(last),
                Said::Ready | Said::Done => {}
            }
        }
        self.last.take()
    }
}
