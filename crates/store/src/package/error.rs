//! What can be wrong with a deployment package.

use crate::Error;
use model::limits;

/// Why a package was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file is not an archive, or its directory is damaged.
    #[error("it cannot be read as a zip archive: {0}")]
    NotAnArchive(String),

    /// It holds more than [`limits::PACKAGE_UNPACKED`] bytes.
    #[error("it holds more than {} bytes when unpacked", limits::PACKAGE_UNPACKED)]
    TooLarge,

    /// It holds more than [`limits::PACKAGE_ENTRIES`] files and directories.
    #[error("it holds more than {} files and directories", limits::PACKAGE_ENTRIES)]
    TooManyEntries,

    /// Two entries share bytes of the archive: the mark of a zip bomb.
    #[error("its entries overlap")]
    Overlapping,

    /// Two entries have the same name.
    #[error("two of its entries have the same name")]
    Duplicate,

    /// One entry cannot be accepted.
    #[error("the entry {name:?} {problem}")]
    Entry {
        /// The entry's name, shortened.
        name: String,
        /// What is wrong with it.
        #[source]
        problem: EntryProblem,
    },

    /// Our own fault.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Why an entry of an archive cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// It has no name.
    #[error("has an empty name")]
    Unnamed,
    /// Its name is not text.
    #[error("has a name that is not UTF-8")]
    NotUtf8,
    /// Its name starts at the root.
    #[error("has an absolute path; use paths relative to the package")]
    Absolute,
    /// Its name goes up.
    #[error("climbs out of the package with `..`")]
    Climbs,
    /// Its name holds a character that has no place in one.
    #[error("has a backslash or a control character in its name; separate directories with `/`")]
    Character,
    /// Its name is too long.
    #[error("has a path longer than {} bytes, or a part longer than 255", limits::PACKAGE_PATH)]
    TooLong,
    /// It lies too deep.
    #[error("lies deeper than {} directories", limits::PACKAGE_DEPTH)]
    TooDeep,
    /// Its name is another entry's, or lies below a file.
    #[error("has the path of another entry, or lies below a file")]
    Conflict,
    /// It is a device, a socket or a pipe.
    #[error("is neither a file, a directory nor a link")]
    Special,
    /// It is encrypted.
    #[error("is encrypted")]
    Encrypted,
    /// It is compressed in another way than stored or deflated.
    #[error("is compressed with a method other than store and deflate")]
    Method,
    /// It is a link that does not stay inside.
    #[error("is a link whose target is absolute, leaves the package, or has `..` behind a name")]
    Link,
    /// Its bytes cannot be read.
    #[error("is damaged: {0}")]
    Damaged(String),
}

impl EntryProblem {
    /// The problem together with the name of the entry that has it.
    pub(super) fn of(self, name: &[u8]) -> PackageError {
        PackageError::Entry { name: shorten(&String::from_utf8_lossy(name)), problem: self }
    }
}

/// The longest part of an entry's name that an error repeats, in characters.
const NAME_SHOWN: usize = 80;

fn shorten(name: &str) -> String {
    match name.char_indices().nth(NAME_SHOWN) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}
