//! What the doctor says of runtimes: which are there, that they answer, and which functions get another one.

use super::finding::Finding;
use bytes::Bytes;
use model::{Clock, CodeId, FunctionArn, FunctionSpec, Language, Outcome, RequestId, Runtimes, SystemClock};
use sandbox::{Function, Hooks, Interpreters, Job, Sandbox};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long a probe may take: a first start may have to prepare its runtime.
const PATIENCE: Duration = Duration::from_secs(60);

/// The event of every probe, which each has to give back.
const EVENT: &str = r#"{"probe":1}"#;

/// The most functions that are named in one line.
const NAMED: usize = 5;

/// A function that gives its event back.
struct Probe {
    language: Language,
    handler: &'static str,
    /// Its one file.
    file: (&'static str, &'static str),
    /// How the language is installed on Debian and on Fedora.
    install: &'static str,
    /// AWS's names of its runtimes.
    names: &'static [&'static str],
}

/// One for each language.
const PROBES: [Probe; 3] = [
    Probe {
        language: Language::Python,
        handler: "app.handler",
        file: ("app.py", "def handler(event, context):\n    return event\n"),
        install: "apt install python3, or dnf install python3.13",
        names: &["python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9"],
    },
    Probe {
        language: Language::NodeJs,
        handler: "index.handler",
        file: ("index.mjs", "export const handler = async (event) => event;\n"),
        install: "apt install nodejs, or dnf install nodejs",
        names: &["nodejs24.x", "nodejs22.x", "nodejs20.x", "nodejs18.x"],
    },
    Probe {
        language: Language::Java,
        // A method that every Java brings gives a copy back, so that there is nothing to compile.
        handler: "java.util.Map::copyOf",
        file: ("README", "empty but for this\n"),
        install: "apt install default-jre-headless, or dnf install java-latest-openjdk-headless",
        names: &["java25", "java21", "java17", "java11"],
    },
];

/// The runtime of packages that bring their own program, and the shell that the probe for it needs.
const CUSTOM: (&str, &str) = ("provided.al2023", "/bin/bash");

/// Gives each event back, with nothing but the shell.
const CUSTOM_FILE: (&str, &str) = (
    "bootstrap",
    r#"#!/bin/bash
call() {
    exec 9<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API%:*}/${AWS_LAMBDA_RUNTIME_API#*:}"
    printf '%s /2018-06-01/runtime/invocation/%s HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
        "$1" "$2" "${#3}" "$3" >&9
    while IFS= read -r line <&9 || [ -n "$line" ]; do
        last=${line%$'\r'}
        case ${last,,} in lambda-runtime-aws-request-id:*) id=${last#*: } ;; esac
    done
}
while call GET next ""; do call POST "$id/response" "$last"; done
"#,
);

/// Runs a probe on every interpreter that serves a runtime; without a sandbox, only says what is installed.
pub(super) async fn look(
    sandbox: Option<&Sandbox>,
    interpreters: &Interpreters,
    scratch: &Path,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for probe in &PROBES {
        let mut served: Vec<String> = Vec::new();
        for one in interpreters.iter().filter(|one| one.installed.language == probe.language) {
            let runtime = one.installed.runtime();
            let what = format!("{one} ({})", one.executable.display());
            if served.contains(&runtime) {
                findings.push(Finding::present(&runtime, format!("{what}: another one serves it"), ""));
                continue;
            }
            findings.push(match sandbox {
                None => Finding::present(&runtime, format!("{what}; not tried"), ""),
                Some(sandbox) => match try_out(sandbox, &runtime, probe.handler, probe.file, scratch).await {
                    Ok(took) => {
                        Finding::used(&runtime, format!("{what}, answered in {} ms", took.as_millis()))
                    }
                    Err(reason) => {
                        let detail = format!("{what} does not run a function: {reason}");
                        let what_to_do =
                            "install it again, or take it off the PATH and functions.interpreters";
                        Finding::missing(&runtime, detail, what_to_do).and_unsafe()
                    }
                },
            });
            served.push(runtime);
        }
        if served.is_empty() {
            findings.push(unserved(probe, sandbox::is_built_in(probe.language)));
        }
    }
    findings.push(custom(sandbox, scratch).await);
    findings
}

