//! A launcher, a client, and functions written to a temporary directory.

use crate::census::Census;
use bytes::Bytes;
use model::{
    Clock, CodeId, FunctionArn, FunctionError, FunctionSpec, Outcome, RequestId, StartKind, SystemClock,
};
use sandbox::{
    Captured, Config, Function, Hooks, Interpreters, Job, Launcher, LauncherConfig, Line, Network, Original,
    Platform, Prepared, Report, Sandbox, Template, interpreters,
};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

/// No single run takes longer, or the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// A data directory, a launcher and a client.
pub(crate) struct Node {
    pub(crate) data: TempDir,
    pub(crate) sandbox: Sandbox,
    /// The launcher's process.
    pub(crate) launcher: i32,
    /// Where the node runs events in copies: what is copied, by function.
    templates: Option<tokio::sync::Mutex<BTreeMap<String, Box<Template>>>>,
    /// Code that has been unpacked, by its text: a function has one template.
    codes: Mutex<BTreeMap<String, Code>>,
}

/// A function's code, unpacked.
#[derive(Clone)]
pub(crate) struct Code(Arc<TempDir>);

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) report: Report,
    pub(crate) lines: Vec<Line>,
}

/// The search path for interpreters: the one of the test, and the versions that a version manager keeps beside its
/// directory of `shims`.
fn search_path() -> OsString {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test stands in for the program, which reads the environment"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for shims in directories.clone().iter().filter(|directory| directory.ends_with("shims")) {
        let versions = std::fs::read_dir(shims.with_file_name("versions")).into_iter().flatten().flatten();
        directories.extend(versions.map(|version| version.path().join("bin")));
    }
    std::env::join_paths(directories).unwrap_or(path)
}

impl Node {
    /// Starts a launcher of its own.
    pub(crate) async fn start() -> Node {
        Node::start_with(false).await
    }

    /// Starts a launcher of its own and runs all events in copies of templates; none where there are no copies.
    pub(crate) async fn of_copies() -> Option<Node> {
        let node = Node::start().await;
        if let Err(reason) = &node.sandbox.features().templates {
            println!("skipped: {reason}");
            return None;
        }
        Some(Node { templates: Some(tokio::sync::Mutex::default()), ..node })
    }

    /// Starts a launcher of its own that caps processor time or does not.
    pub(crate) async fn start_with(cpu_proportional: bool) -> Node {
        Node::start_on(cpu_proportional, Network::default()).await
    }

    /// Starts a launcher of its own whose functions can reach what `network` says.
    pub(crate) async fn start_on(cpu_proportional: bool, network: Network) -> Node {
        static INTERPRETERS: OnceLock<Interpreters> = OnceLock::new();
        let interpreters =
            INTERPRETERS.get_or_init(|| interpreters::find(&search_path(), &[], false)).clone();
        let program = env!("CARGO_BIN_EXE_sandbox-launcher").into();
        let launcher = Launcher::spawn(LauncherConfig { program, arguments: Vec::new() }).unwrap();
        Node::with(launcher, interpreters, None, cpu_proportional, network).await
    }

    /// Connects to a launcher that runs as `user`, or as the user of the test.
    pub(crate) async fn with(
        launcher: Launcher,
        interpreters: Interpreters,
        user: Option<u32>,
        cpu_proportional: bool,
        network: Network,
    ) -> Node {
        let data = TempDir::new().unwrap();
        let run_dir = data.path().join("run");
        std::fs::create_dir(&run_dir).unwrap();
        for path in [data.path(), &run_dir] {
            std::os::unix::fs::chown(path, user, user).unwrap();
        }
        let config = Config {
            data_dir: data.path().to_path_buf(),
            run_dir,
            interpreters,
            cpu_proportional,
            network,
            standby: 2,
            clock: Arc::new(SystemClock),
        };
        let process_id = launcher.process_id() as i32;
        let sandbox = Sandbox::connect(launcher, config).await.unwrap();
        Node { data, sandbox, launcher: process_id, templates: None, codes: Mutex::default() }
    }

    /// Puts a function's files where a server would unpack them: below a directory that only root may enter.
    pub(crate) fn code(&self, files: &[(&str, &str)]) -> Code {
        if self.templates.is_none() {
            return self.unpack(files);
        }
        self.codes.lock().unwrap().entry(format!("{files:?}")).or_insert_with(|| self.unpack(files)).clone()
    }

    fn unpack(&self, files: &[(&str, &str)]) -> Code {
        let dir = TempDir::new_in(self.data.path()).unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Code(Arc::new(dir))
    }

    /// Runs `app.handler` of a function that is one Python file.
    pub(crate) async fn python(&self, source: &str, event: &str) -> Ran {
        let code = self.code(&[("app.py", source)]);
        self.run(job(code.path(), event)).await
    }

    /// Runs a job to its end.
    pub(crate) async fn run(&self, job: Job) -> Ran {
        self.run_with(job, |_| {}).await
    }

    /// Runs a job to its end and does something with the platform's listener.
    pub(crate) async fn run_with(
        &self,
        job: Job,
        platform: impl FnOnce(TcpListener) + Send + 'static,
    ) -> Ran {
        self.run_in(self.templates.is_some(), job, platform).await
    }

