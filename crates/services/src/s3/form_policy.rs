//! The policy of an HTML form: which uploads its maker allowed.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

use super::error::{Error, Result, refuse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Timestamp;
use s3s::S3ErrorCode;
use s3s::dto::{Timestamp as Date, TimestampFormat};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields that no condition needs to name.
const FREE: &[&str] = &["x-amz-signature", "file", "policy", "awsaccesskeyid", "signature"];

/// A policy of a form.
#[derive(Debug)]
pub(super) struct FormPolicy {
    conditions: Vec<Condition>,
}

#[derive(Debug, PartialEq)]
enum Condition {
    Equals(String, String),
    StartsWith(String, String),
    Length(u64, u64),
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    refuse(S3ErrorCode::InvalidPolicyDocument, message)
}

fn denied(message: String) -> Error {
    refuse(S3ErrorCode::AccessDenied, message)
}

impl FormPolicy {
    /// Reads the field `policy`, which must not have expired by `now`.
    pub(super) fn read(encoded: &str, now: Timestamp) -> Result<Self> {
        let encoded: String = encoded.chars().filter(|letter| !letter.is_whitespace()).collect();
        let text = STANDARD.decode(encoded).map_err(|_| invalid("Invalid Policy: Invalid base64."))?;
        let policy: Value =
            serde_json::from_slice(&text).map_err(|_| invalid("Invalid Policy: Invalid JSON."))?;
        let expiration = policy
            .get("expiration")
            .and_then(Value::as_str)
            .ok_or_else(|| invalid("Invalid Policy: Policy missing expiration."))?;
        let expiration = Date::parse(TimestampFormat::DateTime, expiration)
            .map_err(|_| invalid("Invalid Policy: Invalid 'expiration' value."))?;
        if super::lock::stored(expiration) <= now {
            return Err(denied("Invalid according to Policy: Policy expired.".to_owned()));
        }
        let conditions = policy
            .get("conditions")
            .and_then(Value::as_array)
            .ok_or_else(|| invalid("Invalid Policy: Policy missing conditions."))?;
        let mut read = Vec::new();
        for condition in conditions {
            Condition::read(condition, &mut read)?;
        }
        Ok(FormPolicy { conditions: read })
    }

    /// How long the file may be, if the policy says.
    pub(super) fn length(&self) -> Option<(u64, u64)> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::Length(least, most) => Some((*least, *most)),
            _ => None,
        })
    }

    /// Holds the fields of a form, by lower-case name, against the conditions. `bucket` is where it was sent.
    pub(super) fn check(&self, fields: &BTreeMap<String, String>, bucket: &str) -> Result<()> {
        for condition in &self.conditions {
            let (name, holds) = match condition {
                Condition::Length(..) => continue,
                Condition::Equals(name, value) => {
                    (name, value_of(fields, name, bucket) == Some(value.as_str()))
                }
                Condition::StartsWith(name, front) => {
                    let starts = |value: &str| {
                        value.split(',').all(|part| part.trim_start().starts_with(front.as_str()))
                    };
                    let given = value_of(fields, name, bucket);
                    (
                        name,
                        given.is_some_and(|value| {
                            value.starts_with(front.as_str()) || (name == "content-type" && starts(value))
                        }),
                    )
                }
            };
            if !holds {
                let condition = match condition {
                    Condition::Equals(name, value) => format!("[\"eq\", \"${name}\", \"{value}\"]"),
                    _ => format!("[\"starts-with\", \"${name}\", ...]"),
                };
                return Err(denied(format!(
                    "Invalid according to Policy: Policy Condition failed: {condition}"
                )));
            }
        }
        let named = |field: &str| {
            self.conditions.iter().any(|condition| match condition {
                Condition::Equals(name, _) | Condition::StartsWith(name, _) => name == field,
                Condition::Length(..) => false,
            })
        };
        // The bucket is in the address, and must be named all the same.
        for field in fields.keys().map(String::as_str).chain(["bucket"]) {
            if !FREE.contains(&field) && !field.starts_with("x-ignore-") && !named(field) {
                return Err(denied(format!("Invalid according to Policy: Extra input fields: {field}")));
            }
        }
        Ok(())
    }
}

