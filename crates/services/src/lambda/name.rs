//! The ways to name a function: its name, `ACCOUNT:function:NAME`, or its ARN, each with a qualifier or without.

use super::error::{invalid, not_found};
use super::validate::{Checks, all, is_account, is_word};
use model::{FunctionArn, LATEST, Scope};
use wire::Fault;
use wire::rest_json::Call;

/// The pattern that AWS gives for the parameter `FunctionName`; some operations allow a point in the name.
fn pattern(operation: &str) -> String {
    let (point, published) = match takes_point(operation) {
        true => (r"\.", r"(\.PUBLISHED)?"),
        false => ("", ""),
    };
    format!(
        r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{{2}}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{{1}}:)?(\d{{12}}:)?(function:)?([a-zA-Z0-9-_{point}]+)(:(\$LATEST{published}|[a-zA-Z0-9-_]+))?"
    )
}

/// Operations whose pattern for names has a point, though no function has one.
fn takes_point(operation: &str) -> bool {
    ["GetFunction", "Invoke", "DeleteFunction"].contains(&operation)
}

/// The longest whole name in any form, for operations that change the function and for others.
const LONGEST: (usize, usize) = (140, 170);

/// The pattern that AWS gives for the parameter `Qualifier`.
const QUALIFIER: &str = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+";

/// The longest name of a function by itself.
const LONGEST_NAME: usize = 64;

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
    /// Names that no function can have, and those of other accounts and regions.
    pub(super) fn parse(call: &Call, name: &str, qualifier: Option<&str>) -> Result<Self, Fault> {
        Named::within(&call.scope, call.operation, name, qualifier)
    }

    fn within(scope: &Scope, operation: &str, name: &str, qualifier: Option<&str>) -> Result<Self, Fault> {
        let parts = Parts::of(name, takes_point(operation));
        let creates = operation == "CreateFunction";
        if creates && parts.as_ref().is_some_and(|parts| parts.name == name) {
            check_short(name)?;
        }
        let mut checks = Checks::default();
        let longest = if creates || operation == "DeleteFunction" { LONGEST.0 } else { LONGEST.1 };
        checks.pattern("functionName", name, &pattern(operation), parts.is_some());
        if parts.is_some() || creates || name.is_empty() {
            checks.length("functionName", name, 1, longest);
        }
        if let Some(qualifier) = qualifier {
            let fits = qualifier.chars().all(|c| c.is_ascii_alphanumeric() || "$_-".contains(c));
            checks.length("qualifier", qualifier, 1, 128);
            checks.pattern("qualifier", qualifier, QUALIFIER, fits);
        }
        checks.finish()?;
        let Some(parts) = parts else { return Err(invalid("The function's name cannot be read.")) };
        if creates {
            check_short(parts.name)?;
        }
        if let Some(region) = parts.region.filter(|region| *region != scope.region) {
            return Err(not_found(format!(
                "Functions from '{region}' are not reachable in this region ('{}')",
                scope.region
            )));
        }
        if let Some(account) = parts.account.filter(|account| *account != scope.account) {
            return Err(Fault::new(
                "AccessDeniedException",
                403,
                format!(
                    "User: arn:aws:iam::{}:root is not authorized to perform: lambda:{operation} on resource: \
                     arn:aws:lambda:{}:{account}:function:{} because no resource-based policy allows the \
                     lambda:{operation} action",
                    scope.account, scope.region, parts.name
                ),
            ));
        }
        if let (Some(inner), Some(beside)) = (parts.qualifier, qualifier)
            && inner != beside
        {
            return Err(invalid(
                "The derived qualifier from the function name does not match the specified qualifier.",
            ));
        }
        let qualifier = parts.qualifier.or(qualifier).map(str::to_owned);
        Ok(Named { arn: FunctionArn::within(scope, parts.name), qualifier })
    }

    /// As [`Named::parse`], for an operation on the function as a whole.
    ///
    /// # Errors
    /// Also any qualifier.
    pub(super) fn whole(call: &Call, name: &str) -> Result<Self, Fault> {
        let named = Named::parse(call, name, None)?;
        match named.qualifier {
            None => Ok(named),
            Some(_) => Err(invalid(
                "This operation is permitted on Lambda functions only. Aliases and versions do not support \
                 this operation. Please specify either a function name or an unqualified function ARN.",
            )),
        }
    }

    /// As [`Named::parse`], for an operation that changes what can be changed: `$LATEST`, whatever else is named.
    ///
    /// # Errors
    /// Also the qualifier of a version or an alias.
    pub(super) fn latest(call: &Call, name: &str) -> Result<Self, Fault> {
        let named = Named::parse(call, name, None)?;
        match named.qualifier.as_deref() {
            None | Some(LATEST) => Ok(Named { qualifier: None, ..named }),
            Some(_) => Err(invalid("Current operation does not support versions other than $LATEST")),
        }
    }

    /// The ARN as the caller named it: with the qualifier, if there was one.
    pub(super) fn target(&self) -> FunctionArn {
        match &self.qualifier {
            Some(qualifier) => self.arn.qualified(qualifier),
            None => self.arn.clone(),
        }
    }

    /// The same as text.
    pub(super) fn shown(&self) -> String {
        self.target().to_string()
    }
}

