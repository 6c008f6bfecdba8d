//! Constraints on parameters, as IAM states them.

use super::record::Tag;
use serde_json::Value;
use wire::Fault;

/// The most tags of one role or policy.
const TAGS: usize = 50;

/// The longest policy that is read, in bytes: more than any quota.
const DOCUMENT: usize = 131_072;

/// The constraints that a request breaks.
#[derive(Default)]
pub(super) struct Checks(Vec<String>);

impl Checks {
    fn note(&mut self, holds: bool, value: &str, member: &str, constraint: &str) {
        if !holds {
            let shown: String = value.chars().take(256).collect();
            self.0.push(format!("Value '{shown}' at '{member}' failed to satisfy constraint: {constraint}"));
        }
    }

    /// The name of a role, a policy or an inline policy.
    pub(super) fn name(&mut self, member: &str, name: &str, most: usize) {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        self.note(!name.is_empty(), name, member, "Member must have length greater than or equal to 1");
        let long = format!("Member must have length less than or equal to {most}");
        self.note(name.len() <= most, name, member, &long);
        self.note(
            name.chars().all(fits),
            name,
            member,
            r"Member must satisfy regular expression pattern: [\w+=,.@-]+",
        );
    }

    /// A path.
    pub(super) fn path(&mut self, path: &str) {
        let fits = path == "/"
            || (path.len() <= 512
                && path.starts_with('/')
                && path.ends_with('/')
                && path.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
        let pattern =
            r"Member must satisfy regular expression pattern: (\u002F)|(\u002F[\u0021-\u007E]+\u002F)";
        self.note(fits, path, "path", pattern);
    }

    /// A description.
    pub(super) fn description(&mut self, text: &str) {
        let short = text.chars().count() <= 1_000;
        self.note(short, text, "description", "Member must have length less than or equal to 1000");
    }

    /// How long a session may last, in seconds.
    pub(super) fn session(&mut self, seconds: i64) {
        let shown = seconds.to_string();
        let constraint = "Member must have value between 3600 and 43200";
        self.note((3_600..=43_200).contains(&seconds), &shown, "maxSessionDuration", constraint);
    }

    /// The ARN of a policy.
    pub(super) fn policy_arn(&mut self, member: &str, arn: &str) {
        let fits = arn.len() >= 20 && arn.len() <= 2048 && arn.starts_with("arn:");
        self.note(fits, arn, member, "Member must have length between 20 and 2048 and be an ARN");
    }

    /// The fault that names every broken constraint, if there is one.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let count = self.0.len();
        let errors = if count == 1 { "error" } else { "errors" };
        match count {
            0 => Ok(()),
            _ => Err(Fault::new(
                "ValidationError",
                400,
                format!("{count} validation {errors} detected: {}", self.0.join("; ")),
            )),
        }
    }
}

/// A parameter that must be there.
pub(super) fn required<T>(member: &str, value: Option<T>) -> Result<T, Fault> {
    let message = || {
        format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        )
    };
    value.ok_or_else(|| Fault::new("ValidationError", 400, message()))
}

/// Checks a policy: JSON with statements that say whether they allow or deny and what. One of trust names principals,
/// any other does not.
pub(super) fn document(text: &str, trust: bool, most: usize) -> Result<(), Fault> {
    let malformed = |why: &str| Fault::new("MalformedPolicyDocument", 400, why);
    if text.len() > DOCUMENT || text.chars().filter(|c| !c.is_whitespace()).count() > most {
        return Err(super::too_many(format!("Cannot exceed quota for PolicySize: {most}")));
    }
    let policy: Value =
        serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
    let policy = policy.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?;
    if !policy.keys().all(|key| ["Version", "Id", "Statement"].contains(&key.as_str())) {
        return Err(malformed("Syntax errors in policy."));
    }
    if policy.get("Version").is_some_and(|version| version != "2012-10-17" && version != "2008-10-17") {
        return Err(malformed("The policy must contain a valid version string"));
    }
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => return Err(malformed("Syntax errors in policy.")),
    };
    for statement in statements {
        let has = |member: &str| statement.get(member).is_some_and(|value| !value.is_null());
        let effect = statement.get("Effect").and_then(Value::as_str);
        if !matches!(effect, Some("Allow" | "Deny")) {
            return Err(malformed("Syntax errors in policy."));
        }
        if !has("Action") && !has("NotAction") {
            return Err(malformed("Policy statement must contain actions."));
        }
        if trust {
            if has("Resource") || has("NotResource") {
                return Err(malformed("Has prohibited field Resource"));
            }
            if !has("Principal") && !has("NotPrincipal") {
                return Err(malformed("Policy statement must contain principals."));
            }
        } else {
            if has("Principal") || has("NotPrincipal") {
                return Err(malformed("Policy document should not specify a principal."));
            }
            if !has("Resource") && !has("NotResource") {
                return Err(malformed("Policy statement must contain resources."));
            }
        }
    }
    Ok(())
}

/// Checks tags: how many, of which form, and none twice.
pub(super) fn tags(tags: &[Tag]) -> Result<(), Fault> {
    let mut checks = Checks::default();
    let shown = || tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>().join(", ");
    if tags.len() > TAGS {
        let most = format!("Member must have length less than or equal to {TAGS}.");
        checks.note(false, &format!("[{}]", shown()), "tags", &most);
        return checks.finish();
    }
    for (index, tag) in tags.iter().enumerate() {
        for (member, text, least, most) in [("key", &tag.key, 1, 128), ("value", &tag.value, 0, 256)] {
            let (member, length) = (format!("tags.{}.member.{member}", index + 1), text.chars().count());
            let long = format!("Member must have length less than or equal to {most}.");
            checks.note(length <= most, text, &member, &long);
            let short = format!("Member must have length greater than or equal to {least}.");
            checks.note(length >= least, text, &member, &short);
            let fits = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
            let pattern = r"Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+";
            checks.note(text.chars().all(fits), text, &member, pattern);
        }
    }
    checks.finish()?;
    for (index, tag) in tags.iter().enumerate() {
        if tags[..index].iter().any(|other| other.key.eq_ignore_ascii_case(&tag.key)) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Fault::new("InvalidInput", 400, message));
        }
    }
    Ok(())
}
