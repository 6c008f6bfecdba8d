//! Packages on this side: made of a directory, and looked into.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The zip that `path` is, or that is made of it.
pub(super) fn zip_of(path: &Path) -> Result<Vec<u8>> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if path.extension().is_some_and(|extension| extension == "zip" || extension == "jar") {
        return fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    if metadata.is_dir() {
        for file in files_below(path)? {
            let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            add(&mut writer, &name, &file)?;
        }
    } else {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        add(&mut writer, &name.unwrap_or_default(), path)?;
    }
    Ok(writer.finish().context("cannot make the zip")?.into_inner())
}

/// Always with the same time: the same files make the same package, and so no new version.
fn add(writer: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, file: &Path) -> Result<()> {
    let at = || format!("cannot add {}", file.display());
    let executable = fs::metadata(file).with_context(at)?.permissions().mode() & 0o111 != 0;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(if executable { 0o755 } else { 0o644 });
    writer.start_file(name, options).with_context(at)?;
    writer.write_all(&fs::read(file).with_context(at)?).with_context(at)
}

/// The files below a directory, in order; links are followed to files and not to directories.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        let entries =
            fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if name == ".git" || name == "__pycache__" {
                continue;
            }
            match entry.file_type()? {
                kind if kind.is_dir() => left.push(entry.path()),
                _ if entry.path().is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    match found.is_empty() {
        true => bail!("there is no file in {}", directory.display()),
        false => Ok(found),
    }
}

/// The files of a package, with the length and the checksum of each.
pub(super) fn contents(zip: &[u8]) -> Result<BTreeMap<String, (u64, u32)>> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).context("the package is no zip")?;
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index)?;
        if !file.is_dir() {
            files.insert(file.name()?.into_owned(), (file.size(), file.crc32()));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_package() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("b/y.py", "y"), ("a.py", "x"), ("__pycache__/z.pyc", "z")] {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let zip = zip_of(dir.path()).unwrap();
        assert_eq!(zip, zip_of(dir.path()).unwrap());
        let names: Vec<_> = contents(&zip).unwrap().into_keys().collect();
        assert_eq!(names, ["a.py", "b/y.py"]);
        assert_eq!(contents(&zip_of(&dir.path().join("a.py")).unwrap()).unwrap().len(), 1);
    }
}
