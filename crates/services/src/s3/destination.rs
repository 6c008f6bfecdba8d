//! Where the events of a bucket go: the one place that knows how each kind of destination is asked for and told.
//!
//! A destination is known by its ARN: `arn:aws:lambda:...` is a function. The next kind is one more arm in each function.

use super::error::Result;
use bytes::Bytes;
use model::{Event, FunctionArn, Source};
use store::kv::SPECS;
use store::{Tx, View};

/// Whether the destination called `arn` is there.
pub(super) fn exists(view: &View<'_>, arn: &str) -> Result<bool> {
    Ok(view.get(&SPECS, arn)?.is_some())
}

/// Hands `document` to the destination called `arn`, in the transaction of the change that it tells of.
pub(super) fn send(tx: &Tx<'_>, arn: &str, document: Bytes) -> Result<()> {
    let function = FunctionArn::from_stored(arn.to_owned());
    tx.submit(&Event::new(function, Source::S3, tx.now(), document))?;
    Ok(())
}
