//! Landlock: a process gives up rights over files by what lies below which directory.

use super::{check, owned};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

/// Rights over files and what lies below a directory, as bits of the kernel's own numbers.
pub(crate) const EXECUTE: u64 = 1;
pub(crate) const WRITE_FILE: u64 = 1 << 1;
pub(crate) const READ_FILE: u64 = 1 << 2;
pub(crate) const READ_DIR: u64 = 1 << 3;
pub(crate) const MAKE_CHAR: u64 = 1 << 6;
pub(crate) const MAKE_BLOCK: u64 = 1 << 11;
pub(crate) const TRUNCATE: u64 = 1 << 14;
pub(crate) const IOCTL_DEV: u64 = 1 << 15;

/// The last right that each version of the interface knows; versions past the end know those of the last.
const RIGHTS: [u64; 5] = [(1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1];

/// No connections to abstract sockets, and no signals, beyond the processes that are under the same rules.
const SCOPES: u64 = 1 | 1 << 1;

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
/// What a process forbids itself further, and is then denied, does not go to the machine's audit log.
const RESTRICT_SELF_LOG_SUBDOMAINS_OFF: u32 = 1 << 2;

/// The kernel's `landlock_ruleset_attr`.
#[repr(C)]
struct Handled {
    files: u64,
    net: u64,
    scopes: u64,
}

/// The kernel's `landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

/// The version of the interface that this kernel has; an error where it has none or it is switched off.
pub(crate) fn version() -> io::Result<u32> {
    let none = ptr::null::<Handled>();
    // SAFETY: with this flag the kernel reads no structure.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, CREATE_RULESET_VERSION) };
    u32::try_from(check(version)?).map_err(|_| io::ErrorKind::Unsupported.into())
}

/// Rules that do not hold yet: all rights are taken away but those that are allowed.
#[derive(Debug)]
pub(crate) struct Rules {
    fd: OwnedFd,
    known: u64,
    version: u32,
}

impl std::os::fd::AsRawFd for Rules {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

impl Rules {
    /// Rules of a kernel with this version of the interface: nothing is allowed.
    pub(crate) fn new(version: u32) -> io::Result<Rules> {
        let known = RIGHTS[(version as usize).clamp(1, RIGHTS.len()) - 1];
        let handled = Handled { files: known, net: 0, scopes: if version >= 6 { SCOPES } else { 0 } };
        // Older kernels know only the beginning of the structure, and refuse a longer one unless the rest is zero.
        let size = size_of::<Handled>();
        // SAFETY: the structure is of the size that is passed and outlives the call.
        let fd = owned(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &handled, size, 0) })?;
        Ok(Rules { fd, known, version })
    }

    /// Allows `rights`, as far as the kernel knows them, over the directory `path` and all below it.
    pub(crate) fn allow(&self, path: &CStr, rights: u64) -> io::Result<()> {
        // SAFETY: `path` is a C string that outlives the call.
        let parent = owned(unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) }.into())?;
        let rule = PathBeneath { allowed: rights & self.known, parent: parent.as_raw_fd() };
        let fd = self.fd.as_fd().as_raw_fd();
        // SAFETY: `rule` is the structure that this type of rule has, and outlives the call.
        check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, &rule, 0) })?;
        Ok(())
    }

    /// Puts this process and all that come from it under the rules, for good.
    pub(crate) fn apply(&self) -> io::Result<()> {
        let flags = restrict_flags(self.version);
        // SAFETY: works on a descriptor that we hold.
        check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.fd.as_raw_fd(), flags) })?;
        Ok(())
    }
}

impl From<Rules> for OwnedFd {
    fn from(rules: Rules) -> OwnedFd {
        rules.fd
    }
}

/// The flags with which rules are applied where the interface has this version.
pub(crate) fn restrict_flags(version: u32) -> u32 {
    if version >= 7 { RESTRICT_SELF_LOG_SUBDOMAINS_OFF } else { 0 }
}
