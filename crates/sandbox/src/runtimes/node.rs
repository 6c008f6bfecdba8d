//! Node.js: one small file. A snapshot of the heap that holds it starts no faster.

use super::Kind;
use crate::Interpreter;
use crate::control::BOOTSTRAP_DIR;
use model::{FunctionSpec, Installed, Language};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const KIND: Kind =
    Kind { oldest: (18, 0), is_named, places, ask, read, prepare, command, environment };

/// The program that answers events inside a sandbox.
const BOOTSTRAP: &str = include_str!("../../../../runtimes/node/bootstrap.cjs");

/// What an interpreter is asked: version and program.
const QUESTION: &str = "process.versions.node + '\\n' + require('fs').realpathSync(process.execPath)";

/// `node`, Debian's `nodejs`, and both with a version, as in `node20` or `nodejs-20`.
fn is_named(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("node") else { return false };
    let version = rest.strip_prefix("js").unwrap_or(rest).trim_start_matches('-');
    version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Where archives of Node are usually unpacked: `/usr/local/lib/nodejs/NAME/bin` and `/opt/nodeNAME/bin`.
fn places() -> Vec<PathBuf> {
    let below = |parent: &str, prefix: &'static str| {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix));
        let mut found: Vec<_> = named.map(|entry| entry.path().join("bin")).collect();
        found.sort();
        found
    };
    [below("/usr/local/lib/nodejs", ""), below("/opt", "node")].concat()
}

/// The server's own options for Node are not the functions'.
fn ask(program: &mut std::process::Command) {
    program.args(["-p", QUESTION]).env_remove("NODE_OPTIONS").env_remove("NODE_EXTRA_CA_CERTS");
}

fn read(answer: &str) -> Option<Interpreter> {
    let mut lines = answer.lines();
    let version = super::version(lines.next()?)?;
    let executable = PathBuf::from(lines.next()?);
    let installed = Installed { language: Language::NodeJs, version };
    // The program is all there is to it: its library is inside.
    let shown = vec![executable.clone()];
    Some(Interpreter { installed, executable, shown, hidden: Vec::new() })
}

fn prepare(_: &Interpreter, directory: &Path) -> io::Result<()> {
    fs::write(directory.join("bootstrap.cjs"), BOOTSTRAP)
}

/// The options are those that Lambda gives to Node, and one that keeps V8 from collecting garbage for the sake of
/// memory alone when a process has little to do: in a copy, that would make pages its own that it shares. The heap is bounded by the function's memory, unless the function
/// bounds it itself: a tenth for young objects, which have two halves, the rest for old ones.
fn command(interpreter: &Interpreter, _: &Path, spec: &FunctionSpec) -> Vec<String> {
    let mut command = vec![interpreter.executable.display().to_string()];
    command.extend(["--expose-gc", "--max-http-header-size=81920", "--no-memory-reducer"].map(str::to_owned));
    let options = spec.environment.get("NODE_OPTIONS").map(|options| options.replace('_', "-"));
    let bounded = |options: &String| {
        ["--max-semi-space-size", "--max-old-space-size"].iter().any(|option| options.contains(option))
    };
    if !options.as_ref().is_some_and(bounded) {
        let young = spec.memory_mb / 10;
        command.push(format!("--max-semi-space-size={}", young / 2));
        command.push(format!("--max-old-space-size={}", spec.memory_mb - young));
    }
    command.push(format!("{BOOTSTRAP_DIR}/bootstrap.cjs"));
    command
}

/// Where `require` looks beside the package, in Lambda's order; layers have directories per version.
fn environment(interpreter: &Interpreter) -> Vec<(&'static str, String)> {
    let (major, ..) = interpreter.installed.version;
    let layers = format!("/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules");
    vec![("NODE_PATH", format!("{layers}:{BOOTSTRAP_DIR}/node_modules:{BOOTSTRAP_DIR}:/var/task"))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CodeId, FunctionArn};

    #[test]
    fn programs_are_recognised_by_name() {
        assert!(["node", "nodejs", "node20", "nodejs-22"].iter().all(|name| is_named(name)));
        assert!(!["nodemon", "node-gyp", "npm"].iter().any(|name| is_named(name)));
    }

    #[test]
    fn the_heap_is_bounded_by_the_memory_unless_the_function_does_it() {
        let interpreter = read("20.11.1\n/usr/bin/node\n").unwrap();
        let mut spec = FunctionSpec::new(FunctionArn::of("f"), "nodejs20.x", "a.b", CodeId(String::new()));
        spec.memory_mb = 128;
        let command_of = |spec: &FunctionSpec| command(&interpreter, Path::new("/"), spec).join(" ");
        assert!(command_of(&spec).contains("--max-semi-space-size=6 --max-old-space-size=116 /var/runtime/"));
        spec.environment.insert("NODE_OPTIONS".into(), "--max_old_space_size=64".into());
        assert!(!command_of(&spec).contains("space-size"));
    }
}
