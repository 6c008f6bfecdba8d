//! The layers of a function: found, laid over each other, and linked as long as the function has them.

use super::name::{LayerArn, VERSION_PATTERN};
use super::record::{LAYERS, LayerVersion};
use crate::lambda::Lambda;
use crate::lambda::error::{Error, invalid};
use crate::lambda::function::{Function, Layer};
use crate::lambda::validate::Checks;
use model::{CodeId, Scope, limits};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use store::blob::BlobId;
use store::package::PackageError;
use store::{Tx, View};
use wire::Fault;

/// The most layers of one function.
const MOST: usize = 5;

/// Layers that are on disk and laid over each other, and that no function has yet.
#[derive(Debug, Default)]
pub(in crate::lambda) struct Laid {
    layers: Vec<Layer>,
    /// Names the files of all of them together.
    code: Option<CodeId>,
}

/// Checks the parameter `Layers` in itself.
pub(in crate::lambda) fn check(checks: &mut Checks, layers: &[String]) {
    let shown = format!("[{}]", layers.join(", "));
    let fits = layers.iter().all(|arn| LayerArn::of_version(arn).is_some());
    let constraint = format!(
        "Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length \
         greater than or equal to 1, Member must satisfy regular expression pattern: {VERSION_PATTERN}, Member must not \
         be null]"
    );
    checks.holds("layers", &shown, fits, &constraint);
}

impl Lambda {
    /// Finds the layers `arns` for a function in `scope` that has `before` already, and lays them over each other.
    pub(in crate::lambda) async fn lay(
        &self,
        scope: &Scope,
        arns: &[String],
        before: &[Layer],
    ) -> Result<Laid, Error> {
        if arns.len() > MOST {
            return Err(invalid(format!("Cannot reference more than {MOST} layers.")).into());
        }
        let layers = self.store.read(|view| find(view, scope, arns, before))?;
        let code = self.unpack_layers(&layers).await?;
        Ok(Laid { layers, code })
    }

    /// Unpacks what is not, and lays it over each other.
    pub(in crate::lambda) async fn unpack_layers(&self, layers: &[Layer]) -> Result<Option<CodeId>, Error> {
        for layer in layers.iter().filter(|layer| !self.store.packages().contains(&layer.code)) {
            let zip = self.store.blobs().read(layer.zip)?;
            self.store.unpack(&layer.code, zip).await.map_err(|error| match error {
                PackageError::Store(error) => Error::from(error),
                error => {
                    invalid(format!("Could not unzip the layer {}. The reason: {error}.", layer.arn)).into()
                }
            })?;
        }
        let code = match layers {
            [] => return Ok(None),
            [one] => return Ok(Some(one.code.clone())),
            more => {
                let all: String = more.iter().map(|layer| layer.code.0.as_str()).collect();
                CodeId(Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect())
            }
        };
        self.store.merge(&code, layers.iter().map(|layer| layer.code.clone()).collect()).await?;
        Ok(Some(code))
    }

    /// Refuses code that together with layers is too large.
    pub(in crate::lambda) async fn check_size(
        &self,
        code: &CodeId,
        layers: Option<&CodeId>,
    ) -> Result<(), Error> {
        let Some(layers) = layers else { return Ok(()) };
        let size = self.store.unpacked_size([code.clone(), layers.clone()]).await?;
        match size > limits::PACKAGE_UNPACKED {
            true => Err(invalid(format!(
                "Function code combined with layers exceeds the maximum allowed size of {} bytes. The actual size is \
                 {size} bytes.",
                limits::PACKAGE_UNPACKED
            ))
            .into()),
            false => Ok(()),
        }
    }
}

impl Laid {
    /// Names the files of all layers together.
    pub(in crate::lambda) fn code(&self) -> Option<&CodeId> {
        self.code.as_ref()
    }

    /// Gives the layers to `function`; says which zips it has no more.
    pub(in crate::lambda) fn give(self, tx: &Tx<'_>, function: &mut Function) -> Result<Vec<BlobId>, Error> {
        let before = std::mem::replace(&mut function.about.layers, self.layers);
        function.spec.layers = self.code;
        for layer in &function.about.layers {
            // It may have been deleted since it was found.
            if !before.contains(layer) {
                present(tx, &layer.arn)?;
            }
            tx.link_again(layer.zip)?;
        }
        Ok(before.iter().map(|layer| tx.unlink(layer.zip)).collect::<store::Result<_>>()?)
    }
}

fn present(view: &View<'_>, arn: &str) -> Result<LayerVersion, Error> {
    let missing = || invalid(format!("Layer version {arn} does not exist."));
    let (layer, number) = LayerArn::of_version(arn).ok_or_else(missing)?;
    Ok(view.get(&LAYERS, layer.key(number))?.ok_or_else(missing)?)
}

fn find(view: &View<'_>, scope: &Scope, arns: &[String], before: &[Layer]) -> Result<Vec<Layer>, Error> {
    let mut seen: HashMap<LayerArn, &str> = HashMap::new();
    let mut found = Vec::new();
    for arn in arns {
        let Some((layer, _)) = LayerArn::of_version(arn) else { continue };
        if layer.scope.region != scope.region {
            return Err(invalid(format!(
                "Layers are not in the same region as the function. Layers are expected to be in region {}.",
                scope.region
            ))
            .into());
        }
        let foreign = layer.scope.account != scope.account;
        if let Some(other) = seen.insert(layer, arn) {
            return Err(invalid(format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. \
                 {other} and {arn} are versions of the same layer."
            ))
            .into());
        }
        if let Some(had) = before.iter().find(|had| had.arn == *arn) {
            found.push(had.clone());
            continue;
        }
        let version = match present(view, arn) {
            Ok(version) if !foreign || is_shared(&version, &scope.account) => version,
            // Whether another account has such a layer is not told.
            _ if foreign => return Err(denied(scope, arn).into()),
            found => found?,
        };
        found.push(Layer { arn: arn.clone(), size: version.zip_len, zip: version.zip, code: version.code });
    }
    Ok(found)
}

fn is_shared(version: &LayerVersion, account: &str) -> bool {
    let root = format!("arn:aws:iam::{account}:root");
    version.statements.iter().any(|statement| {
        // Organizations do not exist here, so nobody is in one.
        statement.condition.is_none()
            && (statement.principal == "*"
                || statement.principal["AWS"] == root.as_str()
                || statement.principal == root.as_str())
    })
}

fn denied(scope: &Scope, arn: &str) -> Fault {
    Fault::new(
        "AccessDeniedException",
        403,
        format!(
            "User: arn:aws:iam::{}:root is not authorized to perform: lambda:GetLayerVersion on resource: {arn} because \
             no resource-based policy allows the lambda:GetLayerVersion action",
            scope.account
        ),
    )
}
