//! The supervision socket of one job, seen from the server.

use crate::Error;
use crate::control::{self, MESSAGE, Notice, Wish};
use crate::sys::socket;
use nix::sys::socket::MsgFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;

/// The longest notice, in bytes.
const NOTICE: usize = 8 * 1024;

/// The server's end. Dropping it ends the job.
#[derive(Debug)]
pub(super) struct Supervision {
    socket: AsyncFd<OwnedFd>,
}

impl Supervision {
    /// The server's end and the one that goes to the launcher.
    pub(super) fn pair() -> io::Result<(Supervision, OwnedFd)> {
        let (ours, theirs) = socket::pair()?;
        Ok((Supervision { socket: socket::watched(ours)? }, theirs))
    }

    /// The next notice and the descriptors that came with it.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<(Notice, Vec<OwnedFd>), Error>> {
        loop {
            let mut readiness = ready!(self.socket.poll_read_ready(cx)).map_err(Error::LauncherGone)?;
            match readiness.try_io(receive) {
                Ok(received) => return Poll::Ready(received.map_err(Error::LauncherGone)),
                Err(_would_block) => {}
            }
        }
    }

    /// The next notice that has come by now: the socket itself is asked, which may know more than has been noticed.
    pub(super) fn now(&self) -> Option<Result<(Notice, Vec<OwnedFd>), Error>> {
        match receive(self.socket.get_ref()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            received => Some(received.map_err(Error::LauncherGone)),
        }
    }

    /// Tells the launcher what is to become of the process.
    pub(super) fn wish(&self, wish: Wish) {
        // If it cannot be told, it is gone, and the wait for its answer will say so.
        let _ = socket::send(self.socket.get_ref(), &control::encode(&wish), &[], MsgFlags::MSG_DONTWAIT);
    }
}

/// Takes one notice off the socket.
fn receive(socket: impl AsFd) -> io::Result<(Notice, Vec<OwnedFd>)> {
    let mut buffer = [0; NOTICE];
    let (length, descriptors) = loop {
        match socket::receive(&socket, &mut buffer, MsgFlags::MSG_DONTWAIT) {
            // Said once if the launcher has closed without reading our wish; what it sent before comes next.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            received => break received?,
        }
    };
    let notice = control::decode(&buffer[..length]).ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((notice, descriptors))
}

/// Sends a job to the launcher.
pub(super) async fn submit(
    control: &AsyncFd<OwnedFd>,
    message: &[u8],
    descriptors: &[OwnedFd],
) -> Result<(), Error> {
    if message.len() > MESSAGE {
        let reason = format!("environment and arguments are longer than {MESSAGE} bytes");
        return Err(Error::Setup { step: "send the job".to_owned(), reason });
    }
    let raw: Vec<_> = descriptors.iter().map(|fd| fd.as_raw_fd()).collect();
    let sent = control.async_io(tokio::io::Interest::WRITABLE, |control| {
        socket::send(control, message, &raw, MsgFlags::MSG_DONTWAIT)
    });
    sent.await.map_err(Error::LauncherGone)
}