fn value_of<'a>(fields: &'a BTreeMap<String, String>, name: &str, bucket: &'a str) -> Option<&'a str> {
    if name == "bucket" {
        return Some(bucket);
    }
    fields.get(name).map(String::as_str)
}

impl Condition {
    fn read(condition: &Value, into: &mut Vec<Condition>) -> Result<()> {
        let malformed = || invalid("Invalid Policy: Invalid Condition.");
        match condition {
            Value::Object(map) => {
                if map.is_empty() {
                    return Err(malformed());
                }
                for (name, value) in map {
                    let value = value.as_str().ok_or_else(malformed)?;
                    into.push(Condition::Equals(name.to_ascii_lowercase(), value.to_owned()));
                }
                Ok(())
            }
            Value::Array(parts) => {
                let [operator, first, second] = parts.as_slice() else { return Err(malformed()) };
                let operator = operator.as_str().ok_or_else(malformed)?.to_ascii_lowercase();
                if operator == "content-length-range" {
                    let number = |value: &Value| {
                        value.as_u64().or_else(|| value.as_str()?.parse().ok()).ok_or_else(malformed)
                    };
                    into.push(Condition::Length(number(first)?, number(second)?));
                    return Ok(());
                }
                let name = first.as_str().and_then(|name| name.strip_prefix('$')).ok_or_else(malformed)?;
                let (name, value) =
                    (name.to_ascii_lowercase(), second.as_str().ok_or_else(malformed)?.to_owned());
                into.push(match operator.as_str() {
                    "eq" => Condition::Equals(name, value),
                    "starts-with" => Condition::StartsWith(name, value),
                    _ => return Err(malformed()),
                });
                Ok(())
            }
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(conditions: &str) -> Result<FormPolicy> {
        let text = format!(r#"{{"expiration": "2026-01-31T12:00:00.000Z", "conditions": [{conditions}]}}"#);
        FormPolicy::read(&STANDARD.encode(text), Timestamp(1_769_860_799_000))
    }

    #[test]
    fn a_form_must_be_what_its_policy_says() {
        let policy = policy(
            r#"{"bucket": "box"}, ["starts-with", "$key", "user/"], {"acl": "private"},
               ["content-length-range", 1, 10], ["starts-with", "$Content-Type", ""]"#,
        )
        .unwrap();
        assert_eq!(policy.length(), Some((1, 10)));
        let form = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let right =
            [("key", "user/a"), ("acl", "private"), ("content-type", "text/plain"), ("x-ignore-a", "b")];
        policy.check(&form(&right), "box").unwrap();
        assert!(policy.check(&form(&right), "other").is_err());
        for wrong in [
            vec![("key", "other/a"), ("acl", "private"), ("content-type", "")],
            vec![("key", "user/a"), ("acl", "public-read"), ("content-type", "")],
            vec![("key", "user/a"), ("content-type", "")],
            vec![("key", "user/a"), ("acl", "private"), ("content-type", ""), ("x-amz-meta-a", "b")],
        ] {
            assert!(policy.check(&form(&wrong), "box").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn policies_that_cannot_be_read_or_are_over_are_refused() {
        for wrong in
            [r#"["eq", "key", "a"]"#, r#"["eq", "$key"]"#, "5", "{}", r#"["ends-with", "$key", "a"]"#]
        {
            assert!(policy(wrong).is_err(), "{wrong}");
        }
        let text = STANDARD.encode(r#"{"expiration": "2026-01-31T12:00:00Z", "conditions": []}"#);
        assert!(FormPolicy::read(&text, Timestamp(1_769_860_800_000)).is_err());
        assert!(FormPolicy::read("{", Timestamp(0)).is_err());
    }
}
