//! Amazon Resource Names and the parts they are made of.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use serde::{Deserialize, Serialize};
use std::fmt;

/// The account every resource belongs to until accounts exist.
pub const ACCOUNT: &str = "000000000000";

/// The region every resource lives in, unless a request's ARN names another.
pub const REGION: &str = "us-east-1";

/// The qualifier of the version that changes.
pub const LATEST: &str = "$LATEST";

/// The unqualified ARN of a function: `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FunctionArn(String);

impl FunctionArn {
    /// The ARN of the function called `name` in this installation's account and region.
    pub fn of(name: &str) -> Self {
        FunctionArn(format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"))
    }

    /// An ARN that was made by [`FunctionArn::of`] and read back from the store.
    pub fn from_stored(arn: String) -> Self {
        FunctionArn(arn)
    }

    /// The function's name: the last part of the ARN.
    pub fn name(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or(&self.0)
    }

    /// The version or alias that it names, if it names one.
    pub fn qualifier(&self) -> Option<&str> {
        self.0.split(':').nth(7)
    }

    /// The ARN of the function itself.
    pub fn unqualified(&self) -> FunctionArn {
        match self.qualifier() {
            Some(qualifier) => FunctionArn(self.0[..self.0.len() - qualifier.len() - 1].to_owned()),
            None => self.clone(),
        }
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
    fn a_function_arn_gives_its_name_back() {
        let arn = FunctionArn::of("resize");
        assert_eq!(arn.as_str(), "arn:aws:lambda:us-east-1:000000000000:function:resize");
        assert_eq!(arn.name(), "resize");
    }
}
