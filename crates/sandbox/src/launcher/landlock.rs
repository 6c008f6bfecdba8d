//! What a function may do with files, said a second time: should a mount be wider than it was meant to be, Landlock
//! still holds.
//!
//! Everything may be read and run; `/tmp` and `/dev/shm` may be changed, devices written to. Signals and abstract
//! sockets end at the processes under these rules, to which pid 1 does not belong: nothing in a sandbox can signal it.

use crate::sys::landlock::{
    self, EXECUTE, IOCTL_DEV, MAKE_BLOCK, MAKE_CHAR, READ_DIR, READ_FILE, Rules, TRUNCATE, WRITE_FILE,
};
use std::io;

/// Rights over what may be changed: all but making devices.
const CHANGE: u64 = !(MAKE_CHAR | MAKE_BLOCK);

/// The version of the interface that this kernel has, if any.
pub(super) fn version() -> Option<u32> {
    landlock::version().ok()
}

/// The rules, for whoever is to be put under them. The root must be the sandbox's own by now: rules hold for directories,
/// not for names.
pub(super) fn rules(version: u32) -> io::Result<Rules> {
    let rules = Rules::new(version)?;
    rules.allow(c"/", EXECUTE | READ_FILE | READ_DIR)?;
    rules.allow(c"/dev", WRITE_FILE | TRUNCATE | IOCTL_DEV)?;
    rules.allow(c"/dev/shm", CHANGE)?;
    rules.allow(c"/tmp", CHANGE)?;
    Ok(rules)
}

/// The flags with which a process is put under rules.
pub(super) fn flags(version: u32) -> u32 {
    landlock::restrict_flags(version)
}
