//! The ways to name a layer: by its name, its ARN, or the ARN of a version.

use crate::lambda::validate::{Checks, is_account, is_word};
use model::Scope;
use std::fmt;
use wire::Fault;
use wire::rest_json::Call;

const PATTERN: &str = r"(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+";

/// The pattern of the ARN of a version, as AWS gives it.
pub(super) const VERSION_PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)";

/// The ARN of a layer, without a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::lambda) struct LayerArn {
    pub(super) scope: Scope,
    pub(in crate::lambda) name: String,
}

impl fmt::Display for LayerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scope.arn("lambda", &format!("layer:{}", self.name)))
    }
}

impl LayerArn {
    /// Reads the parameter `LayerName`.
    pub(super) fn parse(call: &Call, name: &str) -> Result<Self, Fault> {
        let mut checks = Checks::default();
        let read = match name.starts_with("arn:") {
            true => read(name).filter(|(_, number)| number.is_none()).map(|(arn, _)| arn),
            false => is_word(name).then(|| LayerArn { scope: call.scope.clone(), name: name.to_owned() }),
        };
        checks.length("layerName", name, 1, 140);
        checks.pattern("layerName", name, PATTERN, read.is_some());
        checks.finish()?;
        read.ok_or_else(|| Fault::new("ValidationException", 400, "The layer's name cannot be read."))
    }

    /// Reads the ARN of a version.
    pub(in crate::lambda) fn of_version(arn: &str) -> Option<(Self, u64)> {
        read(arn).and_then(|(arn, number)| Some((arn, number?)))
    }

    /// The ARN of a version.
    pub(super) fn version(&self, number: u64) -> String {
        format!("{self}:{number}")
    }

    /// What the keys of its versions begin with.
    pub(super) fn prefix(&self) -> Vec<u8> {
        format!("{self}:").into_bytes()
    }

    /// The key of a version: they follow each other in the order of their numbers.
    pub(in crate::lambda) fn key(&self, number: u64) -> Vec<u8> {
        format!("{self}:{number:0>20}").into_bytes()
    }
}

fn read(arn: &str) -> Option<(LayerArn, Option<u64>)> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", "aws", "lambda", region, account, "layer", name, number @ ..] = &parts[..] else {
        return None;
    };
    let number = match number {
        [] => None,
        [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => Some(number.parse().ok()?),
        _ => return None,
    };
    let fits = is_word(region) && is_account(account) && is_word(name);
    let scope = Scope { account: (*account).to_owned(), region: (*region).to_owned() };
    fits.then(|| (LayerArn { scope, name: (*name).to_owned() }, number))
}

/// Reads the label `VersionNumber`.
pub(super) fn version_number(call: &Call) -> Result<u64, Fault> {
    let text = call.label("VersionNumber");
    match text.parse::<i64>() {
        Ok(number) if number >= 1 => Ok(number.unsigned_abs()),
        Ok(_) => Err(crate::lambda::error::invalid("Layer Version Cannot be less than 1")),
        Err(_) => {
            Err(Fault::new("SerializationException", 400, "STRING_VALUE can not be converted to a Long"))
        }
    }
}
