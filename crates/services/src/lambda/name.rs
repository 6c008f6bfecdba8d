//! The ways to name a function: its name, `ACCOUNT:function:NAME`, or its ARN, each with a qualifier or without.

use super::error::{invalid, not_found};
use super::validate::{Checks, is_account, is_word};
use model::{ACCOUNT, FunctionArn, REGION};
use wire::Fault;

/// The pattern that AWS gives for the parameter `FunctionName`.
const PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?";

/// The longest whole name in any form.
const LONGEST: usize = 140;

/// The longest name of a function by itself.
const LONGEST_NAME: usize = 64;

/// The one qualifier until versions and aliases exist.
const LATEST: &str = "$LATEST";

/// A function as a request names it; whether it exists is another question.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    /// The function's unqualified ARN.
    pub(super) arn: FunctionArn,
    /// The qualifier, in the name or beside it.
    pub(super) qualifier: Option<String>,
}

impl Named {
    /// Reads the parameter `FunctionName` and, where the operation takes it, `Qualifier`.
    ///
    /// # Errors
    /// Names that no function can have, and qualifiers of versions, which do not exist yet.
    pub(super) fn parse(name: &str, qualifier: Option<&str>) -> Result<Self, Fault> {
        let parts = Parts::of(name);
        let mut checks = Checks::default();
        checks.length("functionName", name, 1, LONGEST);
        checks.pattern("functionName", name, PATTERN, parts.is_some());
        let Some(parts) = parts else { return Err(checks.finish().err().unwrap_or_else(|| invalid(""))) };
        if parts.name.len() > LONGEST_NAME {
            checks.length("functionName", parts.name, 1, LONGEST_NAME);
        }
        if let Some(qualifier) = qualifier {
            checks.length("qualifier", qualifier, 1, 128);
        }
        checks.finish()?;
        if let Some(region) = parts.region.filter(|region| *region != REGION) {
            return Err(not_found(format!(
                "Functions from '{region}' are not reachable in this region ('{REGION}')"
            )));
        }
        if let Some(account) = parts.account.filter(|account| *account != ACCOUNT) {
            return Err(not_found(format!(
                "Functions of account {account} are not reachable here; this server has account {ACCOUNT}"
            )));
        }
        if let (Some(inner), Some(beside)) = (parts.qualifier, qualifier)
            && inner != beside
        {
            return Err(invalid(
                "The derived qualifier from the function name does not match the specified qualifier.",
            ));
        }
        let qualifier = parts.qualifier.or(qualifier).map(str::to_owned);
        let named = Named { arn: FunctionArn::of(parts.name), qualifier };
        match &named.qualifier {
            Some(other) if other != LATEST => {
                Err(not_found(format!("Function not found: {}", named.shown())))
            }
            _ => Ok(named),
        }
    }

    /// As [`Named::parse`], for an operation on the function as a whole.
    ///
    /// # Errors
    /// Also any qualifier.
    pub(super) fn whole(name: &str) -> Result<Self, Fault> {
        let named = Named::parse(name, None)?;
        match named.qualifier {
            None => Ok(named),
            Some(_) => Err(invalid(
                "This operation is permitted on Lambda functions only. Aliases and versions do not support \
                 this operation. Please specify either a function name or an unqualified function ARN.",
            )),
        }
    }

    /// The ARN as the caller named it: with the qualifier, if there was one.
    pub(super) fn shown(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => format!("{}:{qualifier}", self.arn),
            None => self.arn.to_string(),
        }
    }
}

#[derive(Debug, PartialEq)]
struct Parts<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    name: &'a str,
    qualifier: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Takes a name apart from its front; each optional part is taken only if a name can still follow.
    fn of(text: &'a str) -> Option<Self> {
        let mut rest: Vec<&str> = text.split(':').collect();
        if let ["arn", partition, "lambda", _, ..] = rest[..] {
            if partition != "aws" && !partition.starts_with("aws-") {
                return None;
            }
            rest.drain(..3);
        }
        let region = take(&mut rest, is_region);
        let account = take(&mut rest, is_account);
        take(&mut rest, |part| part == "function");
        match rest[..] {
            [name] if is_word(name) => Some(Parts { region, account, name, qualifier: None }),
            [name, qualifier] if is_word(name) && (qualifier == LATEST || is_word(qualifier)) => {
                Some(Parts { region, account, name, qualifier: Some(qualifier) })
            }
            _ => None,
        }
    }
}

fn take<'a>(rest: &mut Vec<&'a str>, fits: impl Fn(&str) -> bool) -> Option<&'a str> {
    (rest.len() > 1 && fits(rest[0])).then(|| rest.remove(0))
}

/// Whether `text` looks like `us-east-1` or `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lower = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    (3..=4).contains(&parts.len())
        && parts[0].len() == 2
        && parts[..parts.len() - 1].iter().all(|part| lower(part))
        && parts.last().is_some_and(|last| last.len() == 1 && last.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_names_the_function() {
        for (name, beside, qualifier) in [
            ("resize", None, None),
            ("resize:$LATEST", None, Some(LATEST)),
            ("resize", Some(LATEST), Some(LATEST)),
            ("function:resize", None, None),
            ("000000000000:function:resize", None, None),
            ("000000000000:resize", None, None),
            ("us-east-1:000000000000:function:resize", None, None),
            ("arn:aws:lambda:us-east-1:000000000000:function:resize", None, None),
            ("arn:aws:lambda:us-east-1:000000000000:function:resize:$LATEST", None, Some(LATEST)),
        ] {
            let named = Named::parse(name, beside).unwrap();
            assert_eq!((named.arn.name(), named.qualifier.as_deref()), ("resize", qualifier), "{name}");
        }
        assert_eq!(Named::parse("function", None).unwrap().arn.name(), "function");
        assert_eq!(Named::parse("us-east-1", None).unwrap().arn.name(), "us-east-1");
    }

    #[test]
    fn what_names_no_function_of_ours_is_refused() {
        let long = "a".repeat(65);
        let longer = "a".repeat(141);
        for (name, beside, code, part) in [
            ("a b", None, "ValidationException", "regular expression pattern: (arn:"),
            ("a/b", None, "ValidationException", "Value 'a/b' at 'functionName'"),
            ("", None, "ValidationException", "greater than or equal to 1"),
            ("a:b:c", None, "ValidationException", "pattern"),
            ("arn:aws:s3:::bucket", None, "ValidationException", "pattern"),
            ("resize.py", None, "ValidationException", "pattern"),
            (&long, None, "ValidationException", "less than or equal to 64"),
            (&longer, None, "ValidationException", "less than or equal to 140"),
            ("resize", Some("7"), "ResourceNotFoundException", "function:resize:7"),
            ("resize:live", None, "ResourceNotFoundException", "function:resize:live"),
            ("resize:7", Some("8"), "InvalidParameterValueException", "does not match"),
            ("eu-west-1:000000000000:function:resize", None, "ResourceNotFoundException", "eu-west-1"),
            ("123456789012:function:resize", None, "ResourceNotFoundException", "123456789012"),
        ] {
            let fault = Named::parse(name, beside).unwrap_err();
            assert_eq!(fault.code, code, "{name}");
            assert!(fault.message.contains(part), "{name}: {}", fault.message);
        }
        assert_eq!(Named::whole("a:$LATEST").unwrap_err().code, "InvalidParameterValueException");
    }
}
