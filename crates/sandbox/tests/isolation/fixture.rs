//! A launcher, a client, and functions written to a temporary directory.

use bytes::Bytes;
use model::{Clock, CodeId, FunctionArn, FunctionError, FunctionSpec, Outcome, RequestId, SystemClock};
use sandbox::{Config, Hooks, Job, Launcher, LauncherConfig, Line, Report, Sandbox, interpreters};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// No single run takes longer, or the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// A data directory, a launcher and a client.
pub(crate) struct Node {
    pub(crate) data: TempDir,
    pub(crate) sandbox: Sandbox,
}

/// A function's code, unpacked.
pub(crate) struct Code(TempDir);

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) report: Report,
    pub(crate) lines: Vec<Line>,
    pub(crate) listener: Option<TcpListener>,
}

/// The search path for interpreters: the places where systems and version managers put them.
fn search_path() -> std::ffi::OsString {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test stands in for the program, which reads the environment"
    )]
    std::env::var_os("PATH").unwrap_or_default()
}

impl Node {
    /// Starts a launcher of its own.
    pub(crate) async fn start() -> Node {
        let launcher = Launcher::spawn(LauncherConfig {
            program: env!("CARGO_BIN_EXE_sandbox-launcher").into(),
            arguments: Vec::new(),
        });
        Node::with(launcher.unwrap()).await
    }

    pub(crate) async fn with(launcher: Launcher) -> Node {
        let data = TempDir::new().unwrap();
        let config = Config {
            data_dir: data.path().to_path_buf(),
            run_dir: data.path().join("run"),
            interpreters: interpreters::find(&search_path(), &[]),
            cpu_proportional: false,
            standby: 2,
            clock: Arc::new(SystemClock),
        };
        let sandbox = Sandbox::connect(launcher, config).await.unwrap();
        Node { data, sandbox }
    }

    /// Puts a function's files where a server would unpack them: below a directory that only root may enter.
    pub(crate) fn code(&self, files: &[(&str, &str)]) -> Code {
        let dir = TempDir::new_in(self.data.path()).unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Code(dir)
    }

    /// Runs `app.handler` of a function that is one Python file.
    pub(crate) async fn python(&self, source: &str, event: &str) -> Ran {
        let code = self.code(&[("app.py", source)]);
        self.run(job(code.path(), event)).await
    }

    /// Runs a job to its end.
    pub(crate) async fn run(&self, job: Job) -> Ran {
        let (to, mut from) = mpsc::channel(100_000);
        let listener = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&listener);
        let hooks = Hooks {
            lines: to,
            platform: Box::new(move |listener| *keep.lock().unwrap() = Some(listener)),
            initialised: Box::new(|| {}),
        };
        let report = tokio::time::timeout(DEADLINE, self.sandbox.run(job, hooks)).await;
        let report = report.expect("a run ends in time").expect("the platform is at no fault");
        let lines = std::iter::from_fn(|| from.try_recv().ok()).collect();
        let listener = listener.lock().unwrap().take();
        Ran { report, lines, listener }
    }
}

impl Code {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A job for `app.handler` with small limits.
pub(crate) fn job(code_dir: &Path, event: &str) -> Job {
    let spec = FunctionSpec {
        arn: FunctionArn::of("tested"),
        version: "$LATEST".into(),
        runtime: "python3.11".into(),
        handler: "app.handler".into(),
        code: CodeId("0".repeat(64)),
        environment: BTreeMap::new(),
        memory_mb: 128,
        timeout_s: 10,
        ephemeral_storage_mb: 512,
    };
    Job {
        request_id: RequestId::new(SystemClock.now()),
        spec: Arc::new(spec),
        code_dir: code_dir.to_path_buf(),
        payload: Bytes::copy_from_slice(event.as_bytes()),
        client_context: None,
        environment: BTreeMap::new(),
    }
}

/// The same job with a changed function.
pub(crate) fn with(mut job: Job, change: impl FnOnce(&mut FunctionSpec)) -> Job {
    change(Arc::make_mut(&mut job.spec));
    job
}

impl Ran {
    /// The answer as text; fails with the error and the log if there is none.
    pub(crate) fn answer(&self) -> String {
        match &self.report.outcome {
            Outcome::Succeeded(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Outcome::Failed(error) => panic!("no answer but {error:?}; log: {:#?}", self.log()),
        }
    }

    /// The function's error; fails with the answer if there is none.
    pub(crate) fn error(&self) -> &FunctionError {
        match &self.report.outcome {
            Outcome::Failed(error) => error,
            Outcome::Succeeded(bytes) => panic!("no error but {:?}", String::from_utf8_lossy(bytes)),
        }
    }

    /// The text of every line.
    pub(crate) fn log(&self) -> Vec<&str> {
        self.lines.iter().map(|line| line.text.as_str()).collect()
    }
}
