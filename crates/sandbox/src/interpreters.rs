//! The interpreters of this machine, and which one runs a function.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::path::PathBuf;

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
/// `configured`, and asks each program once what it is. Blocks until all have answered, or for a few seconds.
pub fn find(path: &OsStr, configured: &[PathBuf]) -> Interpreters {
    let _ = (path, configured);
    Interpreters::default()
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
        Err(Error::NoInterpreter { runtime: runtime.to_owned(), found: "none".to_owned() })
    }
}
