//! A function as it rests in the store, and as the API shows it.

use super::error::{Error, no_function, stale_revision};
use super::logging_config;
use super::name::Named;
use super::policy::POLICIES;
use super::refusal::architecture;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::{CodeId, FunctionArn, FunctionSpec, LATEST, Runtimes, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use store::alias::{ALIASES, is_alias};
use store::blob::BlobId;
use store::kv::{FLOORS, Floor, SPECS, Stored, Table};
use store::starts::Copies;
use store::{Tx, View};
use uuid::Uuid;

/// What only describes functions, by unqualified ARN; beside [`SPECS`].
pub(super) const ABOUT: Table<About> = Table::new("lambda.function");

/// The same of published versions, by [`version_key`].
pub(super) const VERSIONS: Table<About> = Table::new("lambda.version");

/// The key of a version: those of a function follow each other in the order of their numbers.
pub(super) fn version_key(arn: &FunctionArn, version: &str) -> Vec<u8> {
    format!("{}:{version:0>20}", arn.unqualified()).into_bytes()
}

/// What the keys of a function's versions or aliases begin with.
pub(super) fn qualified_prefix(arn: &FunctionArn) -> Vec<u8> {
    format!("{arn}:").into_bytes()
}

/// What the platform keeps of a function beside what it needs to run it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) role: String,
    pub(super) description: String,
    pub(super) tags: BTreeMap<String, String>,
    /// The zip that the code was unpacked from: linked by this record.
    pub(super) zip: BlobId,
    /// Its length in bytes.
    pub(super) zip_len: u64,
    /// Changes with every change of the function.
    pub(super) revision: String,
    pub(super) modified: Timestamp,
    /// The variables were named, be it that there are none: then they are shown.
    #[serde(default)]
    pub(super) environment: bool,
    /// The number of the last version that was published.
    #[serde(default)]
    pub(super) published: u64,
    /// The layers, in the order in which they are laid over each other.
    #[serde(default)]
    pub(super) layers: Vec<Layer>,
    /// When it gets a newer runtime, if that was said.
    #[serde(default)]
    pub(super) update_runtime_on: Option<String>,
    /// Of a version: the description that the function had when it was published, where it was noted.
    #[serde(default)]
    pub(super) described: Option<String>,
    /// Published versions are started from a snapshot.
    #[serde(default)]
    pub(super) snap_start: bool,
}

impl Stored for About {}

/// A layer of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// The ARN of its version.
    pub(super) arn: String,
    /// The length of its zip in bytes.
    pub(super) size: u64,
    /// Its zip: linked by the record that has the layer.
    pub(super) zip: BlobId,
    /// Names its unpacked files.
    pub(super) code: CodeId,
}

/// A function or one of its versions: both records together.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) spec: FunctionSpec,
    pub(super) about: About,
}

/// What an answer says of a function that has just been changed: AWS goes on with it after the answer, and
/// clients wait for the end. Here the work is done by then, so the next look finds it ready.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    Ready,
    Creating,
    Updating,
}

impl Function {
    /// The function `arn`, or the version that it names, if it exists.
    pub(super) fn find(view: &View<'_>, arn: &FunctionArn) -> store::Result<Option<Self>> {
        let about = match arn.qualifier() {
            None => view.get(&ABOUT, arn.as_str())?,
            Some(version) => view.get(&VERSIONS, version_key(arn, version))?,
        };
        let Some(about) = about else { return Ok(None) };
        Ok(view.get(&SPECS, arn.as_str())?.map(|spec| Function { spec, about }))
    }

    /// The function that a request names, as it can be changed.
    pub(super) fn load(view: &View<'_>, named: &Named) -> Result<Self, Error> {
        Function::find(view, &named.arn)?.ok_or_else(|| no_function(named).into())
    }

