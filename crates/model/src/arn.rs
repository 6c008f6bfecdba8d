//! Amazon Resource Names and the parts they are made of.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use serde::{Deserialize, Serialize};
use std::fmt;

/// The account of whoever does not say.
pub const ACCOUNT: &str = "000000000000";

/// The region of whoever does not say.
pub const REGION: &str = "us-east-1";

/// The name of the one version that changes.
pub const LATEST: &str = "$LATEST";

/// Where resources live: those of one account in one region never see those of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Twelve digits.
    pub account: String,
    /// For instance `us-east-1`.
    pub region: String,
}

impl Default for Scope {
    fn default() -> Self {
        Scope { account: ACCOUNT.to_owned(), region: REGION.to_owned() }
    }
}

impl Scope {
    /// The ARN of something of `service` here; `resource` is what follows the account.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}

/// The ARN of a function, `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, or of one of its versions or aliases: then
/// a qualifier follows.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FunctionArn(String);

impl FunctionArn {
    /// The ARN of the function called `name` in the account and region of whoever does not say.
    pub fn of(name: &str) -> Self {
        FunctionArn::within(&Scope::default(), name)
    }

    /// The ARN of the function called `name` in `scope`.
    pub fn within(scope: &Scope, name: &str) -> Self {
        FunctionArn(scope.arn("lambda", &format!("function:{name}")))
    }

    /// An ARN that was made by [`FunctionArn::of`] and read back from the store.
    pub fn from_stored(arn: String) -> Self {
        FunctionArn(arn)
    }

    /// Reads an ARN that comes from outside.
    pub fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let word = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let ["arn", "aws", "lambda", region, account, "function", name, qualifier @ ..] = &parts[..] else {
            return None;
        };
        let fits = word(region)
            && account.len() == 12
            && account.chars().all(|c| c.is_ascii_digit())
            && word(name)
            && match qualifier {
                [] => true,
                [qualifier] => *qualifier == LATEST || word(qualifier),
                _ => false,
            };
        fits.then(|| FunctionArn(arn.to_owned()))
    }

    fn part(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        self.part(6)
    }

    /// The version or alias that it names, if it names one.
    pub fn qualifier(&self) -> Option<&str> {
        self.0.split(':').nth(7)
    }

    /// The account and the region that the function lives in.
    pub fn scope(&self) -> Scope {
        Scope { account: self.part(4).to_owned(), region: self.part(3).to_owned() }
    }

    /// The region that the function lives in.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The ARN of the function itself.
    pub fn unqualified(&self) -> FunctionArn {
        match self.qualifier() {
            Some(qualifier) => FunctionArn(self.0[..self.0.len() - qualifier.len() - 1].to_owned()),
            None => self.clone(),
        }
    }

    /// The ARN of a version or an alias of the function.
    pub fn qualified(&self, qualifier: &str) -> FunctionArn {
        FunctionArn(format!("{}:{qualifier}", self.unqualified()))
    }

    /// What names the function's logs and runs: its name, and in another than the usual account and region its ARN.
    pub fn log_name(&self) -> String {
        if self.scope() == Scope::default() { self.name().to_owned() } else { self.unqualified().0 }
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_arn_gives_its_parts_back() {
        let arn = FunctionArn::of("resize");
        assert_eq!(arn.as_str(), "arn:aws:lambda:us-east-1:000000000000:function:resize");
        assert_eq!((arn.name(), arn.qualifier(), arn.log_name().as_str()), ("resize", None, "resize"));
        let live = arn.qualified("live");
        assert_eq!((live.name(), live.qualifier()), ("resize", Some("live")));
        assert_eq!((live.unqualified(), live.qualified("1")), (arn.clone(), arn.qualified("1")));
        let scope = Scope { account: "123456789012".into(), region: "eu-west-1".into() };
        let other = FunctionArn::within(&scope, "resize").qualified("1");
        assert_eq!(other.scope(), scope);
        assert_eq!(other.log_name(), "arn:aws:lambda:eu-west-1:123456789012:function:resize");
    }

    #[test]
    fn only_what_may_be_a_function_is_read() {
        let arn = FunctionArn::of("f");
        for good in [arn.clone(), arn.qualified("1"), arn.qualified("live"), arn.qualified(LATEST)] {
            assert_eq!(FunctionArn::parse(good.as_str()), Some(good));
        }
        for bad in [
            "",
            "f",
            "arn:aws:sqs:us-east-1:000000000000:q",
            "arn:aws:lambda:us-east-1:1:function:f",
            "arn:aws:lambda:us-east-1:000000000000:function:",
            "arn:aws:lambda:us-east-1:000000000000:function:f:",
            "arn:aws:lambda:us-east-1:000000000000:function:f:1:2",
            "arn:aws:lambda:us-east-1:000000000000:layer:f",
        ] {
            assert_eq!(FunctionArn::parse(bad), None, "{bad}");
        }
    }
}
