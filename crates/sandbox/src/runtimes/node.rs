//! Node.js.

use super::Kind;
use crate::Interpreter;
use crate::control::BOOTSTRAP_DIR;
use model::{FunctionSpec, Installed, Language};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const KIND: Kind = Kind {
    oldest: (18, 0),
    is_named: |_| false,
    places: Vec::new,
    ask: |program| {
        program.args(["-p", QUESTION]);
    },
    read,
    prepare,
    command,
    environment: |_| Vec::new(),
};

/// What an interpreter is asked: version and program.
const QUESTION: &str = "process.versions.node + '\\n' + require('fs').realpathSync(process.execPath)";

fn read(answer: &str) -> Option<Interpreter> {
    let mut lines = answer.lines();
    let version = super::version(lines.next()?)?;
    let executable = PathBuf::from(lines.next()?);
    let installed = Installed { language: Language::NodeJs, version };
    // The program is all there is to it: its library is inside.
    let shown = if executable.starts_with("/usr/bin") { Vec::new() } else { vec![executable.clone()] };
    Some(Interpreter { installed, executable, shown, hidden: Vec::new() })
}

fn prepare(_: &Interpreter, directory: &Path) -> io::Result<()> {
    fs::write(directory.join("bootstrap.mjs"), "")
}

fn command(interpreter: &Interpreter, _: &Path, _: &FunctionSpec) -> Vec<String> {
    vec![interpreter.executable.display().to_string(), format!("{BOOTSTRAP_DIR}/bootstrap.mjs")]
}
