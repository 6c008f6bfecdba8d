//! Mounts as descriptors: `fsopen`, `open_tree`, `mount_setattr`, `move_mount` (Linux 5.12 and later).
//!
//! A mount that is only a descriptor appears nowhere until it is attached, needs no path to be reached, and vanishes
//! with its last descriptor, so a failed start leaves nothing behind.

use super::{check, owned};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
pub(crate) const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
pub(crate) const NO_DEV: u64 = libc::MOUNT_ATTR_NODEV;
pub(crate) const NO_EXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

/// Flags of `fspick`: close the descriptor on `execve`; it is a descriptor that says which file system is meant.
const FSPICK_CLOEXEC: libc::c_uint = 1;
const FSPICK_EMPTY_PATH: libc::c_uint = 1 << 3;

/// A new file system of type `kind`, not attached anywhere. Options with an empty value are flags.
pub(crate) fn filesystem(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> io::Result<OwnedFd> {
    // SAFETY: `kind` is a C string that outlives the call.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) })?;
    for (key, value) in options {
        configure(&context, libc::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr())?;
    }
    configure(&context, libc::FSCONFIG_CMD_CREATE, ptr::null(), ptr::null())?;
    // SAFETY: the arguments are plain numbers and a descriptor that we hold.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), libc::FSMOUNT_CLOEXEC, attributes) })
}

fn configure(
    context: &OwnedFd,
    command: libc::fsconfig_command,
    key: *const libc::c_char,
    value: *const libc::c_char,
) -> io::Result<()> {
    // SAFETY: both pointers are null or C strings of the caller that outlive the call.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0) })?;
    Ok(())
}

/// Changes options of a file system that is there.
pub(crate) fn reconfigure(mount: impl AsFd, options: &[(&CStr, &CStr)]) -> io::Result<()> {
    let flags = FSPICK_CLOEXEC | FSPICK_EMPTY_PATH;
    // SAFETY: the path is an empty C string; the rest are plain numbers.
    let picked = unsafe { libc::syscall(libc::SYS_fspick, mount.as_fd().as_raw_fd(), c"".as_ptr(), flags) };
    let context = owned(picked)?;
    for (key, value) in options {
        configure(&context, libc::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr())?;
    }
    configure(&context, libc::FSCONFIG_CMD_RECONFIGURE, ptr::null(), ptr::null())
}

/// A copy of the mount at `path`, not attached anywhere; `recursive` takes the mounts below along.
pub(crate) fn copy(path: &CStr, recursive: bool) -> io::Result<OwnedFd> {
    let below = if recursive { libc::AT_RECURSIVE as libc::c_uint } else { 0 };
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | below;
    // SAFETY: `path` is a C string that outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Adds `attributes` to a mount; `recursive` adds them to the mounts below too.
pub(crate) fn restrict(mount: impl AsFd, attributes: u64, recursive: bool) -> io::Result<()> {
    let wish = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, and `wish` is a `mount_attr` of the size that is passed.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &wish,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(())
}

/// Attaches `mount` at `path`, relative to the directory `at`.
pub(crate) fn attach(mount: impl AsFd, at: impl AsFd, path: &CStr) -> io::Result<()> {
    // SAFETY: both paths are C strings that outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            at.as_fd().as_raw_fd(),
            path.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })?;
    Ok(())
}
