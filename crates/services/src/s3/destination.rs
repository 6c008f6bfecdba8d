//! Where the events of a bucket go: the one place that knows how each kind of destination is asked for and told.
//!
//! A destination is known by its ARN: `arn:aws:lambda:...` is a function, `arn:aws:sqs:...` a queue. The next kind is one
//! more arm in each function.

use super::error::Result;
use bytes::Bytes;
use model::{Event, FunctionArn, Lineage, RequestId, Source};
use store::alias::ALIASES;
use store::kv::SPECS;
use store::message::Head;
use store::{Tx, View};

/// Whether `arn` names a queue.
pub(super) fn is_queue(arn: &str) -> bool {
    arn.split(':').nth(2) == Some("sqs")
}

/// Whether the destination called `arn` is there. A FIFO queue is none, as with S3.
pub(super) fn exists(view: &View<'_>, arn: &str) -> Result<bool> {
    if is_queue(arn) {
        return Ok(view.queue(arn)?.is_some_and(|queue| !queue.is_fifo()));
    }
    // A function, one of its versions, or an alias of one.
    Ok(view.get(&SPECS, arn)?.is_some() || view.get(&ALIASES, arn)?.is_some())
}

/// Hands `document` to the destination called `arn`, in the transaction of the change that it tells of.
pub(super) fn send(tx: &Tx<'_>, arn: &str, document: Bytes, lineage: &Lineage) -> Result<()> {
    if is_queue(arn) {
        let sender = arn.split(':').nth(4).unwrap_or_default().to_owned();
        let mut head = Head { sender, ..Head::default() };
        if !lineage.is_empty() {
            head.trace(&RequestId::new(tx.now()).trace_header(false, lineage));
        }
        // One that is gone by now is not told, as S3 does not.
        tx.send_to(arn, &String::from_utf8_lossy(&document), head)?;
        return Ok(());
    }
    let function = FunctionArn::from_stored(arn.to_owned());
    let event = Event::new(function, Source::S3, tx.now(), document);
    tx.submit(&Event { lineage: lineage.clone(), ..event })?;
    Ok(())
}
