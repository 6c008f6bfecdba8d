//! Unpacked deployment packages: directories that sandboxes see read-only at `/var/task`.

use crate::Result;
use crate::engine::make_private_dir;
use std::path::{Path, PathBuf};

/// The directory of unpacked packages.
#[derive(Debug)]
pub struct Packages {
    dir: PathBuf,
}

impl Packages {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        make_private_dir(dir)?;
        Ok(Packages { dir: dir.to_owned() })
    }

    /// Where the package `code` lies unpacked.
    pub fn dir(&self, code: &model::CodeId) -> PathBuf {
        self.dir.join(&code.0)
    }
}
