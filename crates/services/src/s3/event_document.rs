//! The event documents of S3.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use super::checksum::hex;
use super::encoding::encode_key;
use super::event::{Kind, Origin};
use super::response::host_id;
use crate::object::Object;
use bytes::Bytes;
use model::{ACCOUNT, Timestamp};
use serde::Serialize;

/// The address that requests come from: the server listens on loopback.
const SOURCE_ADDRESS: &str = "127.0.0.1";

/// A change that is told of.
pub(super) struct Change<'a> {
    pub(super) origin: &'a Origin,
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) kind: Kind,
    /// What is there after the change.
    pub(super) object: Option<&'a Object>,
    pub(super) at: Timestamp,
    pub(super) sequence: u64,
    /// The version that was made or removed, in a bucket with versions.
    pub(super) version: Option<&'a str>,
}

impl Change<'_> {
    /// The document for the function of the rule called `rule_id`.
    pub(super) fn document(&self, rule_id: &str) -> serde_json::Result<Bytes> {
        let record = Record {
            event_version: self.kind.document_version(),
            event_source: "aws:s3",
            aws_region: &self.origin.region,
            event_time: self.at.iso_z(),
            event_name: self.kind.name(),
            user_identity: Identity { principal_id: format!("AWS:{}", self.origin.access_key) },
            request_parameters: RequestParameters { source_ip_address: SOURCE_ADDRESS },
            response_elements: ResponseElements {
                request_id: self.origin.id.to_string(),
                host_id: host_id(self.origin.id),
            },
            s3: Subject {
                schema_version: "1.0",
                configuration_id: rule_id,
                bucket: SubjectBucket {
                    name: self.bucket,
                    owner_identity: Identity { principal_id: ACCOUNT.to_owned() },
                    arn: format!("arn:aws:s3:::{}", self.bucket),
                },
                object: SubjectObject {
                    key: encode_key(self.key),
                    size: self.object.map(|object| object.len).filter(|_| !self.kind.is_of_record()),
                    e_tag: self.object.map(|object| object.etag.as_str()),
                    version_id: self.version,
                    // Of one length, so that they compare as text whichever end is padded.
                    sequencer: (!self.kind.is_of_record())
                        .then(|| hex(&self.sequence.to_be_bytes()).to_ascii_uppercase()),
                },
            },
            glacier_event_data: self
                .object
                .filter(|_| self.kind == Kind::RestoreCompleted)
                .and_then(restored),
        };
        serde_json::to_vec(&Document { records: [record] }).map(Bytes::from)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(rename = "Records")]
    records: [Record<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'static str,
    event_source: &'static str,
    aws_region: &'a str,
    event_time: String,
    event_name: &'static str,
    user_identity: Identity,
    request_parameters: RequestParameters,
    response_elements: ResponseElements,
    s3: Subject<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    glacier_event_data: Option<GlacierEventData<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    principal_id: String,
}

#[derive(Serialize)]
struct RequestParameters {
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'static str,
}

#[derive(Serialize)]
struct ResponseElements {
    #[serde(rename = "x-amz-request-id")]
    request_id: String,
    #[serde(rename = "x-amz-id-2")]
    host_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subject<'a> {
    #[serde(rename = "s3SchemaVersion")]
    schema_version: &'static str,
    configuration_id: &'a str,
    bucket: SubjectBucket<'a>,
    object: SubjectObject<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubjectBucket<'a> {
    name: &'a str,
    owner_identity: Identity,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubjectObject<'a> {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequencer: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GlacierEventData<'a> {
    restore_event_data: RestoreEventData<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoreEventData<'a> {
    lifecycle_restoration_expiry_time: String,
    lifecycle_restore_storage_class: &'a str,
}

/// Until when an object was restored that lies in an archive.
fn restored(object: &Object) -> Option<GlacierEventData<'_>> {
    Some(GlacierEventData {
        restore_event_data: RestoreEventData {
            lifecycle_restoration_expiry_time: object.restored?.iso_z(),
            lifecycle_restore_storage_class: object.storage_class.as_deref()?,
        },
    })
}
