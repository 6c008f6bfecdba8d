//! A runtime as the server hears it: over its event channel or through the Runtime API, which look the same from
//! here.

use super::frames::{self, Breach, Frame, Invocation, Reader};
use super::runtime_api::RuntimeApi;
use bytes::{Buf, Bytes};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
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
    /// What the runtime says next. Its future may be dropped at any time without losing anything.
    pub(super) async fn next(&mut self) -> Result<Frame, Breach> {
        match self {
            Runtime::Channel(channel) => channel.next().await,
            Runtime::Api(api) => api.next().await,
        }
    }

    /// Hands the event over; it is on its way while [`Runtime::next`] is waited for.
    pub(super) fn hand_over(&mut self, invocation: &Invocation<'_>, event: &Bytes) -> io::Result<()> {
        match self {
            Runtime::Channel(channel) => channel.hand_over(invocation, event)?,
            Runtime::Api(api) => api.hand_over(invocation, event),
        }
        Ok(())
    }

    /// Serves the Runtime API on this socket.
    pub(super) fn listen(&mut self, listener: TcpListener) -> io::Result<()> {
        match self {
            Runtime::Channel(_) => Ok(()),
            Runtime::Api(api) => api.listen(listener),
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
    /// What is still to be written of the event.
    to_write: [Bytes; 2],
}

impl Channel {
    /// The server's end, and the one that goes inside.
    pub(super) fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        // Inside, it is an ordinary blocking descriptor.
        let theirs = theirs.into_std()?;
        theirs.set_nonblocking(false)?;
        let (reader, writer) = ours.into_split();
        let channel = Channel { reader: Reader::new(reader), writer, to_write: Default::default() };
        Ok((channel, theirs.into()))
    }

    fn hand_over(&mut self, invocation: &Invocation<'_>, event: &Bytes) -> io::Result<()> {
        self.to_write = [frames::invoke(invocation, event)?, event.clone()];
        Ok(())
    }

    async fn next(&mut self) -> Result<Frame, Breach> {
        loop {
            tokio::select! {
                biased;
                frame = self.reader.next() => return frame,
                written = self.writer.write_buf(&mut self.to_write[0]), if self.to_write[0].has_remaining() => {
                    if written.is_err() {
                        self.to_write = Default::default(); // it will not read the event; its end will tell
                    } else if !self.to_write[0].has_remaining() {
                        self.to_write.swap(0, 1);
                    }
                }
            }
        }
    }

    async fn rest(&mut self) -> Option<Result<Frame, Breach>> {
        let heard = timeout(Duration::ZERO, self.reader.next()).await.ok();
        heard.filter(|heard| !matches!(heard, Err(Breach::Closed)))
    }
}
