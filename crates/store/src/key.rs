//! The secret of an installation: 32 random bytes in a file that only its user can read.
//!
//! What is encrypted at rest is lost without it: a backup of the data directory holds it too.

use crate::{Error, Result};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The secret of an installation.
pub struct InstallationKey([u8; 32]);

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallationKey")
    }
}

impl InstallationKey {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the key of the data directory `dir`. One that is not there is made if it is `unused`: where it has
    /// encrypted something, a new one would only hide that the old one is lost.
    pub(crate) fn open(dir: &Path, unused: bool) -> Result<Self> {
        let path = dir.join("key");
        match std::fs::read(&path) {
            Ok(bytes) => {
                let found = bytes.len();
                bytes.try_into().map(InstallationKey).map_err(|_| Error::Missing {
                    what: if found == 0 {
                        "the installation's key (its file is empty)"
                    } else {
                        "the installation's key (its file is damaged)"
                    },
                })
            }
            Err(error) if error.kind() == ErrorKind::NotFound && unused => InstallationKey::make(dir, &path),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::Missing {
                what: "the installation's key (put the file `key` back from a backup; objects cannot be read without it)",
            }),
            Err(error) => Err(Error::file("read", path, error)),
        }
    }

    fn make(dir: &Path, path: &Path) -> Result<Self> {
        let at = |error| Error::file("make the key", path, error);
        let mut key = [0; 32];
        File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut key)).map_err(at)?;
        let unfinished = dir.join("key.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(at)?;
        file.write_all(&key).and_then(|()| file.sync_all()).map_err(at)?;
        // Whole or not there at all: half a key would lose everything that it encrypted.
        std::fs::rename(&unfinished, path).map_err(at)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(at)?;
        Ok(InstallationKey(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_one_that_is_lost_or_damaged_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(InstallationKey::open(dir.path(), false), Err(Error::Missing { .. })));
        let key = InstallationKey::open(dir.path(), true).unwrap();
        assert_ne!(key.bytes(), &[0; 32]);
        assert_eq!(InstallationKey::open(dir.path(), true).unwrap().bytes(), key.bytes());
        std::fs::write(dir.path().join("key"), b"short").unwrap();
        assert!(matches!(InstallationKey::open(dir.path(), true), Err(Error::Missing { .. })));
    }
}
