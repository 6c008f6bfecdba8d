//! `PutBucketNotificationConfiguration`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html>

use super::State;
use super::bucket::existing;
use super::destination;
use super::error::{Result, detailed, not_supported};
use super::notification::{NOTIFICATIONS, Rules, of_queue};
use super::parameters::check_query;
use super::request::Context;
use model::Lineage;
use s3s::dto::{PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::Tx;

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<PutBucketNotificationConfigurationInput>,
) -> Result<S3Response<PutBucketNotificationConfigurationOutput>> {
    check_query(&request.uri, &["notification"])?;
    let input = request.input;
    let wanted = input.notification_configuration;
    for (name, given) in [
        ("EventBridgeConfiguration", wanted.event_bridge_configuration.is_some()),
        ("TopicConfigurations", wanted.topic_configurations.is_some()),
    ] {
        if given {
            return Err(not_supported(format_args!("The destination {name}")).into());
        }
    }
    let mut configurations = wanted.lambda_function_configurations.unwrap_or_default();
    let queues = wanted.queue_configurations.unwrap_or_default();
    let functions = configurations.iter().map(|one| ("LambdaFunctionArn", one.lambda_function_arn.as_str()));
    let named = functions.chain(queues.iter().map(|one| ("Queue", one.queue_arn.as_str())));
    for (name, arn) in named {
        if destination::is_queue(arn) != (name == "Queue") || !arn.starts_with("arn:") {
            return Err(detailed(
                S3ErrorCode::InvalidArgument,
                "The ARN could not be parsed",
                &[("ArgumentName", name), ("ArgumentValue", arn)],
            ));
        }
    }
    configurations.extend(queues.into_iter().map(of_queue));
    let rules = Rules::of(configurations)?;
    let validate = !input.skip_destination_validation.unwrap_or(false);
    let bucket = input.bucket;
    let id = context.id.to_string();
    state.store.write(move |tx| put(tx, &bucket, &rules, validate, &id)).await?;
    Ok(S3Response::new(PutBucketNotificationConfigurationOutput {}))
}

fn put(tx: &Tx<'_>, bucket: &str, rules: &Rules, validate: bool, id: &str) -> Result<()> {
    existing(tx, bucket)?;
    if rules.0.is_empty() {
        tx.delete(&NOTIFICATIONS, bucket)?;
        return Ok(());
    }
    let mut missing: Vec<(String, String)> = Vec::new();
    for rule in rules.0.iter().filter(|_| validate) {
        if !destination::exists(tx, &rule.destination)? {
            let kind = if destination::is_queue(&rule.destination) { "queue" } else { "Lambda" };
            let number = missing.len() / 2 + 1;
            missing.push((format!("ArgumentName{number}"), rule.destination.clone()));
            missing
                .push((format!("ArgumentValue{number}"), format!("The destination {kind} does not exist")));
        }
    }
    if !missing.is_empty() {
        let details: Vec<(&str, &str)> =
            missing.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        return Err(detailed(
            S3ErrorCode::InvalidArgument,
            "Unable to validate the following destination configurations",
            &details,
        ));
    }
    // S3 tells queues that it will tell them something.
    for rule in rules.0.iter().filter(|rule| destination::is_queue(&rule.destination)) {
        let test = serde_json::json!({
            "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": tx.now().iso_z(), "Bucket": bucket,
            "RequestId": id, "HostId": id,
        });
        destination::send(tx, &rule.destination, test.to_string().into(), &Lineage::default())?;
    }
    tx.put(&NOTIFICATIONS, bucket, rules)?;
    Ok(())
}
