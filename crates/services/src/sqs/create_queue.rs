//! `CreateQueue`: makes a queue, or tells the URL of one that is the same already.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>

use super::attributes::{Attributes, apply, defaults, of_settings};
use super::fault::{Error, fault, invalid, missing};
use super::{Sqs, redrive, tag_queue, target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::message::Settings;
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_name: Option<String>,
    #[serde(default)]
    attributes: Option<Attributes>,
    #[serde(default, rename = "tags", alias = "Tags")]
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    queue_url: String,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let name = input.queue_name.ok_or_else(|| missing("QueueName"))?;
    let given = input.attributes.unwrap_or_default();
    let fifo = given.get("FifoQueue").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    check_name(&name, fifo)?;
    let mut settings = defaults(fifo);
    apply(&mut settings, &given, true)?;
    let tags = input.tags.unwrap_or_default();
    tag_queue::check(&tags, &name)?;
    let (arn, pause) = (target::arn(call, &name), state.pauses.recreate);
    let output = Output { queue_url: target::url(call, &arn) };
    state
        .write(call, move |tx| {
            if let Some(queue) = tx.queue(&arn)? {
                return Ok(same(&queue.settings, &settings, &given)?);
            }
            if let Some(at) = tx.queue_gone(&arn)?
                && tx.now().since(at) < pause
            {
                return Err(Error::Fault(fault(
                    "QueueDeletedRecently",
                    "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
                )));
            }
            redrive::check(tx, &arn, &settings)?;
            Ok(tx.create_queue(&arn, &settings, &tags)?)
        })
        .await?;
    Ok(output)
}

/// Whether the attributes that were `given` are those that a queue of this name has already.
fn same(existing: &Settings, wanted: &Settings, given: &Attributes) -> Result<(), Fault> {
    let (existing, wanted) = (of_settings(existing), of_settings(wanted));
    let other = given.keys().find(|name| existing.get(*name) != wanted.get(*name));
    other.map_or(Ok(()), |name| {
        let message =
            format!("A queue already exists with the same name and a different value for attribute {name}");
        Err(fault("QueueNameExists", message))
    })
}

fn check_name(name: &str, fifo: bool) -> Result<(), Fault> {
    let stem = if fifo { name.strip_suffix(".fifo") } else { Some(name) };
    let fits = (1..=80).contains(&name.len())
        && stem.is_some_and(|stem| {
            !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        });
    match (fits, fifo) {
        (true, _) => Ok(()),
        (false, false) if name.is_empty() => Err(invalid("Queue name cannot be empty")),
        (false, false) => Err(invalid(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )),
        (false, true) => Err(invalid(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
             .fifo suffix and be 1 to 80 in length",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_characters_and_the_suffix_of_their_kind() {
        for (name, fifo, fits) in [
            ("a-B_9", false, true),
            ("", false, false),
            ("a.fifo", false, false),
            ("a.fifo", true, true),
            ("a", true, false),
            (".fifo", true, false),
            ("a b", false, false),
        ] {
            assert_eq!(check_name(name, fifo).is_ok(), fits, "{name}");
        }
        assert!(check_name(&"a".repeat(81), false).is_err());
    }
}
