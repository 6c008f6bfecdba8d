//! Bucket policies: read, validated, and asked what somebody may do.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html>

use super::error::{Error, Result, refuse};
use super::policy_action::{self, Level};
use super::policy_condition::{Asked, Condition};
use s3s::S3ErrorCode;
use serde_json::{Map, Value};

/// A policy that can stand for its bucket.
#[derive(Debug)]
pub(super) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug)]
struct Statement {
    allows: bool,
    principal: Either<Principal>,
    actions: Either<Vec<String>>,
    resources: Either<Vec<String>>,
    conditions: Vec<Condition>,
}

/// What a statement is about, or what it is not about.
#[derive(Debug)]
enum Either<T> {
    Only(T),
    AllBut(T),
}

/// To whom a statement speaks.
#[derive(Debug, Default)]
struct Principal {
    everybody: bool,
    /// Accounts as a whole.
    accounts: Vec<String>,
    /// ARNs of users, roles and sessions.
    arns: Vec<String>,
}

/// What a policy says to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) denies: bool,
    pub(super) allows: bool,
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    refuse(S3ErrorCode::MalformedPolicy, message)
}

impl Policy {
    /// Reads a policy for `bucket`.
    pub(super) fn read(text: &str, bucket: &str) -> Result<Self> {
        const NO_JSON: &str = "Policies must be valid JSON and the first byte must be '{'";
        let Ok(Value::Object(policy)) = serde_json::from_str(text) else { return Err(malformed(NO_JSON)) };
        for (name, value) in &policy {
            match name.as_str() {
                "Version" if matches!(value.as_str(), Some("2012-10-17" | "2008-10-17")) => {}
                "Version" => return Err(malformed("The policy must contain a valid version string")),
                "Id" if value.is_string() => {}
                "Statement" => {}
                _ => return Err(malformed(format!("Unknown field {name}"))),
            }
        }
        let statements = match policy.get("Statement") {
            None => return Err(malformed("Missing required field Statement")),
            Some(one @ Value::Object(_)) => vec![Statement::read(one, bucket)?],
            Some(Value::Array(all)) if !all.is_empty() => {
                all.iter().map(|one| Statement::read(one, bucket)).collect::<Result<_>>()?
            }
            Some(_) => return Err(malformed("Could not parse the policy: Statement is empty!")),
        };
        Ok(Policy { statements })
    }

    /// Whether it allows something to everybody: without a condition that names who or from where.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>
    pub(super) fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| {
            statement.allows
                && statement.is_for_everybody()
                && !statement.conditions.iter().any(Condition::narrows)
        })
    }

    /// What it says of `action` with `resource`.
    pub(super) fn verdict(&self, action: &str, resource: &str, asked: &Asked<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for statement in &self.statements {
            if statement.is_for(asked)
                && statement.covers(action, resource)
                && statement.conditions.iter().all(|condition| condition.is_met(asked))
            {
                if statement.allows {
                    verdict.allows = true;
                } else {
                    verdict.denies = true;
                }
            }
        }
        verdict
    }
}

/// The fields of a statement.
const FIELDS: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