/// Says why nothing serves a language.
fn unserved(probe: &Probe, built_in: bool) -> Finding {
    let language = probe.language.to_string();
    if built_in {
        let what_to_do = format!("{}; or name its program under functions.interpreters", probe.install);
        Finding::missing(&language, format!("no {language} was found on the PATH"), what_to_do)
    } else {
        let detail = format!("this program was built without what runs functions in {language}");
        let what_to_do = "build it again with make build, on a machine with a JDK (11 or later) and Maven";
        Finding::missing(&language, detail, what_to_do)
    }
}

/// Packages that bring their own program need nothing of the machine.
async fn custom(sandbox: Option<&Sandbox>, scratch: &Path) -> Finding {
    let (runtime, shell) = CUSTOM;
    let what = "packages bring their own program";
    let Some(sandbox) = sandbox.filter(|_| Path::new(shell).exists()) else {
        return Finding::present(runtime, format!("{what}; not tried"), "");
    };
    match try_out(sandbox, runtime, "any", CUSTOM_FILE, scratch).await {
        Ok(took) => Finding::used(runtime, format!("{what}; one answered in {} ms", took.as_millis())),
        Err(reason) => {
            let what_to_do = "if the directory for temporary files is mounted noexec, set TMPDIR to another";
            Finding::missing(runtime, format!("{what}; none could answer: {reason}"), what_to_do).and_unsafe()
        }
    }
}

/// Runs one event; how long it took, or why it failed.
async fn try_out(
    sandbox: &Sandbox,
    runtime: &str,
    handler: &str,
    file: (&str, &str),
    scratch: &Path,
) -> Result<Duration, String> {
    let code_dir = scratch.join(format!("probe-{runtime}"));
    write(&code_dir, file).map_err(|error| format!("cannot write the probe: {error}"))?;
    let code = CodeId("0".repeat(64));
    let spec = FunctionSpec::new(FunctionArn::of("doctor"), runtime, handler, code);
    let job = Job {
        request_id: RequestId::new(SystemClock.now()),
        function: Function {
            spec: Arc::new(FunctionSpec { memory_mb: 256, timeout_s: 20, ..spec }),
            code_dir,
            layers_dir: None,
            environment: Arc::default(),
        },
        invoked: FunctionArn::of("doctor"),
        lineage: Default::default(),
        payload: Bytes::from_static(EVENT.as_bytes()),
        client_context: None,
        stream: None,
        keep: false,
    };
    // Nobody reads the log: an error's document says enough.
    let platform = Box::new(|_| Box::new(()) as _);
    let hooks = Hooks { lines: mpsc::channel(1).0, platform, initialised: Box::new(|| {}) };
    let began = Instant::now();
    let report = match tokio::time::timeout(PATIENCE, sandbox.run(job, hooks)).await {
        Ok(Ok((report, _))) => report,
        Ok(Err(error)) => return Err(super::chain(&error)),
        Err(_) => return Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    match report.outcome {
        Outcome::Succeeded(answer) => {
            let value: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
            if value["probe"] == 1 {
                Ok(began.elapsed())
            } else {
                Err("it answered something else".to_owned())
            }
        }
        Outcome::Failed(error) => Err(format!("{}: {}", error.error_type, error.error_message)),
    }
}

/// Writes a package that everybody can read and execute.
fn write(dir: &Path, (name, text): (&str, &str)) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, PermissionsExt::from_mode(0o755))?;
    let file = dir.join(name);
    fs::write(&file, text)?;
    fs::set_permissions(file, PermissionsExt::from_mode(0o755))
}