    /// Runs a job to its end in a copy, or in a process that is started for it.
    pub(crate) async fn run_in(
        &self,
        copy: bool,
        job: Job,
        platform: impl FnOnce(TcpListener) + Send + 'static,
    ) -> Ran {
        let (to, mut from) = mpsc::channel(10_000);
        let platform: Platform = Box::new(|listener| {
            platform(listener);
            Box::new(()) as _
        });
        let taking = async {
            let mut lines = Vec::new();
            while let Some(line) = from.recv().await {
                lines.push(line);
            }
            lines
        };
        let running = async {
            if copy {
                let copy = self.copy(&job.function, platform).await;
                return copy.run(job, to, tokio::sync::oneshot::channel().0).await;
            }
            self.sandbox
                .run(
                    job,
                    Hooks {
                        lines: to,
                        platform,
                        initialised: Box::new(|| {}),
                        answered: oneshot::channel().0,
                    },
                )
                .await
        };
        let (report, lines) = tokio::join!(tokio::time::timeout(DEADLINE, running), taking);
        let (report, _) = report.expect("a run ends in time").expect("the platform is at no fault");
        Ran { report, lines }
    }

    /// A template of a function, or why there is none, and the process that was started for it.
    pub(crate) async fn template(
        &self,
        function: &Function,
    ) -> Result<Box<Template>, (String, Option<Box<Prepared>>)> {
        let made = tokio::time::timeout(DEADLINE, self.sandbox.template(function, no_platform())).await;
        match made.expect("made in time").expect("the platform is at no fault") {
            Captured::Template(template) => Ok(template),
            Captured::Refused { reason, process } => Err((reason, process)),
        }
    }

    /// A copy of a function's template, which is made if need be.
    pub(crate) async fn copy(&self, function: &Function, platform: Platform) -> Prepared {
        let templates = self.templates.as_ref().expect("a node of copies");
        let name = format!("{} {:?}", function.code_dir.display(), function.spec);
        let mut templates = templates.lock().await;
        if !templates.contains_key(&name) {
            let template = self.template(function).await.expect("it can be captured");
            templates.insert(name.clone(), template);
        }
        let original = templates[&name].original();
        drop(templates);
        self.copy_of(&original, platform).await
    }

    /// A copy that waits for its event.
    pub(crate) async fn copy_of(&self, original: &Original, platform: Platform) -> Prepared {
        let copied = tokio::time::timeout(DEADLINE, self.sandbox.clone_of(original, platform)).await;
        let copy =
            copied.expect("copied in time").expect("the template is there").expect("a copy that is ready");
        assert_eq!(copy.kind(), StartKind::Clone);
        copy
    }

    /// Hooks that do nothing.
    pub(crate) fn no_hooks(&self) -> Hooks {
        Hooks {
            lines: mpsc::channel(1).0,
            platform: Box::new(|_| Box::new(())),
            initialised: Box::new(|| {}),
            answered: oneshot::channel().0,
        }
    }

    /// The control groups in which this node's processes wait or run.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let mut groups = Vec::new();
        for pid in descendants(self.launcher) {
            for line in std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default().lines() {
                let mut fields = line.splitn(3, ':').skip(1);
                let (Some(controller), Some(path)) = (fields.next(), fields.next()) else { continue };
                // The tree of version 2 is alone, or beside those of version 1.
                let root = match controller {
                    "" if Path::new("/sys/fs/cgroup/unified").exists() => "unified",
                    controller => controller,
                };
                if path.contains("/mayfly-") {
                    groups.push(Path::new("/sys/fs/cgroup").join(root).join(path.trim_start_matches('/')));
                }
            }
        }
        groups.sort();
        groups.dedup();
        groups
    }

    /// The census when two in a row are the same.
    pub(crate) async fn settled(&self) -> Census {
        Census::settled(self).await
    }

    /// The census when it is as expected, or after some seconds whatever it is.
    pub(crate) async fn settled_at(&self, expected: &Census) -> Census {
        expected.awaited(self).await
    }

    /// Waits until only the launcher, its janitor and its two waiting processes are left; lets go of templates.
    pub(crate) async fn nothing_left(&self) {
        if let Some(templates) = &self.templates {
            templates.lock().await.clear();
        }
        eventually("all processes of the event are gone", || descendants(self.launcher).len() <= 4).await;
    }
}

/// Serves nothing.
pub(crate) fn no_platform() -> Platform {
    Box::new(|_| Box::new(()))
}

/// Waits for something that is about to be true.
pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..200 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in time: {what}");
}

/// The parent of a process, and whether it still runs.
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if fields.next()? == "Z" { None } else { fields.next()?.parse().ok() }
}

fn children(of: i32) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent(*pid) == Some(of))
        .collect()
}

/// A process and all that come from it, as far as they run.
pub(crate) fn descendants(of: i32) -> Vec<i32> {
    let mut found: Vec<i32> = parent(of).map(|_| of).into_iter().collect();
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next]));
        next += 1;
    }
    found
}

impl Code {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A job for `app.handler` with small limits.
pub(crate) fn job(code_dir: &Path, event: &str) -> Job {
    let code = CodeId("0".repeat(64));
    let spec = FunctionSpec::new(FunctionArn::of("tested"), "python3.11", "app.handler", code);
    let spec = FunctionSpec { timeout_s: 10, ..spec };
    Job {
        request_id: RequestId::new(SystemClock.now()),
        function: Function {
            spec: Arc::new(spec),
            code_dir: code_dir.to_path_buf(),
            layers_dir: None,
            environment: Arc::default(),
        },
        invoked: FunctionArn::of("tested"),
        lineage: Default::default(),
        payload: Bytes::copy_from_slice(event.as_bytes()),
        client_context: None,
        stream: None,
        keep: false,
    }
}

/// The same job with a changed function.
pub(crate) fn with(mut job: Job, change: impl FnOnce(&mut FunctionSpec)) -> Job {
    change(Arc::make_mut(&mut job.function.spec));
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
