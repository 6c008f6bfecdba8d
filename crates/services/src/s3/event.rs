//! The events of S3, submitted in the transaction of the change they tell of.

use super::destination;
use super::error::{Error, Result};
use super::event_document::Change;
use super::notification::NOTIFICATIONS;
use super::request::Context;
use crate::object::Object;
use model::{Lineage, RequestId};
use serde::{Deserialize, Serialize};
use store::Tx;
use store::kv::{Stored, Table};

/// The last number of [`next_sequence`], under the key `""`.
const TOLD: Table<Told> = Table::new("s3.told");

#[derive(Serialize, Deserialize)]
struct Told(u64);

impl Stored for Told {}

/// Where a change comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) id: RequestId,
    pub(super) access_key: String,
    /// The account that acts; empty for somebody who signed nothing.
    pub(super) account: String,
    pub(super) region: String,
    /// The functions whose events led to it.
    pub(super) lineage: Lineage,
}

impl Origin {
    pub(super) fn of(context: &Context, region: &str) -> Self {
        Origin {
            id: context.id,
            access_key: context.access_key.clone(),
            account: context.account.clone().unwrap_or_default(),
            region: region.to_owned(),
            lineage: context.lineage.clone(),
        }
    }
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    Posted,
    Copied,
    Completed,
    Deleted,
    Marked,
    Expired,
    ExpiredByMarker,
    Tagged,
    Untagged,
    AclPut,
    RestorePosted,
    RestoreCompleted,
}

impl Kind {
    /// As events name it; rules say `s3:` in front.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Put => "ObjectCreated:Put",
            Kind::Posted => "ObjectCreated:Post",
            Kind::Copied => "ObjectCreated:Copy",
            Kind::Completed => "ObjectCreated:CompleteMultipartUpload",
            Kind::Deleted => "ObjectRemoved:Delete",
            Kind::Marked => "ObjectRemoved:DeleteMarkerCreated",
            Kind::Expired => "LifecycleExpiration:Delete",
            Kind::ExpiredByMarker => "LifecycleExpiration:DeleteMarkerCreated",
            Kind::Tagged => "ObjectTagging:Put",
            Kind::Untagged => "ObjectTagging:Delete",
            Kind::AclPut => "ObjectAcl:Put",
            Kind::RestorePosted => "ObjectRestore:Post",
            Kind::RestoreCompleted => "ObjectRestore:Completed",
        }
    }
}

impl Kind {
    /// Whether it changes what is said of an object, and neither its bytes nor whether it is there.
    pub(super) fn is_of_record(self) -> bool {
        matches!(self, Kind::Tagged | Kind::Untagged | Kind::AclPut)
    }

    /// The version of the document that tells of it.
    pub(super) fn document_version(self) -> &'static str {
        let newer = self.is_of_record() || matches!(self, Kind::Expired | Kind::ExpiredByMarker);
        if newer { "2.3" } else { "2.1" }
    }
}

/// Submits the events that the bucket's rules ask for; `object` is what is there after the change.
pub(super) fn notify(
    tx: &Tx<'_>,
    origin: &Origin,
    (bucket, key): (&str, &str),
    kind: Kind,
    object: Option<&Object>,
    version: Option<&str>,
) -> Result<()> {
    let Some(rules) = tx.get(&NOTIFICATIONS, bucket)? else { return Ok(()) };
    let mut sequencer = None;
    for rule in rules.0.iter().filter(|rule| rule.matches(kind, key)) {
        // A destination that is gone is not told, as S3 does not.
        if !destination::exists(tx, &rule.destination)? {
            continue;
        }
        let sequence = match sequencer {
            Some(sequence) => sequence,
            None => *sequencer.insert(next_sequence(tx)?),
        };
        let change = Change { origin, bucket, key, kind, object, at: tx.now(), sequence, version };
        let payload = change.document(&rule.id).map_err(|_| Error::Broken("an event cannot be written"))?;
        destination::send(tx, &rule.destination, payload, &origin.lineage)?;
    }
    Ok(())
}

