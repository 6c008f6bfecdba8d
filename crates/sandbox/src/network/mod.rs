//! What functions may reach outside, for those whose policy is [`NetworkPolicy::Internet`].
//!
//! Such a sandbox has a device whose packets come to the server and nowhere else: the host neither routes nor
//! translates anything. The server reads them as a host at the other end of the wire would, decides by
//! [`Addresses`] whether the destination may be reached, and opens ordinary sockets of its own towards it. What a
//! function says is only ever bytes in those. A sandbox's packets, connections and flows are held by one task, and
//! end with it.

mod address;
mod device;
mod flow;
#[cfg(test)]
mod hostile;
mod packet;
mod resolve;
mod stack;
mod stream;

pub use address::{Addresses, Range, RangeError};
pub use resolve::resolvers;

use model::{NetworkPolicy, limits};
use nix::sys::resource::{Resource, getrlimit};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What the functions of a node may reach.
#[derive(Clone, Debug)]
pub struct Network {
    /// The policy of functions that do not say.
    pub default: NetworkPolicy,
    /// No function gets more than this.
    pub most: NetworkPolicy,
    /// Where functions may connect to.
    pub addresses: Addresses,
    /// The name servers that are asked for functions, the best first.
    pub resolvers: Vec<SocketAddr>,
}

impl Default for Network {
    /// The platform for everybody, the internet for those that say so.
    fn default() -> Self {
        Network {
            default: NetworkPolicy::Platform,
            most: NetworkPolicy::Internet,
            addresses: Addresses::default(),
            resolvers: Vec::new(),
        }
    }
}

/// The way outside that all sandboxes of a node share.
#[derive(Debug)]
pub(crate) struct Outside {
    addresses: Addresses,
    resolvers: Vec<SocketAddr>,
    room: Arc<Semaphore>,
}

impl Outside {
    pub(crate) fn new(network: &Network) -> Arc<Outside> {
        let mut resolvers = network.resolvers.clone();
        resolvers.truncate(limits::NETWORK_RESOLVERS);
        Arc::new(Outside {
            addresses: network.addresses.clone(),
            resolvers,
            room: Arc::new(Semaphore::new(room())),
        })
    }

    /// Whether a function may reach `destination`.
    fn permits(&self, destination: SocketAddrV4) -> bool {
        let permits = |own| self.addresses.check(IpAddr::V4(*destination.ip()), own).is_ok();
        destination.port() != 0 && permits(false) && (!is_own(*destination.ip()) || permits(true))
    }

    /// A place among all connections, flows and questions, if there is one.
    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }
}

/// How many sockets all sandboxes may have here: functions must not use up the server's descriptors.
fn room() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(now, _)| now);
    limits::NETWORK_TOTAL.min(usize::try_from(files / 4).unwrap_or(usize::MAX))
}

/// Whether `address` is one of this machine's own: the kernel is asked each time, for addresses come and go. No
/// packet leaves for it.
fn is_own(address: Ipv4Addr) -> bool {
    let source = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((address, 9))?;
        socket.local_addr()
    };
    source().is_ok_and(|source: SocketAddr| source.ip() == address)
}

/// A sandbox's way outside. When it is dropped, the packets that the sandbox has sent by then are taken, and
/// everything that goes through it is closed.
#[derive(Debug)]
pub(crate) struct Link {
    /// Its end ends the task that serves.
    stop: oneshot::Sender<()>,
    /// Ends with that task.
    stopped: oneshot::Receiver<()>,
}

impl Link {
    /// Serves the sandbox at the other end of `device`.
    pub(crate) fn serve(device: OwnedFd, outside: Arc<Outside>) -> io::Result<Link> {
        let (stop, stopping) = oneshot::channel();
        let (ended, stopped) = oneshot::channel();
        let stack = stack::Stack::new(device, outside, stopping)?;
        tokio::spawn(async move {
            stack.run().await;
            drop(ended);
        });
        Ok(Link { stop, stopped })
    }

    /// Takes the packets that the sandbox has sent by now; whoever ends the sandbox first loses them.
    pub(crate) async fn close(self) {
        drop(self.stop);
        let _ = self.stopped.await; // nothing is ever sent; it ends
    }
}
