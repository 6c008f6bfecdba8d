//! `GetBucketNotificationConfiguration`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html>

use super::State;
use super::bucket::existing;
use super::error::Result;
use super::notification::{NOTIFICATIONS, Rule};
use super::request::Context;
use s3s::dto::{
    FilterRule, FilterRuleName, GetBucketNotificationConfigurationInput,
    GetBucketNotificationConfigurationOutput, LambdaFunctionConfiguration, NotificationConfigurationFilter,
    S3KeyFilter,
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
    Ok(S3Response::new(GetBucketNotificationConfigurationOutput {
        lambda_function_configurations: rules.map(|rules| rules.0.into_iter().map(configuration).collect()),
        ..GetBucketNotificationConfigurationOutput::default()
    }))
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
