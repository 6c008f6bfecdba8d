//! Takes a zip archive apart, trusting nothing that it says of itself.
//!
//! Directories and files come first and links last, so that nothing is ever written through a link. Sizes are
//! counted as bytes come out, not as headers promise them.

use super::path::{check_target, parse_name};
use super::{EntryProblem, PackageError};
use crate::Error;
use model::limits;
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The most bytes that are read to learn an archive's directory; it bounds the memory that one takes.
const DIRECTORY_BYTES: u64 = 16 << 20;

/// The most bytes of a file that are in memory at one time.
const CHUNK: usize = 64 * 1024;

const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// How much may come out of one archive.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of all files together.
    pub(super) bytes: u64,
    /// Files and directories.
    pub(super) entries: usize,
}

impl Bounds {
    /// The platform's limits.
    pub(super) const LIMITS: Bounds =
        Bounds { bytes: limits::PACKAGE_UNPACKED, entries: limits::PACKAGE_ENTRIES };
}

/// Unpacks `zip` into the directory `root`, which must not exist.
pub(super) fn unpack(zip: File, root: &Path, bounds: Bounds) -> Result<(), PackageError> {
    let mut archive = open(zip, bounds)?;
    let mut tree = Tree::new(root, bounds)?;
    let mut links = Vec::new();
    for index in 0..archive.len() {
        let entry = Entry::read(&archive, index)?;
        let parts = parse_name(&entry.name).map_err(|problem| problem.of(&entry.name))?;
        match entry.kind {
            Kind::Directory => tree.directories(&parts, &entry.name)?,
            Kind::File { executable } => {
                let path = tree.place(&parts, &entry.name)?;
                let content = archive.by_index(index).map_err(|error| unreadable(&entry.name, error))?;
                tree.file(&path, executable, content, &entry)?;
            }
            Kind::Link => {
                let path = tree.place(&parts, &entry.name)?;
                let content = archive.by_index(index).map_err(|error| unreadable(&entry.name, error))?;
                links.push((path, tree.target(content, parts.len() - 1, &entry.name)?));
            }
        }
    }
    for (path, target) in links {
        std::os::unix::fs::symlink(target, &path).map_err(|error| Error::file("link", path, error))?;
    }
    Ok(())
}

/// Reads the archive's directory and refuses archives that are bombs by their very shape.
fn open(zip: File, bounds: Bounds) -> Result<ZipArchive<Metered>, PackageError> {
    let left = Rc::new(Cell::new(DIRECTORY_BYTES));
    let reader = Metered { inner: BufReader::new(zip), left: left.clone() };
    // With detection, a fault in the directory would be answered by searching the file for another one.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let opened = ZipArchive::with_config(config, reader);
    if left.get() == 0 {
        return Err(PackageError::TooManyEntries);
    }
    let unreadable = |error: ZipError| match disk_fault(&error) {
        Some(fault) => PackageError::Store(fault),
        None => PackageError::NotAnArchive(error.to_string()),
    };
    let mut archive = opened.map_err(unreadable)?;
    if archive.has_duplicate_names() {
        return Err(PackageError::Duplicate);
    }
    if archive.len() > bounds.entries {
        return Err(PackageError::TooManyEntries);
    }
    left.set(u64::MAX);
    match archive.has_overlapping_entries().map_err(unreadable)? {
        true => Err(PackageError::Overlapping),
        false => Ok(archive),
    }
}

/// The error of the disk behind `error`, if it is one.
fn disk_fault(error: &ZipError) -> Option<Error> {
    let ZipError::Io(error) = error else { return None };
    let code = error.raw_os_error()?;
    Some(Error::file("read", "a deployment package", std::io::Error::from_raw_os_error(code)))
}

fn unreadable(name: &[u8], error: ZipError) -> PackageError {
    match disk_fault(&error) {
        Some(fault) => PackageError::Store(fault),
        None => EntryProblem::Damaged(error.to_string()).of(name),
    }
}

/// What the archive's directory says of one entry.
struct Entry {
    name: Vec<u8>,
    kind: Kind,
    size: u64,
}

enum Kind {
    Directory,
    File { executable: bool },
    Link,
}

impl Entry {
    fn read(archive: &ZipArchive<Metered>, index: usize) -> Result<Self, PackageError> {
        let entry = archive.by_index_data(index).map_err(|error| unreadable(b"", error))?;
        let name = entry.name_raw().to_vec();
        if entry.encrypted() {
            return Err(EntryProblem::Encrypted.of(&name));
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(EntryProblem::Method.of(&name));
        }
        let mode = entry.unix_mode().unwrap_or(0);
        let kind = match mode & TYPE {
            _ if name.ends_with(b"/") => Kind::Directory,
            DIRECTORY => Kind::Directory,
            LINK => Kind::Link,
            REGULAR | 0 => Kind::File { executable: mode & 0o111 != 0 },
            _ => return Err(EntryProblem::Special.of(&name)),
        };
        Ok(Entry { name, kind, size: entry.size() })
    }
}

