//! `CreateEventSourceMapping`: lets what is in a queue start a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>

use super::Lambda;
use super::error::{Error, conflict};
use super::mapping::{Settings, Tags, check, check_source, function, queue, shown};
use super::name::Named;
use super::tag_resource::check_tags;
use super::validate::Checks;
use serde::Deserialize;
use serde_json::Value;
use store::mapping::Mapping;
use uuid::Uuid;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    event_source_arn: Option<String>,
    #[serde(default)]
    tags: Option<Tags>,
    #[serde(flatten)]
    settings: Settings,
}

/// Makes a mapping; it runs as soon as this is on disk.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let Input { event_source_arn, tags, settings } = call.input()?;
    let mut checks = Checks::default();
    checks.required("functionName", settings.function_name.as_ref());
    checks.finish()?;
    let source = event_source_arn.unwrap_or_default();
    let named = Named::parse(&call, settings.function_name.as_deref().unwrap_or_default(), None)?;
    let tags = tags.unwrap_or_default();
    check_tags(&tags)?;
    let mut mapping = Mapping {
        uuid: Uuid::new_v4(),
        function: named.target(),
        source,
        batch: 10,
        window: 0,
        concurrency: None,
        filters: Vec::new(),
        partial: false,
        enabled: true,
        modified: lambda.store.now(),
        tags,
        key: None,
        metrics: Vec::new(),
    };
    check_source(&mapping.source)?;
    settings.apply(call.operation, &mut mapping)?;
    lambda
        .store
        .write(move |tx| {
            let function = function(tx, &named)?;
            let queue = queue(tx, &mapping.source)?;
            check(&mapping, &queue, &function.spec)?;
            if let Some(uuid) = tx.mapping_of(&mapping.source, &mapping.function)? {
                return Err(conflict(format!(
                    "An event source mapping with SQS arn (\" {} \") and function (\" {} \") already exists. Please \
                     update or delete the existing mapping with UUID {uuid}",
                    mapping.source,
                    mapping.function.name()
                ))
                .into());
            }
            tx.put_mapping(&mapping)?;
            Ok(shown(&mapping, "Creating"))
        })
        .await
}
