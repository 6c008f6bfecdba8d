//! A runtime as the server hears it: over its event channel or through the Runtime API, which look the same from
//! here.

use super::extensions::Extensions;
use super::frames::{self, Breach, Frame, Invocation, Reader};
use super::runtime_api::RuntimeApi;
use bytes::{Buf, Bytes};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// The way to speak with a runtime.
#[derive(Debug)]
pub(super) enum Runtime {
    /// A bootstrap of ours, on a descriptor.
    Channel(Channel),
    /// A custom runtime, over HTTP.
    Api(RuntimeApi),
}

impl Runtime {
    /// The way to speak with a new process, and its end of it where that is a descriptor.
    pub(super) fn new(api: bool) -> io::Result<(Runtime, Option<OwnedFd>)> {
        if api {
            return Ok((Runtime::Api(RuntimeApi::new()), None));
        }
        let (channel, theirs) = Channel::pair()?;
        Ok((Runtime::Channel(channel), Some(theirs)))
    }

    /// What the runtime says next.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, Breach>> {
        match self {
            Runtime::Channel(channel) => channel.poll_next(cx),
            Runtime::Api(api) => api.poll_next(cx),
        }
    }

    /// Hands the event over; what of it is not taken at once is on its way while [`Runtime::poll_next`] is called.
    pub(super) fn hand_over(&mut self, invocation: &Invocation<'_>, event: &Bytes) -> io::Result<()> {
        match self {
            Runtime::Channel(channel) => channel.send([frames::invoke(invocation, event)?, event.clone()]),
            Runtime::Api(api) => api.hand_over(invocation, event),
        }
        Ok(())
    }

    /// Announces that the process is to be captured. False if this runtime has no word for that.
    pub(super) fn announce_capture(&mut self) -> bool {
        match self {
            Runtime::Channel(channel) => channel.send([frames::snapshot()]),
            Runtime::Api(_) => return false,
        }
        true
    }

    /// Tells the process that it goes on, as a copy or as itself, with variables to set. False if this runtime has no
    /// word for that.
    pub(super) fn resume(&mut self, environment: &BTreeMap<&str, String>) -> io::Result<bool> {
        match self {
            Runtime::Channel(channel) => channel.send([frames::resume(environment)?]),
            Runtime::Api(_) => return Ok(false),
        }
        Ok(true)
    }

    /// The process is a copy. One that speaks through the Runtime API had asked for its event.
    pub(super) fn is_copy(&self) {
        if let Runtime::Api(api) = self {
            api.has_asked();
        }
    }

    /// Serves the Runtime API on this socket, if that is how this runtime is spoken to; else gives the socket back.
    pub(super) fn listen(
        &mut self,
        listener: TcpListener,
        extensions: Option<Arc<Extensions>>,
    ) -> io::Result<Option<TcpListener>> {
        match self {
            Runtime::Channel(_) => Ok(Some(listener)),
            Runtime::Api(api) => api.listen(listener, extensions).map(|()| None),
        }
    }

    /// What the runtime has said and nobody has heard yet. With `patience`, the process has ended, and what it had
    /// sent before may still be on its way for so long.
    pub(super) async fn rest(&mut self, patience: Option<Duration>) -> Option<Result<Frame, Breach>> {
        match self {
            Runtime::Channel(channel) => channel.rest().await,
            Runtime::Api(api) => api.rest(patience).await,
        }
    }

    /// Whether the runtime has said nothing and is there, as its end itself tells, which may know more than has been
    /// noticed.
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Runtime::Channel(channel) => channel.is_quiet(),
            // Only its connections could tell, and they may come and go.
            Runtime::Api(_) => true,
        }
    }

    /// Whether the process, which has ended, had not taken the whole of the event that it was given: none of the
    /// function's code has seen anything of it then. If that is not known, it is taken to have.
    pub(super) fn left_event(&self) -> bool {
        match self {
            Runtime::Channel(channel) => channel.unread,
            Runtime::Api(api) => api.left_event(),
        }
    }

    /// Whether the program comes from the package.
    pub(super) fn is_custom(&self) -> bool {
        matches!(self, Runtime::Api(_))
    }
}

/// The event channel of a bootstrap.
#[derive(Debug)]
pub(super) struct Channel {
    reader: Reader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// What is still to be written.
    to_write: VecDeque<Bytes>,
    /// The other end is closed, and not all that was sent was read.
    unread: bool,
}

impl Channel {
    /// The server's end, and the one that goes inside.
    fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        // Inside, it is an ordinary blocking descriptor.
        let theirs = theirs.into_std()?;
        theirs.set_nonblocking(false)?;
        let (reader, writer) = ours.into_split();
        Ok((
            Channel { reader: Reader::new(reader), writer, to_write: VecDeque::new(), unread: false },
            theirs.into(),
        ))
    }

    /// Sends these, one after another: at once, as far as they are taken.
    fn send<const N: usize>(&mut self, parts: [Bytes; N]) {
        let at_once = if self.to_write.is_empty() {
            let slices = parts.each_ref().map(|part| IoSlice::new(part));
            self.writer.try_write_vectored(&slices).unwrap_or(0)
        } else {
            0
        };
        self.to_write.extend(parts);
        self.written(at_once);
    }

    /// Forgets the first `count` bytes of what is to be written, and empty parts.
    fn written(&mut self, mut count: usize) {
        while let Some(first) = self.to_write.front_mut() {
            let of_first = count.min(first.len());
            first.advance(of_first);
            count -= of_first;
            if first.has_remaining() {
                return;
            }
            self.to_write.pop_front();
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, Breach>> {
        if let Poll::Ready(frame) = self.reader.poll_next(cx) {
            self.unread |= matches!(frame, Err(Breach::Unread));
            return Poll::Ready(frame);
        }
        while let Some(first) = self.to_write.front() {
            match ready!(pin!(self.writer.write(first)).poll(cx)) {
                Ok(count) if count > 0 => self.written(count),
                // It will not read the rest; its end will tell.
                _ => {
                    self.to_write.clear();
                    self.unread = true;
                }
            }
        }
        Poll::Pending
    }

    fn is_quiet(&self) -> bool {
        let socket = self.writer.as_ref().as_raw_fd();
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(socket, &mut [0], flags) == Err(Errno::EAGAIN)
    }

    async fn rest(&mut self) -> Option<Result<Frame, Breach>> {
        let heard = timeout(Duration::ZERO, poll_fn(|cx| self.poll_next(cx))).await.ok();
        heard.filter(|heard| !matches!(heard, Err(Breach::Closed | Breach::Unread)))
    }
}
