//! Parameters: AWS's union of typed values, and hints, become values of the database.

use super::fault::bad_request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use store::sql::{Parameters, Value};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, Time};
use uuid::Uuid;
use wire::Fault;

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second]");

/// One parameter of a statement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Parameter {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: Given,
    type_hint: Option<Hint>,
}

/// A union: exactly one member is given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Given {
    is_null: Option<bool>,
    boolean_value: Option<bool>,
    long_value: Option<i64>,
    double_value: Option<f64>,
    string_value: Option<String>,
    blob_value: Option<String>,
    array_value: Option<IgnoredAny>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Hint {
    Date,
    Decimal,
    Json,
    Time,
    Timestamp,
    Uuid,
}

/// The values by name, as the database takes them.
pub(super) fn parameters(given: Vec<Parameter>) -> Result<Parameters, Fault> {
    given.into_iter().map(Parameter::read).collect()
}

impl Parameter {
    fn read(self) -> Result<(String, Value), Fault> {
        let Parameter { name, value, type_hint } = self;
        if name.is_empty() {
            return Err(bad_request("A parameter has no name; only named parameters are supported."));
        }
        let value = value.read(&name)?;
        match (type_hint, &value) {
            (None, _) | (_, Value::Null) => {}
            (Some(hint), Value::Text(text)) if hint.fits(text) => {}
            (Some(hint), Value::Text(_)) => {
                return Err(bad_request(format!(
                    "The value of parameter \"{name}\" is not {}.",
                    hint.description()
                )));
            }
            (Some(_), _) => {
                return Err(bad_request(format!(
                    "The typeHint of parameter \"{name}\" needs a stringValue."
                )));
            }
        }
        Ok((name, value))
    }
}

impl Given {
    fn read(self, name: &str) -> Result<Value, Fault> {
        if self.array_value.is_some() {
            return Err(bad_request(format!(
                "Parameter \"{name}\" is an arrayValue; array parameters are not supported."
            )));
        }
        if self.is_null == Some(false) {
            return Err(bad_request(format!("Parameter \"{name}\": isNull can only be true.")));
        }
        let blob = self.blob_value.map(|text| STANDARD.decode(text)).transpose();
        let blob = blob.map_err(|_| bad_request(format!("The blobValue of \"{name}\" is not base64.")))?;
        let mut values = [
            self.is_null.map(|_| Value::Null),
            self.boolean_value.map(|flag| Value::Integer(flag.into())),
            self.long_value.map(Value::Integer),
            self.double_value.map(Value::Real),
            self.string_value.map(Value::Text),
            blob.map(Value::Blob),
        ]
        .into_iter()
        .flatten();
        let value = values
            .next()
            .ok_or_else(|| bad_request(format!("Parameter \"{name}\" has value with no field set")))?;
        match values.next() {
            None => Ok(value),
            Some(_) => {
                Err(bad_request(format!("Parameter \"{name}\" has value with more than one field set")))
            }
        }
    }
}

impl Hint {
    fn fits(self, text: &str) -> bool {
        match self {
            Hint::Date => is_date(text),
            Hint::Time => is_time(text),
            Hint::Timestamp => {
                text.split_once(' ').is_some_and(|(date, time)| is_date(date) && is_time(time))
            }
            Hint::Decimal => {
                text.parse::<f64>().is_ok_and(f64::is_finite) && text.ends_with(|c: char| c.is_ascii_digit())
            }
            Hint::Json => serde_json::from_str::<IgnoredAny>(text).is_ok(),
            Hint::Uuid => Uuid::try_parse(text).is_ok(),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Hint::Date => "a DATE of the form YYYY-MM-DD",
            Hint::Time => "a TIME of the form HH:MM:SS[.FFF]",
            Hint::Timestamp => "a TIMESTAMP of the form YYYY-MM-DD HH:MM:SS[.FFF]",
            Hint::Decimal => "a DECIMAL number",
            Hint::Json => "JSON",
            Hint::Uuid => "a UUID",
        }
    }
}

fn is_date(text: &str) -> bool {
    Date::parse(text, DATE).is_ok()
}

fn is_time(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = !fraction.is_empty() && fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    digits && Time::parse(whole, TIME).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(parameter: serde_json::Value) -> Result<Value, String> {
        let parameter: Parameter = serde_json::from_value(parameter).map_err(|error| error.to_string())?;
        parameter.read().map(|(_, value)| value).map_err(|fault| fault.message)
    }

    #[test]
    fn each_member_of_the_union_has_its_value() {
        for (given, value) in [
            (json!({"isNull": true}), Value::Null),
            (json!({"booleanValue": true}), Value::Integer(1)),
            (json!({"longValue": i64::MIN}), Value::Integer(i64::MIN)),
            (json!({"doubleValue": 2}), Value::Real(2.0)),
            (json!({"stringValue": ""}), Value::Text(String::new())),
            (json!({"blobValue": "AAE="}), Value::Blob(vec![0, 1])),
        ] {
            assert_eq!(read(json!({"name": "a", "value": given})), Ok(value));
        }
    }

    #[test]
    fn wrong_values_are_named() {
        for (given, message) in [
            (json!({"value": {"isNull": true}}), "no name"),
            (json!({"name": "a"}), "\"a\" has value with no field set"),
            (json!({"name": "a", "value": {}}), "\"a\" has value with no field set"),
            (json!({"name": "a", "value": {"longValue": 1, "isNull": true}}), "more than one field"),
            (json!({"name": "a", "value": {"isNull": false}}), "isNull can only be true"),
            (json!({"name": "a", "value": {"blobValue": "?"}}), "not base64"),
            (json!({"name": "a", "value": {"arrayValue": {"longValues": [1]}}}), "arrayValue"),
            (json!({"name": "a", "value": {"longValue": 1.5}}), "expected i64"),
            (json!({"name": "a", "value": {"intValue": 1}}), "unknown field `intValue`"),
            (json!({"name": "a", "value": {"longValue": 1}, "typeHint": "UUID"}), "needs a stringValue"),
            (json!({"name": "a", "value": {"isNull": true}, "typeHint": "MONEY"}), "unknown variant"),
        ] {
            let error = read(given.clone()).unwrap_err();
            assert!(error.contains(message), "{given}: {error}");
        }
    }

    #[test]
    fn hints_check_the_form() {
        for (hint, good, bad) in [
            ("DATE", "2026-02-28", "2026-02-30"),
            ("TIME", "23:59:59.123", "24:00:00"),
            ("TIMESTAMP", "2026-02-28 01:02:03", "2026-02-28T01:02:03"),
            ("DECIMAL", "-12.50", "inf"),
            ("JSON", "{\"a\":[1]}", "{"),
            ("UUID", "6f1e6f3c-5b0e-4f7c-9d55-0a3f5ce0a001", "6f1e"),
        ] {
            let of = |text| json!({"name": "a", "value": {"stringValue": text}, "typeHint": hint});
            assert_eq!(read(of(good)), Ok(Value::Text(good.into())));
            assert!(read(of(bad)).unwrap_err().contains(hint), "{hint}");
        }
    }
}