/// The directory that is being filled.
struct Tree {
    root: PathBuf,
    /// What was made, by path below the root: true for directories.
    made: HashMap<String, bool>,
    bounds: Bounds,
    bytes: u64,
    chunk: Vec<u8>,
}

impl Tree {
    fn new(root: &Path, bounds: Bounds) -> Result<Self, PackageError> {
        make_dir(root)?;
        Ok(Tree { root: root.to_owned(), made: HashMap::new(), bounds, bytes: 0, chunk: vec![0; CHUNK] })
    }

    /// Makes the directory `parts` and those above it, where they are missing.
    fn directories(&mut self, parts: &[&str], name: &[u8]) -> Result<(), PackageError> {
        for depth in 1..=parts.len() {
            let path = parts[..depth].join("/");
            match self.made.get(&path) {
                Some(true) => {}
                Some(false) => return Err(EntryProblem::Conflict.of(name)),
                None => {
                    make_dir(&self.root.join(&path))?;
                    self.note(path, true)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the path `parts` for a file or a link, and makes the directories above it.
    fn place(&mut self, parts: &[&str], name: &[u8]) -> Result<PathBuf, PackageError> {
        let Some((_, above)) = parts.split_last() else { return Err(EntryProblem::Unnamed.of(name)) };
        self.directories(above, name)?;
        let path = parts.join("/");
        if self.made.contains_key(&path) {
            return Err(EntryProblem::Conflict.of(name));
        }
        let place = self.root.join(&path);
        self.note(path, false)?;
        Ok(place)
    }

    fn note(&mut self, path: String, directory: bool) -> Result<(), PackageError> {
        self.made.insert(path, directory);
        if self.made.len() > self.bounds.entries { Err(PackageError::TooManyEntries) } else { Ok(()) }
    }

    /// Writes a file, readable by every user and executable by all or none.
    fn file(
        &mut self,
        path: &Path,
        executable: bool,
        mut content: impl Read,
        entry: &Entry,
    ) -> Result<(), PackageError> {
        let at = |error| Error::file("write", path, error);
        let mut file = File::create_new(path).map_err(at)?;
        let mut written = 0;
        loop {
            let length = self.read(&mut content, &entry.name)?;
            if length == 0 {
                break;
            }
            file.write_all(&self.chunk[..length]).map_err(at)?;
            written += length as u64;
        }
        if written != entry.size {
            return Err(EntryProblem::Damaged("its size is not the promised one".into()).of(&entry.name));
        }
        let mode = if executable { 0o755 } else { 0o644 };
        file.set_permissions(Permissions::from_mode(mode)).map_err(at)?;
        Ok(())
    }

    /// Reads the target of a link that lies `depth` directories deep.
    fn target(&mut self, mut content: impl Read, depth: usize, name: &[u8]) -> Result<String, PackageError> {
        let mut target = Vec::new();
        while target.len() <= limits::PACKAGE_PATH {
            let length = self.read(&mut content, name)?;
            if length == 0 {
                break;
            }
            target.extend_from_slice(&self.chunk[..length]);
        }
        let target = check_target(&target, depth).map_err(|problem| problem.of(name))?;
        Ok(target.to_owned())
    }

    /// Fills the chunk from `content` and counts what came.
    fn read(&mut self, content: &mut impl Read, name: &[u8]) -> Result<usize, PackageError> {
        let length = loop {
            match content.read(&mut self.chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(|error| unreadable(name, ZipError::Io(error)))?,
            }
        };
        self.bytes += length as u64;
        if self.bytes > self.bounds.bytes { Err(PackageError::TooLarge) } else { Ok(length) }
    }
}

/// Makes a directory that every user may enter, whatever the umask.
fn make_dir(path: &Path) -> Result<(), PackageError> {
    let at = |error| Error::file("create", path, error);
    std::fs::create_dir(path).map_err(at)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(at)?;
    Ok(())
}

/// A file that gives at most so many bytes.
struct Metered {
    inner: BufReader<File>,
    left: Rc<Cell<u64>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let length = self.inner.read(&mut buffer[..most])?;
        self.left.set(left - length as u64);
        Ok(length)
    }
}

impl Seek for Metered {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
pub(super) mod tests;
