//! A job, as the launcher gives it to the pid 1 of a sandbox.

use crate::control::{self, MESSAGE, Notice, Order, Start};
use crate::sys::{process, socket};
use model::NetworkPolicy;
use nix::sys::socket::MsgFlags;
use std::os::fd::OwnedFd;

/// What is to be started, and the descriptors that come along, in this order.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) start: Start,
    /// Takes notices for the server.
    pub(super) supervision: OwnedFd,
    /// Takes what the function prints.
    pub(super) log: OwnedFd,
    /// The runtime's event channel, unless it has an API.
    pub(super) channel: Option<OwnedFd>,
    /// Says what the server wants of pid 1, unless this may become a template.
    pub(super) tells: Option<OwnedFd>,
    /// Takes what extensions print, if there are any.
    pub(super) extensions_log: Option<OwnedFd>,
    /// The package, as a mount.
    pub(super) code: OwnedFd,
    /// The layers, as a mount, if there are any.
    pub(super) layers: Option<OwnedFd>,
    /// Ends when the network device is there, if there is to be one.
    pub(super) device: Option<OwnedFd>,
    /// A copy of the root, if the sandbox is not in one that will do.
    pub(super) root: Option<OwnedFd>,
}

impl Job {
    /// Waits for it; none if the launcher is gone.
    pub(super) fn receive(launcher: &OwnedFd) -> Option<Job> {
        let mut buffer = vec![0; MESSAGE];
        let (length, descriptors) = socket::receive(launcher, &mut buffer, MsgFlags::empty()).ok()?;
        let Some(Order::Start(start)) = control::decode(&buffer[..length]) else { return None };
        let mut descriptors = descriptors.into_iter();
        let supervision = descriptors.next()?;
        Some(Job {
            // The runtime's fixed descriptors must not fall on this one, which speaks of their failures.
            supervision: process::lift(&supervision).ok()?,
            log: descriptors.next()?,
            channel: if start.runtime_api { None } else { Some(descriptors.next()?) },
            tells: if start.template.is_none() { Some(descriptors.next()?) } else { None },
            extensions_log: if start.extensions.is_empty() { None } else { Some(descriptors.next()?) },
            code: descriptors.next()?,
            layers: if start.layers_dir.is_some() { Some(descriptors.next()?) } else { None },
            device: if start.network == NetworkPolicy::Internet { Some(descriptors.next()?) } else { None },
            root: descriptors.next(),
            start,
        })
    }

    /// Tells the server of something.
    pub(super) fn tell(&self, notice: &Notice) {
        let _ = socket::send(&self.supervision, &control::encode(notice), &[], MsgFlags::empty());
    }
}
