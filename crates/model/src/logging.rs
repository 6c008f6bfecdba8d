//! How a function's log is written: `LoggingConfig` of the Lambda API.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>

use serde::{Deserialize, Serialize};

/// The format of log records, the platform's own and those that a runtime's logging library writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per record.
    #[serde(rename = "JSON")]
    Json,
}

impl LogFormat {
    /// As the API and `AWS_LAMBDA_LOG_FORMAT` name it.
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "Text",
            LogFormat::Json => "JSON",
        }
    }
}

/// How important a record is; the order is from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// For debugging.
    Debug,
    /// What normally happens.
    Info,
    /// Something to look at.
    Warn,
    /// Something that failed.
    Error,
    /// Something that ended the program.
    Fatal,
}

impl LogLevel {
    /// As the API and `AWS_LAMBDA_LOG_LEVEL` name it.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Trace => "TRACE",
            LogLevel::Debug => "DEBUG",
            LogLevel::Info => "INFO",
            LogLevel::Warn => "WARN",
            LogLevel::Error => "ERROR",
            LogLevel::Fatal => "FATAL",
        }
    }
}

/// A function's `LoggingConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Logging {
    /// The format of its records.
    pub format: LogFormat,
    /// The least level of its own records that is kept; counts for JSON only.
    pub application_level: LogLevel,
    /// The least level of the platform's records that is kept; counts for JSON only.
    pub system_level: LogLevel,
    /// Its log group, if not the one named after it.
    pub group: Option<String>,
}

impl Default for Logging {
    fn default() -> Self {
        Logging {
            format: LogFormat::Text,
            application_level: LogLevel::Info,
            system_level: LogLevel::Info,
            group: None,
        }
    }
}
