//! The conditions of policies.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use super::error::{Error, Result, refuse};
use super::policy::matches;
use http::HeaderMap;
use model::Timestamp;
use s3s::S3ErrorCode;
use serde_json::Value;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wire::credential::query_pairs;

/// What conditions can ask of a request.
#[derive(Clone)]
pub(super) struct Asked<'a> {
    /// The account that signed it; `None` for somebody who signed nothing.
    pub(super) account: Option<&'a str>,
    pub(super) headers: Option<&'a HeaderMap>,
    pub(super) query: &'a str,
    pub(super) now: Timestamp,
    /// Where it comes from.
    pub(super) ip: Option<IpAddr>,
    /// The tags of the object that it is about.
    pub(super) tags: &'a [(String, String)],
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Asked { account: None, headers: None, query: "", now: Timestamp(0), ip: None, tags: &[] }
    }
}

/// One operator with one key and its values.
#[derive(Debug)]
pub(super) struct Condition {
    operator: Operator,
    /// In lower case, but for the name of a tag.
    key: String,
    values: Vec<String>,
    if_exists: bool,
    set: Set,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Set {
    Single,
    Any,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Text { same_case: bool, pattern: bool, not: bool },
    Number(Order),
    Date(Order),
    Bool,
    Ip { not: bool },
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "Equals" => Order::Equal,
            "NotEquals" => Order::NotEqual,
            "LessThan" => Order::Less,
            "LessThanEquals" => Order::LessOrEqual,
            "GreaterThan" => Order::Greater,
            "GreaterThanEquals" => Order::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, one: f64, other: f64) -> bool {
        match self {
            Order::Equal => one == other,
            Order::NotEqual => one != other,
            Order::Less => one < other,
            Order::LessOrEqual => one <= other,
            Order::Greater => one > other,
            Order::GreaterOrEqual => one >= other,
        }
    }
}

impl Operator {
    fn of(name: &str) -> Option<Self> {
        let text = |same_case, pattern, not| Some(Operator::Text { same_case, pattern, not });
        match name {
            "StringEquals" | "BinaryEquals" => text(true, false, false),
            "StringNotEquals" => text(true, false, true),
            "StringEqualsIgnoreCase" => text(false, false, false),
            "StringNotEqualsIgnoreCase" => text(false, false, true),
            "StringLike" | "ArnEquals" | "ArnLike" => text(true, true, false),
            "StringNotLike" | "ArnNotEquals" | "ArnNotLike" => text(true, true, true),
            "Bool" => Some(Operator::Bool),
            "IpAddress" => Some(Operator::Ip { not: false }),
            "NotIpAddress" => Some(Operator::Ip { not: true }),
            "Null" => Some(Operator::Null),
            _ => match (name.strip_prefix("Numeric"), name.strip_prefix("Date")) {
                (Some(order), _) => Order::of(order).map(Operator::Number),
                (_, Some(order)) => Order::of(order).map(Operator::Date),
                _ => None,
            },
        }
    }

    /// Whether it says what is not to be.
    fn is_negated(self) -> bool {
        matches!(
            self,
            Operator::Text { not: true, .. }
                | Operator::Ip { not: true }
                | Operator::Number(Order::NotEqual)
                | Operator::Date(Order::NotEqual)
        )
    }

    /// Whether a value of a policy is one for it.
    fn takes(self, value: &str) -> bool {
        match self {
            Operator::Number(_) => value.parse::<f64>().is_ok(),
            Operator::Date(_) => seconds(value).is_some(),
            Operator::Bool | Operator::Null => matches!(value, "true" | "false"),
            Operator::Ip { .. } => network(value).is_some(),
            Operator::Text { .. } => true,
        }
    }

    /// Whether what is asked for fits a value of a policy, negations left aside.
    fn fits(self, actual: &str, value: &str) -> bool {
        match self {
            Operator::Text { same_case, pattern, .. } => {
                let lower = |text: &str| if same_case { text.to_owned() } else { text.to_ascii_lowercase() };
                if pattern { matches(value, actual) } else { lower(actual) == lower(value) }
            }
            Operator::Number(Order::NotEqual) => Operator::Number(Order::Equal).fits(actual, value),
            Operator::Date(Order::NotEqual) => Operator::Date(Order::Equal).fits(actual, value),
            Operator::Number(order) => match (actual.parse(), value.parse()) {
                (Ok(actual), Ok(value)) => order.holds(actual, value),
                _ => false,
            },
            Operator::Date(order) => match (seconds(actual), seconds(value)) {
                (Some(actual), Some(value)) => order.holds(actual, value),
                _ => false,
            },
            Operator::Bool => actual.eq_ignore_ascii_case(value),
            Operator::Ip { .. } => match (actual.parse(), network(value)) {
                (Ok(actual), Some((network, bits))) => is_within(actual, network, bits),
                _ => false,
            },
            Operator::Null => false,
        }
    }
}

