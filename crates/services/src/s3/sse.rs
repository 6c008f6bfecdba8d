//! What requests say of encryption at rest: SSE-S3 (the default, as in S3) and SSE-C. KMS is refused by name.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingServerSideEncryption.html>

use super::State;
use super::error::{Error, Result, detailed, not_supported, refuse};
use crate::object::Object;
use crate::object::cipher::{Encryption, Key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::S3ErrorCode;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::ServerSideEncryption;

/// The only algorithm of S3.
pub(super) const AES256: &str = "AES256";

const HEADERS: &str = "x-amz-server-side-encryption-customer-";
const SOURCE_HEADERS: &str = "x-amz-copy-source-server-side-encryption-customer-";

/// A key that the customer sent.
#[derive(Clone, Debug)]
pub(super) struct CustomerKey {
    pub(super) key: Key,
    pub(super) md5: String,
}

/// The customer's key in a request's headers.
pub(super) fn customer(headers: &HeaderMap) -> Result<Option<CustomerKey>> {
    read(headers, HEADERS)
}

/// The customer's key for the source of a copy.
pub(super) fn source_customer(headers: &HeaderMap) -> Result<Option<CustomerKey>> {
    read(headers, SOURCE_HEADERS)
}

fn read(headers: &HeaderMap, front: &str) -> Result<Option<CustomerKey>> {
    let text =
        |name: &str| headers.get(format!("{front}{name}")).map(|value| value.to_str().unwrap_or_default());
    let (algorithm, key, md5) = (text("algorithm"), text("key"), text("key-md5"));
    if algorithm.is_none() && key.is_none() && md5.is_none() {
        return Ok(None);
    }
    let about = ("ArgumentName", "x-amz-server-side-encryption");
    let invalid = |message: &'static str| detailed(S3ErrorCode::InvalidArgument, message, &[about]);
    let algorithm = algorithm.ok_or_else(|| {
        invalid("Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.")
    })?;
    if algorithm != AES256 {
        return Err(detailed(
            S3ErrorCode::InvalidEncryptionAlgorithmError,
            "The Encryption request you specified is not valid. Supported value: AES256.",
            &[about, ("ArgumentValue", algorithm)],
        ));
    }
    let key = key.ok_or_else(|| {
        invalid("Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.")
    })?;
    let bytes: [u8; 32] = STANDARD
        .decode(key)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| invalid("The secret key was invalid for the specified algorithm."))?;
    let md5 = md5.ok_or_else(|| {
        invalid("Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.")
    })?;
    let mut hasher = Md5::new();
    hasher.update(&bytes);
    if STANDARD.encode(hasher.finalize()) != md5 {
        return Err(invalid("The calculated MD5 hash of the key did not match the hash that was provided."));
    }
    Ok(Some(CustomerKey { key: Key::of_customer(bytes), md5: md5.to_owned() }))
}

/// How a new object is to be encrypted: its key, and what its record says of it.
pub(super) fn for_new(state: &State, headers: &HeaderMap) -> Result<(Key, Encryption)> {
    let asked = check_algorithm(headers)?;
    match customer(headers)? {
        Some(_) if asked => Err(detailed(
            S3ErrorCode::InvalidArgument,
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            &[("ArgumentName", "x-amz-server-side-encryption"), ("ArgumentValue", AES256)],
        )),
        Some(customer) => {
            let proof = customer.key.proof();
            Ok((customer.key, Encryption::Customer { md5: customer.md5, proof }))
        }
        None => Ok(Key::new(state.store.key())?),
    }
}

/// Whether the request names an algorithm; KMS and unknown ones are refused.
fn check_algorithm(headers: &HeaderMap) -> Result<bool> {
    let algorithm =
        headers.get("x-amz-server-side-encryption").map(|value| value.to_str().unwrap_or_default());
    let of_kms = "x-amz-server-side-encryption-aws-kms-key-id";
    if headers.contains_key(of_kms) && !algorithm.is_some_and(|algorithm| algorithm.starts_with("aws:kms")) {
        return Err(refuse(
            S3ErrorCode::InvalidArgument,
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
        ));
    }
    match algorithm {
        None => Ok(false),
        Some(AES256) => Ok(true),
        Some(kms @ ("aws:kms" | "aws:kms:dsse")) => {
            Err(not_supported(format_args!("The encryption {kms}")).into())
        }
        Some(other) => Err(detailed(
            S3ErrorCode::InvalidArgument,
            "The encryption method specified is not supported",
            &[("ArgumentName", "x-amz-server-side-encryption"), ("ArgumentValue", other)],
        )),
    }
}

/// Refuses a read whose key does not fit how `object` is encrypted.
pub(super) fn check_read(object: &Object, customer: Option<&CustomerKey>) -> Result<()> {
    match (&object.encryption, customer) {
        (Some(Encryption::Customer { .. }), None) => Err(refuse(
            S3ErrorCode::InvalidRequest,
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to \
             retrieve the object.",
        )),
        (Some(Encryption::Customer { proof, .. }), Some(customer)) if !customer.key.proves(proof) => {
            Err(refuse(
                S3ErrorCode::AccessDenied,
                "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret \
                 key.",
            ))
        }
        (Some(Encryption::Customer { .. }), Some(_)) | (_, None) => Ok(()),
        (_, Some(_)) => Err(refuse(
            S3ErrorCode::InvalidRequest,
            "The encryption parameters are not applicable to this object.",
        )),
    }
}

/// What answers say of an object's encryption.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) algorithm: Option<ServerSideEncryption>,
    pub(super) customer_algorithm: Option<String>,
    pub(super) customer_md5: Option<String>,
}

/// What answers say of `encryption`.
pub(super) fn told(encryption: Option<&Encryption>) -> Told {
    match encryption {
        None => Told::default(),
        Some(Encryption::Installation(_)) => Told {
            algorithm: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
            ..Told::default()
        },
        Some(Encryption::Customer { md5, .. }) => Told {
            algorithm: None,
            customer_algorithm: Some(AES256.to_owned()),
            customer_md5: Some(md5.clone()),
        },
    }
}

impl From<crate::object::cipher::CipherError> for Error {
    fn from(_: crate::object::cipher::CipherError) -> Self {
        Error::Broken(
            "the cipher failed: the installation's key was replaced, or the machine has no random bytes",
        )
    }
}