    /// What a request names: the function, a version of it, or the version that an alias leads to.
    pub(super) fn resolve(view: &View<'_>, named: &Named) -> Result<Self, Error> {
        let found = match named.qualifier.as_deref() {
            None | Some(LATEST) => Function::find(view, &named.arn)?,
            Some(alias) if is_alias(alias) => match view.get(&ALIASES, named.target().as_str())? {
                Some(alias) if alias.version == LATEST => Function::find(view, &named.arn)?,
                Some(alias) => Function::find(view, &named.arn.qualified(&alias.version))?,
                None => None,
            },
            Some(version) => Function::find(view, &named.arn.qualified(version))?,
        };
        found.ok_or_else(|| no_function(named).into())
    }

    /// Writes both records.
    pub(super) fn save(&self, tx: &Tx<'_>) -> store::Result<()> {
        let key = self.spec.arn.as_str();
        match self.spec.arn.qualifier() {
            None => tx.put(&ABOUT, key, &self.about)?,
            Some(version) => tx.put(&VERSIONS, version_key(&self.spec.arn, version), &self.about)?,
        }
        tx.put(&SPECS, key, &self.spec)?;
        if self.spec.ahead > 0 {
            tx.put(&FLOORS, key, &Floor { function: self.spec.arn.clone() })
        } else {
            tx.delete(&FLOORS, key).map(drop)
        }
    }

    /// Removes both records, and the links to zips, which are answered.
    pub(super) fn remove(&self, tx: &Tx<'_>) -> store::Result<Vec<BlobId>> {
        let key = self.spec.arn.as_str();
        match self.spec.arn.qualifier() {
            None => tx.delete(&ABOUT, key)?,
            Some(version) => tx.delete(&VERSIONS, version_key(&self.spec.arn, version))?,
        };
        tx.delete(&SPECS, key)?;
        tx.delete(&FLOORS, key)?;
        tx.delete(&POLICIES, key)?;
        let layers = self.about.layers.iter().map(|layer| layer.zip);
        layers.chain([self.about.zip]).map(|zip| tx.unlink(zip)).collect()
    }

    /// Notes that the function was changed at `now`.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.about.revision = new_revision();
        self.about.modified = now;
    }

    /// Checks the revision that the caller expects, if it does.
    pub(super) fn expect_revision(&self, revision: Option<&str>) -> Result<(), Error> {
        match revision {
            Some(expected) if expected != self.about.revision => {
                Err(stale_revision("GetFunction/GetAlias").into())
            }
            _ => Ok(()),
        }
    }

    /// The SHA-256 of the zip in base64, as the API shows it.
    pub(super) fn code_sha256(&self) -> String {
        base64_of_hex(&self.spec.code.0)
    }

    /// As with AWS, only published versions are optimised.
    fn snap_start(&self) -> Value {
        let (apply, published) = (self.about.snap_start, self.spec.arn.qualifier().is_some());
        json!({
            "ApplyOn": if apply { "PublishedVersions" } else { "None" },
            "OptimizationStatus": if apply && published { "On" } else { "Off" },
        })
    }

    /// The function as `FunctionConfiguration`; `arn` with the qualifier that the caller named. With an interpreter of
    /// another version than its own, or with none any more, it says so in its state.
    pub(super) fn configuration(&self, arn: &str, phase: Phase, runtimes: &Runtimes) -> Value {
        let (spec, about) = (&self.spec, &self.about);
        let name = spec.arn.name();
        let mut shown = json!({
            "FunctionName": name,
            "FunctionArn": arn,
            "Runtime": spec.runtime,
            "Role": about.role,
            "Handler": spec.handler,
            "CodeSize": about.zip_len,
            "Description": about.description,
            "Timeout": spec.timeout_s,
            "MemorySize": spec.memory_mb,
            "LastModified": about.modified.iso_lambda(),
            "CodeSha256": self.code_sha256(),
            "Version": spec.version,
            "TracingConfig": {"Mode": if spec.tracing { "Active" } else { "PassThrough" }},
            "RevisionId": about.revision,
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "PackageType": "Zip",
            "Architectures": [architecture()],
            "EphemeralStorage": {"Size": spec.ephemeral_storage_mb},
            "SnapStart": self.snap_start(),
            "RuntimeVersionConfig": {"RuntimeVersionArn": runtime_version_arn(spec)},
            "LoggingConfig": logging_config::shown(spec),
        });
        if let Some(queue) = &spec.dead_letter {
            shown["DeadLetterConfig"] = json!({"TargetArn": queue});
        }
        if about.environment || !spec.environment.is_empty() {
            shown["Environment"] = json!({"Variables": spec.environment});
        }
        if !about.layers.is_empty() {
            let layer = |layer: &Layer| json!({"Arn": layer.arn, "CodeSize": layer.size});
            shown["Layers"] = about.layers.iter().map(layer).collect();
        }
        match phase {
            Phase::Ready => match runtimes.choose(&spec.runtime) {
                Ok(chosen) => shown["StateReason"] = json!(chosen.warning),
                Err(missing) => {
                    shown["State"] = json!("Failed");
                    shown["StateReason"] = json!(missing.to_string());
                    shown["StateReasonCode"] = json!("InvalidRuntime");
                }
            },
            Phase::Creating => {
                shown["State"] = json!("Pending");
                shown["StateReason"] = json!("The function is being created.");
                shown["StateReasonCode"] = json!("Creating");
                shown["LastUpdateStatus"] = Value::Null;
                shown["RevisionId"] = json!(new_revision());
            }
            Phase::Updating => {
                shown["LastUpdateStatus"] = json!("InProgress");
                shown["LastUpdateStatusReason"] = json!("The function is being created.");
                shown["LastUpdateStatusReasonCode"] = json!("Creating");
                // AWS changes it once more when the update is through.
                shown["RevisionId"] = json!(new_revision());
            }
        }
        if let Some(members) = shown.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        shown
    }
}

