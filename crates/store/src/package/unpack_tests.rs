//! Hostile and harmless archives.

use super::*;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// An archive of entries: name, mode with its type, content.
pub(crate) fn zip_of(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, content) in entries {
        let options = SimpleFileOptions::default().unix_permissions(mode & 0o7777);
        match mode & TYPE {
            LINK => {
                writer.add_symlink(*name, std::str::from_utf8(content).unwrap(), options).unwrap();
            }
            DIRECTORY => writer.add_directory(*name, options).unwrap(),
            _ => {
                writer.start_file(*name, options).unwrap();
                writer.write_all(content).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

/// `bytes` as a file to read.
pub(crate) fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn unpack_bytes(zip: &[u8]) -> (tempfile::TempDir, Result<(), PackageError>) {
    unpack_within(Bounds::LIMITS, zip)
}

fn unpack_within(bounds: Bounds, zip: &[u8]) -> (tempfile::TempDir, Result<(), PackageError>) {
    let dir = tempfile::tempdir().unwrap();
    let unpacked = unpack(file_of(zip), &dir.path().join("root"), bounds);
    (dir, unpacked)
}

fn problem(zip: &[u8]) -> EntryProblem {
    match unpack_bytes(zip).1.unwrap_err() {
        PackageError::Entry { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

/// Changes the fields of the first entry's central header: its offset within the header, and the bytes.
fn patch_central(mut zip: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let start = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    zip[start + offset..start + offset + bytes.len()].copy_from_slice(bytes);
    zip
}

#[test]
fn files_directories_and_links_come_out_with_their_modes() {
    let zip = zip_of(&[
        ("bin/tool", 0o106_755, b"#!"),
        ("app.py", 0o100_600, b"x"),
        ("empty/", 0o040_700, b""),
        ("lib/libz.so", 0o120_777, b"libz.so.1"),
        ("lib/libz.so.1", 0o100_644, b"z"),
        ("lib/up", 0o120_777, b"../app.py"),
    ]);
    let (dir, unpacked) = unpack_bytes(&zip);
    unpacked.unwrap();
    let root = dir.path().join("root");
    for (path, mode) in
        [("", 0o755), ("bin", 0o755), ("bin/tool", 0o755), ("app.py", 0o644), ("empty", 0o755)]
    {
        assert_eq!(root.join(path).metadata().unwrap().mode() & 0o7777, mode, "{path}");
    }
    assert_eq!(std::fs::read(root.join("lib/libz.so")).unwrap(), b"z");
    assert_eq!(std::fs::read(root.join("lib/up")).unwrap(), b"x");
}

#[test]
fn entries_that_reach_outside_are_refused_and_write_nothing_there() {
    for (entries, expected) in [
        (&[("../evil", 0o100_644, &b"x"[..])][..], EntryProblem::Climbs),
        (&[("/evil", 0o100_644, b"x")], EntryProblem::Absolute),
        (&[("a\\..\\evil", 0o100_644, b"x")], EntryProblem::Character),
        (&[("link", 0o120_777, b"/etc/passwd")], EntryProblem::Link),
        (&[("link", 0o120_777, b"../evil")], EntryProblem::Link),
        (&[("a/link", 0o120_777, b"b/../../../evil")], EntryProblem::Link),
        (&[("link", 0o120_777, b"."), ("link/evil", 0o100_644, b"x")], EntryProblem::Conflict),
        (&[("a", 0o100_644, b"x"), ("a/b", 0o100_644, b"x")], EntryProblem::Conflict),
        (&[("a/b", 0o100_644, b"x"), ("a", 0o100_644, b"x")], EntryProblem::Conflict),
        (&[("a/b", 0o100_644, b"x"), ("a/./b", 0o100_644, b"x")], EntryProblem::Conflict),
    ] {
        let (dir, unpacked) = unpack_bytes(&zip_of(entries));
        match unpacked.unwrap_err() {
            PackageError::Entry { problem, .. } => assert_eq!(problem, expected, "{entries:?}"),
            other => panic!("{other} for {entries:?}"),
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{entries:?}");
    }
}

#[test]
fn what_headers_lie_about_is_noticed() {
    let zip = zip_of(&[("aa", 0o100_644, b"some content"), ("bb", 0o100_644, b"other content")]);
    let device = (0o020_644_u32 << 16).to_le_bytes();
    assert_eq!(problem(&patch_central(zip.clone(), 38, &device)), EntryProblem::Special);
    assert_eq!(problem(&patch_central(zip.clone(), 8, &[1, 0])), EntryProblem::Encrypted);
    assert_eq!(problem(&patch_central(zip.clone(), 10, &[12, 0])), EntryProblem::Method);
    assert!(matches!(problem(&patch_central(zip.clone(), 24, &[3, 0, 0, 0])), EntryProblem::Damaged(_)));
    assert!(matches!(problem(&patch_central(zip.clone(), 16, &[0; 4])), EntryProblem::Damaged(_)));
    assert_eq!(problem(&patch_central(zip.clone(), 46, b"\0")), EntryProblem::Character);
    let twice = patch_central(zip.clone(), 46, b"bb");
    assert!(matches!(unpack_bytes(&twice).1, Err(PackageError::Duplicate)));
    for garbage in [&b""[..], b"hello", &zip[..zip.len() / 2], &[0; 4096]] {
        assert!(matches!(unpack_bytes(garbage).1, Err(PackageError::NotAnArchive(_))));
    }
}

#[test]
fn two_entries_over_the_same_bytes_are_refused() {
    let zip = zip_of(&[("aa", 0o100_644, b"some content"), ("bb", 0o100_644, b"other content")]);
    let second = zip.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let mut overlapping = zip;
    overlapping[second + 42..second + 46].copy_from_slice(&[0; 4]);
    assert!(matches!(unpack_bytes(&overlapping).1, Err(PackageError::Overlapping)));
}

#[test]
fn a_bomb_goes_off_at_the_limit_whatever_its_headers_promise() {
    let bomb = zip_of(&[("zeros", 0o100_644, &[0; 9 << 20])]);
    let bounds = Bounds { bytes: 8 << 20, entries: 10 };
    assert!(bomb.len() < 1 << 16);
    assert!(matches!(unpack_within(bounds, &bomb).1, Err(PackageError::TooLarge)));
    let modest = patch_central(bomb, 24, &[1, 0, 0, 0]);
    assert!(unpack_within(bounds, &modest).1.is_err());
}

#[test]
fn too_many_entries_and_too_many_directories_are_refused() {
    let bounds = Bounds { bytes: 1, entries: 100 };
    let names: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), 0o100_644, &b""[..])).collect();
    let deep: Vec<String> = (0..2).map(|n| format!("{n}{}", "/d".repeat(62))).collect();
    let deep: Vec<_> = deep.iter().map(|name| (name.as_str(), 0o040_755, &b""[..])).collect();
    for entries in [many, deep] {
        let unpacked = unpack_within(bounds, &zip_of(&entries)).1;
        assert!(matches!(unpacked, Err(PackageError::TooManyEntries)));
    }
}

#[test]
fn the_directory_of_an_archive_is_read_within_its_bound() {
    // Few entries that carry much: the bound is on bytes, since each takes memory.
    let comment = vec![b'x'; 65_535];
    let mut zip = zip_of(&[("a", 0o100_644, b"")]);
    let central = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let end = zip.windows(4).position(|window| window == b"PK\x05\x06").unwrap();
    let (mut header, tail) = (zip[central..end].to_vec(), zip[end..].to_vec());
    header[32..34].copy_from_slice(&u16::MAX.to_le_bytes());
    zip.truncate(central);
    let count = 300_u16;
    for number in 0..count {
        header[46] = b'a' + u8::try_from(number % 26).unwrap();
        zip.extend_from_slice(&header);
        zip.extend_from_slice(&comment);
    }
    let size = u32::try_from(zip.len() - central).unwrap();
    zip.extend_from_slice(&tail);
    let end = zip.len() - tail.len();
    for at in [8, 10] {
        zip[end + at..end + at + 2].copy_from_slice(&count.to_le_bytes());
    }
    zip[end + 12..end + 16].copy_from_slice(&size.to_le_bytes());
    assert!(matches!(unpack_bytes(&zip).1, Err(PackageError::TooManyEntries)));
}
