//! What a bucket says of features that Mayfly does not have: that they are off, as in a bucket of S3 where nobody turned
//! them on. Turning one on is refused by name, being no operation of the table.

use super::State;
use super::bucket::existing;
use super::error::{Result, not_found};
use super::request::Context;
use s3s::dto::*;
use s3s::{S3Request, S3Response};

macro_rules! off {
    ($($name:ident($input:ident) -> $output:ident = $answer:expr;)*) => {
        $(pub(super) async fn $name(
            state: &State,
            _context: &Context,
            request: S3Request<$input>,
        ) -> Result<S3Response<$output>> {
            state.store.read(|view| existing(view, &request.input.bucket))?;
            let answer: Result<$output> = $answer;
            answer.map(S3Response::new)
        })*
    };
}

off! {
    accelerate(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput =
        Ok(GetBucketAccelerateConfigurationOutput::default());
    logging(GetBucketLoggingInput) -> GetBucketLoggingOutput = Ok(GetBucketLoggingOutput::default());
    request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput =
        Ok(GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) });
    replication(GetBucketReplicationInput) -> GetBucketReplicationOutput = Err(not_found(
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ));
    analytics(GetBucketAnalyticsConfigurationInput) -> GetBucketAnalyticsConfigurationOutput = none();
    intelligent_tiering(GetBucketIntelligentTieringConfigurationInput)
        -> GetBucketIntelligentTieringConfigurationOutput = none();
    inventory(GetBucketInventoryConfigurationInput) -> GetBucketInventoryConfigurationOutput = none();
    metrics(GetBucketMetricsConfigurationInput) -> GetBucketMetricsConfigurationOutput = none();
    list_analytics(ListBucketAnalyticsConfigurationsInput) -> ListBucketAnalyticsConfigurationsOutput =
        Ok(ListBucketAnalyticsConfigurationsOutput { is_truncated: Some(false), ..Default::default() });
    list_intelligent_tiering(ListBucketIntelligentTieringConfigurationsInput)
        -> ListBucketIntelligentTieringConfigurationsOutput =
        Ok(ListBucketIntelligentTieringConfigurationsOutput { is_truncated: Some(false), ..Default::default() });
    list_inventory(ListBucketInventoryConfigurationsInput) -> ListBucketInventoryConfigurationsOutput =
        Ok(ListBucketInventoryConfigurationsOutput { is_truncated: Some(false), ..Default::default() });
    list_metrics(ListBucketMetricsConfigurationsInput) -> ListBucketMetricsConfigurationsOutput =
        Ok(ListBucketMetricsConfigurationsOutput { is_truncated: Some(false), ..Default::default() });
}

fn none<T>() -> Result<T> {
    Err(not_found("NoSuchConfiguration", "The specified configuration does not exist."))
}
