//! `GetQueueAttributes`: the attributes of a queue that are asked for.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>

use super::Sqs;
use super::attributes::{Attributes, NAMES, of_queue};
use super::fault::unknown_attribute;
use super::target::Target;
use serde::{Deserialize, Serialize};
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(default)]
    attribute_names: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: Attributes,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let names = input.attribute_names.unwrap_or_default();
    let mut attributes = state.read(call, |view| {
        let queue = target.find(view)?;
        if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(unknown_attribute(unknown).into());
        }
        if names.is_empty() { Ok(Attributes::new()) } else { of_queue(view, &queue) }
    })?;
    if !names.iter().any(|name| name == "All") {
        attributes.retain(|name, _| names.contains(name));
    }
    Ok(Output { attributes })
}
