//! The environment variables of a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use crate::Job;
use model::REGION;
use std::collections::BTreeMap;

/// Names whose values are the same for every function.
const FIXED: [(&str, &str); 9] = [
    ("AWS_DEFAULT_REGION", REGION),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_REGION", REGION),
    ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
    ("LANG", "en_US.UTF-8"),
    ("LD_LIBRARY_PATH", "/var/task:/var/task/lib:/opt/lib"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
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

/// All variables of a job, `NAME=value`: the user's, then the platform's, then those that Lambda reserves.
pub(crate) fn variables(job: &Job, now: model::Timestamp) -> Vec<String> {
    let spec = &job.spec;
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in FIXED {
        all.insert(name, value.to_owned());
    }
    for (name, value) in &spec.environment {
        if YIELDING.contains(&name.as_str()) || !all.contains_key(name.as_str()) {
            all.insert(name, value.clone());
        }
    }
    for (name, value) in &job.environment {
        all.insert(name, value.clone());
    }
    let name = spec.arn.name();
    // The bootstrap takes this one out before the function's code is loaded: errors of loading bear the id too.
    all.insert("_MAYFLY_REQUEST_ID", job.request_id.to_string());
    all.insert("_HANDLER", spec.handler.clone());
    all.insert("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", spec.runtime));
    all.insert("AWS_LAMBDA_FUNCTION_NAME", name.to_owned());
    all.insert("AWS_LAMBDA_FUNCTION_VERSION", spec.version.clone());
    all.insert("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string());
    all.insert("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"));
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
        let spec = FunctionSpec {
            arn: FunctionArn::of("f"),
            version: "$LATEST".into(),
            runtime: "python3.11".into(),
            handler: "app.handler".into(),
            code: CodeId(String::new()),
            environment: user.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            memory_mb: 128,
            timeout_s: 3,
            ephemeral_storage_mb: 512,
        };
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
        let variables = variables(&job(&user), Timestamp(0));
        for expected in [
            "_HANDLER=app.handler",
            "AWS_REGION=us-east-1",
            "TZ=Europe/Paris",
            "MINE=1",
            "AWS_ENDPOINT_URL=http://127.0.0.1:4566",
        ] {
            assert!(variables.iter().any(|variable| variable == expected), "{expected}: {variables:?}");
        }
    }

    #[test]
    fn a_log_stream_begins_with_its_day() {
        assert!(log_stream(&job(&[]), Timestamp(1_769_860_800_000)).starts_with("2026/01/31/[$LATEST]"));
    }
}
