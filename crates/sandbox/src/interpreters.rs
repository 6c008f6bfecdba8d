//! The interpreters of this machine, and which one runs a function.

use crate::Error;
use crate::runtimes::{KINDS, Kind};
use model::{Installed, Runtimes};
use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long an interpreter may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of what an interpreter says that are read.
const ANSWER: u64 = 8 * 1024;

/// One interpreter on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its language and version.
    pub installed: Installed,
    /// The program itself, links resolved.
    pub executable: PathBuf,
    /// The files and directories of the host that it needs beside what every sandbox shows; they appear at the same
    /// places inside, read-only.
    pub shown: Vec<PathBuf>,
    /// Directories within those that appear empty.
    pub hidden: Vec<PathBuf>,
}

impl fmt::Display for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.installed.fmt(f)
    }
}

/// The interpreters of this machine, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interpreters {
    all: Vec<Interpreter>,
    runtimes: Runtimes,
}

/// Which interpreter runs a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The interpreter and its place among all; none for a custom runtime.
    pub interpreter: Option<(usize, &'a Interpreter)>,
    /// Says so if it is not of the version that was asked for.
    pub warning: Option<String>,
}

/// Looks for interpreters in the directories of `path` (as in the variable PATH) and where languages are usually
/// installed, and at the paths `configured`, and asks each program once what it is. Blocks until all have answered,
/// 10 seconds at the most. With `strict`, a function runs on the very version that it asks for or not at all.
pub fn find(path: &OsStr, configured: &[PathBuf], strict: bool) -> Interpreters {
    let mut asked = Vec::new();
    let mut known = Vec::new();
    for kind in &KINDS {
        let named = |program: &&PathBuf| {
            program.file_name().and_then(OsStr::to_str).is_some_and(|name| (kind.is_named)(name))
        };
        let directories = std::env::split_paths(path).flat_map(behind_shims).chain((kind.places)());
        let on_path = directories.flat_map(|directory| programs(&directory, kind));
        for program in configured.iter().filter(named).cloned().chain(on_path) {
            // Several names of one program are one program, but a link may also be a wrapper that looks at its name.
            let real = std::fs::canonicalize(&program).unwrap_or_else(|_| program.clone());
            if real.file_name().is_some_and(|name| name.to_str().is_some_and(kind.is_named)) {
                if known.contains(&real) {
                    continue;
                }
                known.push(real);
            }
            asked.extend(ask(kind, &program).map(|child| (kind, child)));
        }
    }
    let deadline = Instant::now() + PATIENCE;
    let mut found: Vec<Interpreter> = Vec::new();
    for (kind, child) in asked {
        let answer = answer(child, deadline).and_then(|text| (kind.read)(&text));
        let one = answer.filter(|one| {
            let (major, minor, _) = one.installed.version;
            (major, minor) >= kind.oldest && one.executable.is_file()
        });
        found.extend(one.filter(|one| found.iter().all(|other| other.executable != one.executable)));
    }
    Interpreters::of(found, strict)
}

/// pyenv has a directory of scripts, each of which looks for the interpreter that it stands for by starting dozens of
/// processes. The interpreters themselves lie beside it, and a file says which of them are chosen.
fn behind_shims(directory: PathBuf) -> Vec<PathBuf> {
    let Some(root) = directory.parent().filter(|_| directory.ends_with("shims")) else {
        return vec![directory];
    };
    let Ok(chosen) = std::fs::read_to_string(root.join("version")) else { return vec![directory] };
    // What is not there (`system`) is found on the rest of the path.
    chosen.split_whitespace().map(|version| root.join("versions").join(version).join("bin")).collect()
}

/// The programs in a directory that are named like an interpreter.
fn programs(directory: &Path, kind: &Kind) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut programs: Vec<_> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(kind.is_named))
        .map(|entry| entry.path())
        .filter(|path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
        .collect();
    programs.sort();
    programs
}

fn ask(kind: &Kind, program: &Path) -> Option<Child> {
    let mut command = Command::new(program);
    (kind.ask)(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()
}

/// Waits for an interpreter's answer, which fits into a pipe.
fn answer(mut child: Child, deadline: Instant) -> Option<String> {
    while let Ok(None) = child.try_wait() {
        if Instant::now() > deadline {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut text = String::new();
    child.stdout.take()?.take(ANSWER).read_to_string(&mut text).ok()?;
    Some(text)
}

impl Interpreters {
    fn of(all: Vec<Interpreter>, strict: bool) -> Interpreters {
        let runtimes = Runtimes { installed: all.iter().map(|one| one.installed).collect(), strict };
        Interpreters { all, runtimes }
    }

    /// All of them, best first: configured ones, then by the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = &Interpreter> {
        self.all.iter()
    }

    /// What they are, for whoever has to say which functions can run here.
    pub fn runtimes(&self) -> &Runtimes {
        &self.runtimes
    }

    /// Chooses for AWS's name of a runtime, for instance `python3.12`, by the rule of [`Runtimes::choose`].
    ///
    /// # Errors
    /// [`Error::NoInterpreter`] if there is none.
    pub fn choose(&self, runtime: &str) -> Result<Choice<'_>, Error> {
        let chosen = self.runtimes.choose(runtime).map_err(Error::NoInterpreter)?;
        let interpreter = chosen.index.and_then(|index| Some((index, self.all.get(index)?)));
        Ok(Choice { interpreter, warning: chosen.warning })
    }
}
