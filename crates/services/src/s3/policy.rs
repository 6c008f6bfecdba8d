//! Bucket policies: read, validated, and asked what somebody without credentials may do.
//!
//! Whoever signs a request here is the owner, who may do everything; only unsigned requests are held against policies.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html>

use super::error::{Result, refuse};
use s3s::S3ErrorCode;
use serde::Deserialize;
use serde_json::Value;

/// A policy that can stand for its bucket.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Policy {
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMore<Statement>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: String,
    principal: Option<Principal>,
    not_principal: Option<Principal>,
    action: Option<OneOrMore<String>>,
    not_action: Option<OneOrMore<String>>,
    resource: Option<OneOrMore<String>>,
    not_resource: Option<OneOrMore<String>>,
    condition: Option<serde_json::Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Principal {
    Any(String),
    Of(serde_json::Map<String, Value>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn all(&self) -> &[T] {
        match self {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        }
    }
}

fn malformed(message: &'static str) -> super::error::Error {
    refuse(S3ErrorCode::MalformedPolicy, message)
}

impl Policy {
    /// Reads a policy for `bucket`.
    pub(super) fn read(text: &str, bucket: &str) -> Result<Self> {
        let policy: Policy = serde_json::from_str(text)
            .map_err(|_| malformed("Policies must be valid JSON and the first byte must be '{'"))?;
        if policy.version.as_deref().is_some_and(|version| !matches!(version, "2012-10-17" | "2008-10-17")) {
            return Err(malformed("The policy must contain a valid version string"));
        }
        if policy.statement.all().is_empty() {
            return Err(malformed("Could not parse the policy: Statement is empty!"));
        }
        for statement in policy.statement.all() {
            statement.check(bucket)?;
        }
        Ok(policy)
    }

    /// Whether everybody is allowed something, without a condition.
    pub(super) fn is_public(&self) -> bool {
        self.statement.all().iter().any(|statement| {
            statement.effect == "Allow" && statement.is_for_everybody() && statement.condition.is_none()
        })
    }

    /// Whether everybody may do `action` with `resource`. A condition is never met, and always hinders.
    pub(super) fn lets_anybody(&self, action: &str, resource: &str) -> bool {
        let concerns =
            |statement: &&Statement| statement.is_for_everybody() && statement.covers(action, resource);
        let statements = self.statement.all();
        let allowed =
            statements.iter().filter(concerns).any(|s| s.effect == "Allow" && s.condition.is_none());
        allowed && !statements.iter().filter(concerns).any(|s| s.effect == "Deny")
    }
}

impl Statement {
    fn check(&self, bucket: &str) -> Result<()> {
        if !matches!(self.effect.as_str(), "Allow" | "Deny") {
            return Err(malformed("Invalid effect"));
        }
        if self.principal.is_some() == self.not_principal.is_some() {
            return Err(malformed("Missing required field Principal"));
        }
        if let Some(Principal::Any(any)) = &self.principal
            && any != "*"
        {
            return Err(malformed("Invalid principal in policy"));
        }
        let actions = match (&self.action, &self.not_action) {
            (Some(actions), None) | (None, Some(actions)) => actions.all(),
            _ => return Err(malformed("Missing required field Action")),
        };
        if actions.is_empty() || !actions.iter().all(|action| action == "*" || action.starts_with("s3:")) {
            return Err(malformed("Policy has invalid action"));
        }
        let resources = match (&self.resource, &self.not_resource) {
            (Some(resources), None) | (None, Some(resources)) => resources.all(),
            _ => return Err(malformed("Missing required field Resource")),
        };
        let whole = format!("arn:aws:s3:::{bucket}");
        let inside = format!("{whole}/");
        let fits = |resource: &String| {
            *resource == whole
                || resource.starts_with(&inside)
                || matches(resource, &whole)
                || resource == "*"
        };
        if resources.is_empty() || !resources.iter().all(fits) {
            return Err(malformed("Policy has invalid resource"));
        }
        Ok(())
    }

    fn is_for_everybody(&self) -> bool {
        match &self.principal {
            Some(Principal::Any(any)) => any == "*",
            Some(Principal::Of(map)) => map.get("AWS").is_some_and(|aws| {
                aws == "*" || aws.as_array().is_some_and(|all| all.iter().any(|one| one == "*"))
            }),
            None => false,
        }
    }

    fn covers(&self, action: &str, resource: &str) -> bool {
        let any = |patterns: &OneOrMore<String>, text: &str, same_case: bool| {
            patterns.all().iter().any(|pattern| {
                if same_case {
                    matches(pattern, text)
                } else {
                    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
                }
            })
        };
        let action = match (&self.action, &self.not_action) {
            (Some(actions), _) => any(actions, action, false),
            (None, Some(not)) => !any(not, action, false),
            (None, None) => false,
        };
        action
            && match (&self.resource, &self.not_resource) {
                (Some(resources), _) => any(resources, resource, true),
                (None, Some(not)) => !any(not, resource, true),
                (None, None) => false,
            }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for anything and `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // The last star takes one character more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_policies_mean_them() {
        for (pattern, text, expected) in [
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/a/c", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b", false),
            ("a*b*c", "aXbYbZc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn policies_are_validated_and_asked() {
        let of = |statement: &str| {
            Policy::read(&format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#), "b")
        };
        let public =
            of(r#"{"Effect":"Allow","Principal":"*","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}"#)
                .unwrap();
        assert!(public.is_public() && public.lets_anybody("s3:GetObject", "arn:aws:s3:::b/k"));
        assert!(!public.lets_anybody("s3:PutObject", "arn:aws:s3:::b/k"));
        for wrong in [
            r#"{"Effect":"Maybe","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b"}"#,
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b"}"#,
            r#"{"Effect":"Allow","Principal":"*","Action":"ec2:*","Resource":"arn:aws:s3:::b"}"#,
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::other"}"#,
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:*"}"#,
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert!(Policy::read("{", "b").is_err());
    }
}
