//! `GetBucketNotificationConfiguration`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html>

use super::State;
use super::bucket::existing;
use super::destination;
use super::error::Result;
use super::notification::{NOTIFICATIONS, Rule};
use super::request::Context;
use s3s::dto::{
    FilterRule, FilterRuleName, GetBucketNotificationConfigurationInput,
    GetBucketNotificationConfigurationOutput, LambdaFunctionConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter,
};
use s3s::{S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketNotificationConfigurationInput>,
) -> Result<S3Response<GetBucketNotificationConfigurationOutput>> {
    let bucket = request.input.bucket;
    let rules = state.store.read(|view| {
        existing(view, &bucket)?;
        Ok::<_, super::error::Error>(view.get(&NOTIFICATIONS, &bucket)?)
    })?;
    let rules: Vec<Rule> = rules.map(|rules| rules.0).unwrap_or_default();
    let (queues, functions): (Vec<Rule>, Vec<Rule>) =
        rules.into_iter().partition(|rule| destination::is_queue(&rule.destination));
    let some = |rules: Vec<Rule>| Some(rules).filter(|rules| !rules.is_empty());
    Ok(S3Response::new(GetBucketNotificationConfigurationOutput {
        lambda_function_configurations: some(functions)
            .map(|rules| rules.into_iter().map(configuration).collect()),
        queue_configurations: some(queues).map(|rules| rules.into_iter().map(of_rule).collect()),
        ..GetBucketNotificationConfigurationOutput::default()
    }))
}

fn of_rule(rule: Rule) -> QueueConfiguration {
    let shown = configuration(rule);
    QueueConfiguration {
        events: shown.events,
        filter: shown.filter,
        id: shown.id,
        queue_arn: shown.lambda_function_arn,
    }
}

fn configuration(rule: Rule) -> LambdaFunctionConfiguration {
    let filters: Vec<FilterRule> = [("Prefix", rule.prefix), ("Suffix", rule.suffix)]
        .into_iter()
        .filter_map(|(name, value)| {
            Some(FilterRule { name: Some(FilterRuleName::from_static(name)), value: Some(value?) })
        })
        .collect();
    LambdaFunctionConfiguration {
        events: rule.events.into_iter().map(Into::into).collect(),
        filter: (!filters.is_empty()).then_some(NotificationConfigurationFilter {
            key: Some(S3KeyFilter { filter_rules: Some(filters) }),
        }),
        id: Some(rule.id),
        lambda_function_arn: rule.destination,
    }
}
