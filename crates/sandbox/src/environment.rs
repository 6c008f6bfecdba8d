//! The environment variables of a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use crate::{Function, Interpreter, RUNTIME_API_ADDRESS};
use model::{FunctionSpec, Language, LogFormat, RequestId, Timestamp, Wanted};
use std::collections::BTreeMap;
use std::path::Path;

/// Where programs are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/opt/bin";

/// Names whose values are the same for every function.
const FIXED: [(&str, &str); 10] = [
    ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
    // Nobody listens there: traces are sent and lost.
    ("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000"),
    ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
    ("LANG", "en_US.UTF-8"),
    ("LD_LIBRARY_PATH", "/var/task:/var/task/lib:/opt/lib"),
    ("PATH", PATH),
    ("TZ", ":UTC"),
    ("_AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1"),
    ("_AWS_XRAY_DAEMON_PORT", "2000"),
];

/// Fixed names that a user's own value replaces, because Lambda does not reserve them.
const YIELDING: [&str; 6] =
    ["AWS_XRAY_CONTEXT_MISSING", "AWS_XRAY_DAEMON_ADDRESS", "LANG", "LD_LIBRARY_PATH", "PATH", "TZ"];

/// The variable that names the log stream: the one that differs between copies of a process.
pub(crate) const LOG_STREAM: &str = "AWS_LAMBDA_LOG_STREAM_NAME";

/// For what a process is started, as it learns it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For this event, and perhaps others after it.
    Event(RequestId),
    /// To wait for an event.
    Wait,
    /// To be copied.
    Template,
}

impl Purpose {
    /// The value of `AWS_LAMBDA_INITIALIZATION_TYPE`.
    pub(crate) fn initialization_type(self) -> &'static str {
        match self {
            Purpose::Event(_) => "on-demand",
            Purpose::Wait => "provisioned-concurrency",
            Purpose::Template => "snap-start",
        }
    }
}

/// A name for the log stream of a new process: `2026/01/31/[$LATEST]0123...`.
pub(crate) fn log_stream(spec: &FunctionSpec, now: Timestamp) -> String {
    let date = now.to_date_time().date();
    let id = RequestId::new(now).0.simple();
    format!("{:04}/{:02}/{:02}/[{}]{id}", date.year(), u8::from(date.month()), date.day(), spec.version)
}

/// Where programs are looked for by a function of a language: its own come first, as in Lambda.
pub(crate) fn path(interpreter: &Interpreter) -> String {
    match interpreter.executable.parent().and_then(Path::to_str) {
        Some(own) if PATH.split(':').all(|directory| directory != own) => format!("{own}:{PATH}"),
        _ => PATH.to_owned(),
    }
}

