//! Python: its own small bootstrap, compiled beforehand by the interpreter that runs it.

use super::Kind;
use crate::Interpreter;
use crate::control::BOOTSTRAP_DIR;
use model::{FunctionSpec, Installed, Language};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) const KIND: Kind = Kind {
    oldest: (3, 9),
    is_named,
    places: Vec::new,
    ask: |program| {
        program.args(["-S", "-s", "-E", "-c", QUESTION]);
    },
    read,
    prepare,
    command,
    environment: |_| Vec::new(),
};

/// The program that answers events inside a sandbox.
const BOOTSTRAP: &str = include_str!("../../../../runtimes/python/bootstrap.py");

/// What an interpreter is asked: version, program, installation, its parts there, and, below a colon, where packages
/// of the host lie in it.
const QUESTION: &str = "import sys, os, sysconfig\n\
    real = os.path.realpath\n\
    print(*sys.version_info[:3], sep='.')\n\
    print(real(sys.executable))\n\
    print(real(sys.base_prefix))\n\
    library = real(sysconfig.get_path('stdlib'))\n\
    print(library)\n\
    print(real(sysconfig.get_path('platstdlib')))\n\
    print(real(os.path.join(sysconfig.get_config_var('LIBDIR') or '/', sysconfig.get_config_var('INSTSONAME') or '')))\n\
    print(':')\n\
    print(library + '/site-packages')\n\
    print(library + '/dist-packages')";

/// Has an interpreter compile the bootstrap, so that no start pays for it.
const COMPILE: &str = "import py_compile, sys\n\
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH\n\
    py_compile.compile(sys.argv[1], cfile=sys.argv[2], dfile=sys.argv[3], doraise=True, invalidation_mode=mode)";

/// `python3` and `python3.12`, not `python3-config` nor `python2`.
fn is_named(name: &str) -> bool {
    let version = name.strip_prefix("python3").map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    version.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn read(answer: &str) -> Option<Interpreter> {
    let mut lines = answer.lines();
    let version = super::version(lines.next()?)?;
    let (executable, prefix) = (PathBuf::from(lines.next()?), PathBuf::from(lines.next()?));
    let exists = |path: &PathBuf| path.exists() && path != Path::new("/");
    let parts = lines.by_ref().take_while(|line| *line != ":").map(PathBuf::from);
    let parts: Vec<_> = [executable.clone()].into_iter().chain(parts).filter(exists).collect();
    let hidden = lines.map(PathBuf::from).filter(exists).collect();
    // An installation with a prefix of its own is shown whole; of one that shares its prefix only what is Python's.
    let shared = [Path::new("/usr"), Path::new("/usr/local")].contains(&prefix.as_path());
    let shown = if shared { parts } else { vec![prefix] };
    let installed = Installed { language: Language::Python, version };
    Some(Interpreter { installed, executable, shown, hidden })
}

fn prepare(interpreter: &Interpreter, directory: &Path) -> io::Result<()> {
    let (source, target) = (directory.join("bootstrap.py"), directory.join("bootstrap.pyc"));
    fs::write(&source, BOOTSTRAP)?;
    let compiled = Command::new(&interpreter.executable)
        .args(["-I", "-S", "-c", COMPILE])
        .args([&source, &target])
        .arg(format!("{BOOTSTRAP_DIR}/bootstrap.py"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    // An interpreter that cannot compile it beforehand does so at each start.
    if compiled.success() { fs::remove_file(source) } else { Ok(()) }
}

/// `-S` and `-s` keep the host's installed packages out: a function has the standard library and what its package
/// brings, wherever it runs. Unlike Lambda's own runtime, that does not include boto3: a package brings it.
fn command(interpreter: &Interpreter, directory: &Path, _: &FunctionSpec) -> Vec<String> {
    let compiled = directory.join("bootstrap.pyc").exists();
    let program = format!("{BOOTSTRAP_DIR}/bootstrap.{}", if compiled { "pyc" } else { "py" });
    let executable = interpreter.executable.display().to_string();
    [&executable, "-S", "-s", "-X", "utf8", &program].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_recognised_by_name() {
        assert!(is_named("python3") && is_named("python3.12"));
        assert!(!is_named("python3-config") && !is_named("python2.7") && !is_named("python3.12-config"));
    }
}
