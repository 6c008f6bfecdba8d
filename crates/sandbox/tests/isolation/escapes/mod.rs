//! Hostile functions: every attempt is denied, in the way that is expected, and nobody else notices. Each attempt is
//! made in a process that was started for it, and in a copy of a template.

/// Makes each of these attempts twice: in processes, and in copies.
macro_rules! attempts {
    ($($attempt:ident),* $(,)?) => {
        mod in_a_process {
            $(#[tokio::test]
            async fn $attempt() {
                super::$attempt(crate::fixture::Node::start().await).await;
            })*
        }
        mod in_a_copy {
            $(#[tokio::test]
            async fn $attempt() {
                if let Some(node) = crate::fixture::Node::of_copies().await {
                    super::$attempt(node).await;
                }
            })*
        }
    };
}

mod files;
mod kernel;
mod neighbours;
mod network;
mod processes;
mod resources;

use crate::fixture::{Node, Ran, job, with};
use model::FunctionSpec;
use std::path::Path;

/// A module that evaluates expressions, and tells what comes of each: its value, or the name of the error.
pub(crate) const ATTEMPTS: &str = r#"
import array, ctypes, errno, fcntl, glob, mmap, os, resource, signal, socket, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if libc.syscall(ctypes.c_long(number), *words) != -1: return "done"
    return errno.errorcode.get(ctypes.get_errno(), ctypes.get_errno())

def write(path, text="1"):
    fd = os.open(path, os.O_WRONLY)
    try: return os.write(fd, text.encode())
    finally: os.close(fd)

def connected(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as s:
        s.settimeout(2)
        s.connect(address)
        return "connected"

def in_child(what):
    r, w = os.pipe()
    if os.fork() == 0:
        try: said = str(what())
        except OSError as e: said = errno.errorcode[e.errno]
        os.write(w, said.encode()); os._exit(0)
    os.close(w)
    try: return os.read(r, 4096).decode()
    finally: os.close(r); os.wait()

def handler(event, context):
    if isinstance(event, str):
        names = dict(globals(), context=context)
        exec(event, names)
        return names["attack"]()
    results = []
    for line in event:
        try: result = str(eval(line))
        except OSError as e: result = errno.errorcode.get(e.errno, type(e).__name__)
        except BaseException as e: result = type(e).__name__
        results.append(result)
    return results
"#;

/// The handler of [`ATTEMPTS`].
pub(crate) fn evaluate() -> &'static str {
    &ATTEMPTS[ATTEMPTS.find("def handler").unwrap()..]
}

/// Runs a function that evaluates these expressions, one after the other, and returns what came of each.
pub(crate) async fn try_each(node: &Node, expressions: &[&str]) -> Vec<String> {
    let event = serde_json::to_string(expressions).unwrap();
    let answer = node.python(ATTEMPTS, &event).await.answer();
    serde_json::from_str(&answer).unwrap()
}

/// Fails with all expressions whose result is none of the expected ones, which `|` keeps apart.
pub(crate) async fn expect(node: &Node, attempts: &[(&str, &str)]) {
    let expressions: Vec<_> = attempts.iter().map(|(expression, _)| *expression).collect();
    let results = try_each(node, &expressions).await;
    assert_eq!(results.len(), attempts.len());
    let differs = |((_, expected), result): &(&(&str, &str), &String)| {
        !expected.split('|').any(|one| one == result.as_str())
    };
    let wrong: Vec<_> = attempts.iter().zip(&results).filter(differs).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same expectation for many expressions.
async fn expect_all(node: &Node, expected: &str, expressions: &[&str]) {
    let attempts: Vec<_> = expressions.iter().map(|expression| (*expression, expected)).collect();
    expect(node, &attempts).await;
}

/// Runs one hostile event of a handler with this body.
pub(crate) async fn attack(node: &Node, body: &str, limits: impl FnOnce(&mut FunctionSpec)) -> Ran {
    let code = node.code(&[("app.py", ATTEMPTS)]);
    let event = serde_json::to_string(&format!("def attack():\n{}", indented(body))).unwrap();
    node.run(with(job(code.path(), &event), limits)).await
}

/// Lines as the body of a function.
fn indented(body: &str) -> String {
    format!("    {}", body.trim().replace('\n', "\n    "))
}

/// A function that has nothing to do with the attack, and would notice if it were disturbed.
const INNOCENT: &str = r#"
import os, time
def handler(event, context):
    open("/tmp/mine", "w").write("mine")
    for _ in range(20):
        time.sleep(0.02)
        assert open("/tmp/mine").read() == "mine"
        assert os.listdir("/tmp") == ["mine"] and os.listdir("/dev/shm") == []
        assert [p for p in os.listdir("/proc") if p.isdigit() and p != "1"] == [str(os.getpid())]
        if os.fork() == 0: os._exit(0)
        assert os.wait()[1] == 0
    return "undisturbed"
"#;

/// Runs an attack between two good events and beside a third: none of them is disturbed.
async fn beside_others<T>(node: &Node, attack: impl Future<Output = T>) -> T {
    let code = node.code(&[("app.py", INNOCENT)]);
    let innocent = || node.run(with(job(code.path(), "{}"), |spec| spec.timeout_s = 60));
    assert_eq!(innocent().await.answer(), "\"undisturbed\"");
    let (attacked, beside) = tokio::join!(attack, innocent());
    assert_eq!(beside.answer(), "\"undisturbed\"");
    assert_eq!(innocent().await.answer(), "\"undisturbed\"");
    attacked
}

/// A path as Python text.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