/// All variables of a process, `NAME=value`: the user's, then the platform's, then those that Lambda reserves.
/// `language` are those of the language, which a user's own value replaces.
pub(crate) fn variables(
    function: &Function,
    purpose: Purpose,
    language: &[(&'static str, String)],
    now: Timestamp,
) -> Vec<String> {
    let spec = &function.spec;
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in FIXED {
        all.insert(name, value.to_owned());
    }
    for name in ["AWS_DEFAULT_REGION", "AWS_REGION"] {
        all.insert(name, spec.arn.region().to_owned());
    }
    all.insert("AWS_LAMBDA_INITIALIZATION_TYPE", purpose.initialization_type().to_owned());
    for (name, value) in language {
        all.insert(name, value.clone());
    }
    let yields = |name: &str| YIELDING.contains(&name) || language.iter().any(|(given, _)| *given == name);
    for (name, value) in &spec.environment {
        if yields(name) || !all.contains_key(name.as_str()) {
            all.insert(name, value.clone());
        }
    }
    for (name, value) in function.environment.iter() {
        all.insert(name, value.clone());
    }
    let name = spec.arn.name();
    let wanted = Wanted::parse(&spec.runtime);
    all.insert("_HANDLER", spec.handler.clone());
    all.insert("AWS_LAMBDA_RUNTIME_API", RUNTIME_API_ADDRESS.to_string());
    if wanted != Some(Wanted::Custom) {
        // The bootstrap takes this one out before the function's code is loaded: errors of loading bear the id too.
        // Those of Java do not, and a JVM can take nothing out of its environment.
        if let Purpose::Event(request_id) = purpose
            && !matches!(wanted, Some(Wanted::Language(Language::Java, ..)))
        {
            all.insert("_MAYFLY_REQUEST_ID", request_id.to_string());
        }
        all.insert("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", spec.runtime));
    }
    all.insert("AWS_LAMBDA_FUNCTION_NAME", name.to_owned());
    all.insert("AWS_LAMBDA_FUNCTION_VERSION", spec.version.clone());
    all.insert("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string());
    let group = spec.logging.group.clone().unwrap_or_else(|| format!("/aws/lambda/{name}"));
    all.insert("AWS_LAMBDA_LOG_GROUP_NAME", group);
    all.insert("AWS_LAMBDA_LOG_FORMAT", spec.logging.format.name().to_owned());
    if spec.logging.format == LogFormat::Json {
        all.insert("AWS_LAMBDA_LOG_LEVEL", spec.logging.application_level.name().to_owned());
    }
    all.insert(LOG_STREAM, log_stream(spec, now));
    // A variable that the kernel cannot carry is left out: names and values end at a zero byte.
    all.into_iter()
        .filter(|(name, value)| !name.contains(['=', '\0']) && !value.contains('\0'))
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CodeId, FunctionArn};
    use std::sync::Arc;

    fn request() -> RequestId {
        RequestId::new(Timestamp(0))
    }

    fn function(user: &[(&str, &str)]) -> Function {
        let code = CodeId(String::new());
        let mut spec = FunctionSpec::new(FunctionArn::of("f"), "python3.11", "app.handler", code);
        spec.environment = user.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Function {
            spec: Arc::new(spec),
            code_dir: "/".into(),
            layers_dir: None,
            environment: Arc::new([("AWS_ENDPOINT_URL".into(), "http://127.0.0.1:4566".into())].into()),
        }
    }

    fn of(function: &Function, purpose: Purpose, language: &[(&'static str, String)]) -> Vec<String> {
        variables(function, purpose, language, Timestamp(0))
    }

    #[test]
    fn reserved_names_win_and_others_yield() {
        let user = [("_HANDLER", "evil"), ("AWS_REGION", "moon"), ("TZ", "Europe/Paris"), ("MINE", "1")];
        let language = [("MINE", "2".into()), ("OURS", "3".into())];
        let variables = of(&function(&user), Purpose::Wait, &language);
        for expected in [
            "_HANDLER=app.handler",
            "AWS_REGION=us-east-1",
            "TZ=Europe/Paris",
            "MINE=1",
            "OURS=3",
            "AWS_ENDPOINT_URL=http://127.0.0.1:4566",
        ] {
            assert!(variables.iter().any(|variable| variable == expected), "{expected}: {variables:?}");
        }
    }

    #[test]
    fn a_custom_runtime_has_an_api_and_nothing_of_a_languages_own() {
        let mut function = function(&[("AWS_LAMBDA_RUNTIME_API", "elsewhere")]);
        Arc::make_mut(&mut function.spec).runtime = "provided.al2023".into();
        let variables = of(&function, Purpose::Event(request()), &[]);
        assert!(variables.iter().any(|variable| variable == "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001"));
        for absent in ["AWS_EXECUTION_ENV=", "_MAYFLY", "_X_AMZN_TRACE_ID="] {
            assert!(!variables.iter().any(|variable| variable.starts_with(absent)), "{absent}");
        }
    }

    #[test]
    fn only_a_process_for_an_event_knows_which() {
        for (purpose, kind, knows) in [
            (Purpose::Event(request()), "on-demand", true),
            (Purpose::Wait, "provisioned-concurrency", false),
            (Purpose::Template, "snap-start", false),
        ] {
            let variables = of(&function(&[]), purpose, &[]);
            assert!(variables.contains(&format!("AWS_LAMBDA_INITIALIZATION_TYPE={kind}")));
            assert_eq!(variables.iter().any(|variable| variable.starts_with("_MAYFLY_REQUEST_ID=")), knows);
        }
    }

    #[test]
    fn a_log_stream_begins_with_its_day_and_is_a_process_s_own() {
        let (spec, now) = (function(&[]).spec, Timestamp(1_769_860_800_000));
        assert!(log_stream(&spec, now).starts_with("2026/01/31/[$LATEST]"));
        assert_ne!(log_stream(&spec, now), log_stream(&spec, now));
    }
}
