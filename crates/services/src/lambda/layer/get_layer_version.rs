//! `GetLayerVersion` and `GetLayerVersionByArn`: one version of a layer, and where its zip can be downloaded.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersion.html>,
//! <https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersionByArn.html>

use super::name::{LayerArn, VERSION_PATTERN, version_number};
use super::record::load;
use crate::lambda::Lambda;
use crate::lambda::error::{Error, no_resource};
use crate::lambda::validate::Checks;
use serde_json::Value;
use wire::rest_json::Call;

/// Shows a version that is named by name and number.
pub(in crate::lambda) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let number = version_number(&call)?;
    let arn = LayerArn::parse(&call, call.label("LayerName"))?;
    show(lambda, &arn, number)
}

/// Shows a version that is named by its ARN.
pub(in crate::lambda) fn by_arn(lambda: &Lambda, call: &Call) -> Result<Value, Error> {
    let mut checks = Checks::default();
    let named = call.query("Arn");
    let read = named.and_then(LayerArn::of_version);
    if let Some(named) = checks.required("arn", named) {
        checks.pattern("arn", named, VERSION_PATTERN, read.is_some());
    }
    checks.finish()?;
    let (arn, number) = read.ok_or_else(no_resource)?;
    show(lambda, &arn, number)
}

fn show(lambda: &Lambda, arn: &LayerArn, number: u64) -> Result<Value, Error> {
    let layer = lambda.store.read(|view| load(view, arn, number))?;
    Ok(lambda.shown_layer(arn, number, &layer))
}