/// A date of RFC 3339, a day, or seconds since 1970.
fn seconds(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds as f64);
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    OffsetDateTime::parse(&whole, &Rfc3339).ok().map(|at| at.unix_timestamp() as f64)
}

fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = if bits.is_empty() { most } else { bits.parse().ok()? };
    (bits <= most).then_some((address, bits))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let different = u32::from(one) ^ u32::from(other);
            different.leading_zeros() >= bits
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => (u128::from(one) ^ u128::from(other)).leading_zeros() >= bits,
        _ => false,
    }
}

/// Keys with a part of their own behind a slash, in lower case.
const WITH_NAME: &[&str] = &[
    "s3:existingobjecttag/",
    "s3:requestobjecttag/",
    "aws:requesttag/",
    "aws:resourcetag/",
    "aws:principaltag/",
];

/// Keys of S3 that are known here, beside the headers that begin with `s3:x-amz-`.
const OF_S3: &[&str] = &[
    "accessgrantsinstancearn",
    "accesspointnetworkorigin",
    "authtype",
    "dataaccesspointaccount",
    "dataaccesspointarn",
    "delimiter",
    "if-match",
    "if-none-match",
    "locationconstraint",
    "max-keys",
    "object-lock-legal-hold",
    "object-lock-mode",
    "object-lock-remaining-retention-days",
    "object-lock-retain-until-date",
    "objectcreationoperation",
    "prefix",
    "requestobjecttagkeys",
    "resourceaccount",
    "signatureage",
    "signatureversion",
    "tlsversion",
    "versionid",
];

/// The keys that every service has.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
const GLOBAL: &[&str] = &[
    "calledvia",
    "calledviafirst",
    "calledvialast",
    "currenttime",
    "ec2instancesourceprivateipv4",
    "ec2instancesourcevpc",
    "epochtime",
    "federatedprovider",
    "ismcpserviceaction",
    "multifactorauthage",
    "multifactorauthpresent",
    "principalaccount",
    "principalarn",
    "principalisawsservice",
    "principalorgid",
    "principalorgpaths",
    "principalservicename",
    "principalservicenameslist",
    "principaltype",
    "referer",
    "requestedregion",
    "resourceaccount",
    "resourceorgid",
    "resourceorgpaths",
    "securetransport",
    "sourceaccount",
    "sourcearn",
    "sourceidentity",
    "sourceip",
    "sourceorgid",
    "sourceorgpaths",
    "sourceowner",
    "sourcevpc",
    "sourcevpcarn",
    "sourcevpce",
    "tagkeys",
    "tokenissuetime",
    "useragent",
    "userid",
    "username",
    "viaawsmcpservice",
    "viaawsservice",
    "vpceaccount",
    "vpceorgid",
    "vpceorgpaths",
    "vpcsourceip",
];

/// The keys that only some actions have, by lower-case name, where one of the others is no use of them.
///
/// Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>
const OF_ACTIONS: &[(&str, &[&str])] = &[
    ("s3:delimiter", &["s3:listbucket", "s3:listbucketversions"]),
    ("s3:max-keys", &["s3:listbucket", "s3:listbucketversions"]),
    ("s3:prefix", &["s3:listbucket", "s3:listbucketversions"]),
    (
        "s3:x-amz-acl",
        &["s3:createbucket", "s3:putbucketacl", "s3:putobject", "s3:putobjectacl", "s3:putobjectversionacl"],
    ),
    ("s3:x-amz-copy-source", &["s3:putobject"]),
    ("s3:x-amz-metadata-directive", &["s3:putobject"]),
    ("s3:requestobjecttagkeys", &["s3:putobject", "s3:putobjecttagging", "s3:putobjectversiontagging"]),
    ("s3:locationconstraint", &["s3:createbucket"]),
];

/// Keys that say who asks or from where: a policy that names a value for one of them is not public.
const NARROWING: &[&str] = &[
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    refuse(S3ErrorCode::MalformedPolicy, message)
}

