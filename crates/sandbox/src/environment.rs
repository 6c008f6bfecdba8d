//! The environment variables of a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use crate::{Interpreter, Job, RUNTIME_API_ADDRESS};
use model::{Language, LogFormat, REGION, Wanted};
use std::collections::BTreeMap;
use std::path::Path;

/// Where programs are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/opt/bin";

/// Names whose values are the same for every function.
const FIXED: [(&str, &str); 9] = [
    ("AWS_DEFAULT_REGION", REGION),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_REGION", REGION),
    ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
    ("LANG", "en_US.UTF-8"),
    ("LD_LIBRARY_PATH", "/var/task:/var/task/lib:/opt/lib"),
    ("PATH", PATH),
    ("TZ", ":UTC"),
];

/// Fixed names that a user's own value replaces, because Lambda does not reserve them.
const YIELDING: [&str; 4] = ["LANG", "LD_LIBRARY_PATH", "PATH", "TZ"];

/// The name of the log stream of one event: `2026/01/31/[$LATEST]REQUEST`.
pub(crate) fn log_stream(job: &Job, now: model::Timestamp) -> String {
    let date = now.to_date_time().date();
    let id = job.request_id.to_string().replace('-', "");
    format!("{:04}/{:02}/{:02}/[{}]{id}", date.year(), u8::from(date.month()), date.day(), job.spec.version)
}

/// The trace header of an event, made of its id, and not sampled: nobody collects traces yet.
///
/// Source: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
pub(crate) fn trace_id(job: &Job) -> String {
    let id = job.request_id.0.simple().to_string();
    // The first 48 bits of the id are the milliseconds since 1970.
    let seconds = u64::from_str_radix(&id[..12], 16).unwrap_or(0) / 1_000;
    format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &id[8..], &id[16..])
}

/// Where programs are looked for by a function of a language: its own come first, as in Lambda.
pub(crate) fn path(interpreter: &Interpreter) -> String {
    match interpreter.executable.parent().and_then(Path::to_str) {
        Some(own) if PATH.split(':').all(|directory| directory != own) => format!("{own}:{PATH}"),
        _ => PATH.to_owned(),
    }
}

/// All variables of a job, `NAME=value`: the user's, then the platform's, then those that Lambda reserves.
/// `language` are those of the language, which a user's own value replaces.
pub(crate) fn variables(
    job: &Job,
    language: &[(&'static str, String)],
    now: model::Timestamp,
) -> Vec<String> {
    let spec = &job.spec;
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in FIXED {
        all.insert(name, value.to_owned());
    }
    for (name, value) in language {
        all.insert(name, value.clone());
    }
    let yields = |name: &str| YIELDING.contains(&name) || language.iter().any(|(given, _)| *given == name);
    for (name, value) in &spec.environment {
        if yields(name) || !all.contains_key(name.as_str()) {
            all.insert(name, value.clone());
        }
    }
    for (name, value) in &job.environment {
        all.insert(name, value.clone());
    }
    let name = spec.arn.name();
    let wanted = Wanted::parse(&spec.runtime);
    all.insert("_HANDLER", spec.handler.clone());
    if wanted == Some(Wanted::Custom) {
        all.insert("AWS_LAMBDA_RUNTIME_API", RUNTIME_API_ADDRESS.to_string());
    } else {
        // The bootstrap takes this one out before the function's code is loaded: errors of loading bear the id too.
        // Those of Java do not, and a JVM can take nothing out of its environment.
        if !matches!(wanted, Some(Wanted::Language(Language::Java, ..))) {
            all.insert("_MAYFLY_REQUEST_ID", job.request_id.to_string());
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
    all.insert("AWS_LAMBDA_LOG_STREAM_NAME", log_stream(job, now));
    // A variable that the kernel cannot carry is left out: names and values end at a zero byte.
    all.into_iter()
        .filter(|(name, value)| !name.contains(['=', '\0']) && !value.contains('\0'))
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CodeId, FunctionArn, FunctionSpec, RequestId, Timestamp};
    use std::sync::Arc;

    fn job(user: &[(&str, &str)]) -> Job {
        let code = CodeId(String::new());
        let mut spec = FunctionSpec::new(FunctionArn::of("f"), "python3.11", "app.handler", code);
        spec.environment = user.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Job {
            request_id: RequestId::new(Timestamp(0)),
            spec: Arc::new(spec),
            code_dir: "/".into(),
            payload: "{}".into(),
            client_context: None,
            environment: BTreeMap::from([("AWS_ENDPOINT_URL".into(), "http://127.0.0.1:4566".into())]),
        }
    }

    #[test]
    fn reserved_names_win_and_others_yield() {
        let user = [("_HANDLER", "evil"), ("AWS_REGION", "moon"), ("TZ", "Europe/Paris"), ("MINE", "1")];
        let variables = variables(&job(&user), &[("MINE", "2".into()), ("OURS", "3".into())], Timestamp(0));
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
        let mut job = job(&[("AWS_LAMBDA_RUNTIME_API", "elsewhere")]);
        Arc::make_mut(&mut job.spec).runtime = "provided.al2023".into();
        let variables = variables(&job, &[], Timestamp(0));
        assert!(variables.iter().any(|variable| variable == "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001"));
        for absent in ["AWS_EXECUTION_ENV=", "_MAYFLY", "_X_AMZN_TRACE_ID="] {
            assert!(!variables.iter().any(|variable| variable.starts_with(absent)), "{absent}");
        }
    }

    #[test]
    fn a_log_stream_begins_with_its_day() {
        assert!(log_stream(&job(&[]), Timestamp(1_769_860_800_000)).starts_with("2026/01/31/[$LATEST]"));
    }

    #[test]
    fn a_trace_header_has_the_time_and_the_id() {
        let mut job = job(&[]);
        job.request_id = RequestId::new(Timestamp(1_769_860_800_000));
        let trace = trace_id(&job);
        assert!(trace.starts_with("Root=1-697deec0-"), "{trace}");
        assert_eq!(trace.len(), "Root=1-697deec0-;Parent=;Sampled=0".len() + 24 + 16);
    }
}
