//! The event documents of S3, submitted in the transaction of the change they tell of.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use super::checksum::hex;
use super::encoding::encode_key;
use super::error::{Error, Result};
use super::notification::{NOTIFICATIONS, Rule};
use super::request::Context;
use super::response::host_id;
use crate::object::Object;
use model::{ACCOUNT, Event, FunctionArn, RequestId, Source};
use serde::{Deserialize, Serialize};
use store::Tx;
use store::kv::{SPECS, Stored, Table};

/// The address that requests come from: the server listens on loopback.
const SOURCE_ADDRESS: &str = "127.0.0.1";

/// How many changes were told of, under the key `""`.
const TOLD: Table<Told> = Table::new("s3.told");

#[derive(Serialize, Deserialize)]
struct Told(u64);

impl Stored for Told {}

/// Where a change comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) id: RequestId,
    pub(super) access_key: String,
    pub(super) region: String,
}

impl Origin {
    pub(super) fn of(context: &Context, region: &str) -> Self {
        Origin { id: context.id, access_key: context.access_key.clone(), region: region.to_owned() }
    }
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    Copied,
    Deleted,
}

impl Kind {
    /// As events name it; rules say `s3:` in front.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Put => "ObjectCreated:Put",
            Kind::Copied => "ObjectCreated:Copy",
            Kind::Deleted => "ObjectRemoved:Delete",
        }
    }
}

/// Submits the events that the bucket's rules ask for; `object` is what is there after the change.
pub(super) fn notify(
    tx: &Tx<'_>,
    origin: &Origin,
    place: (&str, &str),
    kind: Kind,
    object: Option<&Object>,
) -> Result<()> {
    let (bucket, key) = place;
    let Some(rules) = tx.get(&NOTIFICATIONS, bucket)? else { return Ok(()) };
    let mut sequencer = None;
    for rule in rules.0.iter().filter(|rule| rule.matches(kind, key)) {
        // A function that is gone is not told, as S3 does not.
        if tx.get(&SPECS, &rule.function)?.is_none() {
            continue;
        }
        let sequence = match sequencer {
            Some(sequence) => sequence,
            None => *sequencer.insert(next_sequence(tx)?),
        };
        let document = document(tx, origin, place, kind, object, rule, sequence);
        let payload =
            serde_json::to_vec(&document).map_err(|_| Error::Broken("an event cannot be written"))?;
        let function = FunctionArn::from_stored(rule.function.clone());
        tx.submit(&Event::new(function, Source::S3, tx.now(), payload.into()))?;
    }
    Ok(())
}

/// Rises with every change that is told of: changes of one key can be put in order by it.
fn next_sequence(tx: &Tx<'_>) -> Result<u64> {
    let next = tx.get(&TOLD, "")?.map_or(0, |told| told.0) + 1;
    tx.put(&TOLD, "", &Told(next))?;
    Ok(next)
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
    sequencer: String,
}

fn document<'a>(
    tx: &Tx<'_>,
    origin: &'a Origin,
    (bucket, key): (&'a str, &'a str),
    kind: Kind,
    object: Option<&'a Object>,
    rule: &'a Rule,
    sequence: u64,
) -> Document<'a> {
    let record = Record {
        event_version: "2.1",
        event_source: "aws:s3",
        aws_region: &origin.region,
        event_time: tx.now().iso_z(),
        event_name: kind.name(),
        user_identity: Identity { principal_id: format!("AWS:{}", origin.access_key) },
        request_parameters: RequestParameters { source_ip_address: SOURCE_ADDRESS },
        response_elements: ResponseElements {
            request_id: origin.id.to_string(),
            host_id: host_id(origin.id),
        },
        s3: Subject {
            schema_version: "1.0",
            configuration_id: &rule.id,
            bucket: SubjectBucket {
                name: bucket,
                owner_identity: Identity { principal_id: ACCOUNT.to_owned() },
                arn: format!("arn:aws:s3:::{bucket}"),
            },
            object: SubjectObject {
                key: encode_key(key),
                size: object.map(|object| object.len),
                e_tag: object.map(|object| object.etag.as_str()),
                // Of one length, so that they compare as text whichever end is padded.
                sequencer: hex(&sequence.to_be_bytes()).to_ascii_uppercase(),
            },
        },
    };
    Document { records: [record] }
}
