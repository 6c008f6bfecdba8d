//! Notification rules: which changes of a bucket's objects are events for which function.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html>
//! and <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>

use super::encoding::decode_key;
use super::error::{Result, detailed, refuse};
use super::event::Kind;
use s3s::S3ErrorCode;
use s3s::dto::{LambdaFunctionConfiguration, NotificationConfigurationFilter, QueueConfiguration};
use serde::{Deserialize, Serialize};
use store::kv::{Stored, Table};

/// The rules of all buckets, by bucket. A bucket without rules has no record.
pub(super) const NOTIFICATIONS: Table<Rules> = Table::new("s3.notification");

/// The most rules of one bucket.
const MOST: usize = 100;

/// The longest id of a rule, and the longest value of a filter, in bytes.
const LONGEST_ID: usize = 255;
const LONGEST_VALUE: usize = 1_024;

/// Events that a rule may name. Those of which nothing here is ever the cause are accepted too: restores, replication,
/// transitions and the loss of objects.
const EVENTS: &[&str] = &[
    "s3:IntelligentTiering",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:ObjectAcl:Put",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Put",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ObjectRestore:Post",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Delete",
    "s3:ObjectTagging:Put",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationReplicatedAfterThreshold",
];

/// The rules of one bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rules(pub(super) Vec<Rule>);

impl Stored for Rules {}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) id: String,
    /// The destination's ARN.
    #[serde(alias = "function")]
    pub(super) destination: String,
    pub(super) events: Vec<String>,
    /// Both as they were given: in URL encoding.
    pub(super) prefix: Option<String>,
    pub(super) suffix: Option<String>,
}

impl Rule {
    /// Whether this rule asks to be told of such a change of `key`.
    pub(super) fn matches(&self, kind: Kind, key: &str) -> bool {
        self.events.iter().any(|event| covers(event, &format!("s3:{}", kind.name())))
            && key.starts_with(&decoded(self.prefix.as_deref()))
            && key.ends_with(&decoded(self.suffix.as_deref()))
    }

    /// Whether one change of one key could match both rules, as far as S3 looks at it.
    fn overlaps(&self, other: &Rule) -> bool {
        let events = self
            .events
            .iter()
            .any(|mine| other.events.iter().any(|theirs| covers(mine, theirs) || covers(theirs, mine)));
        let (prefix, other_prefix) = (decoded(self.prefix.as_deref()), decoded(other.prefix.as_deref()));
        let (suffix, other_suffix) = (decoded(self.suffix.as_deref()), decoded(other.suffix.as_deref()));
        events
            && (prefix.starts_with(&other_prefix) || other_prefix.starts_with(&prefix))
            && (suffix.ends_with(&other_suffix) || other_suffix.ends_with(&suffix))
    }

    fn of(configuration: LambdaFunctionConfiguration) -> Result<Self> {
        let id =
            configuration.id.filter(|id| !id.is_empty()).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        if id.len() > LONGEST_ID {
            return Err(invalid("The ID of a configuration may have 255 characters."));
        }
        let events: Vec<String> = configuration.events.into_iter().map(String::from).collect();
        if events.is_empty() {
            return Err(invalid("A configuration needs at least one event."));
        }
        for event in &events {
            if !EVENTS.contains(&event.as_str()) {
                return Err(invalid(format!("The event '{event}' is not supported for notifications")));
            }
        }
        let (prefix, suffix) = read_filter(configuration.filter)?;
        Ok(Rule { id, destination: configuration.lambda_function_arn, events, prefix, suffix })
    }
}

/// A rule that tells a queue, in the shape of one that starts a function: they differ in nothing else.
pub(super) fn of_queue(configuration: QueueConfiguration) -> LambdaFunctionConfiguration {
    LambdaFunctionConfiguration {
        events: configuration.events,
        filter: configuration.filter,
        id: configuration.id,
        lambda_function_arn: configuration.queue_arn,
    }
}

