//! Parameters that Mayfly does not act on: taken when they change nothing, refused by name otherwise.

use super::error::invalid;
use serde_json::{Map, Value, json};
use wire::Fault;

/// The parameters of a request that its operation does not name.
pub(super) type Rest = Map<String, Value>;

/// The architecture of this machine, in AWS's words; functions run natively.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}

/// Refuses what is left of the parameters of `operation`, except for values that say what holds anyway.
///
/// # Errors
/// A fault that names the parameter.
pub(super) fn refuse(operation: &str, rest: &Rest) -> Result<(), Fault> {
    for (name, value) in rest {
        if !says_nothing(value) && Some(value) != default_of(name).as_ref() {
            return Err(refused(operation, name, value));
        }
    }
    Ok(())
}

/// The value of a parameter that asks for what Mayfly does anyway.
fn default_of(name: &str) -> Option<Value> {
    match name {
        "PackageType" => Some(json!("Zip")),
        "Architectures" => Some(json!([architecture()])),
        _ => None,
    }
}

/// Whether a value is empty all the way down: what clients send for a setting that is not used.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.values().all(says_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn refused(operation: &str, name: &str, value: &Value) -> Fault {
    let why = match (name, default_of(name)) {
        (_, Some(default)) => format!("only {default} is, and {value} is not"),
        (_, None) => "leave it out".to_owned(),
    };
    invalid(format!("The parameter {name} of {operation} is not supported by Mayfly; {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_nothing_is_taken_and_the_rest_refused_by_name() {
        for (name, value, fits) in [
            ("VpcConfig", json!({"SubnetIds": [], "SecurityGroupIds": []}), true),
            ("VpcConfig", json!({"SubnetIds": ["subnet-1"]}), false),
            ("PackageType", json!("Zip"), true),
            ("PackageType", json!("Image"), false),
            ("Architectures", json!([architecture()]), true),
            ("Architectures", json!(["sparc"]), false),
            ("DeadLetterConfig", json!({"TargetArn": ""}), true),
            ("DeadLetterConfig", json!({"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}), false),
            ("KMSKeyArn", json!(""), true),
            ("SomethingNew", json!(1), false),
        ] {
            let rest = Map::from_iter([(name.to_owned(), value.clone())]);
            let answer = refuse("CreateFunction", &rest);
            assert_eq!(answer.is_ok(), fits, "{name} {value}");
            if let Err(fault) = answer {
                assert_eq!(fault.code, "InvalidParameterValueException");
                assert!(fault.message.contains(name), "{}", fault.message);
            }
        }
    }
}
