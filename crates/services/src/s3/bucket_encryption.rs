//! `GetBucketEncryption`, `PutBucketEncryption` and `DeleteBucketEncryption`. Every bucket encrypts with SSE-S3, as in S3;
//! another default, KMS, is refused by name.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html>

use super::State;
use super::bucket::existing;
use super::error::{Result, detailed, not_supported, refuse};
use super::parameters::check_query;
use super::request::Context;
use super::settings::ENCRYPTION;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketEncryptionInput>,
) -> Result<S3Response<GetBucketEncryptionOutput>> {
    let bucket = request.input.bucket;
    let set = state.store.read(|view| {
        existing(view, &bucket)?;
        ENCRYPTION.get(view, &bucket)
    })?;
    Ok(S3Response::new(GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(set.unwrap_or_else(default)),
    }))
}

fn default() -> ServerSideEncryptionConfiguration {
    let by_default = ServerSideEncryptionByDefault {
        kms_master_key_id: None,
        sse_algorithm: ServerSideEncryption::from_static(ServerSideEncryption::AES256),
    };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(by_default),
        bucket_key_enabled: Some(false),
    };
    ServerSideEncryptionConfiguration { rules: vec![rule] }
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketEncryptionInput>,
) -> Result<S3Response<PutBucketEncryptionOutput>> {
    check_query(&request.uri, &["encryption"])?;
    let input = request.input;
    let wanted = input.server_side_encryption_configuration;
    let malformed = || {
        refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let [rule] = wanted.rules.as_slice() else { return Err(malformed()) };
    let by_default = rule.apply_server_side_encryption_by_default.as_ref().ok_or_else(malformed)?;
    match by_default.sse_algorithm.as_str() {
        ServerSideEncryption::AES256 if by_default.kms_master_key_id.is_some() => {
            return Err(detailed(
                S3ErrorCode::InvalidArgument,
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
                &[("ArgumentName", "ApplyServerSideEncryptionByDefault")],
            ));
        }
        ServerSideEncryption::AES256 => {}
        kms if kms.starts_with("aws:kms") => {
            return Err(not_supported(format_args!("The encryption {kms}")).into());
        }
        _ => return Err(malformed()),
    }
    state.store.write(move |tx| ENCRYPTION.put(tx, &input.bucket, &wanted)).await?;
    Ok(S3Response::new(PutBucketEncryptionOutput {}))
}

pub(super) async fn delete(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketEncryptionInput>,
) -> Result<S3Response<DeleteBucketEncryptionOutput>> {
    check_query(&request.uri, &["encryption"])?;
    state.store.write(move |tx| ENCRYPTION.delete(tx, &request.input.bucket)).await?;
    Ok(S3Response::new(DeleteBucketEncryptionOutput {}))
}
