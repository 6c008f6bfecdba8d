//! Prepares the launcher for this installation.

use super::{Config, Sandbox};
use crate::control::{self, BOOTSTRAP_DIR, MESSAGE, Root, Setup, SetupAnswer};
use crate::interpreters::Interpreter;
use crate::sys::socket;
use crate::{Error, Launcher};
use nix::sys::socket::MsgFlags;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The program that answers events inside a sandbox.
const BOOTSTRAP: &str = include_str!("../../../../runtimes/python/bootstrap.py");

/// Has an interpreter compile the bootstrap, so that no start pays for it.
const COMPILE: &str = "import py_compile, sys\n\
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH\n\
    py_compile.compile(sys.argv[1], cfile=sys.argv[2], dfile=sys.argv[3], doraise=True, invalidation_mode=mode)";

pub(super) fn connect(launcher: Launcher, config: Config) -> Result<Sandbox, Error> {
    fs::create_dir_all(&config.run_dir)?;
    let roots = roots(&config)?;
    let compiled = roots.iter().map(|root| root.bootstrap.extension() == Some("pyc".as_ref())).collect();
    let setup = Setup {
        installation: installation(&config.data_dir),
        run_dir: fs::canonicalize(&config.run_dir)?,
        roots,
        standby: config.standby,
        cpu_proportional: config.cpu_proportional,
    };
    let control = launcher.control;
    let gone = Error::LauncherGone;
    socket::send(&control, &control::encode(&setup), &[], MsgFlags::empty()).map_err(gone)?;
    let mut buffer = vec![0; MESSAGE];
    let (length, _) = socket::receive(&control, &mut buffer, MsgFlags::empty()).map_err(gone)?;
    let answer = control::decode::<SetupAnswer>(&buffer[..length]);
    let answer = answer.ok_or_else(|| gone(io::ErrorKind::UnexpectedEof.into()))?;
    let features = answer.map_err(Error::Unsupported)?;
    Ok(Sandbox { control: socket::watched(control)?, features, config, compiled })
}

/// A short name for the installation that keeps its data in `data_dir`, the same at every start.
fn installation(data_dir: &Path) -> String {
    let path = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
    blake3::hash(path.as_os_str().as_bytes()).to_hex()[..12].to_owned()
}

/// One root for each interpreter, in the same order, each with the bootstrap that this interpreter has compiled.
fn roots(config: &Config) -> io::Result<Vec<Root>> {
    let directory = config.run_dir.join("bootstrap");
    fs::create_dir_all(&directory)?;
    let source = directory.join("bootstrap.py");
    fs::write(&source, BOOTSTRAP)?;
    let compiling: Vec<_> = config
        .interpreters
        .iter()
        .enumerate()
        .map(|(index, interpreter)| {
            let target = directory.join(index.to_string()).join("bootstrap.pyc");
            fs::create_dir_all(directory.join(index.to_string()))?;
            let child = compile(interpreter, &source, &target)?;
            Ok((interpreter, child, target))
        })
        .collect::<io::Result<_>>()?;
    compiling
        .into_iter()
        .map(|(interpreter, mut child, target)| {
            // An interpreter that cannot compile it beforehand does so at each start.
            let bootstrap = if child.wait()?.success() { target } else { source.clone() };
            Ok(Root { prefix: interpreter.prefix.clone(), bootstrap })
        })
        .collect()
}

fn compile(interpreter: &Interpreter, source: &Path, target: &Path) -> io::Result<Child> {
    Command::new(&interpreter.executable)
        .args(["-I", "-S", "-c", COMPILE])
        .args([source, target])
        .arg(format!("{BOOTSTRAP_DIR}/bootstrap.py"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// The command that starts the bootstrap inside a sandbox whose root is the one for `interpreter`.
///
/// `-S` and `-s` keep the host's installed packages out: a function has the standard library and what its package
/// brings, wherever it runs. Unlike Lambda's own runtime, that does not include boto3: a package brings it.
pub(super) fn command(interpreter: &Interpreter, compiled: bool) -> Vec<String> {
    let program: PathBuf =
        Path::new(BOOTSTRAP_DIR).join(if compiled { "bootstrap.pyc" } else { "bootstrap.py" });
    let executable = interpreter.executable.display().to_string();
    [&executable, "-S", "-s", "-X", "utf8", &program.display().to_string()].map(str::to_owned).to_vec()
}
