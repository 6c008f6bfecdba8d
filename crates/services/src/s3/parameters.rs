//! What a request asks for beside its operation: taken, harmless, or refused by name.
//!
//! `s3s` ignores what an operation does not read. A program that asks for encryption, a lock or a storage class
//! must not believe that it got it, so every `x-amz-` header is known here or refused.

use super::error::{Result, not_supported};
use http::{HeaderMap, Uri};
use s3s::{S3Error, S3ErrorCode, S3Result};
use wire::credential::query_pairs;

/// Headers that are acted on, or that carry no wish.
const KNOWN: &[&str] = &[
    "x-amz-api-version",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-mode",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-metadata-directive",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-skip-destination-validation",
    "x-amz-trailer",
    "x-amz-user-agent",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// Headers of which some values ask for what is the case anyway.
const HARMLESS: &[(&str, &[&str])] = &[
    ("x-amz-acl", &["private", "bucket-owner-full-control"]),
    ("x-amz-bucket-object-lock-enabled", &["false"]),
    ("x-amz-bypass-governance-retention", &["false"]),
    ("x-amz-checksum-type", &["FULL_OBJECT"]),
    ("x-amz-object-ownership", &["BucketOwnerEnforced"]),
    ("x-amz-server-side-encryption-bucket-key-enabled", &["false"]),
    ("x-amz-storage-class", &["STANDARD"]),
    ("x-amz-tagging-directive", &["COPY"]),
];

/// Headers that say whom the caller takes for the owner.
const OWNERS: &[&str] = &["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];

/// Refuses the headers that ask for what Mayfly does not do.
pub(super) fn check_headers(headers: &HeaderMap) -> S3Result<()> {
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("x-amz-") || name.starts_with("x-amz-meta-") || KNOWN.contains(&name) {
            continue;
        }
        let value = value.to_str().unwrap_or_default().trim();
        if OWNERS.contains(&name) {
            if value != model::ACCOUNT {
                return Err(S3Error::with_message(
                    S3ErrorCode::AccessDenied,
                    format!(
                        "Access Denied: {name} is {value}, and the owner of everything is {}.",
                        model::ACCOUNT
                    ),
                ));
            }
            continue;
        }
        let harmless = HARMLESS.iter().find(|(known, _)| *known == name).map(|(_, values)| *values);
        if !harmless.unwrap_or_default().iter().any(|known| known.eq_ignore_ascii_case(value)) {
            return Err(not_supported(format_args!("The header {name}: {value}")));
        }
    }
    Ok(())
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

/// Of reads, only what would change the answer is refused: people add parameters of their own to URLs.
pub(super) fn check_read(uri: &Uri) -> Result<()> {
    for (name, value) in query_pairs(uri.query().unwrap_or_default()) {
        let changes = matches!(name.as_str(), "versionId" | "partNumber");
        if changes && (name.as_str(), value.as_str()) != NULL_VERSION {
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
        for (name, value) in [
            ("x-amz-acl", "public-read"),
            ("x-amz-grant-read", "id=1"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
            ("x-amz-storage-class", "GLACIER"),
            ("x-amz-tagging", "a=b"),
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-request-payer", "requester"),
            ("x-amz-website-redirect-location", "/"),
            ("x-amz-of-tomorrow", "1"),
        ] {
            let refusal = check(name, value).unwrap();
            assert!(refusal.starts_with("NotImplemented") && refusal.contains(name), "{refusal}");
        }
        assert!(check("x-amz-expected-bucket-owner", "111111111111").unwrap().starts_with("AccessDenied"));
    }

    #[test]
    fn parameters_are_allowed_or_refused_by_name() {
        let uri = |text: &'static str| Uri::from_static(text);
        assert!(check_query(&uri("/b/k?x-id=PutObject&versionId=null"), &[]).is_ok());
        assert!(check_query(&uri("/b?notification"), &["notification"]).is_ok());
        let error = check_query(&uri("/b/k?renameObject"), &[]).unwrap_err();
        assert!(error.to_string().contains("renameObject"));
        assert!(check_read(&uri("/b/k?v=1&response-content-type=a")).is_ok());
        assert!(check_read(&uri("/b/k?versionId=1")).is_err());
        assert!(check_read(&uri("/b/k?partNumber=1")).is_err());
    }
}
