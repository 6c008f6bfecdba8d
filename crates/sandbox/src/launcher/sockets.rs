//! The sockets in a sandbox's own network namespace that the server serves.

use super::sitter::{Failure, Step};
use crate::control::{self, Notice, Start};
use crate::sys::socket;
use crate::{PLATFORM_ADDRESS, RUNTIME_API_ADDRESS};
use model::NetworkPolicy;
use nix::sys::socket::MsgFlags;
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};

/// Those of one sandbox.
#[derive(Debug)]
pub(super) struct Sockets {
    runtime_api: Option<TcpListener>,
    platform: Option<TcpListener>,
}

impl Sockets {
    /// Listens where a copy is to be heard: it has no extensions, and needs the API only if it is its channel.
    pub(super) fn open(start: &Start) -> Result<Sockets, Failure> {
        Sockets::listen(start.runtime_api, start.network != NetworkPolicy::Nothing)
    }

    /// Listens wherever any job may have to be heard.
    pub(super) fn open_all() -> Result<Sockets, Failure> {
        Sockets::listen(true, true)
    }

    /// Closes those that a job is not to have.
    pub(super) fn only_for(self, start: &Start) -> Sockets {
        Sockets { platform: self.platform.filter(|_| start.network != NetworkPolicy::Nothing), ..self }
    }

    fn listen(runtime_api: bool, platform: bool) -> Result<Sockets, Failure> {
        let runtime_api = runtime_api.then(|| listen(RUNTIME_API_ADDRESS)).transpose();
        let platform = platform.then(|| listen(PLATFORM_ADDRESS)).transpose();
        Ok(Sockets {
            runtime_api: runtime_api.step("listen for the runtime")?,
            platform: platform.step("listen for the platform")?,
        })
    }

    /// Gives them to the server: the sandbox stands.
    pub(super) fn hand_over(self, supervision: &OwnedFd) -> Result<(), Failure> {
        let send = |notice: &Notice, listener: Option<&TcpListener>| {
            let handed: Vec<_> = listener.iter().map(|listener| listener.as_raw_fd()).collect();
            socket::send(supervision, &control::encode(notice), &handed, MsgFlags::empty())
                .step("report to the server")
        };
        if self.runtime_api.is_some() {
            send(&Notice::RuntimeApi, self.runtime_api.as_ref())?;
        }
        send(&Notice::Ready, self.platform.as_ref())
    }
}

/// A socket that listens at this address.
fn listen(address: SocketAddrV4) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
