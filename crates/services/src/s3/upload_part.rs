//! `UploadPart`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>

use super::State;
use super::checksum::hex;
use super::error::{Error, Result, refuse};
use super::parameters::check_query;
use super::put_object::{broken_off, receive};
use super::request::Context;
use super::sse;
use super::upload::{Part, find, number, put_part};
use futures::StreamExt;
use s3s::dto::{ETag, UploadPartInput, UploadPartOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<UploadPartInput>,
) -> Result<S3Response<UploadPartOutput>> {
    check_query(&request.uri, &["partNumber", "uploadId"])?;
    let mut input = request.input;
    let number = number(input.part_number)?;
    let customer = sse::customer(&request.headers)?;
    let (_, upload) = state.store.read(|view| find(view, &input.bucket, &input.key, &input.upload_id))?;
    let key = upload.key(&state.store, customer.as_ref())?;
    let algorithm = upload.algorithm()?;
    let claimed = context.claimed;
    let fits = match claimed {
        None => !(upload.explicit && upload.composite),
        Some(claimed) => claimed == algorithm || !upload.explicit,
    };
    if !fits {
        let claimed = claimed.map_or("null".to_owned(), |claimed| claimed.lower_name());
        return Err(refuse(
            S3ErrorCode::InvalidRequest,
            format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {claimed}",
                algorithm.lower_name()
            ),
        ));
    }
    context.report.compute(algorithm);
    let body = input.body.take().map(|body| body.map(|piece| piece.map_err(|_| broken_off())));
    let (received, len) = receive(state, &key, body).await?;
    let digests = context.report.digests().ok_or(Error::Broken("a body was not read to its end"))?;
    let checksum = digests.of(algorithm).ok_or(Error::Broken("a part has no checksum"))?.to_owned();
    let etag = hex(&digests.md5);
    let told = sse::told(Some(&upload.encryption));
    let shown = |wanted: &str| {
        // What nobody chose is not told.
        let told = claimed.or(upload.explicit.then_some(algorithm))?;
        digests.of(told).filter(|_| told.name() == wanted).map(str::to_owned)
    };
    let output = UploadPartOutput {
        checksum_crc32: shown("CRC32"),
        checksum_crc32c: shown("CRC32C"),
        checksum_crc64nvme: shown("CRC64NVME"),
        checksum_sha1: shown("SHA1"),
        checksum_sha256: shown("SHA256"),
        e_tag: Some(ETag::Strong(etag.clone())),
        server_side_encryption: told.algorithm,
        sse_customer_algorithm: told.customer_algorithm,
        sse_customer_key_md5: told.customer_md5,
        ..UploadPartOutput::default()
    };
    state
        .change(received.blob(), move |tx| {
            let content = received.keep(tx)?;
            let part = Part { len, etag, checksum, modified: tx.now(), content };
            let unlinked = put_part(tx, (&input.bucket, &input.key, &input.upload_id), number, &part)?;
            Ok(((), unlinked))
        })
        .await?;
    Ok(S3Response::new(output))
}