/// Says of AWS's other names, and of those that `functions` (name and runtime) ask for, what serves them.
pub(super) fn names(runtimes: &Runtimes, functions: &[(String, String)]) -> Vec<Finding> {
    let installed = runtimes.names();
    let known = PROBES.iter().flat_map(|probe| probe.names.iter().copied());
    let mut names: Vec<&str> = known.collect();
    names.extend(functions.iter().map(|(_, runtime)| runtime.as_str()));
    let mut findings: Vec<Finding> = Vec::new();
    for name in names {
        if installed.iter().any(|one| one == name) || findings.iter().any(|one| one.feature == name) {
            continue;
        }
        let asking: Vec<&str> = functions
            .iter()
            .filter(|(_, runtime)| runtime == name)
            .map(|(function, _)| function.as_str())
            .collect();
        let asked = asked_by(&asking);
        let what_to_do = if asking.is_empty() {
            String::new()
        } else {
            format!("install {name}, name its program under functions.interpreters, or change the functions")
        };
        findings.push(match runtimes.choose(name) {
            Ok(chosen) => {
                let on = chosen.index.and_then(|index| runtimes.installed.get(index));
                let on = on.map(ToString::to_string).unwrap_or_default();
                Finding::present(
                    name,
                    format!("not here; its functions run on {on}, with a warning{asked}"),
                    what_to_do,
                )
            }
            Err(_) => {
                let strict = if runtimes.strict { ", and strict_runtimes is set" } else { "" };
                let what_to_do = if what_to_do.is_empty() {
                    "install it if you need it, or name its program under functions.interpreters".to_owned()
                } else {
                    what_to_do
                };
                Finding::missing(
                    name,
                    format!("not here{strict}: its functions cannot run{asked}"),
                    what_to_do,
                )
            }
        });
    }
    findings
}

fn asked_by(functions: &[&str]) -> String {
    match functions {
        [] => String::new(),
        few if few.len() <= NAMED => format!("; asked for by {}", few.join(", ")),
        many => format!("; asked for by {} and {} more", many[..NAMED].join(", "), many.len() - NAMED),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use model::Installed;

    fn found(strict: bool, functions: &[(&str, &str)]) -> Vec<Finding> {
        let installed = vec![Installed { language: Language::Python, version: (3, 11, 2) }];
        let functions: Vec<_> = functions.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        names(&Runtimes { installed, strict }, &functions)
    }

    #[test]
    fn another_version_serves_or_does_not() {
        let one = |findings: &[Finding], name: &str| findings.iter().find(|one| one.feature == name).cloned();
        let findings = found(false, &[("old", "python3.9"), ("new", "python3.11"), ("odd", "java8.al2")]);
        assert_eq!(one(&findings, "python3.11"), None);
        let old = one(&findings, "python3.9").unwrap();
        assert_eq!(old.state, State::Present);
        assert_eq!(
            old.detail,
            "not here; its functions run on Python 3.11.2, with a warning; asked for by old"
        );
        assert!(old.what_to_do.starts_with("install python3.9"));
        assert_eq!(one(&findings, "python3.10").unwrap().what_to_do, "");
        assert_eq!(one(&findings, "nodejs22.x").unwrap().state, State::Missing);
        assert!(one(&findings, "java8.al2").unwrap().detail.ends_with("asked for by odd"));
        let strict = one(&found(true, &[]), "python3.9").unwrap();
        assert_eq!(strict.state, State::Missing);
        assert!(strict.detail.contains("strict_runtimes"));
    }

    #[test]
    fn a_program_without_a_runtime_does_not_blame_the_machine() {
        let java = PROBES.iter().find(|probe| probe.language == Language::Java).unwrap();
        assert!(unserved(java, true).detail.contains("found on the PATH"));
        let without = unserved(java, false);
        assert_eq!(without.detail, "this program was built without what runs functions in Java");
        assert!(without.what_to_do.contains("make build"));
    }

    #[test]
    fn many_functions_are_counted() {
        assert_eq!(asked_by(&["a", "b", "c", "d", "e", "f", "g"]), "; asked for by a, b, c, d, e and 2 more");
    }
}
