//! What the platform must know of a function to run it.

use crate::{FunctionArn, Logging, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Names a deployment package by its content: the SHA-256 of the zip file, in hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeId(pub String);

impl fmt::Display for CodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything the scheduler and the sandbox need to run one version of a function.
///
/// The Lambda service writes it when code or configuration change; what only describes a function (role,
/// description, tags) stays with that service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionSpec {
    /// The unqualified ARN.
    pub arn: FunctionArn,
    /// The version that runs: `$LATEST` until versions exist.
    pub version: String,
    /// AWS's name of the runtime, for instance `python3.11`.
    pub runtime: String,
    /// `module.function`, as the runtime defines it.
    pub handler: String,
    /// The package whose files appear at `/var/task`.
    pub code: CodeId,
    /// The variables that the user set.
    pub environment: BTreeMap<String, String>,
    /// Memory in MB (2^20 bytes).
    pub memory_mb: u32,
    /// How long the handler may take, in seconds.
    pub timeout_s: u32,
    /// The size of `/tmp` in MB.
    pub ephemeral_storage_mb: u32,
    /// How the log is written.
    #[serde(default)]
    pub logging: Logging,
}

impl FunctionSpec {
    /// The function `arn` with AWS's defaults.
    pub fn new(arn: FunctionArn, runtime: &str, handler: &str, code: CodeId) -> Self {
        FunctionSpec {
            arn,
            version: "$LATEST".to_owned(),
            runtime: runtime.to_owned(),
            handler: handler.to_owned(),
            code,
            environment: BTreeMap::new(),
            memory_mb: limits::MEMORY_MB.2,
            timeout_s: limits::TIMEOUT_S.2,
            ephemeral_storage_mb: limits::EPHEMERAL_STORAGE_MB.2,
            logging: Logging::default(),
        }
    }

    /// How long the handler may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_s))
    }
}