/// Refuses the name of a new function that is too long, with another code than other constraints.
fn check_short(name: &str) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks.length("functionName", name, 1, LONGEST_NAME);
    checks.finish().map_err(|fault| invalid(fault.message))
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
    fn of(text: &'a str, point: bool) -> Option<Self> {
        let is_name = |name: &str| {
            is_word(name) || (point && all(name, |c| c == '.' || is_word(c.encode_utf8(&mut [0; 4]))))
        };
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
            [name] if is_name(name) => Some(Parts { region, account, name, qualifier: None }),
            [name, qualifier] if is_name(name) && (qualifier == LATEST || is_word(qualifier)) => {
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
    let parts: Vec<&str> = text.strip_prefix("eusc-").unwrap_or(text).split('-').collect();
    let lower = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    (3..=4).contains(&parts.len())
        && parts[0].len() == 2
        && parts[..parts.len() - 1].iter().all(|part| lower(part))
        && parts.last().is_some_and(|last| last.len() == 1 && last.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(operation: &str, name: &str, beside: Option<&str>) -> Result<Named, Fault> {
        Named::within(&Scope::default(), operation, name, beside)
    }

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
            let named = named("GetFunction", name, beside).unwrap();
            assert_eq!((named.arn.name(), named.qualifier.as_deref()), ("resize", qualifier), "{name}");
        }
        assert_eq!(named("GetFunction", "function", None).unwrap().arn.name(), "function");
        assert_eq!(named("GetFunction", "us-east-1", None).unwrap().arn.name(), "us-east-1");
    }

    #[test]
    fn what_names_no_function_of_ours_is_refused() {
        const VALIDATION: &str = "ValidationException";
        let long = "a".repeat(65);
        let longer = format!("123456789012:{}", "a".repeat(140));
        for (operation, name, beside, code, part) in [
            ("GetFunction", "a b", None, VALIDATION, r"([a-zA-Z0-9-_\.]+)(:("),
            ("GetPolicy", "a/b", None, VALIDATION, "Value 'a/b' at 'functionName'"),
            ("GetPolicy", "", None, VALIDATION, "greater than or equal to 1"),
            ("GetPolicy", "a:b:c", None, VALIDATION, "pattern"),
            ("GetPolicy", "arn:aws:s3:::bucket", None, VALIDATION, "pattern"),
            ("GetPolicy", "resize.py", None, VALIDATION, "pattern"),
            ("GetPolicy", "resize", Some("a.b"), VALIDATION, r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"),
            ("CreateFunction", &long, None, "InvalidParameterValueException", "less than or equal to 64"),
            ("CreateFunction", &longer, None, VALIDATION, "less than or equal to 140"),
            ("GetPolicy", "resize:7", Some("8"), "InvalidParameterValueException", "does not match"),
            (
                "GetPolicy",
                "eu-west-1:000000000000:function:f",
                None,
                "ResourceNotFoundException",
                "eu-west-1",
            ),
            ("GetPolicy", "123456789012:function:f", None, "AccessDeniedException", "lambda:GetPolicy"),
        ] {
            let fault = named(operation, name, beside).unwrap_err();
            assert_eq!(fault.code, code, "{name}");
            assert!(fault.message.contains(part), "{name}: {}", fault.message);
        }
        assert_eq!(named("GetPolicy", "f", Some("7")).unwrap().shown(), FunctionArn::of("f:7").to_string());
    }
}