impl Condition {
    /// Reads the conditions of a statement.
    pub(super) fn read(value: &Value) -> Result<Vec<Self>> {
        let mut conditions = Vec::new();
        let Value::Object(operators) = value else {
            return Err(malformed("Policy has an invalid condition"));
        };
        for (name, keys) in operators {
            let (set, name) = match name.split_once(':') {
                Some(("ForAnyValue", name)) => (Set::Any, name),
                Some(("ForAllValues", name)) => (Set::All, name),
                _ => (Set::Single, name.as_str()),
            };
            let (name, if_exists) = match name.strip_suffix("IfExists") {
                Some(name) => (name, true),
                None => (name, false),
            };
            let operator =
                Operator::of(name).ok_or_else(|| malformed(format!("Invalid Condition type : {name}")))?;
            let Value::Object(keys) = keys else { return Err(malformed("Policy has an invalid condition")) };
            for (key, values) in keys {
                let key = known_key(key).ok_or_else(|| malformed("Policy has an invalid condition key"))?;
                let values = match values {
                    Value::Array(values) => values.iter().map(scalar).collect::<Option<Vec<_>>>(),
                    one => scalar(one).map(|one| vec![one]),
                };
                let values = values.ok_or_else(|| malformed("Policy has an invalid condition value"))?;
                if !values.iter().all(|value| operator.takes(value)) {
                    return Err(malformed(match operator {
                        Operator::Ip { .. } => "Invalid IP address in Conditions",
                        _ => "Policy has an invalid condition value",
                    }));
                }
                conditions.push(Condition { operator, key, values, if_exists, set });
            }
        }
        Ok(conditions)
    }

    /// Whether the action with this name, in which nothing stands for anything, can have its key.
    pub(super) fn is_of(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let of = OF_ACTIONS.iter().find(|(key, _)| *key == self.key);
        action.contains(['*', '?']) || of.is_none_or(|(_, actions)| actions.contains(&action.as_str()))
    }

    /// Whether it keeps a policy from being public: it names who asks, or from where, with values that are fixed.
    pub(super) fn narrows(&self) -> bool {
        NARROWING.contains(&self.key.as_str())
            && !self.operator.is_negated()
            && self.operator != Operator::Null
            && !self.if_exists
            && self.values.iter().all(|value| match network(value) {
                Some((_, bits)) => bits >= 8,
                None => !value.contains(['*', '?']),
            })
    }

