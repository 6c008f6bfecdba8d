//! The users' own SQL databases, each an SQLite file of its own.

use crate::Result;
use crate::engine::make_private_dir;
use std::path::{Path, PathBuf};

/// The directory of the users' databases.
#[derive(Debug)]
pub struct Databases {
    #[expect(dead_code, reason = "the RDS Data API follows")]
    dir: PathBuf,
}

impl Databases {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        make_private_dir(dir)?;
        Ok(Databases { dir: dir.to_owned() })
    }
}
