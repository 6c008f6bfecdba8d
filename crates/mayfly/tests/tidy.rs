//! The house rules that a compiler does not check: who imports whom, headers of files, and a map that is true.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// What each room may import of ours, and what it must never import.
const ROOMS: &[(&str, &[&str], &[&str])] = &[
    ("model", &[], &["tokio", "hyper", "rusqlite", "nix"]),
    ("wire", &["model"], &["rusqlite", "nix", "libc"]),
    ("store", &["model"], &["hyper", "http", "nix"]),
    ("sandbox", &["model"], &["rusqlite", "axum"]),
    ("services", &["model", "wire", "store"], &["hyper", "nix", "libc", "rusqlite"]),
    ("scheduler", &["model", "store", "sandbox"], &["hyper", "http", "nix", "rusqlite"]),
    ("mayfly", &["model", "wire", "store", "sandbox", "services", "scheduler"], &["rusqlite"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn files_below(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

#[test]
fn rooms_import_only_what_they_may() {
    let names: Vec<&str> = ROOMS.iter().map(|room| room.0).collect();
    for (room, may, never) in ROOMS {
        let manifest = fs::read_to_string(root().join("crates").join(room).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        for (name, _) in manifest["dependencies"].as_table().unwrap() {
            let name = name.as_str();
            assert!(!names.contains(&name) || may.contains(&name), "{room} may not import {name}");
            assert!(!never.contains(&name), "{room} must never import {name}");
        }
    }
}

#[test]
fn no_service_reaches_into_another() {
    let services = root().join("crates/services/src");
    let modules = ["lambda", "rds_data", "s3", "sqs"];
    for module in modules {
        let mut files = Vec::new();
        files_below(&services.join(module), "rs", &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for other in modules.iter().filter(|other| **other != module) {
                assert!(!text.contains(&format!("crate::{other}")), "{} uses {other}", file.display());
            }
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let mut files = Vec::new();
    files_below(&root().join("crates"), "rs", &mut files);
    assert!(files.len() > 30);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with `//! `", file.display());
    }
}

#[test]
fn the_paths_that_the_documents_name_exist() {
    for document in ["ARCHITECTURE.md", "README.md", "SPECIFICATION.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            if !path.is_empty() && !path.contains("://") {
                assert!(root().join(path).exists(), "{document} names {path}, which is not there");
            }
        }
    }
}