/// Rises with every version that is made and with every change that is told of: changes of one key can be put in order
/// by it.
pub(super) fn next_sequence(tx: &Tx<'_>) -> Result<u64> {
    let next = tx.get(&TOLD, "")?.map_or(0, |told| told.0) + 1;
    tx.put(&TOLD, "", &Told(next))?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    fn rule(id: &str, function: &str, event: &str, prefix: &str) -> String {
        format!(
            "<CloudFunctionConfiguration><Id>{id}</Id><CloudFunction>{function}</CloudFunction>\
             <Event>{event}</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>{prefix}</Value>\
             </FilterRule></S3Key></Filter></CloudFunctionConfiguration>"
        )
    }

    async fn configure(bench: &Bench, rules: &str) -> u16 {
        let document = format!("<NotificationConfiguration>{rules}</NotificationConfiguration>");
        bench.send("PUT", "/box?notification", &[], &document).await.status
    }

    #[tokio::test]
    async fn a_change_is_told_as_aws_documents_it() {
        let bench = Bench::new().await;
        let function = bench.function("recognise").await;
        assert_eq!(configure(&bench, &rule("mine", &function, "s3:ObjectCreated:*", "in/")).await, 200);
        bench.send("PUT", "/box/out/a", &[], "hello").await;
        let put = bench.send("PUT", "/box/in/red%20flower.jpg", &[], "hello").await;
        let events = bench.events();
        assert_eq!(events.len(), 1);
        let (told, document) = &events[0];
        assert_eq!(*told, function);
        let record = &document["Records"][0];
        let time = record["eventTime"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        assert_eq!(
            *record,
            serde_json::json!({
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": time,
                "eventName": "ObjectCreated:Put",
                "userIdentity": { "principalId": "AWS:AKIDEXAMPLE" },
                "requestParameters": { "sourceIPAddress": "127.0.0.1" },
                "responseElements": {
                    "x-amz-request-id": put.header("x-amz-request-id"),
                    "x-amz-id-2": put.header("x-amz-id-2"),
                },
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "mine",
                    "bucket": {
                        "name": "box",
                        "ownerIdentity": { "principalId": "000000000000" },
                        "arn": "arn:aws:s3:::box",
                    },
                    "object": {
                        "key": "in/red+flower.jpg",
                        "size": 5,
                        "eTag": "5d41402abc4b2a76b9719d911017c592",
                        "sequencer": "0000000000000001",
                    },
                },
            })
        );
    }

    #[tokio::test]
    async fn every_kind_of_change_is_told_in_order_and_to_its_function() {
        let bench = Bench::new().await;
        let (made, removed) = (bench.function("made").await, bench.function("removed").await);
        let rules =
            rule("1", &made, "s3:ObjectCreated:*", "") + &rule("2", &removed, "s3:ObjectRemoved:*", "");
        assert_eq!(configure(&bench, &rules).await, 200);
        bench.send("PUT", "/box/k", &[], "1").await;
        bench.send("PUT", "/box/k", &[], "2").await;
        bench.send("PUT", "/box/copy", &[("x-amz-copy-source", "box/k")], "").await;
        bench.send("DELETE", "/box/k", &[], "").await;
        bench.send("DELETE", "/box/k", &[], "").await;
        let document = "<Delete><Object><Key>copy</Key></Object></Delete>";
        bench.send("POST", "/box?delete", &[], document).await;
        // Nothing was changed, so nothing is told.
        bench.refused("PUT", "/box/k", &[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "3").await;
        let mut events = bench.events();
        let text = |event: &serde_json::Value, path: &str| {
            event.pointer(&format!("/Records/0/{path}")).and_then(|v| v.as_str()).unwrap_or("none").to_owned()
        };
        events.sort_by_key(|(_, event)| text(event, "s3/object/sequencer"));
        let told: Vec<_> = events
            .iter()
            .map(|(function, event)| {
                (function.clone(), text(event, "eventName"), text(event, "s3/object/key"))
            })
            .collect();
        let row =
            |function: &String, name: &str, key: &str| (function.clone(), name.to_owned(), key.to_owned());
        assert_eq!(
            told,
            [
                row(&made, "ObjectCreated:Put", "k"),
                row(&made, "ObjectCreated:Put", "k"),
                row(&made, "ObjectCreated:Copy", "copy"),
                row(&removed, "ObjectRemoved:Delete", "k"),
                row(&removed, "ObjectRemoved:Delete", "copy"),
            ]
        );
        assert_eq!(text(&events[3].1, "s3/object/eTag"), "none");
        assert!(events[3].1.pointer("/Records/0/s3/object/size").is_none());
    }

    #[tokio::test]
    async fn rules_are_kept_shown_replaced_and_removed() {
        let bench = Bench::new().await;
        let function = bench.function("f").await;
        assert_eq!(configure(&bench, &rule("1", &function, "s3:ObjectCreated:Put", "a b&amp;")).await, 200);
        let shown = bench.send("GET", "/box?notification", &[], "").await;
        assert_eq!((shown.element("Id"), shown.element("CloudFunction")), ("1", function.as_str()));
        assert_eq!((shown.element("Event"), shown.element("Name")), ("s3:ObjectCreated:Put", "Prefix"));
        assert_eq!(shown.element("Value"), "a b&amp;");
        let missing =
            rule("1", "arn:aws:lambda:us-east-1:000000000000:function:missing", "s3:ObjectCreated:*", "");
        let document = format!("<NotificationConfiguration>{missing}</NotificationConfiguration>");
        let refused = bench.refused("PUT", "/box?notification", &[], &document).await;
        assert!(refused.contains("Unable to validate the following destination configurations"), "{refused}");
        let skip = [("x-amz-skip-destination-validation", "true")];
        assert_eq!(bench.send("PUT", "/box?notification", &skip, &document).await.status, 200);
        bench.send("PUT", "/box/k", &[], "").await;
        assert!(bench.events().is_empty());
        for other in [
            "<TopicConfiguration><Topic>t</Topic><Event>s3:ObjectCreated:*</Event></TopicConfiguration>",
            "<EventBridgeConfiguration/>",
        ] {
            let document = format!("<NotificationConfiguration>{other}</NotificationConfiguration>");
            let refused = bench.refused("PUT", "/box?notification", &[], &document).await;
            assert!(refused.starts_with("501 NotImplemented"), "{refused}");
        }
        let both = rule("1", &function, "s3:ObjectCreated:*", "a")
            + &rule("2", &function, "s3:ObjectCreated:*", "ab");
        assert_eq!(configure(&bench, &both).await, 400);
        assert_eq!(configure(&bench, "").await, 200);
        assert!(!bench.send("GET", "/box?notification", &[], "").await.body.contains("CloudFunction"));
    }
}
