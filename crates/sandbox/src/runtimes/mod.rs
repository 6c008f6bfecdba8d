//! The languages: how each is found on the machine, what it brings into a sandbox, and how it is started there.
//!
//! One file per language, one table of all. A custom runtime has no language: its package brings the program.

mod java;
mod node;
mod python;

use crate::Interpreter;
use model::{FunctionSpec, Language};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that differs between languages.
pub(crate) struct Kind {
    /// The oldest version that the bootstrap runs on.
    pub(crate) oldest: (u32, u32),
    /// Whether a program of this name may be an interpreter.
    pub(crate) is_named: fn(&str) -> bool,
    /// Directories to look in beside those of the search path.
    pub(crate) places: fn() -> Vec<PathBuf>,
    /// Has a program say what it is.
    pub(crate) ask: fn(&mut Command),
    /// Reads what it said.
    pub(crate) read: fn(&str) -> Option<Interpreter>,
    /// Writes what the runtime needs to the directory that appears at `/var/runtime`; blocks. Called once, before
    /// the first event.
    pub(crate) prepare: fn(&Interpreter, &Path) -> io::Result<()>,
    /// The command that starts the bootstrap inside; the directory is the one that was prepared.
    pub(crate) command: fn(&Interpreter, &Path, &FunctionSpec) -> Vec<String>,
    /// Variables beside those that every function has. The user's own value wins.
    pub(crate) environment: fn(&Interpreter) -> Vec<(&'static str, String)>,
}

/// All languages.
pub(crate) const KINDS: [Kind; 3] = [python::KIND, node::KIND, java::KIND];

/// Whether this program was built with what runs functions in `language`.
pub fn is_built_in(language: Language) -> bool {
    match language {
        Language::Python | Language::NodeJs => true,
        Language::Java => java::is_built_in(),
    }
}

impl Kind {
    /// The kind of `language`.
    pub(crate) fn of(language: Language) -> &'static Kind {
        match language {
            Language::Python => &python::KIND,
            Language::NodeJs => &node::KIND,
            Language::Java => &java::KIND,
        }
    }
}

/// Reads `20.11.1` or `17` as a version, missing parts as zero.
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.trim().split(['.', '+', '-', '_']).map(|part| part.parse().ok());
    let major = numbers.next()??;
    let mut next = || numbers.next().flatten().unwrap_or(0);
    Some((major, next(), next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("20.11.1\n"), Some((20, 11, 1)));
        assert_eq!(version("17"), Some((17, 0, 0)));
        assert_eq!(version("25-ea+3"), Some((25, 0, 3)));
        assert_eq!(version("v20"), None);
    }
}
