//! The settings that `CreateFunction` and `UpdateFunctionConfiguration` share.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>

use super::error::invalid;
use super::function::Function;
use super::layer;
use super::logging_config::LoggingConfig;
use super::refusal::{Rest, refuse};
use super::validate::{Checks, all, is_account};
use model::{Logging, Runtimes, limits};
use serde::Deserialize;
use std::collections::BTreeMap;
use wire::Fault;

/// Settings of a function; one that is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Settings {
    pub(super) function_name: Option<String>,
    pub(super) runtime: Option<String>,
    pub(super) role: Option<String>,
    pub(super) handler: Option<String>,
    pub(super) description: Option<String>,
    pub(super) timeout: Option<i64>,
    pub(super) memory_size: Option<i64>,
    pub(super) environment: Option<Environment>,
    pub(super) ephemeral_storage: Option<EphemeralStorage>,
    pub(super) logging_config: Option<LoggingConfig>,
    pub(super) dead_letter_config: Option<DeadLetterConfig>,
    pub(super) tracing_config: Option<TracingConfig>,
    pub(super) snap_start: Option<SnapStart>,
    pub(super) architectures: Option<Vec<String>>,
    pub(super) layers: Option<Vec<String>>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeadLetterConfig {
    target_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Environment {
    variables: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct EphemeralStorage {
    size: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TracingConfig {
    mode: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SnapStart {
    apply_on: Option<String>,
}

const ROLE: &str = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+";
const TARGET: &str = r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()";
const HANDLER: &str = r"[^\s]+";
const VARIABLE: &str = r"[a-zA-Z]([a-zA-Z0-9_])+";

/// Variables that Lambda sets itself.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
const RESERVED: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// Whether AWS has, or has had, a runtime of this name.
pub(super) fn is_known_runtime(runtime: &str) -> bool {
    KNOWN.iter().any(|family| runtime.starts_with(family))
}

/// How the names of AWS's runtimes begin: another one is a mistake rather than a wish.
const KNOWN: &[&str] = &["nodejs", "java", "python", "dotnet", "go1.x", "ruby", "provided"];

/// The runtimes that a layer can be said to be for: those that AWS has, and those that it had.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html>
pub(super) const RUNTIMES: &[&str] = &[
    "nodejs24.x",
    "nodejs22.x",
    "nodejs20.x",
    "nodejs18.x",
    "nodejs16.x",
    "nodejs14.x",
    "nodejs12.x",
    "nodejs10.x",
    "nodejs8.10",
    "nodejs6.10",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python3.8",
    "python3.7",
    "python3.6",
    "python2.7",
    "java25",
    "java21",
    "java17",
    "java11",
    "java8.al2",
    "java8",
    "dotnet10",
    "dotnet8",
    "dotnet6",
    "dotnetcore3.1",
    "dotnetcore2.1",
    "dotnetcore2.0",
    "dotnetcore1.0",
    "ruby3.4",
    "ruby3.3",
    "ruby3.2",
    "ruby2.7",
    "ruby2.5",
    "go1.x",
    "provided.al2023",
    "provided.al2",
    "provided",
];

impl Settings {
    /// Checks everything that can be checked without the function itself. `runtimes` are those of this machine.
    pub(super) fn check(&self, operation: &str, runtimes: &Runtimes) -> Result<(), Fault> {
        let mut checks = Checks::default();
        if let Some(role) = &self.role {
            checks.pattern("role", role, ROLE, is_role(role));
        }
        if let Some(handler) = &self.handler {
            checks.length("handler", handler, 0, 128);
            checks.pattern("handler", handler, HANDLER, all(handler, |c| !c.is_whitespace()));
        }
        if let Some(description) = &self.description {
            checks.length("description", description, 0, 256);
        }
        if let Some(timeout) = self.timeout {
            checks.range("timeout", timeout, limits::TIMEOUT_S.0, limits::TIMEOUT_S.1);
        }
        if let Some(memory) = self.memory_size {
            checks.range("memorySize", memory, limits::MEMORY_MB.0, limits::MEMORY_MB.1);
        }
        if let Some(storage) = &self.ephemeral_storage {
            let (least, most, _) = limits::EPHEMERAL_STORAGE_MB;
            checks.range("ephemeralStorage.size", storage.size, least, most);
        }
        if let Some(variables) = self.variables() {
            // The values of variables are secrets, so a message never repeats one.
            let named = variables.keys().all(|name| is_variable(name));
            let constraint = format!(
                "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: {VARIABLE}]"
            );
            checks.hidden("environment.variables", named, &constraint);
        }
        if let Some(logging) = &self.logging_config {
            logging.check(&mut checks);
        }
        if let Some(target) = self.dead_letter().filter(|target| !target.is_empty()) {
            let matches = is_topic_or_queue(target);
            checks.pattern("deadLetterConfig.targetArn", target, TARGET, matches);
        }
        if let Some(mode) = self.tracing_config.as_ref().and_then(|tracing| tracing.mode.as_deref()) {
            checks.one_of("tracingConfig.mode", mode, &["Active", "PassThrough"]);
        }
        if let Some(apply) = self.snap_start.as_ref().and_then(|snap| snap.apply_on.as_deref()) {
            checks.one_of("snapStart.applyOn", apply, &["PublishedVersions", "None"]);
        }
        check_architectures(&mut checks, self.architectures.as_deref());
        if let Some(layers) = &self.layers {
            layer::of_function::check(&mut checks, layers);
        }
        checks.finish()?;
        if let Some(target) = self.dead_letter().filter(|target| is_topic(target)) {
            return Err(invalid(format!(
                "The dead-letter target {target} is not supported by Mayfly; only queues are."
            )));
        }
        if let Some(runtime) = &self.runtime {
            check_runtime(runtime, runtimes)?;
        }
        has_architecture(operation, self.architectures.as_deref())?;
        self.check_environment()?;
        refuse(operation, &self.rest)
    }

    /// Checks what depends on what a function has, for one that is new.
    pub(super) fn check_new(&self) -> Result<(), Fault> {
        let apply = self.snap_start.as_ref().and_then(|snap| snap.apply_on.as_deref());
        check_snap(apply == Some("PublishedVersions"), self.runtime.as_deref().unwrap_or_default())?;
        self.logging_config.iter().try_for_each(|logging| logging.change(&Logging::default()).map(drop))
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter_config.as_ref()?.target_arn.as_deref()
    }

    fn variables(&self) -> Option<&BTreeMap<String, String>> {
        self.environment.as_ref()?.variables.as_ref()
    }

    fn check_environment(&self) -> Result<(), Fault> {
        let Some(variables) = self.variables() else { return Ok(()) };
        const UNABLE: &str = "Lambda was unable to configure your environment variables because the environment \
                              variables you have provided";
        let reserved: Vec<&str> =
            variables.keys().map(String::as_str).filter(|name| RESERVED.contains(name)).collect();
        if !reserved.is_empty() {
            return Err(invalid(format!(
                "{UNABLE} contains reserved keys that are currently not supported for modification. Reserved \
                 keys used in this request: {}",
                reserved.join(", ")
            )));
        }
        if variables.values().any(|value| value.contains('\0')) {
            return Err(invalid(format!("{UNABLE} contains a value with a zero byte.")));
        }
        // AWS measures them as it shows them.
        let measured = serde_json::to_string(variables).unwrap_or_default();
        if measured.len() > limits::ENVIRONMENT {
            return Err(invalid(format!("{UNABLE} exceeded the 4KB limit. String measured: {measured}")));
        }
        Ok(())
    }

    /// Changes `function` as the settings say; they have passed [`Settings::check`].
    ///
    /// # Errors
    /// A fault if they do not fit what the function has; it is then changed in part and must not be saved.
    pub(super) fn apply(self, function: &mut Function) -> Result<(), Fault> {
        let (spec, about) = (&mut function.spec, &mut function.about);
        if let Some(logging) = self.logging_config {
            spec.logging = logging.change(&spec.logging)?;
        }
        set(&mut spec.runtime, self.runtime);
        set(&mut spec.handler, self.handler);
        set(&mut about.role, self.role);
        set(&mut about.description, self.description);
        let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
        set(&mut spec.timeout_s, number(self.timeout));
        set(&mut spec.memory_mb, number(self.memory_size));
        set(&mut spec.ephemeral_storage_mb, number(self.ephemeral_storage.map(|storage| storage.size)));
        // Without a target nothing changes; an empty one takes it away.
        if let Some(target) = self.dead_letter_config.and_then(|config| config.target_arn) {
            spec.dead_letter = Some(target).filter(|target| !target.is_empty());
        }
        if let Some(given) = self.environment {
            about.environment = given.variables.is_some();
            spec.environment = given.variables.unwrap_or_default();
        }
        if let Some(mode) = self.tracing_config.and_then(|tracing| tracing.mode) {
            spec.tracing = mode == "Active";
        }
        if let Some(apply) = self.snap_start.and_then(|snap| snap.apply_on) {
            about.snap_start = apply == "PublishedVersions";
        }
        check_snap(about.snap_start, &spec.runtime)
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn check_runtime(runtime: &str, runtimes: &Runtimes) -> Result<(), Fault> {
    let Err(missing) = runtimes.choose(runtime) else { return Ok(()) };
    Err(invalid(if is_known_runtime(runtime) {
        missing.to_string()
    } else {
        format!(
            "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: \
             [{}] or be a valid ARN",
            missing.available
        )
    }))
}

/// Refuses snapshots for a runtime that AWS makes none of.
fn check_snap(wanted: bool, runtime: &str) -> Result<(), Fault> {
    match wanted && !snaps(runtime) {
        true => Err(invalid(format!("{runtime} is not supported for SnapStart enabled functions."))),
        false => Ok(()),
    }
}

/// Whether AWS starts functions of this runtime from snapshots.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html#snapstart-runtimes>
fn snaps(runtime: &str) -> bool {
    let number = |family: &str| runtime.strip_prefix(family).and_then(|rest| rest.parse::<u32>().ok());
    number("java").is_some_and(|version| version >= 11)
        || number("python3.").is_some_and(|version| version >= 12)
        || number("dotnet").is_some_and(|version| version >= 8)
}

/// Checks the parameter `Architectures` in itself.
pub(super) fn check_architectures(checks: &mut Checks, architectures: Option<&[String]>) {
    let Some(given) = architectures else { return };
    let shown = format!("[{}]", given.join(", "));
    let known = |one: &String| ["x86_64", "arm64"].contains(&one.as_str());
    checks.holds(
        "architectures",
        &shown,
        !given.is_empty(),
        "Member must have length greater than or equal to 1",
    );
    checks.holds("architectures", &shown, given.len() < 2, "Member must have length less than or equal to 1");
    checks.holds(
        "architectures",
        &shown,
        given.iter().all(known),
        "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
    );
}

/// Refuses another architecture than this machine's.
pub(super) fn has_architecture(operation: &str, architectures: Option<&[String]>) -> Result<(), Fault> {
    let rest = architectures.map(|given| ("Architectures".to_owned(), serde_json::json!(given)));
    refuse(operation, &rest.into_iter().collect())
}

fn is_role(role: &str) -> bool {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, path] = parts[..] else { return false };
    let Some(path) = path.strip_prefix("role") else { return false };
    (partition.is_empty() || partition.starts_with("aws"))
        && partition.chars().all(|c| c.is_ascii_alphabetic() || c == '-')
        && is_account(account)
        && all(path, |c| c.is_ascii_alphanumeric() || "+=,.@-_/".contains(c))
}

fn is_topic_or_queue(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    parts.len() == 6 && parts[0] == "arn" && matches!(parts[2], "sqs" | "sns")
}

fn is_topic(arn: &str) -> bool {
    arn.split(':').nth(2) == Some("sns")
}

fn is_variable(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && all(name, |c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Installed, Language};
    use serde_json::{Value, json};

    fn check(settings: Value) -> Result<(), Fault> {
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let python = Installed { language: Language::Python, version: (3, 11, 1) };
        settings.check("CreateFunction", &Runtimes { installed: vec![python], strict: false })
    }

    #[test]
    fn settings_within_their_limits_are_taken() {
        for settings in [
            json!({"Role": "arn:aws:iam::000000000000:role/service-role/x", "Handler": "a.b", "Timeout": 900}),
            json!({"MemorySize": 10240, "EphemeralStorage": {"Size": 512}, "Runtime": "python3.11"}),
            json!({"Environment": {"Variables": {"NAME": "v".repeat(4085)}}}),
            json!({"FunctionName": "f", "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}}),
        ] {
            check(settings.clone()).unwrap_or_else(|fault| panic!("{settings}: {fault}"));
        }
    }

    #[test]
    fn settings_outside_are_refused_in_awss_words() {
        for (settings, code, part) in [
            (json!({"Role": "admin"}), "ValidationException", "Value 'admin' at 'role'"),
            (json!({"Handler": "a b"}), "ValidationException", "at 'handler'"),
            (json!({"Timeout": 901}), "ValidationException", "less than or equal to 900"),
            (json!({"Timeout": 0}), "ValidationException", "greater than or equal to 1"),
            (json!({"MemorySize": 127}), "ValidationException", "'memorySize'"),
            (json!({"EphemeralStorage": {"Size": 511}}), "ValidationException", "'ephemeralStorage.size'"),
            (json!({"Description": "d".repeat(257)}), "ValidationException", "'description'"),
            (json!({"Environment": {"Variables": {"1A": ""}}}), "ValidationException", "Map keys"),
            (
                json!({"Environment": {"Variables": {"AWS_REGION": "x"}}}),
                "InvalidParameterValueException",
                "Reserved keys used in this request: AWS_REGION",
            ),
            (
                json!({"Environment": {"Variables": {"NAME": "v".repeat(4086)}}}),
                "InvalidParameterValueException",
                "4KB limit",
            ),
            (
                json!({"Environment": {"Variables": {"NAME": "a\0b"}}}),
                "InvalidParameterValueException",
                "zero byte",
            ),
            (
                json!({"Runtime": "nodejs22.x"}),
                "InvalidParameterValueException",
                "Available: python3.11, provided",
            ),
            (
                json!({"Runtime": "cobol"}),
                "InvalidParameterValueException",
                "enum value set: [python3.11, provided",
            ),
            (
                json!({"LoggingConfig": {"LogFormat": "json"}}),
                "ValidationException",
                "'loggingConfig.logFormat'",
            ),
            (json!({"Layers": ["x"]}), "ValidationException", "'layers'"),
        ] {
            let fault = check(settings.clone()).unwrap_err();
            assert_eq!(fault.code, code, "{settings}");
            assert!(fault.message.contains(part), "{settings}: {}", fault.message);
        }
    }
}