impl Rules {
    /// The rules that these configurations state, if they can stand side by side.
    pub(super) fn of(configurations: Vec<LambdaFunctionConfiguration>) -> Result<Self> {
        if configurations.len() > MOST {
            return Err(invalid("A bucket can have 100 notification configurations."));
        }
        let rules: Vec<Rule> = configurations.into_iter().map(Rule::of).collect::<Result<_>>()?;
        for (index, rule) in rules.iter().enumerate() {
            for other in &rules[..index] {
                if rule.id == other.id {
                    return Err(invalid("Same ID used for multiple configurations. IDs must be unique"));
                }
                if rule.overlaps(other) {
                    return Err(invalid(
                        "Configurations overlap. Configurations on the same bucket cannot share a common event \
                         type, unless their prefixes or their suffixes keep them apart.",
                    ));
                }
            }
        }
        Ok(Rules(rules))
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> super::error::Error {
    refuse(S3ErrorCode::InvalidArgument, message)
}

/// Whether `pattern` names `event`: itself, or all of its kind by `*`.
fn covers(pattern: &str, event: &str) -> bool {
    pattern == event || pattern.strip_suffix('*').is_some_and(|kind| event.starts_with(kind))
}

fn decoded(value: Option<&str>) -> String {
    value.map(decode_key).unwrap_or_default()
}

fn read_filter(filter: Option<NotificationConfigurationFilter>) -> Result<(Option<String>, Option<String>)> {
    let rules = filter.and_then(|filter| filter.key).and_then(|key| key.filter_rules).unwrap_or_default();
    let (mut prefix, mut suffix) = (None, None);
    for rule in rules {
        let name = rule.name.as_ref().map_or("", |name| name.as_str());
        let (place, repeated) = match name.to_ascii_lowercase().as_str() {
            "prefix" => (&mut prefix, "Cannot specify more than one prefix rule in a filter."),
            "suffix" => (&mut suffix, "Cannot specify more than one suffix rule in a filter."),
            _ => {
                return Err(detailed(
                    S3ErrorCode::InvalidArgument,
                    "filter rule name must be either prefix or suffix",
                    &[("ArgumentName", "FilterRule.Name"), ("ArgumentValue", name)],
                ));
            }
        };
        let value = rule.value.unwrap_or_default();
        if value.len() > LONGEST_VALUE {
            return Err(invalid("The value of a filter rule may have 1024 characters."));
        }
        if place.replace(value).is_some() {
            return Err(invalid(repeated));
        }
    }
    Ok((prefix, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use s3s::dto::{FilterRule, FilterRuleName, S3KeyFilter};

    fn configuration(events: &[&str], filters: &[(&str, &str)]) -> LambdaFunctionConfiguration {
        let rules = filters
            .iter()
            .map(|(name, value)| FilterRule {
                name: Some(FilterRuleName::from((*name).to_owned())),
                value: Some((*value).to_owned()),
            })
            .collect();
        LambdaFunctionConfiguration {
            events: events.iter().map(|event| (*event).to_owned().into()).collect(),
            filter: Some(NotificationConfigurationFilter {
                key: Some(S3KeyFilter { filter_rules: Some(rules) }),
            }),
            id: None,
            lambda_function_arn: "arn".into(),
        }
    }

    fn rule(events: &[&str], filters: &[(&str, &str)]) -> Rule {
        Rule::of(configuration(events, filters)).unwrap()
    }

    #[test]
    fn a_rule_matches_by_event_prefix_and_suffix() {
        for (events, filters, kind, key, expected) in [
            (&["s3:ObjectCreated:*"][..], &[][..], Kind::Put, "a", true),
            (&["s3:ObjectCreated:*"], &[], Kind::Copied, "a", true),
            (&["s3:ObjectCreated:*"], &[], Kind::Deleted, "a", false),
            (&["s3:ObjectCreated:Put"], &[], Kind::Copied, "a", false),
            (&["s3:ObjectCreated:Put", "s3:ObjectRemoved:*"], &[], Kind::Deleted, "a", true),
            (&["s3:ObjectCreated:*"], &[("prefix", "in/"), ("suffix", ".png")], Kind::Put, "in/a.png", true),
            (&["s3:ObjectCreated:*"], &[("Prefix", "in/"), ("Suffix", ".png")], Kind::Put, "in/a.jpg", false),
            (&["s3:ObjectCreated:*"], &[("prefix", "in/")], Kind::Put, "out/in/a", false),
            (&["s3:ObjectCreated:*"], &[("prefix", "my+pictures%2B/")], Kind::Put, "my pictures+/a", true),
        ] {
            assert_eq!(
                rule(events, filters).matches(kind, key),
                expected,
                "{events:?} {filters:?} {kind:?} {key}"
            );
        }
    }

    #[test]
    fn rules_that_could_both_match_cannot_stand_side_by_side() {
        let created: &[&str] = &["s3:ObjectCreated:*"];
        let overlaps = |a: (&[&str], &[(&str, &str)]), b: (&[&str], &[(&str, &str)])| {
            Rules::of(vec![configuration(a.0, a.1), configuration(b.0, b.1)]).is_err()
        };
        assert!(overlaps((created, &[]), (created, &[])));
        assert!(overlaps((created, &[]), (&["s3:ObjectCreated:Put"], &[])));
        assert!(overlaps((&["s3:ObjectCreated:Put"], &[]), (created, &[("prefix", "a")])));
        assert!(overlaps((created, &[("prefix", "a/")]), (created, &[("prefix", "a/b/")])));
        assert!(overlaps((created, &[("prefix", "a/")]), (created, &[("suffix", ".png")])));
        assert!(overlaps((created, &[("suffix", ".png")]), (created, &[("suffix", "x.png")])));
        assert!(!overlaps((created, &[]), (&["s3:ObjectRemoved:*"], &[])));
        assert!(!overlaps((&["s3:ObjectCreated:Put"], &[]), (&["s3:ObjectCreated:Copy"], &[])));
        assert!(!overlaps((created, &[("prefix", "a/")]), (created, &[("prefix", "b/")])));
        assert!(!overlaps((created, &[("suffix", ".png")]), (created, &[("suffix", ".jpg")])));
        assert!(!overlaps(
            (created, &[("prefix", "a"), ("suffix", ".png")]),
            (created, &[("prefix", "a/"), ("suffix", ".jpg")])
        ));
    }

    #[test]
    fn rules_that_cannot_be_understood_are_refused() {
        for (events, filters) in [
            (&["s3:ObjectCreated:Sometimes"][..], &[][..]),
            (&["s3:ObjectTagging:Sometimes"], &[]),
            (&["s3:*"], &[]),
            (&[], &[]),
            (&["s3:ObjectCreated:*"], &[("infix", "a")]),
            (&["s3:ObjectCreated:*"], &[("prefix", "a"), ("Prefix", "b")]),
        ] {
            assert!(Rules::of(vec![configuration(events, filters)]).is_err(), "{events:?} {filters:?}");
        }
        let mut twice =
            vec![configuration(&["s3:ObjectCreated:*"], &[]), configuration(&["s3:ObjectRemoved:*"], &[])];
        for one in &mut twice {
            one.id = Some("same".into());
        }
        assert!(Rules::of(twice).unwrap_err().to_string().contains("Same ID"));
        let many =
            (0..101).map(|n| configuration(&["s3:ObjectCreated:*"], &[("prefix", &format!("{n:03}/"))]));
        assert!(Rules::of(many.clone().collect()).is_err());
        assert_eq!(Rules::of(many.take(100).collect()).unwrap().0.len(), 100);
    }
}
