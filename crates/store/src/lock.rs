//! The lock that keeps a data directory to one process.

use crate::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::Path;

/// Holds the data directory for as long as it lives; the kernel lets go when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock of `dir` or says who else might hold it.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Error::file("open", &path, error))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::Locked { path: dir.to_owned() })?;
        Ok(DirLock { _file: file })
    }
}
