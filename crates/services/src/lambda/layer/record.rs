//! What is stored of layers.

use super::name::LayerArn;
use crate::lambda::error::{Error, no_resource};
use model::{CodeId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::blob::BlobId;
use store::kv::{From, Stored, Table};
use store::{Result, View};

/// Versions of layers, by [`LayerArn::key`].
pub(in crate::lambda) const LAYERS: Table<LayerVersion> = Table::new("lambda.layer");

/// The number of the last version of each layer that was ever published, by the layer's ARN: none is used twice.
pub(super) const LAST: Table<Last> = Table::new("lambda.layer_last");

/// The number of a layer's last version.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Last(pub(super) u64);

impl Stored for Last {}

/// One version of a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::lambda) struct LayerVersion {
    pub(super) description: String,
    pub(super) license: Option<String>,
    pub(super) runtimes: Option<Vec<String>>,
    pub(super) architectures: Option<Vec<String>>,
    pub(super) created: Timestamp,
    /// The zip: linked by this record, and by each function that has the layer.
    pub(in crate::lambda) zip: BlobId,
    pub(in crate::lambda) zip_len: u64,
    /// Names the unpacked files.
    pub(in crate::lambda) code: CodeId,
    /// Who else may use it, in the words of AWS's policies.
    pub(super) statements: Vec<Statement>,
    /// Changes with every change of the policy.
    pub(super) revision: String,
}

impl Stored for LayerVersion {}

/// One permission.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    pub(super) sid: String,
    pub(super) effect: String,
    pub(super) principal: Value,
    pub(super) action: String,
    pub(super) resource: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) condition: Option<Value>,
}

/// The version number `number` of the layer `arn`.
pub(super) fn load(view: &View<'_>, arn: &LayerArn, number: u64) -> std::result::Result<LayerVersion, Error> {
    Ok(view.get(&LAYERS, arn.key(number))?.ok_or_else(no_resource)?)
}

/// The versions of the layer `arn` that are `wanted`, with their numbers, the newest first.
pub(super) fn versions(
    view: &View<'_>,
    arn: &LayerArn,
    wanted: impl Fn(&LayerVersion) -> bool,
) -> Result<Vec<(u64, LayerVersion)>> {
    const BATCH: usize = 256;
    let prefix = arn.prefix();
    let mut found = Vec::new();
    let mut last: Option<Vec<u8>> = None;
    loop {
        let from = last.as_deref().map_or(From::At(&prefix), From::After);
        let batch = view.scan(&LAYERS, &prefix, from, BATCH)?;
        let Some((key, _)) = batch.last() else { break };
        last = Some(key.clone());
        let number = |key: &[u8]| String::from_utf8_lossy(&key[prefix.len()..]).parse().unwrap_or(0);
        let fitting = batch.into_iter().filter(|(_, layer)| wanted(layer));
        found.extend(fitting.map(|(key, layer)| (number(&key), layer)));
    }
    found.reverse();
    Ok(found)
}

/// Whether a version says that it is for a runtime and an architecture, as far as they are asked for.
pub(super) fn is_for(layer: &LayerVersion, runtime: Option<&str>, architecture: Option<&str>) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: Option<&str>| {
        wanted.is_none_or(|wanted| list.iter().flatten().any(|one| one == wanted))
    };
    has(&layer.runtimes, runtime) && has(&layer.architectures, architecture)
}
