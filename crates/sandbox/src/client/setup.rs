//! Prepares the launcher for this installation, and each language at its first event.

use super::{Config, Sandbox};
use crate::control::{self, MESSAGE, Root, Setup, SetupAnswer};
use crate::interpreters::Interpreter;
use crate::network::Outside;
use crate::runtimes::Kind;
use crate::sys::socket;
use crate::{Error, Launcher};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::MsgFlags;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;

pub(super) fn connect(launcher: Launcher, config: Config) -> Result<Sandbox, Error> {
    fs::create_dir_all(&config.run_dir)?;
    let config = Config { run_dir: fs::canonicalize(&config.run_dir)?, ..config };
    let setup = Setup {
        installation: installation(&config.data_dir),
        run_dir: config.run_dir.clone(),
        roots: roots(&config)?,
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
    allow_files();
    let prepared = config.interpreters.iter().map(|_| Arc::new(OnceCell::new())).collect();
    let outside = Outside::new(&config.network);
    Ok(Sandbox { control: socket::watched(control)?, features, config, prepared, outside })
}

/// Each process takes several descriptors of the server, and the usual limit is 1,024: takes what the system allows.
fn allow_files() {
    if let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        && now < most
    {
        // If it cannot be raised, fewer processes find room.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// A short name for the installation that keeps its data in `data_dir`, the same at every start.
fn installation(data_dir: &Path) -> String {
    let path = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
    blake3::hash(path.as_os_str().as_bytes()).to_hex()[..12].to_owned()
}

/// One root for each interpreter, in the same order, and the last for custom runtimes.
fn roots(config: &Config) -> io::Result<Vec<Root>> {
    let mut roots = Vec::new();
    for (index, interpreter) in config.interpreters.iter().enumerate() {
        let (shown, hidden) = (interpreter.shown.clone(), interpreter.hidden.clone());
        roots.push(Root { shown, hidden, runtime: empty(runtime_dir(config, index))? });
    }
    let runtime = empty(runtime_dir(config, roots.len()))?;
    roots.push(Root { shown: Vec::new(), hidden: Vec::new(), runtime });
    Ok(roots)
}

/// The directory with the runtime files of root number `index`.
pub(super) fn runtime_dir(config: &Config, index: usize) -> PathBuf {
    config.run_dir.join("runtimes").join(index.to_string())
}

/// Makes an empty directory at this place.
fn empty(directory: PathBuf) -> io::Result<PathBuf> {
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(&directory)?,
    }
    Ok(directory)
}

impl Sandbox {
    /// Prepares an interpreter's runtime if this is its first event.
    pub(super) async fn prepare_runtime(&self, index: usize, interpreter: &Interpreter) -> Result<(), Error> {
        let Some(prepared) = self.prepared.get(index).cloned() else { return Ok(()) };
        if prepared.initialized() {
            return Ok(());
        }
        let (interpreter, directory) = (interpreter.clone(), runtime_dir(&self.config, index));
        let work = || async {
            let kind = Kind::of(interpreter.installed.language);
            let done = tokio::task::spawn_blocking(move || (kind.prepare)(&interpreter, &directory)).await;
            done.map_err(io::Error::other)??;
            Ok::<_, io::Error>(())
        };
        // In a task of its own: an event that is given up does not break it off, and nobody begins it a second time.
        let done = tokio::spawn(async move { prepared.get_or_try_init(work).await.copied() });
        Ok(done.await.map_err(io::Error::other)??)
    }
}
