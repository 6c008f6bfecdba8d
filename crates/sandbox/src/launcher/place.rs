//! The files that a sandbox sees: a copy of a root, and on it what is its own.

use super::sitter::{Failure, Step};
use crate::control::Start;
use crate::sys::mounts::{self, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY};
use nix::mount::{MntFlags, umount2};
use nix::unistd::{fchdir, pivot_root};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files in `/proc` that tell of the whole machine more than a function needs, relative to the root.
const MASKED: [&CStr; 6] = [
    c"proc/interrupts",
    c"proc/kcore",
    c"proc/keys",
    c"proc/latency_stats",
    c"proc/sched_debug",
    c"proc/timer_list",
];

/// What a sandbox may write to.
#[derive(Debug)]
pub(super) struct Storage {
    tmp: OwnedFd,
    shm: OwnedFd,
}

impl Storage {
    /// Makes it with sizes in bytes, and mounts it below the directory `root`.
    fn mount(tmp: u64, shm: u64, root: impl AsFd) -> Result<Storage, Failure> {
        let options = [(c"mode", c"1777"), (c"size", &size(tmp))];
        let tmp = mounts::filesystem(c"tmpfs", &options, NO_SUID | NO_DEV).step("make /tmp")?;
        let options = [(c"mode", c"1777"), (c"size", &size(shm))];
        let shm = mounts::filesystem(c"tmpfs", &options, NO_SUID | NO_DEV | NO_EXEC).step("make /dev/shm")?;
        mounts::attach(&tmp, &root, c"tmp").step("mount /tmp")?;
        mounts::attach(&shm, &root, c"dev/shm").step("mount /dev/shm")?;
        Ok(Storage { tmp, shm })
    }

    /// Gives it the sizes that a job is to have.
    pub(super) fn resize(&self, start: &Start) -> Result<(), Failure> {
        mounts::reconfigure(&self.tmp, &[(c"size", &size(start.ephemeral_storage))]).step("size /tmp")?;
        mounts::reconfigure(&self.shm, &[(c"size", &size(start.memory))]).step("size /dev/shm")
    }
}

fn size(bytes: u64) -> CString {
    CString::new(bytes.to_string()).unwrap_or_default()
}

/// Moves this process into a copy of a root, puts a sandbox's own mounts there, and leaves what was there before behind.
/// What may be written to has no size yet; where there is `/proc`, `proc` says so.
pub(super) fn enter(root: &OwnedFd, proc: bool) -> Result<Storage, Failure> {
    // The new root goes over the old one, then they change places, and the old one, now on top, is let go.
    mounts::attach(root, nix::fcntl::AT_FDCWD, c"/").step("attach the root")?;
    let storage = Storage::mount(SOME, SOME, root)?;
    if proc {
        // One more may be mounted only where one can be seen whole: by the nests of copies, or if this root turns out to
        // be the wrong one. It lies below the one that is masked, where nobody gets at it.
        mount_proc(root)?;
    }
    fchdir(root).step("enter the root")?;
    if proc {
        mount_masked_proc(root)?;
    }
    pivot_root(".", ".").step("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).step("leave the host's root")?;
    Ok(storage)
}

/// A size, in bytes, for what is sized later: one that has none cannot be given any.
const SOME: u64 = 4_096;

/// Mounts what the function may write to, fresh, below the directory `root`.
pub(super) fn mount_storage(start: &Start, root: impl AsFd) -> Result<(), Failure> {
    Storage::mount(start.ephemeral_storage, start.memory, root).map(drop)
}

fn mount_proc(root: impl AsFd) -> Result<(), Failure> {
    let hidden = READ_ONLY | NO_SUID | NO_DEV | NO_EXEC;
    let proc = mounts::filesystem(c"proc", &[(c"hidepid", c"invisible")], hidden).step("make /proc")?;
    mounts::attach(proc, root, c"proc").step("mount /proc")
}

/// Mounts `/proc` below the directory `root`, which is the working directory, and hides what tells of the machine.
pub(super) fn mount_masked_proc(root: impl AsFd) -> Result<(), Failure> {
    mount_proc(root)?;
    // What only root may read need not be masked.
    let readable = |file: &&&CStr| {
        let metadata = Path::new(OsStr::from_bytes(file.to_bytes())).metadata();
        metadata.is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
    };
    for file in MASKED.iter().filter(readable) {
        let nothing = mounts::copy(c"dev/null", false).step("copy /dev/null")?;
        mounts::attach(nothing, nix::fcntl::AT_FDCWD, file).step("mask a file in /proc")?;
    }
    Ok(())
}
