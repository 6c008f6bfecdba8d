//! `DeleteLayerVersion`: no function can get it any more; those that have it keep it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteLayerVersion.html>

use super::name::{LayerArn, version_number};
use super::record::LAYERS;
use crate::lambda::Lambda;
use crate::lambda::error::Error;
use wire::rest_json::Call;

/// Deletes a version; one that does not exist is as good as deleted.
pub(in crate::lambda) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let number = version_number(&call)?;
    let arn = LayerArn::parse(&call, call.label("LayerName"))?;
    let unlinked = lambda
        .store
        .write(move |tx| {
            let key = arn.key(number);
            let Some(layer) = tx.get(&LAYERS, &key)? else { return Ok::<_, Error>(None) };
            tx.delete(&LAYERS, &key)?;
            Ok(Some(tx.unlink(layer.zip)?))
        })
        .await?;
    if let Some(zip) = unlinked {
        lambda.remove_zip(zip);
    }
    Ok(())
}