impl Statement {
    fn read(value: &Value, bucket: &str) -> Result<Self> {
        let Value::Object(fields) = value else { return Err(malformed("A statement is not an object")) };
        if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(malformed(format!("Unknown field {name}")));
        }
        let allows = match fields.get("Effect") {
            None => return Err(malformed("Missing required field Effect")),
            Some(effect) if effect == "Allow" => true,
            Some(effect) if effect == "Deny" => false,
            Some(effect) => {
                return Err(malformed(format!("Invalid effect: {}", effect.as_str().unwrap_or_default())));
            }
        };
        let principal = either(fields, "Principal", "NotPrincipal", Principal::read)?;
        let actions =
            either(fields, "Action", "NotAction", |value| texts(value, "Policy has invalid action"))?;
        let resources =
            either(fields, "Resource", "NotResource", |value| texts(value, "Policy has invalid resource"))?;
        let (Either::Only(names) | Either::AllBut(names)) = &actions;
        let mut level = Level::default();
        for name in names {
            level =
                level.or(policy_action::level(name).ok_or_else(|| malformed("Policy has invalid action"))?);
        }
        let (Either::Only(arns) | Either::AllBut(arns)) = &resources;
        let whole = format!("arn:aws:s3:::{bucket}");
        let inside = format!("{whole}/");
        let mut fits = false;
        for arn in arns {
            let (of_bucket, of_objects) = (
                arn == "*" || matches(arn, &whole),
                // A pattern reaches objects if it goes on behind the bucket's name, or may.
                arn == "*" || arn.starts_with(&inside) || reaches(arn, &inside),
            );
            if !of_bucket && !of_objects {
                return Err(malformed("Policy has invalid resource"));
            }
            fits |= (of_bucket && level.bucket) || (of_objects && level.object);
        }
        if !fits && matches!((&actions, &resources), (Either::Only(_), Either::Only(_))) {
            return Err(malformed("Action does not apply to any resource(s) in statement"));
        }
        let conditions = match fields.get("Condition") {
            None => Vec::new(),
            Some(condition) => Condition::read(condition)?,
        };
        if let Either::Only(names) = &actions
            && conditions.iter().any(|condition| !names.iter().all(|name| condition.is_of(name)))
        {
            return Err(malformed(
                "Conditions do not apply to combination of actions and resources in statement",
            ));
        }
        Ok(Statement { allows, principal, actions, resources, conditions })
    }

    fn is_for_everybody(&self) -> bool {
        matches!(&self.principal, Either::Only(principal) if principal.everybody)
    }

    /// Whether it speaks to who asks. Users and roles are not told apart within an account: what is allowed to one of
    /// them is allowed to the account, what is denied to one of them is denied to nobody else.
    fn is_for(&self, asked: &Asked<'_>) -> bool {
        match &self.principal {
            Either::Only(principal) => principal.names(asked, self.allows),
            Either::AllBut(principal) => !principal.names(asked, !self.allows),
        }
    }

    fn covers(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let acts = |patterns: &[String]| {
            patterns.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
        };
        let is = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, resource));
        (match &self.actions {
            Either::Only(patterns) => acts(patterns),
            Either::AllBut(patterns) => !acts(patterns),
        }) && match &self.resources {
            Either::Only(patterns) => is(patterns),
            Either::AllBut(patterns) => !is(patterns),
        }
    }
}

/// Whether a pattern may match something that begins with `prefix`.
fn reaches(pattern: &str, prefix: &str) -> bool {
    pattern.match_indices('*').any(|(at, _)| pattern.get(..=at).is_some_and(|begin| matches(begin, prefix)))
}

fn either<T>(
    fields: &Map<String, Value>,
    name: &'static str,
    not: &'static str,
    read: impl Fn(&Value) -> Result<T>,
) -> Result<Either<T>> {
    match (fields.get(name), fields.get(not)) {
        (Some(value), None) => Ok(Either::Only(read(value)?)),
        (None, Some(value)) => Ok(Either::AllBut(read(value)?)),
        _ => Err(malformed(format!("Missing required field {name}"))),
    }
}

/// One text or several, none of them empty.
fn texts(value: &Value, wrong: &'static str) -> Result<Vec<String>> {
    let all = match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => {
            let texts = all.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
            texts.ok_or_else(|| malformed(wrong))?
        }
        _ => return Err(malformed(wrong)),
    };
    if all.is_empty() || all.iter().any(String::is_empty) {
        return Err(malformed(wrong));
    }
    Ok(all)
}

impl Principal {
    fn read(value: &Value) -> Result<Self> {
        const WRONG: &str = "Invalid principal in policy";
        let mut principal = Principal::default();
        let kinds = match value {
            Value::String(any) if any == "*" => {
                principal.everybody = true;
                return Ok(principal);
            }
            Value::Object(kinds) if !kinds.is_empty() => kinds,
            _ => return Err(malformed(WRONG)),
        };
        for (kind, names) in kinds {
            for name in texts(names, WRONG)? {
                match kind.as_str() {
                    "AWS" if name == "*" => principal.everybody = true,
                    "AWS" | "CanonicalUser" if wire::is_account(&name) => principal.accounts.push(name),
                    "AWS" => principal.add_arn(name).ok_or_else(|| malformed(WRONG))?,
                    // Services, and who comes by way of others, never ask here.
                    "Service" | "Federated" | "CanonicalUser" => {}
                    _ => return Err(malformed(WRONG)),
                }
            }
        }
        Ok(principal)
    }