/// What [`Function::configuration`] shows, with what is known of copies of the function's processes: as of a snapshot
/// where they are made, and in the state where they are not although they might.
pub(super) fn with_copies(mut shown: Value, copies: Option<Copies>) -> Value {
    match copies {
        Some(Copies::Made) => shown["SnapStart"]["OptimizationStatus"] = json!("On"),
        Some(Copies::Refused(why)) => {
            let reason = format!("The function is not cloned: {why}.");
            let before = shown["StateReason"].as_str().map(|before| format!("{before} "));
            shown["StateReason"] = json!(before.unwrap_or_default() + &reason);
        }
        None => {}
    }
    shown
}

/// Bytes that are written in hexadecimal, in base64.
pub(super) fn base64_of_hex(hex: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks_exact(2);
    let bytes: Vec<u8> = pairs.filter_map(|pair| Some((digit(pair[0])? << 4) | digit(pair[1])?)).collect();
    BASE64_STANDARD.encode(bytes)
}

/// What a list shows of a configuration: all but how things stand with it.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html>
pub(super) fn listed(mut shown: Value) -> Value {
    if let Some(members) = shown.as_object_mut() {
        members.retain(|name, _| {
            !(name.starts_with("State") || name.starts_with("LastUpdate") || name == "RuntimeVersionConfig")
        });
    }
    shown
}

/// A new revision id, unlike all others.
pub(super) fn new_revision() -> String {
    Uuid::new_v4().to_string()
}

/// Names the runtime as AWS does, by a hash; it changes only with the runtime's name.
pub(super) fn runtime_version_arn(spec: &FunctionSpec) -> String {
    let hash = Sha256::digest(spec.runtime.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("arn:aws:lambda:{}::runtime:{hex}", spec.arn.region())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_told_like_a_snapshot_and_their_lack_in_the_state() {
        let shown =
            |reason: Option<&str>| json!({"SnapStart": {"OptimizationStatus": "Off"}, "StateReason": reason});
        let made = with_copies(shown(None), Some(Copies::Made));
        assert_eq!(made["SnapStart"]["OptimizationStatus"], "On");
        let refused = |reason| with_copies(shown(reason), Some(Copies::Refused("it listens".into())));
        assert_eq!(refused(None)["StateReason"], "The function is not cloned: it listens.");
        assert_eq!(refused(Some("Old."))["StateReason"], "Old. The function is not cloned: it listens.");
        assert_eq!(with_copies(shown(None), None), shown(None));
    }
}
