//! `LoggingConfig`: the format of a function's log, what of it is kept, and the name of its group.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_LoggingConfig.html>

use super::error::invalid;
use super::refusal::{Rest, refuse};
use super::validate::{Checks, all};
use model::{FunctionSpec, LogFormat, LogLevel, Logging};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::Fault;

const GROUP: &str = r"[\.\-_/#A-Za-z0-9]+";
const FORMATS: [LogFormat; 2] = [LogFormat::Json, LogFormat::Text];
const APPLICATION_LEVELS: [LogLevel; 6] =
    [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error, LogLevel::Fatal];
const SYSTEM_LEVELS: [LogLevel; 3] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn];

/// What a request says; a member that is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LoggingConfig {
    log_format: Option<String>,
    application_log_level: Option<String>,
    system_log_level: Option<String>,
    log_group: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

impl LoggingConfig {
    /// Checks each member by itself.
    pub(super) fn check(&self, checks: &mut Checks) {
        let levels = |levels: &[LogLevel]| levels.iter().map(|level| level.name()).collect::<Vec<_>>();
        for (member, value, values) in [
            ("logFormat", &self.log_format, FORMATS.map(LogFormat::name).to_vec()),
            ("applicationLogLevel", &self.application_log_level, levels(&APPLICATION_LEVELS)),
            ("systemLogLevel", &self.system_log_level, levels(&SYSTEM_LEVELS)),
        ] {
            if let Some(value) = value {
                checks.one_of(&format!("loggingConfig.{member}"), value, &values);
            }
        }
        if let Some(group) = &self.log_group {
            let fits = all(group, |c| c.is_ascii_alphanumeric() || ".-_/#".contains(c));
            checks.length("loggingConfig.logGroup", group, 1, 512);
            checks.pattern("loggingConfig.logGroup", group, GROUP, fits);
        }
    }

    /// How a function logs that logged like `before` and is told this.
    ///
    /// # Errors
    /// A fault if there are levels and the format is text.
    pub(super) fn change(&self, before: &Logging) -> Result<Logging, Fault> {
        refuse("LoggingConfig", &self.rest)?;
        let format = named(&FORMATS, LogFormat::name, &self.log_format);
        let application = named(&APPLICATION_LEVELS, LogLevel::name, &self.application_log_level);
        let system = named(&SYSTEM_LEVELS, LogLevel::name, &self.system_log_level);
        // Whoever names a format begins anew with its levels.
        let levels = if format.is_some() { &Logging::default() } else { before };
        let after = Logging {
            format: format.unwrap_or(before.format),
            application_level: application.unwrap_or(levels.application_level),
            system_level: system.unwrap_or(levels.system_level),
            group: self.log_group.clone().or_else(|| before.group.clone()),
        };
        if after.format == LogFormat::Text && (application.is_some() || system.is_some()) {
            return Err(invalid(
                "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or \
                 change the LogFormat to \"JSON\" and try again.",
            ));
        }
        Ok(after)
    }
}

/// How the API shows a function's logging.
pub(super) fn shown(spec: &FunctionSpec) -> Value {
    let logging = &spec.logging;
    let group = logging.group.clone().unwrap_or_else(|| format!("/aws/lambda/{}", spec.arn.name()));
    let mut shown = json!({ "LogFormat": logging.format.name(), "LogGroup": group });
    if logging.format == LogFormat::Json {
        shown["ApplicationLogLevel"] = json!(logging.application_level.name());
        shown["SystemLogLevel"] = json!(logging.system_level.name());
    }
    shown
}

/// The one of `all` that has this name.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, wanted: &Option<String>) -> Option<T> {
    all.iter().copied().find(|one| wanted.as_deref() == Some(name(*one)))
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::Bench;
    use serde_json::{Value, json};

    const PATH: &str = "/2015-03-31/functions/f/configuration";

    async fn change(bench: &Bench, config: Value) -> Value {
        let got = bench.send("PUT", PATH, json!({ "LoggingConfig": config })).await;
        assert_eq!(got.status, 200, "{got:?}");
        bench.get(PATH).await.body["LoggingConfig"].clone()
    }

    #[tokio::test]
    async fn a_function_logs_as_it_is_told() {
        let bench = Bench::new();
        let text = json!({"LogFormat": "Text", "LogGroup": "/aws/lambda/f"});
        assert_eq!(bench.created().await["LoggingConfig"], text);
        let json = |application, system, group| {
            json!({
                "LogFormat": "JSON", "ApplicationLogLevel": application, "SystemLogLevel": system, "LogGroup": group,
            })
        };
        let own = "/aws/lambda/f";
        assert_eq!(change(&bench, json!({"LogFormat": "JSON"})).await, json("INFO", "INFO", own));
        let levels = json!({"ApplicationLogLevel": "TRACE", "SystemLogLevel": "WARN"});
        assert_eq!(change(&bench, levels).await, json("TRACE", "WARN", own));
        assert_eq!(change(&bench, json!({"LogGroup": "team/a"})).await, json("TRACE", "WARN", "team/a"));
        let back = change(&bench, json!({"LogFormat": "Text", "LogGroup": own})).await;
        assert_eq!(back, text);
        assert_eq!(change(&bench, json!({"LogFormat": "JSON"})).await, json("INFO", "INFO", own));
    }

    #[tokio::test]
    async fn what_is_no_logging_is_refused() {
        let bench = Bench::new();
        bench.created().await;
        const INVALID: &str = "InvalidParameterValueException";
        const VALIDATION: &str = "ValidationException";
        let text = "LogLevel is not supported when LogFormat is set to \"Text\"";
        for (config, code, part) in [
            (json!({"LogFormat": "XML"}), VALIDATION, "at 'loggingConfig.logFormat'"),
            (json!({"ApplicationLogLevel": "LOUD"}), VALIDATION, "[TRACE, DEBUG, INFO, WARN, ERROR, FATAL]"),
            (json!({"SystemLogLevel": "ERROR"}), VALIDATION, "[DEBUG, INFO, WARN]"),
            (json!({"LogGroup": ""}), VALIDATION, "greater than or equal to 1"),
            (json!({"LogGroup": "a b"}), VALIDATION, "'loggingConfig.logGroup'"),
            (json!({"LogGroup": "x".repeat(513)}), VALIDATION, "less than or equal to 512"),
            (json!({"ApplicationLogLevel": "INFO"}), INVALID, text),
            (json!({"LogFormat": "Text", "SystemLogLevel": "INFO"}), INVALID, text),
            (json!({"Colour": "red"}), INVALID, "Colour"),
        ] {
            bench.send("PUT", PATH, json!({"LoggingConfig": config})).await.refused(400, code, part);
            bench
                .create(json!({"FunctionName": "g", "LoggingConfig": config}))
                .await
                .refused(400, code, part);
        }
        let found = bench.get(PATH).await.body;
        assert_eq!(found["LoggingConfig"], json!({"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}));
        assert_eq!(bench.zips(), 1);
    }
}
