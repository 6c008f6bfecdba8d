//! Packages laid over each other: one directory with the files of all, where the later one wins.
//!
//! Files are linked, not copied. No link of a package is ever followed.

use super::remove_tree;
use crate::Error;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Makes the directory `root`, which must not exist, of the directories `layers`.
pub(super) fn merge(layers: &[impl AsRef<Path>], root: &Path) -> Result<(), Error> {
    let at = |path: &Path, error| Error::file("lay out", path, error);
    make_dir(root).map_err(|error| at(root, error))?;
    layers.iter().try_for_each(|layer| lay(layer.as_ref(), root).map_err(|error| at(layer.as_ref(), error)))
}

/// The bytes of all files below `dir`.
pub(super) fn size(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}

// The depth of a package is bounded when it is unpacked.
fn lay(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let present = present(&target)?;
        if entry.metadata()?.is_dir() {
            if !present.as_ref().is_some_and(Metadata::is_dir) {
                clear(&target, present)?;
                make_dir(&target)?;
            }
            lay(&source, &target)?;
        } else {
            clear(&target, present)?;
            // A link that is linked is the same link.
            fs::hard_link(&source, &target)?;
        }
    }
    Ok(())
}

fn present(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn clear(path: &Path, present: Option<Metadata>) -> io::Result<()> {
    match present {
        Some(metadata) if metadata.is_dir() => remove_tree(path).map_err(io::Error::other),
        Some(_) => fs::remove_file(path),
        None => Ok(()),
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_one_wins_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two, outside) = (dir.path().join("1"), dir.path().join("2"), dir.path().join("outside"));
        for path in [one.join("a"), two.join("a"), two.join("link"), outside.clone()] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(one.join("a/x"), "1").unwrap();
        fs::write(one.join("a/y"), "1").unwrap();
        fs::write(two.join("a/x"), "22").unwrap();
        std::os::unix::fs::symlink(&outside, one.join("link")).unwrap();
        fs::write(two.join("link/z"), "2").unwrap();
        fs::write(one.join("b"), "1").unwrap();
        fs::create_dir(two.join("b")).unwrap();
        let root = dir.path().join("root");
        merge(&[&one, &two], &root).unwrap();
        assert_eq!(fs::read_to_string(root.join("a/x")).unwrap(), "22");
        assert_eq!(fs::read_to_string(root.join("a/y")).unwrap(), "1");
        assert!(root.join("b").is_dir() && root.join("link").symlink_metadata().unwrap().is_dir());
        assert!(!outside.join("z").exists());
        assert_eq!(size(&root).unwrap(), 4);
        assert_eq!(fs::read_to_string(one.join("a/x")).unwrap(), "1");
    }
}