    pub(super) fn is_met(&self, asked: &Asked<'_>) -> bool {
        let actual = asked.values(&self.key);
        if self.operator == Operator::Null {
            return self.values.iter().any(|value| (value == "true") == actual.is_none());
        }
        let Some(actual) = actual else {
            return self.if_exists || self.set == Set::All || self.operator.is_negated();
        };
        let fits = |actual: &String| {
            self.values.iter().any(|value| self.operator.fits(actual, value)) != self.operator.is_negated()
        };
        match self.set {
            Set::Any => actual.iter().any(fits),
            Set::Single | Set::All => actual.iter().all(fits),
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A key in lower case, but for the name of a tag; `None` if there is none of this name.
fn known_key(key: &str) -> Option<String> {
    let lower = key.to_ascii_lowercase();
    if let Some(prefix) = WITH_NAME.iter().find(|prefix| lower.starts_with(**prefix)) {
        return Some(format!("{prefix}{}", key.get(prefix.len()..)?));
    }
    let known = match lower.split_once(':')? {
        ("aws", name) => GLOBAL.contains(&name),
        ("s3", name) => name.starts_with("x-amz-") || OF_S3.contains(&name),
        _ => false,
    };
    known.then_some(lower)
}

impl Asked<'_> {
    /// The values of a key; `None` if the request has none.
    fn values(&self, key: &str) -> Option<Vec<String>> {
        let one = |value: &str| Some(vec![value.to_owned()]);
        if let Some(name) = key.strip_prefix("s3:existingobjecttag/") {
            return self.tags.iter().find(|(known, _)| known == name).and_then(|(_, value)| one(value));
        }
        if let Some(name) = key.strip_prefix("s3:requestobjecttag/") {
            return self
                .new_tags()
                .into_iter()
                .find(|(known, _)| known == name)
                .and_then(|(_, value)| one(&value));
        }
        match key {
            "aws:currenttime" => self.now.to_date_time().format(&Rfc3339).ok().and_then(|now| one(&now)),
            "aws:epochtime" => one(&(self.now.0 / 1_000).to_string()),
            "aws:securetransport" => one("false"),
            "aws:sourceip" => one(&self.ip?.to_string()),
            "aws:principalaccount" => one(self.account?),
            "aws:userid" => one(self.account.unwrap_or("anonymous")),
            "aws:principalarn" => one(&format!("arn:aws:iam::{}:root", self.account?)),
            "aws:principaltype" => one(if self.account.is_some() { "Account" } else { "Anonymous" }),
            "aws:useragent" => one(self.header("user-agent")?),
            "aws:referer" => one(self.header("referer")?),
            "s3:prefix" | "s3:delimiter" | "s3:max-keys" | "s3:versionid" => {
                let name = key.strip_prefix("s3:")?;
                query_pairs(self.query)
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .and_then(|(_, value)| one(&value))
            }
            "s3:requestobjecttagkeys" => {
                let keys: Vec<String> = self.new_tags().into_iter().map(|(name, _)| name).collect();
                (!keys.is_empty()).then_some(keys)
            }
            "s3:signatureversion" => self.account.and_then(|_| one("AWS4-HMAC-SHA256")),
            "s3:object-lock-mode" | "s3:object-lock-legal-hold" | "s3:object-lock-retain-until-date" => {
                one(self.header(&format!("x-amz-{}", key.strip_prefix("s3:")?))?)
            }
            _ => one(self.header(key.strip_prefix("s3:")?)?),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers?.get(name)?.to_str().ok()
    }

    fn new_tags(&self) -> Vec<(String, String)> {
        self.header("x-amz-tagging").map(|text| query_pairs(text).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_are_met_or_not() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-acl", "public-read".parse().unwrap());
        headers.insert("x-amz-tagging", "a=1&b=2".parse().unwrap());
        let tags = [("Kind".to_owned(), "x".to_owned())];
        let asked = Asked {
            account: Some("111111111111"),
            headers: Some(&headers),
            query: "prefix=a/&max-keys=10",
            now: Timestamp(1_769_860_800_000),
            ip: Some("10.1.2.3".parse().unwrap()),
            tags: &tags,
        };
        for (condition, expected) in [
            (json!({"StringEquals": {"s3:x-amz-acl": ["private", "public-read"]}}), true),
            (json!({"StringNotEquals": {"s3:x-amz-acl": "public-read"}}), false),
            (json!({"StringEquals": {"s3:x-amz-storage-class": "STANDARD"}}), false),
            (json!({"StringEqualsIfExists": {"s3:x-amz-storage-class": "STANDARD"}}), true),
            (json!({"StringNotEquals": {"s3:x-amz-storage-class": "STANDARD"}}), true),
            (json!({"StringLike": {"s3:prefix": "a*"}}), true),
            (json!({"NumericLessThanEquals": {"s3:max-keys": 10}}), true),
            (json!({"NumericLessThan": {"s3:max-keys": "10"}}), false),
            (json!({"DateGreaterThan": {"aws:CurrentTime": "2026-01-31T11:59:59Z"}}), true),
            (json!({"DateLessThan": {"aws:EpochTime": "1769860800"}}), false),
            (json!({"IpAddress": {"aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"]}}), true),
            (json!({"NotIpAddress": {"aws:SourceIp": "10.1.2.3"}}), false),
            (json!({"Bool": {"aws:SecureTransport": "false"}}), true),
            (json!({"Null": {"s3:x-amz-server-side-encryption": true}}), true),
            (json!({"Null": {"s3:x-amz-acl": "true"}}), false),
            (json!({"StringEquals": {"s3:ExistingObjectTag/Kind": "x"}}), true),
            (json!({"StringEquals": {"s3:ExistingObjectTag/kind": "x"}}), false),
            (json!({"StringEquals": {"s3:RequestObjectTag/b": "2"}}), true),
            (json!({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b", "c"]}}), true),
            (json!({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}), false),
            (json!({"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}), true),
        ] {
            let read = Condition::read(&condition).unwrap();
            assert_eq!(read.iter().all(|one| one.is_met(&asked)), expected, "{condition}");
        }
        for wrong in [
            json!({"Equals": {"aws:SourceIp": "10.0.0.1"}}),
            json!({"IpAddress": {"aws:SourceIp": "10.0.0"}}),
            json!({"StringEquals": {"s3:nothing": "x"}}),
            json!({"Bool": {"aws:SecureTransport": "perhaps"}}),
        ] {
            assert!(Condition::read(&wrong).is_err(), "{wrong}");
        }
    }
}
