//! What a request asks for beside its operation: taken, harmless, or refused by name.
//!
//! `s3s` ignores what an operation does not read. A program that asks for encryption, a lock or a storage class
//! must not believe that it got it, so every `x-amz-` header is known here or refused.

use super::error::{Result, detailed, not_supported};
use http::{HeaderMap, Uri};
use s3s::{S3Error, S3ErrorCode, S3Result};
use wire::credential::query_pairs;

/// Headers that are acted on, or that carry no wish.
const KNOWN: &[&str] = &[
    "x-amz-acl",
    "x-amz-api-version",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-bypass-governance-retention",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-confirm-remove-self-bucket-access",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
    "x-amz-date",
    "x-amz-decoded-content-length",
    // Looked at where it is known whose the bucket is.
    "x-amz-expected-bucket-owner",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-max-parts",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-attributes",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-ownership",
    "x-amz-optional-object-attributes",
    "x-amz-part-number-marker",
    // Nobody pays here.
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-server-side-encryption",
    // Looked at with the algorithm, without which it means nothing.
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
    "x-amz-skip-destination-validation",
    "x-amz-source-expected-bucket-owner",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-trailer",
    "x-amz-transition-default-minimum-object-size",
    "x-amz-user-agent",
    "x-amz-website-redirect-location",
];

/// Checksums that S3 has beside those of Mayfly: they are refused by name.
const CHECKSUMS_OF_S3: &[&str] = &["md5", "sha512", "xxhash3", "xxhash64", "xxhash128"];

/// Headers of which some values ask for what is the case anyway.
const HARMLESS: &[(&str, &[&str])] = &[("x-amz-server-side-encryption-bucket-key-enabled", &["false"])];

/// Refuses the headers that ask for what Mayfly does not do.
pub(super) fn check_headers(headers: &HeaderMap) -> S3Result<()> {
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("x-amz-") || name.starts_with("x-amz-meta-") || KNOWN.contains(&name) {
            continue;
        }
        if let Some(algorithm) = name.strip_prefix("x-amz-checksum-")
            && !CHECKSUMS_OF_S3.contains(&algorithm)
        {
            return Err(S3Error::with_message(
                S3ErrorCode::InvalidRequest,
                "The algorithm type you specified in x-amz-checksum- header is invalid.",
            ));
        }
        let value = value.to_str().unwrap_or_default().trim();
        let harmless = HARMLESS.iter().find(|(known, _)| *known == name).map(|(_, values)| *values);
        if !harmless.unwrap_or_default().iter().any(|known| known.eq_ignore_ascii_case(value)) {
            return Err(not_supported(format_args!("The header {name}: {value}")));
        }
    }
    Ok(())
}

/// Parameters that are numbers.
const NUMBERS: &[&str] = &["max-keys", "max-parts", "max-uploads", "part-number-marker"];

/// Refuses numbers that are none, or that nothing can have, before anything is looked for.
pub(super) fn check_numbers(uri: &Uri) -> Result<()> {
    for (name, value) in query_pairs(uri.query().unwrap_or_default()) {
        let message = match value.parse::<i64>() {
            Ok(1..=10_000) if name == "partNumber" => continue,
            _ if name == "partNumber" => {
                "Part number must be an integer between 1 and 10000, inclusive".to_owned()
            }
            _ if !NUMBERS.contains(&name.as_str()) => continue,
            Ok(number) if i32::try_from(number).is_ok_and(|number| number >= 0) => continue,
            Ok(number) if number < 0 => {
                format!("Argument {name} must be an integer between 0 and 2147483647")
            }
            _ => format!("Provided {name} not an integer or within integer range"),
        };
        let details = [("ArgumentName", name.as_str()), ("ArgumentValue", value.as_str())];
        return Err(detailed(S3ErrorCode::InvalidArgument, message, &details));
    }
    Ok(())
}

/// Refuses to change the headers of the answer for who signed nothing.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
pub(super) fn check_unsigned(query: &str) -> S3Result<()> {
    let overrides = query_pairs(query).any(|(name, _)| name.starts_with("response-"));
    if overrides {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok(())
}

/// Whether who asks may remove what a lock in governance mode keeps, and says that it shall be removed.
pub(super) fn bypasses_governance(headers: &HeaderMap) -> bool {
    headers
        .get("x-amz-bypass-governance-retention")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Refuses query parameters other than `allowed`, `x-id` (which SDKs add) and `versionId=null`.
pub(super) fn check_query(uri: &Uri, allowed: &[&str]) -> Result<()> {
    for (name, value) in query_pairs(uri.query().unwrap_or_default()) {
        if name != "x-id"
            && !allowed.contains(&name.as_str())
            && (name.as_str(), value.as_str()) != NULL_VERSION
        {
            return Err(not_supported(format_args!("The parameter {name}")).into());
        }
    }
    Ok(())
}

/// The version of every object in a bucket without versioning.
const NULL_VERSION: (&str, &str) = ("versionId", "null");

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, value: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let error = check_headers(&headers).err()?;
        Some(format!("{} {}", error.code().as_str(), error.message().unwrap()))
    }

    #[test]
    fn wishes_are_taken_harmless_or_refused_by_name() {
        for (name, value) in [
            ("x-amz-date", "20260131T120000Z"),
            ("x-amz-meta-colour", "red"),
            ("x-amz-acl", "private"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("x-amz-storage-class", "STANDARD"),
            ("x-amz-expected-bucket-owner", "000000000000"),
            ("x-amzn-trace-id", "Root=1"),
            ("content-type", "text/plain"),
        ] {
            assert_eq!(check(name, value), None, "{name}");
        }
        for (name, value) in
            [("x-amz-mfa", "serial 123456"), ("x-amz-write-offset-bytes", "5"), ("x-amz-of-tomorrow", "1")]
        {
            let refusal = check(name, value).unwrap();
            assert!(refusal.starts_with("NotImplemented") && refusal.contains(name), "{refusal}");
        }
    }

    #[test]
    fn parameters_are_allowed_or_refused_by_name() {
        let uri = |text: &'static str| Uri::from_static(text);
        assert!(check_query(&uri("/b/k?x-id=PutObject&versionId=null"), &[]).is_ok());
        assert!(check_query(&uri("/b?notification"), &["notification"]).is_ok());
        let error = check_query(&uri("/b/k?renameObject"), &[]).unwrap_err();
        assert!(error.to_string().contains("renameObject"));
    }
}
