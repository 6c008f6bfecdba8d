//! What can go wrong below the door.

use std::path::PathBuf;
use std::sync::Arc;

/// The store's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A fault of the store itself: never the caller's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The embedded database refused a statement or could not commit.
    #[error("database: {0}")]
    Database(Arc<rusqlite::Error>),

    /// A file or directory could not be read or written.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried, for instance `write`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Arc<std::io::Error>,
    },

    /// A stored record cannot be decoded.
    #[error("record in table {table} cannot be decoded (version {version}): {reason}")]
    Decode {
        /// The table it lies in.
        table: &'static str,
        /// The version byte in front of it.
        version: u8,
        /// What the decoder said.
        reason: String,
    },

    /// Something that a record or the installation needs is not there, or damaged.
    #[error("{what} cannot be found")]
    Missing {
        /// What.
        what: &'static str,
    },

    /// Another process holds the data directory.
    #[error("{} is in use by another process; stop that one or choose another directory with --data-dir", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },

    /// The data directory was written by a newer program.
    #[error("the data directory has format {found}, this program knows up to {known}; use a newer mayfly")]
    TooNew {
        /// The format on disk.
        found: i64,
        /// The newest format this program knows.
        known: i64,
    },

    /// The database gave up the transaction that this write shared with others, because of one of them.
    #[error("the database rolled the transaction back, for instance because the disk is full; try again")]
    RolledBack,

    /// The writer has stopped: the store is closing, or a write panicked.
    #[error("the store's writer is gone")]
    Closed,
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::File { action, path: path.into(), source: Arc::new(source) }
    }

    /// Whether the disk (or its quota) is full: nothing is lost, and it works again when space returns.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Error::Database(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Error::File { source, .. } => {
                matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Error::Database(Arc::new(error))
    }
}
