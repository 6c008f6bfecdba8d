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

/// What a sandbox can reach beside itself. The order is from less to more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkPolicy {
    /// Nothing at all, not even the platform.
    #[serde(rename = "none")]
    Nothing,
    /// The platform's APIs.
    Platform,
    /// The platform's APIs, and outgoing connections to public addresses and those that the node opens.
    Internet,
}

impl NetworkPolicy {
    /// All of them, from less to more.
    pub const ALL: [NetworkPolicy; 3] =
        [NetworkPolicy::Nothing, NetworkPolicy::Platform, NetworkPolicy::Internet];

    /// The policy of this name, if there is one.
    pub fn named(name: &str) -> Option<NetworkPolicy> {
        NetworkPolicy::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// Its name, as in settings and tags.
    pub fn name(self) -> &'static str {
        match self {
            NetworkPolicy::Nothing => "none",
            NetworkPolicy::Platform => "platform",
            NetworkPolicy::Internet => "internet",
        }
    }
}

impl fmt::Display for NetworkPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the processes of a function come to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartMode {
    /// A fresh process for each event, by the fastest way that is safe: a copy of an initialised one; one that was
    /// initialised ahead where copies are not safe, or where nobody vouches for a custom runtime; else started for it.
    #[default]
    Fresh,
    /// The same, with copies of a custom runtime too: the function's owner vouches that they share no random state.
    Clone,
    /// A fresh process for each event, initialised ahead and never copied.
    Ready,
    /// A fresh process for each event, started for it.
    Cold,
    /// A process serves one event after another, as AWS's do.
    Warm,
}

impl StartMode {
    /// All of them.
    pub const ALL: [StartMode; 5] =
        [StartMode::Fresh, StartMode::Clone, StartMode::Ready, StartMode::Cold, StartMode::Warm];

    /// The mode of this name, if there is one.
    pub fn named(name: &str) -> Option<StartMode> {
        StartMode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Its name, as in tags.
    pub fn name(self) -> &'static str {
        match self {
            StartMode::Fresh => "fresh",
            StartMode::Clone => "clone",
            StartMode::Ready => "ready",
            StartMode::Cold => "cold",
            StartMode::Warm => "warm",
        }
    }
}

impl fmt::Display for StartMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Everything the scheduler and the sandbox need to run one version of a function.
///
/// The Lambda service writes it when code or configuration change; what only describes a function (role,
/// description, tags) stays with that service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionSpec {
    /// Its ARN: unqualified for what changes, with its number for a version.
    pub arn: FunctionArn,
    /// The version: a number, or `$LATEST` for what changes.
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
    /// What it can reach; unset: what the node gives to functions that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkPolicy>,
    /// How its processes come to be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start: StartMode,
    /// How many processes wait ahead of events at the least, even when there are none (provisioned concurrency).
    #[serde(default, skip_serializing_if = "is_default")]
    pub ahead: u32,
    /// The package with the files of its layers, which appears at `/opt`; none for a function without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<CodeId>,
    /// Its events are marked as sampled for tracing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tracing: bool,
    /// The ARN of the queue for asynchronous events that are given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
            network: None,
            start: StartMode::default(),
            ahead: 0,
            layers: None,
            tracing: false,
            dead_letter: None,
        }
    }

    /// How long the handler may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_was_written_before_there_were_modes_is_read() {
        let spec = FunctionSpec::new(FunctionArn::of("f"), "python3.11", "a.b", CodeId(String::new()));
        let written = serde_json::to_value(&spec).unwrap();
        assert!(written.get("start").is_none() && written.get("ahead").is_none());
        assert_eq!(serde_json::from_value::<FunctionSpec>(written).unwrap(), spec);
    }

    #[test]
    fn names_of_modes_are_read_back() {
        for mode in StartMode::ALL {
            assert_eq!(StartMode::named(mode.name()), Some(mode));
        }
        assert_eq!(StartMode::named("Fresh"), None);
    }
}
