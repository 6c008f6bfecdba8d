//! What the operations on event source mappings share: their settings, the rules for them, and how they are shown.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html>

use super::error::{Error, invalid, no_resource};
use super::function::Function;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use model::{FunctionSpec, Pattern, limits};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::View;
use store::mapping::Mapping;
use store::message::Queue;
use wire::rest_json::{Call, number};

/// The largest batch that needs no window.
const WITHOUT_WINDOW: u32 = 10;

/// The most filters of one mapping.
const FILTERS: usize = 5;

/// The longest pattern of a filter.
const PATTERN: usize = 4096;

/// What can be set when a mapping is made and when it is changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Settings {
    pub(super) function_name: Option<String>,
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "number")]
    batch_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    maximum_batching_window_in_seconds: Option<u64>,
    filter_criteria: Option<Criteria>,
    scaling_config: Option<Scaling>,
    function_response_types: Option<Vec<String>>,
    #[serde(rename = "KMSKeyArn")]
    key: Option<String>,
    metrics_config: Option<Metrics>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Criteria {
    #[serde(default)]
    filters: Option<Vec<Filter>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Filter {
    pattern: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Scaling {
    #[serde(default, deserialize_with = "number")]
    maximum_concurrency: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Metrics {
    #[serde(default)]
    metrics: Vec<String>,
}

impl Settings {
    /// Changes `mapping` as they say.
    ///
    /// # Errors
    /// Values that cannot be, and settings that a queue does not have.
    pub(super) fn apply(self, operation: &str, mapping: &mut Mapping) -> Result<(), Error> {
        self.check(operation)?;
        if let Some(enabled) = self.enabled {
            mapping.enabled = enabled;
        }
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        if let Some(size) = self.batch_size {
            mapping.batch = small(size);
        }
        if let Some(window) = self.maximum_batching_window_in_seconds {
            mapping.window = small(window);
        }
        if let Some(criteria) = self.filter_criteria {
            mapping.filters = patterns(criteria)?;
        }
        if let Some(scaling) = self.scaling_config {
            mapping.concurrency = scaling.maximum_concurrency.map(small);
        }
        if let Some(types) = self.function_response_types {
            mapping.partial = !types.is_empty();
        }
        if let Some(key) = self.key {
            mapping.key = Some(key).filter(|key| !key.is_empty());
        }
        if let Some(metrics) = self.metrics_config {
            mapping.metrics = metrics.metrics;
        }
        Ok(())
    }

    fn check(&self, operation: &str) -> Result<(), Error> {
        let mut checks = Checks::default();
        let range = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        if let Some(size) = range(self.batch_size) {
            checks.range("batchSize", size, 1, limits::MAPPING_BATCH);
        }
        if let Some(window) = range(self.maximum_batching_window_in_seconds) {
            checks.range("maximumBatchingWindowInSeconds", window, 0, 300);
        }
        if let Some(most) =
            self.scaling_config.as_ref().and_then(|scaling| range(scaling.maximum_concurrency))
        {
            checks.range("scalingConfig.maximumConcurrency", most, 2, 1000);
        }
        for kind in self.function_response_types.iter().flatten() {
            checks.one_of("functionResponseTypes", kind, &["ReportBatchItemFailures"]);
        }
        for metric in self.metrics_config.iter().flat_map(|config| &config.metrics) {
            checks.one_of("metricsConfig.metrics", metric, &["EventCount"]);
        }
        if let Some(Value::String(position)) = self.rest.get("StartingPosition") {
            checks.one_of("startingPosition", position, &["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"]);
        }
        checks.finish()?;
        for name in ["StartingPosition", "StartingPositionTimestamp"] {
            if self.rest.get(name).is_some_and(|value| !value.is_null()) {
                return Err(invalid(format!("{name} is not valid for SQS event sources.")).into());
            }
        }
        for name in OF_STREAMS {
            if self.rest.get(*name).is_some_and(|value| !value.is_null()) {
                return Err(
                    invalid(format!("Unsupported parameter for SQS event source mappings: {name}.")).into()
                );
            }
        }
        Ok(refuse(operation, &self.rest)?)
    }
}

/// What only streams and other sources have.
const OF_STREAMS: &[&str] = &[
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
    "Topics",
];

fn patterns(criteria: Criteria) -> Result<Vec<String>, Error> {
    let filters = criteria.filters.unwrap_or_default();
    if filters.len() > FILTERS {
        return Err(invalid(format!("The number of filters must not exceed {FILTERS}.")).into());
    }
    let mut patterns = Vec::with_capacity(filters.len());
    for filter in filters {
        let pattern = filter.pattern.unwrap_or_else(|| "{}".to_owned());
        let mut checks = Checks::default();
        checks.length("filterCriteria.filters.pattern", &pattern, 0, PATTERN);
        checks.finish()?;
        // One that asks for nothing lets everything through.
        if pattern.trim() != "{}" && Pattern::parse(&pattern).is_err() {
            return Err(invalid("Invalid filter pattern definition.").into());
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}

/// Checks a mapping as a whole against its queue and its function.
///
/// # Errors
/// What does not fit together.
pub(super) fn check(mapping: &Mapping, queue: &Queue, spec: &FunctionSpec) -> Result<(), Error> {
    if queue.is_fifo() && mapping.batch > limits::SQS_BATCH as u32 {
        return Err(invalid("The maximum batch size for FIFO queues is 10.").into());
    }
    if queue.is_fifo() && mapping.window > 0 {
        return Err(invalid("Batching window is not supported for FIFO queues.").into());
    }
    if mapping.batch > WITHOUT_WINDOW && mapping.window == 0 {
        return Err(invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        )
        .into());
    }
    let (visibility, timeout) = (queue.settings.visibility, spec.timeout().as_secs());
    if u64::from(visibility) < timeout {
        return Err(invalid(format!(
            "Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"
        ))
        .into());
    }
    Ok(())
}

/// The queue that an ARN names.
///
/// # Errors
/// Queues that do not exist.
pub(super) fn queue(view: &View<'_>, arn: &str) -> Result<Queue, Error> {
    view.queue(arn)?.ok_or_else(|| {
        invalid(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
             Message: The specified queue does not exist.",
        )
        .into()
    })
}

/// Checks that an ARN is one of a queue.
///
/// # Errors
/// Other sources, and none.
pub(super) fn check_source(arn: &str) -> Result<(), Error> {
    if arn.is_empty() {
        return Err(invalid("Unrecognized event source.").into());
    }
    if arn.split(':').nth(2) != Some("sqs") {
        return Err(invalid(format!(
            "Unrecognized event source, must be sqs: other sources are not supported by Mayfly. Unsupported source arn \
             {arn}"
        ))
        .into());
    }
    Ok(())
}

/// The function that a mapping shall start.
///
/// # Errors
/// There is none.
pub(super) fn function(view: &View<'_>, named: &Named) -> Result<Function, Error> {
    Function::resolve(view, named).map_err(|error| match error {
        Error::Fault(_) => invalid("Function does not exist").into(),
        error => error,
    })
}

/// The mapping that a request names.
///
/// # Errors
/// There is none.
pub(super) fn find(view: &View<'_>, call: &Call) -> Result<Mapping, Error> {
    let found = view.mapping(call.label("UUID"))?;
    found.filter(|mapping| mapping.function.scope() == call.scope).ok_or_else(|| no_resource().into())
}

/// What settles: a mapping that was just changed says so once.
pub(super) fn settled(mapping: &Mapping) -> &'static str {
    if mapping.enabled { "Enabled" } else { "Disabled" }
}

/// A mapping as the API shows it, in the given state.
pub(super) fn shown(mapping: &Mapping, state: &str) -> Value {
    let arn = mapping.function.as_str();
    let prefix = arn.split(":function:").next().unwrap_or_default();
    let types: &[&str] = if mapping.partial { &["ReportBatchItemFailures"] } else { &[] };
    let mut shown = json!({
        "UUID": mapping.uuid.to_string(),
        "EventSourceMappingArn": format!("{prefix}:event-source-mapping:{}", mapping.uuid),
        "BatchSize": mapping.batch,
        "MaximumBatchingWindowInSeconds": mapping.window,
        "EventSourceArn": mapping.source,
        "FunctionArn": arn,
        "LastModified": mapping.modified.0 as f64 / 1000.0,
        "State": state,
        "StateTransitionReason": "USER_INITIATED",
        "FunctionResponseTypes": types,
    });
    if !mapping.filters.is_empty() {
        let filters: Vec<Value> =
            mapping.filters.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
        shown["FilterCriteria"] = json!({ "Filters": filters });
    }
    if let Some(most) = mapping.concurrency {
        shown["ScalingConfig"] = json!({ "MaximumConcurrency": most });
    }
    if let Some(key) = &mapping.key {
        shown["KMSKeyArn"] = json!(key);
    }
    if !mapping.metrics.is_empty() {
        shown["MetricsConfig"] = json!({ "Metrics": mapping.metrics });
    }
    shown
}

/// The tags of a new mapping.
pub(super) type Tags = BTreeMap<String, String>;