    fn add_arn(&mut self, arn: String) -> Option<()> {
        let mut parts = arn.splitn(6, ':');
        let (scheme, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (_region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        if scheme != "arn"
            || !matches!(service, "iam" | "sts")
            || !wire::is_account(account)
            || name.is_empty()
        {
            return None;
        }
        if name == "root" {
            self.accounts.push(account.to_owned());
        } else {
            self.arns.push(arn);
        }
        Some(())
    }

    /// Whether who asks is among them; `loosely` takes a user or a role for their account.
    fn names(&self, asked: &Asked<'_>, loosely: bool) -> bool {
        let Some(account) = asked.account else { return self.everybody };
        self.everybody
            || self.accounts.iter().any(|known| known == account)
            || self.arns.iter().any(|arn| loosely && arn.split(':').nth(4) == Some(account))
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for anything and `?` for one character.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
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

    fn of(statement: &str) -> Result<Policy> {
        Policy::read(&format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#), "b")
    }

    #[test]
    fn policies_are_validated() {
        for (wrong, expected) in [
            (
                r#"{"Effect":"Maybe","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b"}"#,
                "Invalid effect: Maybe",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b"}"#,
                "Missing required field Principal",
            ),
            (
                r#"{"Effect":"Allow","Principal":"me","Action":"s3:*","Resource":"arn:aws:s3:::b"}"#,
                "Invalid principal",
            ),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"ec2:*","Resource":"arn:aws:s3:::b"}"#,
                "invalid action",
            ),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"s3:Nothing","Resource":"arn:aws:s3:::b"}"#,
                "invalid action",
            ),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::other"}"#,
                "invalid resource",
            ),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b"}"#,
                "does not apply",
            ),
            (r#"{"Effect":"Allow","Principal":"*","Action":"s3:*"}"#, "Missing required field Resource"),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Like":{"a":"b"}}}"#,
                "Invalid Condition type : Like",
            ),
        ] {
            let refused = of(wrong).unwrap_err().to_string();
            assert!(refused.contains(expected), "{wrong}: {refused}");
        }
        assert!(Policy::read("{", "b").is_err());
    }

    #[test]
    fn a_policy_speaks_to_accounts_and_to_everybody() {
        let asked = |account| Asked { account, ..Asked::default() };
        let (mine, theirs) = (asked(Some("111111111111")), asked(Some("222222222222")));
        let public =
            of(r#"{"Effect":"Allow","Principal":"*","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}"#)
                .unwrap();
        let key = "arn:aws:s3:::b/k";
        assert!(public.is_public() && public.verdict("s3:GetObject", key, &asked(None)).allows);
        assert_eq!(public.verdict("s3:PutObject", key, &mine), Verdict::default());
        let narrow =
            of(r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*",
                "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#);
        assert!(!narrow.unwrap().is_public());
        for principal in
            ["111111111111", "arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:user/u"]
        {
            let allow = of(&format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":["{principal}"]}},"Action":"s3:*","Resource":["arn:aws:s3:::b/*"]}}"#
            ))
            .unwrap();
            assert!(allow.verdict("s3:GetObject", key, &mine).allows, "{principal}");
            assert!(!allow.verdict("s3:GetObject", key, &theirs).allows, "{principal}");
            assert!(!allow.verdict("s3:GetObject", key, &asked(None)).allows && !allow.is_public());
        }
        let others = of(
            r#"{"Effect":"Deny","NotPrincipal":{"AWS":"111111111111"},"Action":"s3:*","Resource":"arn:aws:s3:::b*"}"#,
        )
        .unwrap();
        assert!(others.verdict("s3:GetObject", key, &theirs).denies);
        assert!(!others.verdict("s3:GetObject", key, &mine).denies);
    }
}
