//! The interpreters of this machine, and which one runs a function.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long an interpreter may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// The oldest version that the bootstrap runs on.
const OLDEST: (u32, u32) = (3, 9);

/// What an interpreter is asked: version, place of the program, place of the installation.
const QUESTION: &str = "import sys, os\n\
    print(*sys.version_info[:3])\n\
    print(os.path.realpath(sys.executable))\n\
    print(os.path.realpath(sys.base_prefix))";

/// One Python on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// Major, minor and micro version.
    pub version: (u32, u32, u32),
    /// The program itself, links resolved.
    pub executable: PathBuf,
    /// The directory that holds the installation, the same inside a sandbox.
    pub prefix: PathBuf,
}

/// The interpreters of this machine, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interpreters(Vec<Interpreter>);

/// Which interpreter runs a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The interpreter.
    pub interpreter: Interpreter,
    /// Says so if it is not of the version that was asked for.
    pub warning: Option<String>,
}

/// Looks for `python3` and `python3.N` in the directories of `path` (as in the variable PATH) and at the paths
/// `configured`, and asks each program once what it is. Blocks until all have answered, 10 seconds at the most.
pub fn find(path: &OsStr, configured: &[PathBuf]) -> Interpreters {
    let on_path = std::env::split_paths(path).flat_map(|directory| pythons_in(&directory));
    let asked: Vec<_> =
        configured.iter().cloned().chain(on_path).filter_map(|program| ask(&program)).collect();
    let deadline = Instant::now() + PATIENCE;
    let mut found: Vec<Interpreter> = Vec::new();
    for child in asked {
        let answer = answer(child, deadline).filter(|one| (one.version.0, one.version.1) >= OLDEST);
        if let Some(one) = answer.filter(|one| found.iter().all(|other| other.executable != one.executable)) {
            found.push(one);
        }
    }
    Interpreters(found)
}

/// The programs in a directory that are named like a Python 3, without doubles that only links make.
fn pythons_in(directory: &Path) -> Vec<PathBuf> {
    let is_python = |name: &str| {
        let version = name.strip_prefix("python3").map(|rest| rest.strip_prefix('.').unwrap_or(rest));
        version.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut programs: Vec<_> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_python))
        .map(|entry| entry.path())
        .filter(|path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
        .collect();
    programs.sort();
    programs
}

fn ask(program: &Path) -> Option<Child> {
    Command::new(program)
        .args(["-S", "-s", "-E", "-c", QUESTION])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

/// Waits for an interpreter's answer, which fits into a pipe.
fn answer(mut child: Child, deadline: Instant) -> Option<Interpreter> {
    while let Ok(None) = child.try_wait() {
        if Instant::now() > deadline {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut text = String::new();
    child.stdout.take()?.take(8 * 1024).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let mut numbers = lines.next()?.split(' ').map(|number| number.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    let (executable, prefix) = (PathBuf::from(lines.next()?), PathBuf::from(lines.next()?));
    executable.is_file().then_some(Interpreter { version, executable, prefix })
}

impl Interpreters {
    /// All of them, best first: configured ones, then by the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = &Interpreter> {
        self.0.iter()
    }

    /// Chooses for AWS's name of a runtime, for instance `python3.12`: that version if it is there, else the
    /// nearest of the same major version, with a warning.
    ///
    /// # Errors
    /// [`Error::NoInterpreter`] if there is none of that language and major version.
    pub fn choose(&self, runtime: &str) -> Result<Choice, Error> {
        let none = || {
            let found: Vec<_> = self.iter().map(ToString::to_string).collect();
            let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
            Error::NoInterpreter { runtime: runtime.to_owned(), found }
        };
        let (major, minor) = python_version(runtime).ok_or_else(none)?;
        let of_major = self.iter().filter(|one| one.version.0 == major);
        let nearest = of_major.min_by_key(|one| one.version.1.abs_diff(minor)).ok_or_else(none)?;
        let warning = (nearest.version.1 != minor)
            .then(|| format!("{runtime} is not on this machine; the function runs on {nearest}"));
        Ok(Choice { interpreter: nearest.clone(), warning })
    }
}

/// Major and minor version in AWS's name of a Python runtime.
fn python_version(runtime: &str) -> Option<(u32, u32)> {
    let (major, minor) = runtime.strip_prefix("python")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

impl std::fmt::Display for Interpreter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (major, minor, micro) = self.version;
        write!(f, "Python {major}.{minor}.{micro}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pythons(minors: &[u32]) -> Interpreters {
        let one = |minor: &u32| Interpreter {
            version: (3, *minor, 1),
            executable: format!("/usr/bin/python3.{minor}").into(),
            prefix: "/usr".into(),
        };
        Interpreters(minors.iter().map(one).collect())
    }

    #[test]
    fn the_version_asked_for_is_chosen_silently() {
        let choice = pythons(&[11, 12, 13]).choose("python3.12").unwrap();
        assert_eq!((choice.interpreter.version.1, choice.warning), (12, None));
    }

    #[test]
    fn another_minor_version_comes_with_a_warning() {
        let choice = pythons(&[10, 13]).choose("python3.12").unwrap();
        assert_eq!(choice.interpreter.version.1, 13);
        assert_eq!(
            choice.warning.as_deref(),
            Some("python3.12 is not on this machine; the function runs on Python 3.13.1")
        );
    }

    #[test]
    fn another_language_is_an_error_that_lists_what_is_there() {
        let error = pythons(&[11]).choose("nodejs22.x").unwrap_err();
        assert!(error.to_string().contains("found: Python 3.11.1"), "{error}");
    }
}
